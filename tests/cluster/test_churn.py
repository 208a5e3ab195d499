"""Many jobs that come and go at once, watched by many clients: all slots come back and nothing is left behind."""
import concurrent.futures
import os
import pathlib
import random
import threading
import unittest

from kit import ROOT, TERMINAL, Cluster, read_counts, write_text

WORDCOUNT = ROOT / "examples/wordcount-file.yaml"
ENDLESS = """
name: endless
parallelism: 2
nodes:
  rows: {source: {datagen: {rate: 5000, fields.k.max: 100}}, schema: {k: bigint}}
  counts: {from: rows, key_by: k, aggregate: {n: count(*)}, emit: batch}
  out: {from: counts, sink: blackhole}
"""


def counted(pid):
    """Open files and threads of a process."""
    base = pathlib.Path(f"/proc/{pid}")
    return len(os.listdir(base / "fd")), len(os.listdir(base / "task"))


class Churn(unittest.TestCase):
    def test_jobs_come_and_go_at_once(self):
        options = {"execution.checkpointing.interval": "100ms"}
        with Cluster(taskmanagers=2, slots=4, options=options) as cluster:
            path = cluster.directory / "endless.yaml"
            path.write_text(ENDLESS)
            expected = write_text(cluster.directory / "in.txt", 500)
            is_over = threading.Event()
            failures = []

            def watch():
                while not is_over.is_set():
                    for what in ("/overview", "/jobs/overview", "/metrics", "/taskmanagers"):
                        if cluster.rest(what)[0] != 200:
                            failures.append(what)
                    for job in cluster.get("/jobs")["jobs"][:5]:
                        status, answer = cluster.rest(f"/jobs/{job['id']}")
                        if status not in (200, 404):
                            failures.append((status, answer))

            def one(number):
                if number % 3 == 0:
                    job = cluster.submit(path)
                    generator = random.Random(number)
                    threading.Event().wait(generator.uniform(0, 0.5))
                    cluster.cli("cancel", job)
                    return job, "CANCELED"
                out = cluster.directory / f"out{number}"
                cluster.cli("run", "-p", "2", f"--param=input={cluster.directory}/in.txt", f"--param=output={out}", WORDCOUNT)
                self.assertEqual(read_counts(out), expected)
                return None, "FINISHED"

            def round_of(numbers):
                with concurrent.futures.ThreadPoolExecutor(6) as pool:
                    for job, state in pool.map(one, numbers):
                        if job:
                            self.assertEqual(cluster.job(job)["state"], state)
                cluster.wait_for(lambda: cluster.get("/overview")["slots-available"] == 8, "all slots to be free")

            daemons = [cluster.job_manager, *cluster.task_managers]
            watchers = [threading.Thread(target=watch) for _ in range(3)]
            for watcher in watchers:
                watcher.start()
            try:
                round_of(range(18))
            finally:
                is_over.set()
                for watcher in watchers:
                    watcher.join()
            self.assertEqual(failures, [])
            self.assertTrue(all(j["status"] in TERMINAL for j in cluster.get("/jobs")["jobs"]))
            before = [counted(d.pid) for d in daemons]
            round_of(range(18, 36))
            cluster.wait_for(lambda: all(f <= g + 4 and t <= u + 4 for (f, t), (g, u) in
                                         zip([counted(d.pid) for d in daemons], before)),
                             f"open files and threads to be as before: {before}")
            left = [p for p in (cluster.directory / "tm").rglob("*") if p.is_file()]
            self.assertEqual(left, [], "files of jobs that have ended")


if __name__ == "__main__":
    unittest.main(verbosity=2)
