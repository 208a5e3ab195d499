"""`run --local`: the same job in one process, its exit codes, and checkpoints that move to a cluster and back."""
import gzip
import json
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

from kit import BIN, ROOT, Cluster, read_counts, write_text

WORDCOUNT = ROOT / "examples/wordcount-file.yaml"
RETAIN = ("-D", "execution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION")


class Local(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="millstream-test-")
        self.addCleanup(self.temporary.cleanup)
        self.directory = pathlib.Path(self.temporary.name)

    def command(self, *arguments, checkpoints=None, interval="100ms", **parameters):
        return [str(BIN / "millstream"), "run", "--local", "-D", f"process.working-dir={self.directory}/work",
                "-D", f"execution.checkpointing.dir={checkpoints or self.directory / 'checkpoints'}",
                "-D", f"execution.checkpointing.interval={interval}", *[f"--param={k}={v}" for k, v in parameters.items()],
                *map(str, arguments)]

    def run_local(self, *arguments, stdin=None, **options):
        return subprocess.run(self.command(*arguments, **options), capture_output=True, text=True, timeout=60, input=stdin)

    def start(self, *arguments, **options):
        process = subprocess.Popen(self.command(*arguments, **options), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, text=True)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.communicate()

    def wait_checkpoint(self, process, count=2, checkpoints=None):
        """The newest complete checkpoint, once there were enough."""
        directory = checkpoints or self.directory / "checkpoints"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            self.assertIsNone(process.poll(), "the job ended before its checkpoints")
            found = sorted(directory.glob("*/chk-*/_metadata"), key=lambda p: int(p.parent.name[4:]))
            if found and int(found[-1].parent.name[4:]) >= count:
                return found[-1].parent
            time.sleep(0.01)
        raise AssertionError("no checkpoint")

    def left(self):
        """What a run leaves in its working directory."""
        return [str(p) for p in (self.directory / "work").rglob("*") if p.is_file() and "tm-" in str(p)]

    def test_compressed_files(self):
        """Files of gzip and zstd in, gzip out: what other programs wrote and can read."""
        (self.directory / "in").mkdir()
        words = [f"word{i % 100}" for i in range(20000)]
        with gzip.open(self.directory / "in/a.txt.gz", "wt") as file:
            file.write("\n".join(words[:10000]))
        subprocess.run(["zstd", "-q", "-19", "-o", self.directory / "in/b.txt.zst"], check=True, text=True,
                       input="\n".join(words[10000:]) + "\n")
        text = WORDCOUNT.read_text().replace('file: {path: "${output}"}',
                                             'file: {path: "${output}", compression: gzip}')
        self.assertIn("gzip", text)
        job = self.directory / "job.yaml"
        job.write_text(text)
        run = self.run_local(job, input=self.directory / "in", output=self.directory / "out")
        self.assertEqual(run.returncode, 0, run.stderr)
        counts = {}
        for path in (self.directory / "out").glob("*.csv.gz"):
            counts.update(line.strip().split(",") for line in gzip.open(path, "rt"))
        self.assertEqual(counts, {f"word{i}": "200" for i in range(100)})

    def test_result_and_output(self):
        expected = write_text(self.directory / "in.txt", 3000)
        given = {"input": self.directory / "in.txt"}
        for p in (1, 3):
            out = self.directory / f"out{p}"
            done = self.run_local("-p", p, WORDCOUNT, output=out, **given)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(read_counts(out), expected)
            self.assertEqual(done.stdout, "")
            self.assertRegex(done.stderr, r"JobID [0-9a-f]{32}\n(.*\n)*Job [0-9a-f]{32} has finished after [0-9.]+ s")
            self.assertEqual(self.left(), [])
        done = self.run_local("--output", "json", "-", stdin=WORDCOUNT.read_text(), output=self.directory / "out", **given)
        self.assertEqual(done.returncode, 0, done.stderr)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["status"], "FINISHED")
        self.assertEqual(read_counts(self.directory / "out"), expected)

    def test_print_goes_to_standard_output(self):
        (self.directory / "in.txt").write_text("b\na\nb\n")
        text = """
name: printed
parameters: {input}
nodes:
  lines: {source: {file: {path: "${input}"}}, format: raw, schema: {word: string}}
  counts: {from: lines, key_by: word, aggregate: {n: count(*)}, emit: end}
  out: {from: counts, sink: print}
"""
        done = self.run_local("-", stdin=text, input=self.directory / "in.txt")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 2, done.stdout)
        for word, count in (("a", 1), ("b", 2)):
            self.assertTrue(any(re.search(rf"\b{word}\b.*\b{count}\b", line) for line in lines), done.stdout)

    def test_exit_codes(self):
        self.assertEqual(self.run_local("/nowhere.yaml").returncode, 2)
        done = self.run_local("-", stdin="name: x\n")
        self.assertEqual(done.returncode, 2)
        self.assertIn("nodes", done.stderr)
        (self.directory / "in.csv").write_text("1\nx\n")
        text = ("name: bad\nnodes:\n  rows:\n    source: {file: {path: \"%s\"}}\n    format: csv\n"
                "    schema: {n: bigint}\n  out: {from: rows, sink: blackhole}\n" % (self.directory / "in.csv"))
        done = self.run_local("-D", "restart-strategy.type=none", "-", stdin=text)
        self.assertEqual(done.returncode, 1, done.stderr)
        for part in ("FAILED", "in.csv", "rows"):
            self.assertIn(part, done.stderr)
        done = self.run_local("-D", "nonsense.key=1", "-", stdin=text)
        self.assertIn("nonsense.key", done.stderr)
        done = self.run_local("-s", self.directory / "no-checkpoint", WORDCOUNT, input="/x", output="/y")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no-checkpoint", done.stderr)
        for number in (signal.SIGINT, signal.SIGTERM):
            write_text(self.directory / "in.txt", 20000)
            process = self.start(WORDCOUNT, input=self.directory / "in.txt", output=self.directory / "out", rate=2000)
            self.wait_checkpoint(process, count=1, checkpoints=self.directory / "checkpoints")
            process.send_signal(number)
            self.assertEqual(process.wait(timeout=20), 130)
            self.assertIn("CANCELED", process.stderr.read())
            self.assertEqual(self.left(), [])
            for metadata in (self.directory / "checkpoints").glob("*/chk-*/_metadata"):
                metadata.unlink()

    def test_checkpoint_moves_to_a_cluster(self):
        for number in (signal.SIGKILL, signal.SIGINT):
            with self.subTest(number), Cluster(taskmanagers=1) as cluster:
                expected = write_text(self.directory / "in.txt", 20000)
                given = {"input": self.directory / "in.txt", "output": cluster.directory / "out"}
                process = self.start(*RETAIN, WORDCOUNT, checkpoints=cluster.directory / "checkpoints", **given, rate=8000)
                latest = self.wait_checkpoint(process, checkpoints=cluster.directory / "checkpoints")
                process.send_signal(number)
                process.wait(timeout=20)
                latest = max(latest.parent.glob("chk-*"), key=lambda p: (p / "_metadata").exists() and int(p.name[4:]))
                job = cluster.submit(WORDCOUNT, "--from-savepoint", latest, **given)
                cluster.wait_state(job, "FINISHED")
                self.assertEqual(read_counts(cluster.directory / "out"), expected)
                read = [n for n in cluster.job(job)["millstream"]["nodes"] if n["name"] == "lines"][0]["records-out"]
                self.assertLess(read, 20000, "nothing was restored: the input was read from its start")

    def test_checkpoint_of_a_cluster_moves_here(self):
        with Cluster(taskmanagers=2) as cluster:
            expected = write_text(self.directory / "in.txt", 20000)
            given = {"input": self.directory / "in.txt", "output": self.directory / "out"}
            job = cluster.submit(WORDCOUNT, "-p", "2", "-D", "execution.checkpointing.interval=100ms", *RETAIN, **given,
                                 rate=8000)
            cluster.wait_for(lambda: cluster.completed_checkpoints(job) >= 2, "two checkpoints")
            cluster.cli("cancel", job)
            latest = cluster.get(f"/jobs/{job}/checkpoints")["latest"]["completed"]["external_path"]
            # In the cluster's directory as in a copy of it elsewhere.
            done = self.run_local("-p", "2", "-s", latest, WORDCOUNT, checkpoints=cluster.directory / "checkpoints", **given)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(read_counts(self.directory / "out"), expected)
            other = self.run_local("-p", "1", "-s", latest, WORDCOUNT, checkpoints=cluster.directory / "checkpoints", **given)
            self.assertEqual(other.returncode, 1)
            self.assertIn("parallelism", other.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
