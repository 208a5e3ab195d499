"""Memory limits that the kernel enforces, consumers that do not read, and a cluster that has nothing to do."""
import os
import pathlib
import random
import socket
import time
import unittest

from kit import IS_SANITIZED, ROOT, Cluster, read_counts

WORDCOUNT = ROOT / "examples/wordcount-file.yaml"
MIB = 1 << 20


class MemoryGroup:
    """A memory cgroup (version 1 or 2) with a limit; skips the test where none can be made."""

    def __init__(self, test, limit_bytes):
        first, second = pathlib.Path("/sys/fs/cgroup/memory"), pathlib.Path("/sys/fs/cgroup")
        is_first = (first / "memory.limit_in_bytes").exists()
        self.path = (first if is_first else second) / f"millstream-test-{os.getpid()}"
        try:
            self.path.mkdir()
            (self.path / ("memory.limit_in_bytes" if is_first else "memory.max")).write_text(str(limit_bytes))
        except OSError as error:
            self.remove()
            test.skipTest(f"SKIPPED: no memory cgroup can be made here: {error}")
        test.addCleanup(self.remove)

    def prefix(self):
        return ("sh", "-c", f'echo $$ > {self.path}/cgroup.procs && exec "$@"', "sh")

    def remove(self):
        deadline = time.monotonic() + 5
        while self.path.exists():
            try:
                self.path.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def resident_bytes(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_ticks(pid):
    values = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(values[11]) + int(values[12])


class Memory(unittest.TestCase):
    def test_a_million_words_in_128_megabytes(self):
        if IS_SANITIZED:
            self.skipTest("SKIPPED: a sanitizer needs more than the limit by itself")
        group = MemoryGroup(self, 144 * MIB)
        options = {"taskmanager.memory.process.size": "128m", "execution.checkpointing.interval": "500ms"}
        with Cluster(taskmanagers=0, options=options) as cluster:
            cluster.add_task_manager(prefix=group.prefix())
            cluster.wait_task_managers(1)
            generator = random.Random(3)
            words = [f"word{i:07}" for i in range(1_000_000)]
            words += generator.choices(words, k=300_000)
            generator.shuffle(words)
            expected = {}
            for word in words:
                expected[word] = expected.get(word, 0) + 1
            with open(cluster.directory / "in.txt", "w") as out:
                for i in range(0, len(words), 20):
                    out.write(" ".join(words[i:i + 20]) + "\n")
            job = cluster.submit(WORDCOUNT, input=cluster.directory / "in.txt", output=cluster.directory / "out")
            pid = cluster.task_managers[0].pid
            highest = 0
            while cluster.job(job)["state"] not in ("FINISHED", "FAILED"):
                highest = max(highest, resident_bytes(pid))
                self.assertIsNone(cluster.task_managers[0].process.poll(), "the TaskManager was killed")
                time.sleep(0.05)
            view = cluster.wait_state(job, "FINISHED")
            self.assertEqual(view["millstream"]["restarts"], 0)
            self.assertEqual(read_counts(cluster.directory / "out"), expected)
            self.assertLess(highest, 128 * MIB * 1.15)

    def test_a_stalled_consumer_keeps_memory_flat_and_slows_the_source(self):
        with Cluster(taskmanagers=2) as cluster, socket.create_server(("127.0.0.1", 0)) as sink:
            sink.settimeout(30)
            path = cluster.directory / "job.yaml"
            path.write_text("""
name: stalled
parallelism: 2
nodes:
  rows: {source: {datagen: {rate: 0, fields.s.length: 500}}, schema: {k: bigint, s: string}}
  text: {from: rows, select: {s}, partition: rebalance}
  out: {from: text, sink: {socket: {address: "127.0.0.1:%d"}}, format: raw, parallelism: 1}
""" % sink.getsockname()[1])
            job = cluster.submit(path, "-D", "execution.checkpointing.interval=1h")
            consumer = sink.accept()[0]

            def rows():
                return [n for n in cluster.job(job)["millstream"]["nodes"] if n["name"] == "rows"][0]["records-out"]

            def has_stalled():
                before = rows()
                time.sleep(2.5)  # metrics come every second
                return before > 0 and rows() == before

            cluster.wait_for(has_stalled, "the source to stop", timeout=60)
            stalled_at = rows()
            before = [resident_bytes(t.pid) for t in cluster.task_managers]
            time.sleep(3)
            self.assertEqual(rows(), stalled_at)
            for used, manager in zip(before, cluster.task_managers):
                self.assertLess(resident_bytes(manager.pid), used + 4 * MIB)
            # It runs on once somebody reads, and a stalled job can be canceled.
            consumer.settimeout(30)
            read = 0
            while read < 64 * MIB:
                read += len(consumer.recv(MIB))
            cluster.wait_for(lambda: rows() > stalled_at, "more rows")
            cluster.wait_for(has_stalled, "the source to stop again", timeout=60)
            self.assertEqual(cluster.cli("cancel", job).returncode, 0)
            consumer.close()


class Idle(unittest.TestCase):
    def test_an_idle_cluster_uses_no_measurable_cpu(self):
        with Cluster(taskmanagers=2) as cluster:
            time.sleep(1)
            daemons = [cluster.job_manager, *cluster.task_managers]
            before = [cpu_ticks(d.pid) for d in daemons]
            time.sleep(5)
            used = [cpu_ticks(d.pid) - b for d, b in zip(daemons, before)]
            self.assertLessEqual(max(used), 10, f"clock ticks in 5 s: {used}")
            print(f"clock ticks in 5 s: {used}; resident MiB: {[resident_bytes(d.pid) // MIB for d in daemons]}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
