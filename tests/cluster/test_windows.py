"""Windows in a cluster: open ones survive a killed TaskManager, late rows show everywhere."""
import os
import unittest

from kit import Cluster

JOB = """
name: windows
parameters: {input}
config: {execution.checkpointing.interval: 200ms}
nodes:
  rows:
    source: {file: {path: "${input}", watch: 100ms}}
    format: csv
    schema: {k: string, ts: bigint, at: "timestamp_ltz(3) as to_timestamp_ltz(ts, 3)"}
    watermark: {column: at, delay: 2s}
  tens:
    from: rows
    key_by: k
    window: {tumbling: 10s}
    aggregate: {n: count(*)}
    parallelism: 2
  quiet:
    from: rows
    key_by: k
    window: {session: 5s}
    aggregate: {n: count(*)}
    parallelism: 2
  results: {from: [tens, quiet], sink: print}
  late: {from: tens.late, select: {late: k, ts}}
  too_late: {from: late, sink: print}
"""
DAY = "1970-01-01 00:00:"


def put(directory, name, rows):
    """A file that is complete when it is seen."""
    hidden = directory / f".{name}"
    hidden.write_text("".join(f"{k},{ts}\n" for k, ts in rows))
    os.rename(hidden, directory / name)


def node(cluster, job, name):
    return next(n for n in cluster.job(job)["millstream"]["nodes"] if n["name"] == name)


class Windows(unittest.TestCase):
    def printed(self, cluster):
        ids = [t["id"] for t in cluster.get("/taskmanagers")["taskmanagers"]]
        return "".join(cluster.rest(f"/taskmanagers/{i}/stdout")[1] for i in ids)

    def see(self, cluster, *texts):
        for text in texts:
            cluster.wait_for(lambda: text in self.printed(cluster), f"{text} in {self.printed(cluster)}")

    def test_open_windows_survive_and_late_rows_show(self):
        with Cluster(taskmanagers=1, slots=2) as cluster:
            directory = cluster.directory / "in"
            directory.mkdir()
            path = cluster.directory / "job.yaml"
            path.write_text(JOB)
            put(directory, "1", [("a", 1000), ("b", 12000)])
            job = cluster.submit(path, input=directory)
            self.see(cluster, f"[a, {DAY}00.000, {DAY}10.000, 1]", f"[a, {DAY}01.000, {DAY}06.000, 1]")
            put(directory, "2", [("a", 3000), ("b", 15000)])
            self.see(cluster, "[a, 3000]")
            cluster.wait_for(lambda: node(cluster, job, "tens")["late-dropped"] == 1, "the late row is counted")
            histogram = node(cluster, job, "tens")["late-histogram"]
            self.assertEqual([b["count"] for b in histogram if b["at-most-ms"] == 10000], [1], histogram)
            self.assertEqual(sum(b["count"] for b in histogram), 1)
            metrics = cluster.rest("/metrics")[1]
            self.assertRegex(metrics, r'millstream_vertex_late_records_dropped_total\{.*vertex="tens.*"\} 1\n')
            self.assertRegex(metrics, r'millstream_vertex_late_seconds_bucket\{.*,le="1"\} 0\n')
            self.assertRegex(metrics, r'millstream_vertex_late_seconds_bucket\{.*,le="10"\} 1\n')

            done = cluster.completed_checkpoints(job)
            cluster.wait_for(lambda: cluster.completed_checkpoints(job) > done + 1, "a later checkpoint")
            cluster.kill_task_manager(cluster.task_managers[0])
            cluster.add_task_manager(slots=2)
            cluster.wait_for(lambda: cluster.job(job)["millstream"]["restarts"] == 1, "the restart")
            cluster.wait_state(job, "RUNNING")
            put(directory, "3", [("c", 30000)])
            self.see(cluster, f"[b, {DAY}10.000, {DAY}20.000, 2]", f"[b, {DAY}12.000, {DAY}20.000, 2]")
            cluster.cli("cancel", job)


if __name__ == "__main__":
    unittest.main()
