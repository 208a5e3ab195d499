"""Real processes, killed with -9: the counts stay right."""
import pathlib
import random
import shutil
import time
import unittest

from kit import ROOT, Cluster, read_counts, write_text

WORDCOUNT = ROOT / "examples/wordcount-file.yaml"
FAST = ("-D", "execution.checkpointing.interval=200ms")

TWO_INPUTS = """
name: two-inputs
parameters: {left, right, output, rate}
parallelism: 2
nodes:
  left:
    source: {file: {path: "${left}", rate: "${rate}", split_size: 64k}}
    format: raw
    schema: {line: string}
  right:
    source: {file: {path: "${right}", rate: "${rate}", split_size: 64k}}
    format: raw
    schema: {line: string}
  both: {from: [left, right]}
  counts:
    from: both
    unnest: {word: split(line)}
    key_by: word
    aggregate: {count: count(*)}
    emit: end
  result:
    from: counts
    sink: {file: {path: "${output}"}}
    format: csv
"""


class Recovery(unittest.TestCase):
    def test_word_count_without_faults(self):
        with Cluster(taskmanagers=2) as cluster:
            expected = write_text(cluster.directory / "in.txt", 5000)
            job = cluster.submit(WORDCOUNT, "-p", "2", input=cluster.directory / "in.txt",
                                 output=cluster.directory / "out")
            cluster.wait_state(job, "FINISHED")
            self.assertEqual(read_counts(cluster.directory / "out"), expected)

    def test_ten_kills_of_task_managers(self):
        """Two inputs at parallelism 2 over two processes, restored from storage alone."""
        with Cluster(taskmanagers=2) as cluster:
            left = write_text(cluster.directory / "left.txt", 60000, seed=1)
            right = write_text(cluster.directory / "right.txt", 60000, seed=2)
            expected = {w: left.get(w, 0) + right.get(w, 0) for w in left | right}
            path = cluster.directory / "job.yaml"
            path.write_text(TWO_INPUTS)
            job = cluster.submit(path, *FAST, left=cluster.directory / "left.txt",
                                 right=cluster.directory / "right.txt", output=cluster.directory / "out", rate=6000)
            seed = int(time.time())
            print(f"seed {seed}")
            generator = random.Random(seed)
            kills = 0
            while cluster.job(job)["state"] not in ("FINISHED", "FAILED", "CANCELED") and kills < 12:
                time.sleep(generator.uniform(0.1, 1.2))
                cluster.kill_task_manager(generator.choice(cluster.task_managers))
                # Local state must not be needed: only what storage holds may restore the job.
                shutil.rmtree(cluster.directory / "tm", ignore_errors=True)
                kills += 1
                cluster.add_task_manager()
            self.assertGreaterEqual(kills, 10, "the job ended before ten kills")
            cluster.wait_state(job, "FINISHED", timeout=120)
            self.assertEqual(read_counts(cluster.directory / "out"), expected)
            self.assertEqual(list(pathlib.Path(cluster.directory / "out").glob(".part-*")), [])
            # A finished job keeps no checkpoint, whoever was killed while writing one.
            files = cluster.directory / "checkpoints" / job
            cluster.wait_for(lambda: not [p for p in files.rglob("*") if p.is_file()], "an empty directory")

    def test_job_manager_killed_and_started_again(self):
        with Cluster(taskmanagers=2) as cluster:
            expected = write_text(cluster.directory / "in.txt", 40000)
            job = cluster.submit(WORDCOUNT, "-p", "2", *FAST, input=cluster.directory / "in.txt",
                                 output=cluster.directory / "out", rate=10000)
            for _ in range(2):
                before = cluster.completed_checkpoints(job)
                cluster.wait_for(lambda: cluster.completed_checkpoints(job) > before, "a checkpoint")
                cluster.job_manager.kill()
                cluster.start_job_manager()
                cluster.wait_task_managers(2)
                cluster.wait_state(job, "RUNNING", "FINISHED")
            cluster.wait_state(job, "FINISHED", timeout=120)
            self.assertEqual(read_counts(cluster.directory / "out"), expected)

    def test_more_parallelism_than_slots_waits_and_runs(self):
        with Cluster(taskmanagers=1) as cluster:
            expected = write_text(cluster.directory / "in.txt", 2000)
            job = cluster.submit(WORDCOUNT, "-p", "2", input=cluster.directory / "in.txt",
                                 output=cluster.directory / "out")
            waiting = cluster.wait_for(lambda: cluster.job(job)["millstream"]["waiting-for"], "a reason to wait")
            self.assertRegex(waiting, "2 slots")
            self.assertIn("waiting: ", cluster.cli("list").stdout)
            cluster.add_task_manager()
            cluster.wait_state(job, "FINISHED")
            self.assertEqual(read_counts(cluster.directory / "out"), expected)

    def test_cancel_retains_checkpoint_and_restores(self):
        with Cluster(taskmanagers=1) as cluster:
            expected = write_text(cluster.directory / "in.txt", 20000)
            parameters = {"input": cluster.directory / "in.txt", "output": cluster.directory / "out"}
            job = cluster.submit(WORDCOUNT, *FAST, **parameters, rate=5000)
            cluster.wait_for(lambda: cluster.completed_checkpoints(job) >= 2, "two checkpoints")
            done = cluster.cli("cancel", job)
            self.assertEqual(done.stdout, f"Cancelled job {job}.\n")
            latest = cluster.get(f"/jobs/{job}/checkpoints")["latest"]["completed"]["external_path"]
            again = cluster.submit(WORDCOUNT, "--from-savepoint", latest.removeprefix("file:"), **parameters, rate=0)
            cluster.wait_state(again, "FINISHED")
            self.assertEqual(read_counts(cluster.directory / "out"), expected)
            other = cluster.cli("run", "-d", "-p", "2", "--from-savepoint", latest.removeprefix("file:"),
                                *[f"--param={k}={v}" for k, v in parameters.items()], WORDCOUNT, check=False)
            self.assertNotEqual(other.returncode, 0)
            self.assertIn("parallelism", other.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
