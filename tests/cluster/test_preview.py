"""`run --local --preview`: what nodes make of the first rows, and that nobody outside notices."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

from kafka_kit import Topics, broker
from kit import BIN, ROOT

CSV = """
name: halves
parallelism: 4
nodes:
  rows:
    source: {file: {path: "%(directory)s/in.csv"}}
    format: csv
    schema: {name: string, n: int}
  halves:
    from: rows
    select: {name: name, half: 12 / (n - 4)}
    on_error: skip
  none:
    from: rows
    where: n > 1000
  result:
    from: [halves]
    sink: {file: {path: "%(directory)s/out"}}
    format: csv
  other:
    from: none
    sink: {file: {path: "%(directory)s/other"}}
    format: csv
"""


class Preview(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="millstream-test-")
        self.addCleanup(self.temporary.cleanup)
        self.directory = pathlib.Path(self.temporary.name)

    def command(self, text, *arguments, preview="--preview", **parameters):
        path = text
        if "\n" in str(text):
            path = self.directory / "job.yaml"
            path.write_text(text % {"directory": self.directory})
        return [str(BIN / "millstream"), "run", "--local", preview, "-D", f"process.working-dir={self.directory}/work",
                *[f"--param={k}={v}" for k, v in parameters.items()], *map(str, arguments), str(path)]

    def preview(self, text, *arguments, code=0, **options):
        done = subprocess.run(self.command(text, *arguments, **options), capture_output=True, text=True, timeout=90,
                              env={**os.environ, "TMPDIR": str(self.directory)})
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stdout + done.stderr

    def sections(self, text, config=(), **options):
        """{title's first word: [title, lines...]}"""
        found = {}
        for section in self.preview(text, *config, **options).split("\n== ")[1:]:
            lines = section.rstrip("\n").split("\n")
            found[lines[0].split(":", 1)[0]] = [lines[0].split(": ", 1)[1], *lines[1:]]
        return found

    def test_each_node_shows_its_rows_and_each_bad_record_its_bytes(self):
        long = "x" * 100
        (self.directory / "in.csv").write_bytes(
            b'a,1\n\x1b[31mb\xff,x\nc,\n"d\te\x1b\xc2\x9b",4\n' + long.encode() + b",7\n\xe6\xbc\xa2,8\n")
        found = self.sections(CSV)
        self.assertEqual(list(found), ["rows", "rows.errors", "halves", "halves.errors", "none", "result", "other"])
        cut = "x" * 37 + "..."
        self.assertEqual(found["rows"], [
            "source file, 5 rows read; 1 could not be read",
            "  name" + " " * 36 + "     n",
            "  STRING" + " " * 34 + "   INT",
            "  " + "-" * 40 + "  ----",
            "  a" + " " * 39 + "     1",
            "  c" + " " * 39 + "  NULL",
            "  d\\te\\x1b\\u009b" + " " * 26 + "     4",
            f"  {cut}     7",
            "  漢" + " " * 38 + "     8",
        ])
        self.assertEqual(found["rows.errors"], [
            "1 record (on_error: each fails the job)",
            f'  parse at {self.directory}/in.csv:4: column 1 "name": is no valid UTF-8, got "\\u001b[31mb\ufffd"',
            "    bytes: \\x1b[31mb\\xff,x\\n"])
        self.assertEqual(found["halves"][0], "4 rows")
        self.assertEqual([line.split() for line in found["halves"][4:]],
                         [["a", "-4"], ["c", "NULL"], [cut, "4"], ["漢", "3"]])
        self.assertEqual(found["halves.errors"][0], "1 record (on_error: the job skips them)")
        self.assertIn("division by zero", found["halves.errors"][1])
        self.assertEqual(found["none"][0], "it gave nothing")
        self.assertEqual(found["result"][0], "sink file, 4 rows not written")
        self.assertEqual(found["other"][0], "sink file, it would have written nothing")
        self.assertEqual(sorted(p.name for p in self.directory.rglob("*")), ["in.csv", "job.yaml"])

    def test_no_more_rows_are_read_than_asked_for(self):
        job = """
name: endless
nodes:
  made:
    source: {datagen: {rate: 0, fields.n.kind: sequence, fields.n.min: 1, fields.n.max: 100000000}}
    schema: {n: bigint}
  twice:
    from: [made, more]
    select: {n: n}
  more:
    source: {file: {path: "%(directory)s/in.csv"}}
    format: csv
    schema: {n: bigint}
  result:
    from: twice
    sink: blackhole
"""
        # Unreadable records are rows that were read: the file is not searched for good ones.
        (self.directory / "in.csv").write_text("bad\n" * 10000 + "7\n")
        found = self.sections(job, preview="--preview=3")
        self.assertEqual(found["made"][0], "source datagen, 3 rows read, stopped at the limit of 3")
        self.assertEqual([line.strip() for line in found["made"][4:]], ["1", "2", "3"])
        self.assertEqual(found["more"][0],
                         "source file, 0 rows read, stopped at the limit of 3; 3 could not be read; it gave nothing")
        self.assertEqual(found["more.errors"][0], "3 records (on_error: each fails the job)")
        self.assertEqual(found["twice"][0], "3 rows")

    WINDOWS = """
name: windows
nodes:
  clicks:
    source: %s
    format: csv
    schema: {user: string, at: timestamp(3)}
    watermark: {column: at}
  counts:
    from: clicks
    key_by: user
    window: {tumbling: 1m}
    aggregate: {clicks: count(*)}
  result:
    from: counts
    sink: print
"""

    def test_an_endless_source_ends_after_a_silence_and_windows_close(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            def serve():
                connection, _ = server.accept()
                with connection:
                    connection.sendall(b"ada,2024-01-31 10:00:05\nada,2024-01-31 10:02:00\n")
                    connection.recv(1)
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            found = self.sections(self.WINDOWS % f'{{socket: "127.0.0.1:{server.getsockname()[1]}"}}')
            thread.join(30)
        self.assertEqual(found["clicks"][0], "source socket, 2 rows read, then nothing came any more")
        self.assertEqual(found["counts"][0], "2 rows")

    def test_late_rows_are_shown_though_nobody_reads_them(self):
        # More than a batch, so that time has come on before the last row.
        (self.directory / "in.csv").write_text("ada,2024-01-31 10:02:00\n" * 9000 + "bob,2024-01-31 10:00:07\n")
        found = self.sections(self.WINDOWS % f'{{file: "{self.directory}/in.csv"}}', preview="--preview=10000",
                              config=("-D", "pipeline.auto-watermark-interval=0"))
        self.assertEqual(found["counts"][0], "1 row")
        self.assertIn("9000", found["counts"][4])
        self.assertEqual(found["counts.late"][4].split(), ["bob", "2024-01-31", "10:00:07.000"])

    def test_options_that_do_not_go_together(self):
        (self.directory / "in.csv").write_text("a,1\n")
        for more, message in ((["-d"], "detached"), (["-s", "/x"], "checkpoint"), (["--output", "json"], "JSON"),
                              (["-p", "2"], "-p")):
            self.assertIn(message, self.preview(CSV, *more, code=2))
        for wrong in ("--preview=0", "--preview=x", "--preview=10001", "--preview="):
            self.assertIn("expected a number from 1 to 10000", self.preview(CSV, code=2, preview=wrong))
        command = [a for a in self.command(CSV) if a != "--local"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, "add --local" in done.stderr), (2, True), done.stderr)
        self.assertIn("unknown key", self.preview("name: x\nnods: {}\n", code=2))

    def test_an_interrupt_shows_what_there_is(self):
        job = """
name: slow
nodes:
  made:
    source: {datagen: {rate: 1, rows: 1000, fields.n.kind: sequence, fields.n.min: 1, fields.n.max: 1000}}
    schema: {n: bigint}
  result:
    from: made
    sink: blackhole
"""
        process = subprocess.Popen(self.command(job), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            for line in process.stderr:
                if re.search(r"RUNNING +[1-9]\d* rows in", line):
                    break
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=30)
        finally:
            process.kill()
        self.assertEqual(process.returncode, 130)
        self.assertIn("== made: source datagen", out)
        self.assertRegex(out, r"\n +1\n")

    def test_kafka_keeps_offsets_and_topics_as_they_are(self):
        topics = Topics(broker())
        source, sink, group = topics.create(partitions=2), topics.create(), "preview"
        topics.produce(source, [{"key": "k", "value": v, "partition": p} for p in (0, 1) for v in (
            '{"key": "a", "value": 1, "ts": 1700000000000}', "broken", '{"key": "b", "value": null, "ts": 1}')])
        parameters = {"brokers": topics.kafka.bootstrap, "input_topic": source, "output_topic": sink, "group": group}
        job = ROOT / "examples/windowed-counts-kafka.yaml"
        before = topics.partitions(source, "--group", group)
        found = self.sections(job, **parameters)
        self.assertEqual(topics.partitions(source, "--group", group), before)
        self.assertEqual([p.get("committed") for p in before.values()], [None, None])
        self.assertEqual(topics.consume(sink), [])
        self.assertEqual(found["events"][0], "source kafka, 4 rows read, then nothing came any more; 2 could not be read")
        self.assertEqual(found["events.errors"][0], "2 records (on_error: each fails the job)")
        self.assertEqual([line for line in found["events.errors"] if "bytes" in line], ["    bytes: broken"] * 2)
        self.assertTrue(found["result"][0].startswith("sink kafka, "), found["result"])
        limited = self.sections(job, preview="--preview=1", **parameters)
        self.assertIn("stopped at the limit of 1", limited["events"][0])
        self.assertEqual(topics.partitions(source, "--group", group), before)
        # A broker that is not there ends it too.
        lost = self.preview(job, code=1, **{**parameters, "input_topic": "no-such-topic"})
        self.assertIn("no-such-topic", lost)
        self.assertIn("10 s", lost)


if __name__ == "__main__":
    unittest.main()
