"""Disks that are full, files that change while they are read, and directories that two daemons want."""
import contextlib
import os
import subprocess
import tempfile
import time
import unittest

from kit import BIN, ROOT, Cluster, read_counts, write_text

WORDCOUNT = ROOT / "examples/wordcount-file.yaml"
COPY = """
name: copy
parameters: {input, output, rate: 0}
nodes:
  lines: {source: {file: {path: "${input}", rate: "${rate}"}}, format: raw, schema: {line: string}}
  out: {from: lines, sink: {file: {path: "${output}"}}, format: raw}
"""


@contextlib.contextmanager
def small_disk(path, size):
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=False)


@unittest.skipUnless(os.geteuid() == 0, "SKIPPED: mounting a small file system needs root")
class Full(unittest.TestCase):
    def check_no_restart_loop(self, cluster, job, part):
        """It fails or waits, says why, and is tried again ever more slowly until there is room."""
        def reason():
            view = cluster.job(job)["millstream"]
            return (view["last-failure"] or {}).get("message") or view["waiting-for"]

        cluster.wait_for(lambda: part in (reason() or ""), f"a reason with {part}")
        time.sleep(4)
        self.assertLess(cluster.job(job)["millstream"]["restarts"], 8)
        self.assertIsNone(cluster.task_managers[0].process.poll())
        self.assertNotIn(cluster.job(job)["state"], ("FINISHED", "FAILED"))

    def test_full_disk_under_output(self):
        with Cluster(taskmanagers=1) as cluster, small_disk(cluster.directory / "out", "1m"):
            expected = ["%06d %s" % (i, "x" * 100) for i in range(30000)]
            (cluster.directory / "in.txt").write_text("\n".join(expected) + "\n")
            path = cluster.directory / "job.yaml"
            path.write_text(COPY)
            job = cluster.submit(path, "-D", "execution.checkpointing.interval=200ms",
                                 input=cluster.directory / "in.txt", output=cluster.directory / "out", rate=20000)
            self.check_no_restart_loop(cluster, job, "space")
            subprocess.run(["mount", "-o", "remount,size=50m", str(cluster.directory / "out")], check=True)
            cluster.wait_state(job, "FINISHED", timeout=90)
            lines = [l for p in sorted((cluster.directory / "out").glob("part-*")) for l in p.read_text().splitlines()]
            self.assertEqual(sorted(lines), expected)
            self.assertEqual(list((cluster.directory / "out").glob(".part*")), [])

    def test_full_disk_under_state(self):
        with Cluster(taskmanagers=0) as cluster, small_disk(cluster.directory / "tm", "1m"):
            filler = cluster.directory / "tm" / "filler"
            filler.write_bytes(b"x" * 1000_000)
            cluster.add_task_manager()
            cluster.wait_task_managers(1)
            expected = write_text(cluster.directory / "in.txt", 5000)
            job = cluster.submit(WORDCOUNT, input=cluster.directory / "in.txt", output=cluster.directory / "out")
            self.check_no_restart_loop(cluster, job, "less than 5 %")
            filler.unlink()
            subprocess.run(["mount", "-o", "remount,size=200m", str(cluster.directory / "tm")], check=True)
            cluster.wait_state(job, "FINISHED", timeout=90)
            self.assertEqual(read_counts(cluster.directory / "out"), expected)
            for daemon in list(cluster.task_managers):
                self.assertEqual(daemon.end(), 0)


class Changing(unittest.TestCase):
    def test_a_file_that_shrinks_or_goes_while_it_is_read(self):
        with Cluster(taskmanagers=1) as cluster:
            path = cluster.directory / "job.yaml"
            path.write_text(COPY)
            for change in (lambda p: os.truncate(p, 1000), os.unlink):
                source = cluster.directory / "in.txt"
                source.write_text("".join("%06d %s\n" % (i, "x" * 1000) for i in range(20000)))
                job = cluster.submit(path, "-D", "restart-strategy.type=none", "-D", "execution.checkpointing.interval=100ms",
                                     input=source, output=cluster.directory / "out", rate=4000)
                cluster.wait_for(lambda: cluster.completed_checkpoints(job) >= 1, "a checkpoint")
                change(source)
                view = cluster.wait_for(lambda: cluster.job(job) if cluster.job(job)["end-time"] > 0 else None, "its end")
                if change is os.unlink:
                    # What is open stays readable; a restart would say that the file is gone.
                    self.assertEqual(view["state"], "FINISHED")
                else:
                    self.assertEqual(view["state"], "FAILED")
                    self.assertIn("in.txt", view["millstream"]["last-failure"]["message"])


class Owners(unittest.TestCase):
    def test_two_job_managers_on_one_store(self):
        with Cluster(taskmanagers=1) as cluster:
            second = subprocess.run(
                [str(BIN / "millstream-jobmanager"), "-D", f"process.working-dir={cluster.directory}/jm2", "-D", "rest.port=0",
                 "-D", f"execution.checkpointing.dir={cluster.directory}/checkpoints", "-D", "jobmanager.rpc.port=0",
                 "-D", f"high-availability.storageDir={cluster.directory}/ha"], capture_output=True, text=True, timeout=20)
            self.assertNotEqual(second.returncode, 0)
            self.assertIn(str(cluster.directory / "ha"), second.stderr)
            self.assertEqual(cluster.get("/overview")["taskmanagers"], 1)

    def test_what_a_killed_task_manager_left_is_removed(self):
        with Cluster(taskmanagers=1) as cluster:
            write_text(cluster.directory / "in.txt", 20000)
            job = cluster.submit(WORDCOUNT, "-D", "execution.checkpointing.interval=100ms",
                                 input=cluster.directory / "in.txt", output=cluster.directory / "out", rate=2000)
            cluster.wait_for(lambda: cluster.completed_checkpoints(job) >= 1, "a checkpoint")
            left = set((cluster.directory / "tm").glob("tm-*"))
            self.assertTrue(left)
            cluster.kill_task_manager(cluster.task_managers[0])
            cluster.add_task_manager()
            cluster.wait_state(job, "RUNNING")
            cluster.wait_for(lambda: not left & set((cluster.directory / "tm").glob("tm-*")), "the old directory to go")
            cluster.cli("cancel", job)

    def test_a_task_manager_that_cannot_start_says_why(self):
        with Cluster(taskmanagers=1) as cluster, tempfile.TemporaryDirectory() as directory:
            data = cluster.task_managers[0].started()["data"].rsplit(":", 1)[1]
            http = cluster.task_managers[0].started()["http"]
            (cluster.directory / "file").write_text("")
            good = {"process.working-dir": directory, "execution.checkpointing.dir": f"{cluster.directory}/checkpoints",
                    "jobmanager.rpc.port": cluster.rpc_port, "taskmanager.http.port": 0}
            for key, value, part in (
                    ("taskmanager.data.port", data, "in use"),
                    ("process.working-dir", f"{cluster.directory}/file/below", "file"),
                    ("execution.checkpointing.dir", f"{cluster.directory}/file/below", "file"),
                    ("taskmanager.memory.process.size", "1m", "taskmanager.memory.process.size"),
                    ("taskmanager.bind-host", "nobody.invalid", "nobody.invalid")):
                with self.subTest(key):
                    options = [f"{k}={v}" for k, v in {**good, key: value}.items()]
                    done = subprocess.run([str(BIN / "millstream-taskmanager"), *[a for o in options for a in ("-D", o)]],
                                          capture_output=True, text=True, timeout=20)
                    self.assertIn(done.returncode, (1, 2), done.stderr)
                    self.assertIn(part, done.stderr)
            # A port of the span that is taken is no reason not to start.
            cluster.add_task_manager(taskmanager__http__port=http)
            cluster.wait_task_managers(2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
