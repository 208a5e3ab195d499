"""Event time in a cluster: where it shows, and that a restart neither forgets it nor turns it back."""
import os
import unittest

from kit import Cluster

TIMED = """
name: timed
parameters: {input, idle: 1s}
config: {execution.checkpointing.interval: 200ms}
nodes:
  rows:
    source: {file: {path: "${input}", watch: 100ms}}
    format: csv
    schema:
      k: string
      ts: bigint
      at: timestamp_ltz(3) as to_timestamp_ltz(ts, 3)
    watermark: {column: at, delay: 2s, idle: "${idle}"}
    on_error: skip
  counts:
    from: rows
    key_by: k
    aggregate: {n: count(*)}
    parallelism: 2
  result: {from: counts, sink: print}
"""

ALIGNED = """
name: aligned
parameters: {fast, slow}
config: {execution.checkpointing.interval: 200ms, pipeline.auto-watermark-interval: 20ms}
x-timed: &timed
  format: csv
  schema: {ts: bigint, at: "timestamp_ltz(3) as to_timestamp_ltz(ts, 3)"}
  watermark: {column: at, align: both, max_drift: 5s}
nodes:
  fast: {source: {file: {path: "${fast}", rate: 2000}}, <<: *timed}
  slow: {source: {file: {path: "${slow}", rate: 40}}, <<: *timed}
  count: {from: [fast, slow], aggregate: {n: count(*)}, emit: end}
  result: {from: count, sink: print}
"""


def put(directory, name, times):
    """A file that is complete when it is seen."""
    hidden = directory / f".{name}"
    hidden.write_text("".join(f"k{i},{ts}\n" for i, ts in enumerate(times)))
    os.rename(hidden, directory / name)


def node(cluster, job, name):
    return next(n for n in cluster.job(job)["millstream"]["nodes"] if n["name"] == name)


class Time(unittest.TestCase):
    def watermark_is(self, cluster, job, value, idle):
        for name in ("rows", "counts"):
            cluster.wait_for(lambda: node(cluster, job, name).get("watermark") == value, f"{name} at {value}")
            cluster.wait_for(lambda: node(cluster, job, name)["watermark-idle"] == idle, f"{name} idle: {idle}")

    def test_watermarks_show_and_survive_a_restart(self):
        with Cluster(taskmanagers=1, slots=2) as cluster:
            directory = cluster.directory / "in"
            directory.mkdir()
            path = cluster.directory / "job.yaml"
            path.write_text(TIMED)
            put(directory, "1", [1000, 60000, 5000, 99999999999999])  # the last is far ahead: skipped
            job = cluster.submit(path, input=directory)
            cluster.wait_state(job, "RUNNING")
            # All is read, nothing more is known of, and so it stays: idle.
            self.watermark_is(cluster, job, 57999, idle=True)
            self.assertEqual(node(cluster, job, "rows")["errors-skipped"], 1)
            for vertex in cluster.job(job)["vertices"]:
                values = cluster.get(f"/jobs/{job}/vertices/{vertex['id']}/watermarks")
                self.assertEqual([v["id"] for v in values],
                                 [f"{i}.currentInputWatermark" for i in range(vertex["parallelism"])])
                self.assertEqual({v["value"] for v in values}, {"57999"})
            self.assertIn('vertex="rows"} 57.999', cluster.rest("/metrics")[1])
            self.assertRegex(cluster.cli("status", job).stdout, r"event time  rows +\d+ h behind, idle\n")

            # Nothing is left to read: only the checkpoint can know.
            done = cluster.completed_checkpoints(job)
            cluster.wait_for(lambda: cluster.completed_checkpoints(job) > done + 1, "a later checkpoint")
            cluster.kill_task_manager(cluster.task_managers[0])
            cluster.add_task_manager(slots=2)
            cluster.wait_for(lambda: cluster.job(job)["millstream"]["restarts"] == 1, "the restart")
            cluster.wait_state(job, "RUNNING")
            self.watermark_is(cluster, job, 57999, idle=True)
            self.assertEqual(node(cluster, job, "rows")["records-in"], 0)

            put(directory, "2", [90000])
            cluster.wait_for(lambda: node(cluster, job, "counts")["watermark"] == 87999, "time goes on")
            cluster.cli("cancel", job)

    def test_subtasks_without_splits_do_not_stop_time(self):
        with Cluster(taskmanagers=1, slots=4) as cluster:
            directory = cluster.directory / "in"
            directory.mkdir()
            path = cluster.directory / "job.yaml"
            path.write_text(TIMED)
            put(directory, "1", [1000, 60000])
            # Idleness by waiting is off: three subtasks know that there is nothing for them.
            job = cluster.submit(path, "-p", "4", input=directory, idle="0s")
            self.watermark_is(cluster, job, 57999, idle=False)
            cluster.cli("cancel", job)

    def test_aligned_sources_wait_for_the_slowest(self):
        """Without it the fast source would be through in a second, the slow one in three."""
        with Cluster(taskmanagers=1, slots=2, options={"heartbeat.interval": "50ms"}) as cluster:
            (cluster.directory / "fast").write_text("".join(f"{ts}\n" for ts in range(0, 100000, 50)))
            (cluster.directory / "slow").write_text("".join(f"{ts}\n" for ts in range(0, 120000, 1000)))
            path = cluster.directory / "job.yaml"
            path.write_text(ALIGNED)
            job = cluster.submit(path, fast=cluster.directory / "fast", slow=cluster.directory / "slow")
            compared = 0
            while cluster.job(job)["state"] not in ("FINISHED", "FAILED", "CANCELED"):
                fast, slow = (node(cluster, job, name).get("watermark") for name in ("fast", "slow"))
                if fast is not None and slow is not None and fast < 99000:
                    # After a pause the rate lets go a tenth of a second's rows at once, 10 s.
                    self.assertLess(fast, slow + 5000 + 10000)
                    compared += slow > 0
            self.assertGreater(compared, 10)
            cluster.wait_state(job, "FINISHED")
            self.assertGreater(cluster.completed_checkpoints(job), 3, "a source that waits passes barriers")
            manager = cluster.get("/taskmanagers")["taskmanagers"][0]["id"]
            self.assertIn("+I[2120]", cluster.rest(f"/taskmanagers/{manager}/stdout")[1])


if __name__ == "__main__":
    unittest.main()
