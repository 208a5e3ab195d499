"""The Kafka source against a real broker."""
import collections
import os
import pathlib
import random
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from kafka_kit import USER, Topics, broker, read_lines, secure_broker
from kit import BIN, Cluster

FAST = ("-D", "execution.checkpointing.interval=200ms")

JOB = """
name: kafka-to-file
parameters: {brokers, topics, output, start: earliest, end: unbounded, extra: "{}", group: ""}
nodes:
  lines:
    source:
      kafka:
        brokers: ${brokers}
        topics: ${topics}
        start: ${start}
        end: ${end}
        discovery: 500ms
%s
    format: raw
    schema: {line: string}
  result:
    from: lines
    sink: {file: {path: "${output}"}}
    format: raw
"""


def count(lines):
    return collections.Counter(lines)


class Kafka(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.kafka = broker()
        cls.topics = Topics(cls.kafka)
        cls.cluster = Cluster(taskmanagers=2, slots=4)
        cls.cluster.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None, None, None)

    def setUp(self):
        self.kafka = broker()

    def job(self, *lines, text=JOB):
        path = self.cluster.directory / f"{self._testMethodName}.yaml"
        path.write_text(text % "\n".join("        " + line for line in lines))
        return path

    def output(self, name="out"):
        return self.cluster.directory / f"{self._testMethodName}-{name}"

    def submit(self, topic, *options, lines=(), text=JOB, name="out", **parameters):
        return self.cluster.submit(self.job(*lines, text=text), *FAST, *options, brokers=self.kafka.bootstrap,
                                   topics=topic, output=self.output(name), **parameters)

    def wait_lines(self, expected, name="out", timeout=30):
        """Until the committed output is exactly that."""
        self.cluster.wait_for(lambda: count(read_lines(self.output(name))) == count(expected),
                              f"{len(expected)} lines", timeout)

    def cancel(self, job):
        self.cluster.cli("cancel", job)

    def failure(self, job):
        self.cluster.wait_for(lambda: self.cluster.job(job)["state"] == "FAILED", "FAILED")
        return self.cluster.job(job)["millstream"]["last-failure"]["message"]

    # ---- where it begins and ends ----

    def test_bounded_at_what_is_there(self):
        topic = self.topics.create(partitions=3)
        self.topics.produce(topic, map(str, range(5000)))
        job = self.submit(topic, "-p", "2", end="latest")
        self.cluster.wait_state(job, "FINISHED")
        self.assertEqual(count(read_lines(self.output())), count(map(str, range(5000))))

    def test_starts(self):
        """Latest, timestamp, offsets and group, each from its record on."""
        topic = self.topics.create()
        self.topics.produce(topic, [{"value": str(i), "timestamp": 1700000000000 + i} for i in range(100)])
        for mode, lines, first in (
                ("timestamp", ["start_timestamp: 1700000000060"], 60),
                ("offsets", ['start_offsets: "0:42"'], 42),
                ("earliest-offset", [], 0),
                ("group", [f"group: none-{topic}"], 0)):
            job = self.submit(topic, lines=lines, name=mode, start=mode, end="latest")
            self.cluster.wait_state(job, "FINISHED")
            self.assertEqual(read_lines(self.output(mode)), [str(i) for i in range(first, 100)], mode)

    def test_latest_and_group(self):
        topic = self.topics.create()
        self.topics.produce(topic, ["old"])
        group = f"group-{topic}"
        job = self.submit(topic, lines=[f"group: {group}"], start="latest")
        self.cluster.wait_state(job, "RUNNING")
        self.cluster.wait_for(lambda: self.cluster.completed_checkpoints(job) >= 2, "checkpoints")
        self.topics.produce(topic, ["new-1", "new-2"])
        self.wait_lines(["new-1", "new-2"])
        # The position is committed when a checkpoint completes, for tools that show lag.
        self.cluster.wait_for(
            lambda: self.topics.partitions(topic, "--group", group)[0].get("committed") == 3, "the commit")
        self.cluster.wait_for(
            lambda: self.cluster.job(job)["millstream"]["nodes"][0].get("records-lag-max") == 0, "the lag")
        self.cancel(job)
        self.topics.produce(topic, ["new-3"])
        job = self.submit(topic, lines=[f"group: {group}"], name="second", start="group", end="latest")
        self.cluster.wait_state(job, "FINISHED")
        self.assertEqual(read_lines(self.output("second")), ["new-3"])

    def test_end_offsets_and_timestamp(self):
        topic = self.topics.create(partitions=2)
        self.topics.produce(topic, [{"value": f"{i % 2}-{i // 2}", "partition": i % 2, "timestamp": 1700000000000 + i}
                                    for i in range(100)])
        job = self.submit(topic, lines=['end_offsets: "0:10, 1:20"'], name="offsets", end="offsets")
        self.cluster.wait_state(job, "FINISHED")
        self.assertEqual(count(read_lines(self.output("offsets"))),
                         count([f"0-{i}" for i in range(10)] + [f"1-{i}" for i in range(20)]))
        job = self.submit(topic, lines=["end_timestamp: 1700000000050"], name="time", end="timestamp")
        self.cluster.wait_state(job, "FINISHED")
        self.assertEqual(len(read_lines(self.output("time"))), 50)

    # ---- partitions ----

    def test_more_subtasks_than_partitions_and_new_partitions(self):
        topic = self.topics.create(partitions=2)
        self.topics.produce(topic, ["a", "b", "c"])
        job = self.submit(topic, "-p", "4", start="earliest")
        self.wait_lines(["a", "b", "c"])
        self.topics.command("topics", "--grow", topic, "--partitions", 4)
        self.topics.produce(topic, [{"value": f"p{i}", "partition": i} for i in range(4)])
        self.wait_lines(["a", "b", "c", "p0", "p1", "p2", "p3"])
        self.cancel(job)

    def test_pattern_finds_topics_made_later(self):
        first = self.topics.create()
        prefix = first[:8]
        text = JOB.replace("topics: ${topics}", f'topic_pattern: "{prefix}.*"')
        self.topics.produce(first, ["first"])
        path = self.job(text=text)
        job = self.cluster.submit(path, *FAST, brokers=self.kafka.bootstrap, topics="x", output=self.output())
        self.wait_lines(["first"])
        second = self.topics.create(name=f"{prefix}-later")
        self.topics.produce(second, ["second"])
        self.wait_lines(["first", "second"])
        self.cancel(job)

    # ---- failures of ours ----

    def test_counts_are_exact_under_kills(self):
        topic = self.topics.create(partitions=4)
        expected = [f"line-{i}" for i in range(40000)]
        job = self.submit(topic, "-p", "3", start="earliest")
        self.cluster.wait_state(job, "RUNNING")
        seed = int(time.time())
        print(f"seed {seed}")
        generator = random.Random(seed)
        for part in range(4):
            self.topics.produce(topic, expected[part * 10000:(part + 1) * 10000])
            time.sleep(generator.uniform(0.1, 0.5))
            self.cluster.kill_task_manager(generator.choice(self.cluster.task_managers))
            self.cluster.add_task_manager()
        self.wait_lines(expected)
        # What has been committed stays exactly once: nothing comes twice afterwards.
        done = self.cluster.completed_checkpoints(job)
        self.cluster.wait_for(lambda: self.cluster.completed_checkpoints(job) >= done + 2, "two more checkpoints")
        self.assertEqual(count(read_lines(self.output())), count(expected))
        self.cancel(job)
        self.cluster.wait_task_managers(2)

    # ---- failures of theirs ----

    def test_broker_killed_and_restarted(self):
        """60 s at most: the job waits, says so, and goes on without a restart."""
        topic = self.topics.create(partitions=2)
        self.topics.produce(topic, [f"before-{i}" for i in range(100)])
        job = self.submit(topic, "-p", "2")
        expected = [f"before-{i}" for i in range(100)]
        self.wait_lines(expected)
        self.kafka.kill()
        self.cluster.wait_for(lambda: "refused" in str(self.cluster.job(job)["millstream"]["waiting-for"]),
                              "the reason in status", 20)
        self.kafka.start()
        self.topics.produce(topic, [f"after-{i}" for i in range(100)])
        self.wait_lines(expected + [f"after-{i}" for i in range(100)])
        status = self.cluster.job(job)
        self.assertEqual(status["millstream"]["restarts"], 0)
        self.cluster.wait_for(lambda: not self.cluster.job(job)["millstream"]["waiting-for"], "no more waiting", 20)
        self.cancel(job)

    def test_broker_and_topic_that_come_later(self):
        name = f"later-{os.getpid()}"
        job = self.submit(name)
        self.cluster.wait_for(lambda: name in str(self.cluster.job(job)["millstream"]["waiting-for"]), "the reason")
        self.topics.create(name=name)
        self.topics.produce(name, ["at last"])
        self.wait_lines(["at last"])
        self.cancel(job)

    def test_topic_made_anew(self):
        """The same offsets hold other records: going on would lose some and be silent about it."""
        topic = self.topics.create()
        self.topics.produce(topic, [f"old-{i}" for i in range(10)])
        job = self.submit(topic)
        self.wait_lines([f"old-{i}" for i in range(10)])
        self.topics.delete(topic)
        self.topics.create(name=topic)
        self.topics.produce(topic, [f"new-{i}" for i in range(5)])
        failure = self.failure(job)
        self.assertIn(f"{topic}[0]", failure)
        self.assertIn("offset 10, the broker has 0 to 5", failure)

    def test_deleted_records(self):
        """A group that stopped for longer than records are kept."""
        topic = self.topics.create()
        self.topics.produce(topic, map(str, range(20)))
        self.topics.command("topics", "--trim", 15, topic)
        job = self.submit(topic, lines=['start_offsets: "0:5"'], start="offsets")
        failure = self.failure(job)
        self.assertIn("is offset 5, the broker has 15 to 20", failure)
        job = self.submit(topic, lines=['start_offsets: "0:5"', "on_lost_offsets: earliest"], name="skip",
                          start="offsets", end="latest")
        self.cluster.wait_state(job, "FINISHED")
        self.assertEqual(read_lines(self.output("skip")), [str(i) for i in range(15, 20)])

    # ---- records ----

    def test_metadata_keys_headers_and_tombstones(self):
        topic = self.topics.create()
        self.topics.produce(topic, [
            {"key": "k1", "value": '{"a": 1}', "timestamp": 1700000000000, "headers": {"h": "x"}},
            {"key": "k2", "value": None, "timestamp": 1700000000001},
            {"key": None, "value": '{"a": 3}', "timestamp": 1700000000002},
            {"key": "k4", "value": '{"a": "no number"}', "timestamp": 1700000000003}])
        text = """
name: metadata
parameters: {brokers, topics, output}
nodes:
  rows:
    source: {kafka: {brokers: "${brokers}", topics: "${topics}", start: earliest, end: latest, key: id}}
    format: json
    schema:
      id: string
      a: bigint
      topic: string metadata from 'topic'
      part: int metadata from 'partition'
      pos: bigint metadata from 'offset'
      at: bigint metadata from 'timestamp'
      head: map<string, string> metadata from 'headers'
    on_error: dead_letter
  shown:
    from: rows
    select: {id: "coalesce(id, '-')", a: "coalesce(a, -1)", part: part, pos: pos, at: at, h: "coalesce(head['h'], '')"}
  result: {from: shown, sink: {file: {path: "${output}/rows"}}, format: csv}
  dead: {from: rows.errors, sink: {file: {path: "${output}/dead"}}, format: json}
"""
        path = self.cluster.directory / "metadata.yaml"
        path.write_text(text)
        job = self.cluster.submit(path, *FAST, brokers=self.kafka.bootstrap, topics=topic, output=self.output())
        self.cluster.wait_state(job, "FINISHED")
        self.assertEqual(read_lines(self.output() / "rows"), [
            "k1,1,0,0,1700000000000,x", "k2,-1,0,1,1700000000001,", "-,3,0,2,1700000000002,"])
        dead = read_lines(self.output() / "dead")
        self.assertEqual(len(dead), 1)
        for part in (f'"source":"{topic}[0]"', '"position":3', '"key":"k4"', "BIGINT"):
            self.assertIn(part, dead[0])

    def test_large_and_compressed_records(self):
        topic = self.topics.create(max_message_bytes=33554432)
        big = "x" * (15 * 1024 * 1024)
        for compression in ("gzip", "snappy", "lz4", "zstd"):
            self.topics.produce(topic, [compression], "--compression", compression)
        self.topics.produce(topic, [big])
        job = self.submit(topic, end="latest")
        self.cluster.wait_state(job, "FINISHED")
        self.assertEqual(read_lines(self.output()), ["gzip", "snappy", "lz4", "zstd", big])


def secure_lines(kafka, password, authority=None):
    return ["properties.security.protocol: SASL_SSL", "properties.sasl.mechanism: SCRAM-SHA-512",
            f"properties.sasl.username: {USER}", f'properties.sasl.password: "{password}"',
            f"properties.ssl.ca.location: {authority or kafka.authority}"]


class NoBroker:
    """Something else that listens: it answers with a line of HTTP, or with a certificate that has expired."""

    def __init__(self, directory=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.context = self.expired(directory) if directory else None
        threading.Thread(target=self.serve, daemon=True).start()

    def expired(self, directory):
        self.authority, key = directory / "expired.pem", directory / "expired.key"
        request, extensions = directory / "expired.csr", directory / "extensions"
        extensions.write_text("subjectAltName=IP:127.0.0.1\n")
        for command in (["req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", request],
                        ["x509", "-req", "-in", request, "-signkey", key, "-days", "0", "-extfile", extensions, "-out",
                         self.authority]):
            subprocess.run(["openssl", *command], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority, key)
        return context

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            try:
                with connection:
                    if self.context:
                        self.context.wrap_socket(connection, server_side=True).close()
                    else:
                        connection.recv(100)
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            except OSError:
                pass


class WarningsAtSubmit(unittest.TestCase):
    def test_what_is_not_there(self):
        """Each is a warning of `run`, and the reason in the job's status."""
        kafka = broker()
        with Cluster() as cluster, socket.create_server(("127.0.0.1", 0)) as closed:
            http, expired = NoBroker(), NoBroker(cluster.directory)
            nobody = "127.0.0.1:%d" % closed.getsockname()[1]
            closed.close()
            tls = ["properties.security.protocol: SSL", f"properties.ssl.ca.location: {expired.authority}"]
            for brokers, lines, reasons in (
                    (kafka.bootstrap, [], ["no-such-topic", "Unknown topic", "kafka topics --create"]),
                    (nobody, [], [nobody, "Connection refused"]),
                    (http.address, [], [http.address]),
                    (expired.address, tls, ["certificate"])):
                path = cluster.directory / "job.yaml"
                path.write_text(JOB % "\n".join("        " + line for line in lines))
                done = cluster.cli("run", "-d", path, f"--param=brokers={brokers}", "--param=topics=no-such-topic",
                                   f"--param=output={cluster.directory}/out")
                job = re.search(r"JobID ([0-9a-f]{32})", done.stdout)[1]
                for reason in reasons:
                    self.assertIn(reason, done.stderr, (brokers, done.stderr))
                    cluster.wait_for(lambda: reason in str(cluster.job(job)["millstream"]["waiting-for"]), reason, 20)
                cluster.cli("cancel", job)

    def test_what_the_job_itself_shows(self):
        for lines, reason in (
                (["start_timestamp: 5"], "start_timestamp is only used with `start: timestamp`"),
                (["properties.sasl.jaas.config: x"], "belongs to Kafka's Java client"),
                (["properties.no.such: 1"], "librdkafka has no property of that name"),
                (["properties.auto.offset.reset: latest"], "the connector decides it itself"),
                (["key: nothing"], 'the schema has no column "nothing"'),
                (["start_offsets: x"], "is only used with")):
            with tempfile.TemporaryDirectory() as directory:
                path = pathlib.Path(directory) / "job.yaml"
                path.write_text(JOB % "\n".join("        " + line for line in lines))
                done = subprocess.run([BIN / "millstream", "info", "--param=brokers=localhost:9092", "--param=topics=t",
                                       "--param=output=/x", path], capture_output=True, text=True)
                self.assertEqual(done.returncode, 2, done.stdout)
                self.assertIn(reason, done.stderr)


class SecureKafka(unittest.TestCase):
    def submit(self, cluster, kafka, topic, *lines):
        path = cluster.directory / "job.yaml"
        path.write_text(JOB % "\n".join("        " + line for line in lines))
        return cluster.submit(path, *FAST, brokers=kafka.secure_bootstrap, topics=topic,
                              output=cluster.directory / "out")

    def test_password_is_nowhere_but_in_its_file(self):
        kafka = secure_broker()
        topics = Topics(kafka)
        topic = topics.create()
        topics.produce(topic, ["secured"])
        with tempfile.TemporaryDirectory() as secrets, Cluster(
                options={"security.secrets.dir": secrets, "log.level": "debug"}) as cluster:
            (pathlib.Path(secrets) / "kafka-password").write_text(kafka.password + "\n")
            job = self.submit(cluster, kafka, topic, *secure_lines(kafka, "${secret:kafka-password}"))
            cluster.wait_for(lambda: read_lines(cluster.directory / "out") == ["secured"], "the line")
            cluster.wait_for(lambda: cluster.completed_checkpoints(job) >= 3, "checkpoints")
            self.assertNotIn(kafka.password, str(cluster.get(f"/jobs/{job}")))
            cluster.cli("cancel", job)
            for found in cluster.directory.rglob("*"):
                if found.is_file():
                    self.assertNotIn(kafka.password.encode(), found.read_bytes(), found)

    def test_wrong_password_and_authority_are_shown(self):
        kafka = secure_broker()
        topic = Topics(kafka).create()
        with Cluster() as cluster:
            for lines, reason in ((secure_lines(kafka, "wrong"), "uthentication failed"),
                                  (secure_lines(kafka, kafka.password, "/etc/ssl/certs/ca-certificates.crt"),
                                   "certificate")):
                job = self.submit(cluster, kafka, topic, *lines)
                cluster.wait_for(lambda: reason in str(cluster.job(job)["millstream"]["waiting-for"]), reason, 20)
                self.assertNotIn("wrong", str(cluster.job(job)["millstream"]["waiting-for"]))
                cluster.cli("cancel", job)
