"""Bad input of every kind: each gets a clear error, and nothing crashes, hangs or is lost."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from kit import BIN, ROOT, Cluster, read_counts, write_text

WORDCOUNT = ROOT / "examples/wordcount-file.yaml"

GOOD = """
name: good
nodes:
  lines:
    source: {file: {path: "%s"}}
    format: raw
    schema: {line: string}
  out: {from: lines, sink: blackhole}
"""

# (name, text, what the answer must hold)
BAD_JOBS = [
    ("empty", "", "empty"),
    ("binary", "\x00\x01\x02\x03", ""),
    ("not a map", "- a\n- b\n", ""),
    ("unknown key", "name: x\nnode: {}\n", "nodes"),
    ("no nodes", "name: x\n", "nodes"),
    ("unknown connector", "name: x\nnodes:\n  a:\n    source: {fil: {path: /x}}\n    format: raw\n    schema: {l: string}\n", "file"),
    ("unknown type", "name: x\nnodes:\n  a:\n    source: {file: {path: /x}}\n    format: raw\n    schema: {l: strng}\n", "3:"),
    ("unknown node", "name: x\nnodes:\n  b: {from: a, sink: blackhole}\n", "a"),
    ("sink without input", "name: x\nnodes:\n  b: {sink: blackhole}\n", "from"),
    ("cycle", "name: x\nnodes:\n  a: {from: b, where: true}\n  b: {from: a, where: true}\n", "cycl"),
    ("deep", "name: " + "[" * 1000 + "]" * 1000 + "\n", ""),
    ("duplicate", "name: x\nname: y\nnodes: {}\n", "name"),
    ("alias bomb", "x-a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"x-{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)},*{chr(97 + i)},*{chr(97 + i)},*{chr(97 + i)},*{chr(97 + i)},*{chr(97 + i)},*{chr(97 + i)},*{chr(97 + i)},*{chr(97 + i)},*{chr(97 + i)}]\n"
        for i in range(8)) + "name: *i\nnodes: {}\n", ""),
]


class BadJobs(unittest.TestCase):
    def test_bad_job_files_are_refused_with_their_place(self):
        with Cluster(taskmanagers=1) as cluster:
            path = cluster.directory / "job.yaml"
            for name, text, expected in BAD_JOBS:
                with self.subTest(name):
                    path.write_text(text)
                    start = time.monotonic()
                    done = cluster.cli("run", "-d", path, check=False)
                    self.assertEqual(done.returncode, 2, f"{name}: {done.stdout}{done.stderr}")
                    self.assertIn(expected, done.stderr)
                    self.assertLess(len(done.stderr), 20000)
                    self.assertLess(time.monotonic() - start, 5)
            path.write_bytes(b"x" * 100_000_000)
            done = cluster.cli("run", "-d", path, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn("larger", done.stderr)
            self.assertEqual(cluster.get("/overview")["taskmanagers"], 1)

    def test_records_that_do_not_parse(self):
        text = """
name: bad-records
on_error: %s
nodes:
  rows:
    source: {file: {path: "%s"}}
    format: csv
    schema: {word: string, n: bigint}
  out: {from: rows, sink: {file: {path: "%s"}}, format: csv}
"""
        with Cluster(taskmanagers=1) as cluster:
            rows = cluster.directory / "rows.csv"
            rows.write_bytes(b"a,1\nb,x\nc,3\n" + b"d\xff,4\n" + b"e\x00e,5\n" + b"f" * 10_000_000 + b",6\ng,7\n")
            path = cluster.directory / "job.yaml"
            path.write_text(text % ("skip", rows, cluster.directory / "out"))
            job = cluster.submit(path)
            cluster.wait_state(job, "FINISHED")
            lines = b"".join(p.read_bytes() for p in (cluster.directory / "out").glob("part-*")).split(b"\n")
            self.assertEqual([l[:3] for l in lines if l], [b"a,1", b"c,3", b"e\x00e", b"fff", b"g,7"])
            path.write_text(text % ("fail", rows, cluster.directory / "out2"))
            job = cluster.submit(path, "-D", "restart-strategy.type=none")
            failed = cluster.wait_for(lambda: cluster.job(job) if cluster.job(job)["state"] == "FAILED" else None, "FAILED")
            message = failed["millstream"]["last-failure"]["message"]
            for part in ("rows", "rows.csv", "x", "BIGINT"):
                self.assertIn(part, message)

    def test_the_same_bad_record_three_times_ends_the_job(self):
        """With the default restart strategy; a restart does not help against the record itself."""
        text = """
name: poison
config: {restart-strategy.exponential-delay.initial-backoff: 50ms}
nodes:
  rows:
    source: {file: {path: "%s"}}
    format: csv
    schema: {word: string, n: bigint}
  halves: {from: rows, select: {word: word, half: 10 / n}}
  out: {from: halves, sink: blackhole}
"""
        with Cluster(taskmanagers=1) as cluster:
            for name, rows in (("parse", "a,1\nb,x\n"), ("expression", "a,1\nb,0\n")):
                (cluster.directory / name).write_text(rows)
                path = cluster.directory / "job.yaml"
                path.write_text(text % (cluster.directory / name))
                job = cluster.submit(path)
                failed = cluster.wait_for(lambda: cluster.job(job) if cluster.job(job)["state"] == "FAILED" else None, "FAILED")
                self.assertEqual(failed["millstream"]["restarts"], 2)
                self.assertIn(name, failed["millstream"]["last-failure"]["message"])

    def test_missing_directory_is_waited_for_and_said(self):
        with Cluster(taskmanagers=1) as cluster:
            path = cluster.directory / "job.yaml"
            path.write_text(GOOD % (cluster.directory / "later"))
            job = cluster.submit(path)
            cluster.wait_for(lambda: "later" in (cluster.job(job)["millstream"]["waiting-for"] or ""), "a reason")
            (cluster.directory / "later").write_text("a\nb\n")
            cluster.wait_state(job, "FINISHED")


class Peers(unittest.TestCase):
    def test_random_bytes_on_every_port(self):
        with Cluster(taskmanagers=1) as cluster:
            expected = write_text(cluster.directory / "in.txt", 20000)
            job = cluster.submit(WORDCOUNT, input=cluster.directory / "in.txt", output=cluster.directory / "out", rate=10000)
            data_port = int(cluster.task_managers[0].started()["data"].rsplit(":", 1)[1])
            generator = __import__("random").Random(1)
            for port in (cluster.rpc_port, data_port, cluster.rest_port):
                for size in (1, 15, 16, 17, 1000, 100_000):
                    for fill in (None, 0, 255):
                        body = generator.randbytes(size) if fill is None else bytes([fill]) * size
                        try:
                            with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
                                peer.sendall(body)
                        except OSError:
                            pass
            cluster.wait_state(job, "FINISHED")
            self.assertEqual(read_counts(cluster.directory / "out"), expected)
            self.assertEqual(cluster.job(job)["millstream"]["restarts"], 0)

    def test_task_manager_of_another_cluster_is_refused(self):
        with Cluster(taskmanagers=0) as cluster:
            stranger = cluster.add_task_manager(cluster__id="other")
            cluster.wait_for(lambda: "other" in stranger.log() and "refused" in stranger.log(), "a refusal")
            self.assertEqual(cluster.get("/overview")["taskmanagers"], 0)

    def test_checkpoint_directory_that_is_not_shared(self):
        with Cluster(taskmanagers=0) as cluster, tempfile.TemporaryDirectory() as elsewhere:
            stranger = cluster.add_task_manager(execution__checkpointing__dir=elsewhere)
            cluster.wait_for(lambda: elsewhere in stranger.log() and "refused" in stranger.log(), "a refusal")
            self.assertEqual(cluster.get("/overview")["taskmanagers"], 0)


class Processes(unittest.TestCase):
    def run_daemon(self, program, *options):
        with tempfile.TemporaryDirectory() as directory:
            command = [str(BIN / program), "-D", f"process.working-dir={directory}", *options]
            return subprocess.run(command, capture_output=True, text=True, timeout=20)

    def test_port_in_use(self):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            port = holder.getsockname()[1]
            done = self.run_daemon("millstream-jobmanager", "-D", f"rest.port={port}", "-D", "jobmanager.rpc.port=0")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("in use", done.stderr)
            done = self.run_daemon("millstream-jobmanager", "-D", "rest.port=0", "-D", f"jobmanager.rpc.port={port}")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("in use", done.stderr)

    def test_bad_configuration(self):
        done = self.run_daemon("millstream-jobmanager", "-D", "rest.port=many", "-D", "heartbeat.interval=soon")
        self.assertEqual(done.returncode, 2)
        self.assertIn("rest.port", done.stderr)
        self.assertIn("heartbeat.interval", done.stderr)
        done = self.run_daemon("millstream-taskmanager", "-D", "taskmanager.bind-host=0.0.0.0")
        self.assertEqual(done.returncode, 2)
        self.assertIn("security.insecure: true", done.stderr)
        done = self.run_daemon("millstream-taskmanager", "--nonsense")
        self.assertEqual(done.returncode, 2)

    def test_unknown_key_is_a_warning_with_the_nearest(self):
        with Cluster(taskmanagers=0, options={"rest.prt": "1"}) as cluster:
            self.assertIn("rest.port", cluster.job_manager.log())

    def test_sigterm_ends_cleanly(self):
        with Cluster(taskmanagers=2) as cluster:
            write_text(cluster.directory / "in.txt", 20000)
            job = cluster.submit(WORDCOUNT, "-p", "2", input=cluster.directory / "in.txt",
                                 output=cluster.directory / "out", rate=1000)
            cluster.wait_state(job, "RUNNING")
            start = time.monotonic()
            for manager in list(cluster.task_managers):
                self.assertEqual(cluster.kill_task_manager(manager, signal.SIGTERM), 0)
            self.assertEqual(cluster.job_manager.kill(signal.SIGTERM), 0)
            self.assertLess(time.monotonic() - start, 5)
            self.assertEqual(list((cluster.directory / "tm").glob("tm-*")), [])

    def test_unreachable_cluster_exits_three(self):
        done = subprocess.run([str(BIN / "millstream"), "list", "-m", "127.0.0.1:1"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 3)
        self.assertIn("127.0.0.1:1", done.stderr)


class Storage(unittest.TestCase):
    def test_damaged_checkpoint_is_refused_and_named(self):
        with Cluster(taskmanagers=1) as cluster:
            write_text(cluster.directory / "in.txt", 20000)
            parameters = {"input": cluster.directory / "in.txt", "output": cluster.directory / "out"}
            job = cluster.submit(WORDCOUNT, "-D", "execution.checkpointing.interval=100ms", **parameters, rate=5000)
            cluster.wait_for(lambda: cluster.completed_checkpoints(job) >= 2, "two checkpoints")
            cluster.cli("cancel", job)
            latest = pathlib.Path(cluster.get(f"/jobs/{job}/checkpoints")["latest"]["completed"]["external_path"].removeprefix("file:"))
            metadata = latest / "_metadata"
            whole = metadata.read_bytes()
            metadata.write_bytes(whole[: len(whole) // 2])
            given = [f"--param={k}={v}" for k, v in parameters.items()]
            done = cluster.cli("run", "-d", "--from-savepoint", latest, *given, WORDCOUNT, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("_metadata", done.stderr)
            metadata.write_bytes(whole)
            files = [p for p in latest.parent.rglob("*.sst")]
            self.assertTrue(files)
            for file in files:
                content = bytearray(file.read_bytes())
                content[len(content) // 2] ^= 1
                file.write_bytes(content)
            job = cluster.submit(WORDCOUNT, "--from-savepoint", latest, "-D", "restart-strategy.type=none", **parameters)
            failed = cluster.wait_for(lambda: cluster.job(job) if cluster.job(job)["state"] == "FAILED" else None, "FAILED")
            self.assertIn(".sst", failed["millstream"]["last-failure"]["message"])

    @unittest.skipUnless(os.geteuid() == 0, "SKIPPED: mounting a small file system needs root")
    def test_full_disk_under_checkpoints(self):
        with Cluster(taskmanagers=0) as cluster:
            small = cluster.directory / "checkpoints"
            small.mkdir(exist_ok=True)
            cluster.job_manager.kill()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=True)
            try:
                cluster.start_job_manager()
                cluster.add_task_manager()
                cluster.wait_task_managers(1)
                expected = write_text(cluster.directory / "in.txt", 60000, distinct=200000)
                job = cluster.submit(WORDCOUNT, "-D", "execution.checkpointing.interval=200ms",
                                     input=cluster.directory / "in.txt", output=cluster.directory / "out", rate=15000)
                cluster.wait_for(lambda: cluster.get(f"/jobs/{job}/checkpoints")["counts"]["failed"] > 0, "a failed checkpoint")
                view = cluster.job(job)["millstream"]
                self.assertIn("space", view["checkpoint"]["failed"]["reason"])
                self.assertEqual(view["restarts"], 0)
                subprocess.run(["mount", "-o", "remount,size=200m", str(small)], check=True)
                cluster.wait_state(job, "FINISHED", timeout=90)
                self.assertEqual(read_counts(cluster.directory / "out"), expected)
                self.assertEqual(cluster.job(job)["millstream"]["restarts"], 0)
            finally:
                cluster.job_manager.kill()
                for manager in list(cluster.task_managers):
                    cluster.kill_task_manager(manager)
                subprocess.run(["umount", "-l", str(small)], check=False)


if __name__ == "__main__":
    unittest.main(verbosity=2)
