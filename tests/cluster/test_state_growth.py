"""State far larger than its cache, through a kill: exact."""
import unittest

from kit import Cluster, read_counts

JOB = """
name: state-growth
parameters: {output}
nodes:
  made:
    source: {datagen: {rows: 400000, rate: 60000, fields.id.kind: sequence, fields.id.min: 0, fields.id.max: 399999}}
    schema: {id: bigint not null}
  keyed: {from: made, set: {k: id % 200000}}
  counts: {from: keyed, key_by: k, aggregate: {n: count(*), total: sum(id)}, emit: end}
  right: {from: counts, where: n = 2 and total = 2 * k + 200000, set: {what: "'right'"}}
  wrong: {from: counts, where: n <> 2 or total <> 2 * k + 200000, set: {what: "'wrong'"}}
  both: {from: [right, wrong], key_by: what, aggregate: {keys: count(*)}, emit: end}
  result: {from: both, sink: {file: "${output}"}, format: csv}
"""


class StateGrowth(unittest.TestCase):
    def test_state_larger_than_the_cache_across_a_kill(self):
        options = {"taskmanager.memory.state-cache.size": "1m"}
        with Cluster(taskmanagers=1, options=options) as cluster:
            path = cluster.directory / "job.yaml"
            path.write_text(JOB)
            job = cluster.submit(path, "-D", "execution.checkpointing.interval=500ms",
                                 "-D", "restart-strategy.exponential-delay.initial-backoff=100ms",
                                 output=cluster.directory / "out")
            cluster.wait_for(lambda: cluster.completed_checkpoints(job) >= 2, "two checkpoints", 60)
            cluster.kill_task_manager(cluster.task_managers[0])
            cluster.add_task_manager()
            cluster.wait_state(job, "FINISHED", timeout=90)
            self.assertEqual(read_counts(cluster.directory / "out"), {"right": 200000})
