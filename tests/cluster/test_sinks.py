"""Connectors in a real cluster: when files become visible, what a directory may hold, sockets, print, dead letters."""
import json
import pathlib
import shutil
import socket
import time
import unittest

from kit import ROOT, Cluster

FAST = ("-D", "execution.checkpointing.interval=150ms")

COPY = """
name: copy
parameters: {input, output, rate: 0, watch, if_exists: append}
nodes:
  lines: {source: {file: {path: "${input}", rate: "${rate}"%s}}, format: raw, schema: {line: string}}
  out: {from: lines, sink: {file: {path: "${output}", if_exists: "${if_exists}"}}, format: raw}
"""


def copy_job(cluster, watches=False):
    path = cluster.directory / "copy.yaml"
    text = COPY % (', watch: "${watch}"' if watches else "")
    path.write_text(text if watches else text.replace("watch, ", ""))
    return path


def visible(directory):
    return sorted(pathlib.Path(directory).glob("part-*"))


def lines_of(directory):
    return [line for path in visible(directory) for line in path.read_text().splitlines()]


class Files(unittest.TestCase):
    def test_files_appear_whole_and_only_after_checkpoints(self):
        with Cluster(taskmanagers=1) as cluster:
            expected = [f"line {i:06}" for i in range(12000)]
            (cluster.directory / "in.txt").write_text("\n".join(expected) + "\n")
            out = cluster.directory / "out"
            job = cluster.submit(copy_job(cluster), *FAST, input=cluster.directory / "in.txt", output=out, rate=6000)
            seen = {}
            while cluster.job(job)["state"] != "FINISHED":
                for path in visible(out):
                    text = path.read_text()
                    self.assertTrue(text.endswith("\n"), f"{path} is not whole")
                    self.assertEqual(seen.setdefault(path.name, text), text, f"{path} changed after it became visible")
                time.sleep(0.05)
            self.assertGreaterEqual(len(seen), 3, "files were not rolled by checkpoints")
            self.assertEqual(sorted(lines_of(out)), expected)
            self.assertEqual(list(out.glob(".*")), [])
            # Without a checkpoint nothing is visible, and a canceled job leaves nothing but what was.
            (cluster.directory / "long.txt").write_text(("x" * 1000 + "\n") * 90000)
            job = cluster.submit(copy_job(cluster), "-D", "execution.checkpointing.interval=1h",
                                 input=cluster.directory / "long.txt", output=cluster.directory / "none", rate=1000)
            cluster.wait_for(lambda: (cluster.directory / "none").exists() and any((cluster.directory / "none").iterdir()),
                             "a file in progress")
            self.assertEqual(visible(cluster.directory / "none"), [])
            cluster.cli("cancel", job)
            self.assertEqual(visible(cluster.directory / "none"), [])

    def test_if_exists(self):
        with Cluster(taskmanagers=1) as cluster:
            (cluster.directory / "in.txt").write_text("a\nb\n")
            out = cluster.directory / "out"

            def run(mode):
                job = cluster.submit(copy_job(cluster), "-D", "restart-strategy.type=none",
                                     input=cluster.directory / "in.txt", output=out, if_exists=mode)
                return cluster.wait_for(lambda: cluster.job(job) if cluster.job(job)["end-time"] > 0 else None, "its end")

            out.mkdir()
            (out / "notes.txt").write_text("mine\n")
            self.assertEqual(run("append")["state"], "FINISHED")
            self.assertEqual(run("append")["state"], "FINISHED")
            self.assertEqual(sorted(lines_of(out)), ["a", "a", "b", "b"])
            failed = run("fail")
            self.assertEqual(failed["state"], "FAILED")
            for part in (str(out), "if_exists"):
                self.assertIn(part, failed["millstream"]["last-failure"]["message"])
            self.assertEqual(sorted(lines_of(out)), ["a", "a", "b", "b"])
            self.assertEqual(run("replace")["state"], "FINISHED")
            self.assertEqual(sorted(lines_of(out)), ["a", "b"])
            self.assertEqual((out / "notes.txt").read_text(), "mine\n")
            shutil.rmtree(out)
            self.assertEqual(run("fail")["state"], "FINISHED")
            done = cluster.cli("run", "-d", "--param=input=/x", f"--param=output={out}", "--param=if_exists=maybe",
                               copy_job(cluster), check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn("replace", done.stderr)

    def test_watched_directory(self):
        with Cluster(taskmanagers=1) as cluster:
            source, out = cluster.directory / "in", cluster.directory / "out"
            source.mkdir()

            def add(name, text):
                (source / f".{name}").write_text(text)
                (source / f".{name}").rename(source / name)

            add("a.txt", "one\n")
            job = cluster.submit(copy_job(cluster, watches=True), *FAST, input=source, output=out, watch="100ms")
            cluster.wait_for(lambda: lines_of(out) == ["one"], "the first file", timeout=20)
            add("b.txt", "two\nthree\n")
            (source / "_ignored").write_text("hidden\n")
            cluster.wait_for(lambda: sorted(lines_of(out)) == ["one", "three", "two"], "the second file", timeout=20)
            # Neither a lost TaskManager nor a lost JobManager makes it read a file again, or miss one.
            cluster.kill_task_manager(cluster.task_managers[0])
            add("c.txt", "four\n")
            cluster.job_manager.kill()
            cluster.start_job_manager()
            cluster.add_task_manager()
            cluster.wait_for(lambda: sorted(lines_of(out)) == ["four", "one", "three", "two"], "the third file")
            self.assertEqual(cluster.job(job)["state"], "RUNNING")
            before = cluster.completed_checkpoints(job)
            cluster.wait_for(lambda: cluster.completed_checkpoints(job) >= before + 2, "two more checkpoints")
            self.assertEqual(sorted(lines_of(out)), ["four", "one", "three", "two"])
            cluster.cli("cancel", job)


class Others(unittest.TestCase):
    def test_datagen_gives_the_same_rows_for_the_same_seed(self):
        text = """
name: generated
parameters: {seed, output}
nodes:
  rows:
    source:
      datagen: {rate: 0, rows: 5000, seed: "${seed}", fields.n.kind: sequence, fields.k.min: 10, fields.k.max: 19, fields.s.length: 5}
    schema: {n: bigint, k: bigint, s: string}
  out: {from: rows, sink: {file: {path: "${output}"}}, format: csv}
"""
        with Cluster(taskmanagers=1) as cluster:
            path = cluster.directory / "job.yaml"
            path.write_text(text)
            results = []
            for number, seed in enumerate((7, 7, 8)):
                out = cluster.directory / f"out{number}"
                cluster.wait_state(cluster.submit(path, seed=seed, output=out), "FINISHED")
                results.append(lines_of(out))
            self.assertEqual(results[0], results[1])
            self.assertNotEqual(results[0], results[2])
            rows = [line.split(",") for line in results[0]]
            self.assertEqual(len(rows), 5000)
            numbers = [int(n) for n, _, _ in rows]
            self.assertEqual(numbers, list(range(numbers[0], numbers[0] + 5000)))
            self.assertEqual({int(k) for _, k, _ in rows}, set(range(10, 20)))
            self.assertEqual({len(s) for _, _, s in rows}, {5})

    def test_socket_to_socket(self):
        with Cluster(taskmanagers=1) as cluster, socket.create_server(("127.0.0.1", 0)) as source, \
                socket.create_server(("127.0.0.1", 0)) as sink:
            for server in (source, sink):
                server.settimeout(30)
            path = cluster.directory / "job.yaml"
            path.write_text("""
name: sockets
nodes:
  lines: {source: {socket: {address: "127.0.0.1:%d", reconnect: false}}, format: raw, schema: {line: string}}
  loud: {from: lines, select: {line: upper(line)}}
  out: {from: loud, sink: {socket: {address: "127.0.0.1:%d"}}, format: raw}
""" % (source.getsockname()[1], sink.getsockname()[1]))
            job = cluster.submit(path)
            reader = source.accept()[0]
            reader.sendall("hello\nwörld\n".encode())
            writer = sink.accept()[0]
            with reader, writer:
                writer.settimeout(30)
                received = b""
                while received.count(b"\n") < 2:
                    received += writer.recv(1000)
                self.assertEqual(cluster.job(job)["millstream"]["guarantee"], "at-most-once")
                reader.sendall(b"last")
                reader.close()
                while True:
                    more = writer.recv(1000)
                    if not more:
                        break
                    received += more
            self.assertEqual(received.decode().splitlines()[0], "HELLO")
            self.assertEqual(received.decode().splitlines()[-1], "LAST")
            cluster.wait_state(job, "FINISHED")

    def test_print_goes_to_the_task_managers_output(self):
        with Cluster(taskmanagers=1) as cluster:
            (cluster.directory / "in.txt").write_text("a\nb\n")
            path = cluster.directory / "job.yaml"
            path.write_text("""
name: printed
nodes:
  lines: {source: {file: {path: "%s"}}, format: raw, schema: {word: string}}
  out: {from: lines, sink: print}
""" % (cluster.directory / "in.txt"))
            cluster.wait_state(cluster.submit(path), "FINISHED")
            manager = cluster.task_managers[0]
            self.assertEqual(len(manager.out_path.read_text().splitlines()), 2)
            self.assertNotIn("word", manager.log())
            # And at the JobManager, for whoever does not see it: the last 1,000 lines.
            where = f"/taskmanagers/{cluster.get('/taskmanagers')['taskmanagers'][0]['id']}/stdout"
            self.assertEqual(cluster.get(where), manager.out_path.read_text())
            (cluster.directory / "in.txt").write_text("".join(f"{i}\n" for i in range(5000)))
            cluster.wait_state(cluster.submit(path), "FINISHED")
            self.assertEqual(cluster.get(where).splitlines(), manager.out_path.read_text().splitlines()[-1000:])
            self.assertEqual(cluster.rest("/taskmanagers/nobody/stdout")[0], 404)

    def test_dead_letters_and_skip_counters(self):
        with Cluster(taskmanagers=1) as cluster:
            rows = cluster.directory / "rows.csv"
            rows.write_text("s1,20.5,2\ns2,hot,2\ns3,30,0\ns4,1e99,1\ns5,7,x\ns6\ns7,40,4\n")
            job = cluster.submit(ROOT / "examples/dead-letters.yaml", input=rows, output=cluster.directory / "out",
                                 rejected=cluster.directory / "rejected")
            cluster.wait_state(job, "FINISHED")
            good = [line.split(",")[0] for line in lines_of(cluster.directory / "out")]
            letters = [json.loads(line) for line in lines_of(cluster.directory / "rejected")]
            self.assertEqual(sorted(good), ["s1", "s4", "s7"])
            self.assertEqual(len(letters), 4)
            told = "\n".join(json.dumps(letter) for letter in letters)
            for part in ("rows.csv", "hot", "celsius", "divisor", "DOUBLE", "BIGINT"):
                self.assertIn(part, told)
            nodes = {n["name"]: n for n in cluster.job(job)["millstream"]["nodes"]}
            self.assertEqual(sum(n["errors-skipped"] for n in nodes.values()), 4, nodes)
            path = cluster.directory / "skip.yaml"
            path.write_text("""
name: skipping
on_error: skip
nodes:
  rows: {source: {file: {path: "%s"}}, format: csv, schema: {s: string, c: double, d: bigint}}
  out: {from: rows, sink: blackhole}
""" % rows)
            job = cluster.submit(path)
            cluster.wait_state(job, "FINISHED")
            nodes = {n["name"]: n for n in cluster.job(job)["millstream"]["nodes"]}
            self.assertEqual(nodes["rows"]["errors-skipped"], 3, nodes)
            self.assertEqual(nodes["rows"]["records-out"], 4, nodes)
            self.assertRegex(cluster.cli("status", job).stdout, r"rows +1 .* 3 ")


if __name__ == "__main__":
    unittest.main(verbosity=2)
