"""A real Kafka broker for the cluster tests, started once per run, and topics of their own for each."""
import atexit
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid

from kit import BIN, ROOT

sys.path.insert(0, str(ROOT / "tools/kafka"))
from broker import USER, Kafka  # noqa: E402

started = {}


def broker(version="4", brokers=1, secure=False):
    """The shared one of that kind. Tests that stop or freeze it start it again."""
    key = (version, brokers, secure)
    if key not in started:
        directory = tempfile.mkdtemp(prefix="millstream-kafka-")
        atexit.register(shutil.rmtree, directory, True)
        kafka = Kafka(directory)
        kafka.create(version, brokers, secure)
        atexit.register(kafka.kill)
        kafka.start()
        started[key] = kafka
    kafka = started[key]
    kafka.send(signal.SIGCONT)
    kafka.start()
    return kafka


def secure_broker():
    """librdkafka before 2.6.1 (Debian 12 has 2.0.2) fails at SCRAM with Kafka 4, so it is Kafka 3."""
    return broker("3", secure=True)


class Topics:
    """Topics with unique names on one cluster, by the tools that users have."""

    def __init__(self, kafka):
        self.kafka = kafka

    def command(self, *arguments, stdin=None, check=True):
        command = [str(BIN / "millstream"), "kafka", arguments[0], "--brokers", self.kafka.bootstrap,
                   *map(str, arguments[1:])]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
        return done.stdout if check else done

    def create(self, partitions=1, name=None, **configs):
        name = name or f"t-{uuid.uuid4().hex[:12]}"
        given = [x for k, v in configs.items() for x in ("--config", f"{k.replace('_', '.')}={v}")]
        self.command("topics", "--create", name, "--partitions", partitions, *given)
        return name

    def delete(self, name):
        self.command("topics", "--delete", name)

    def produce(self, topic, lines, *options):
        """Lines of text; dicts are records with key, value, partition, timestamp, headers."""
        lines = list(lines)
        if lines and isinstance(lines[0], dict):
            lines = [json.dumps(line) for line in lines]
            options = (*options, "--output", "json")
        self.command("produce", topic, *options, stdin="".join(line + "\n" for line in lines))

    def consume(self, topic, *options):
        lines = self.command("consume", topic, "--output", "json", *options).splitlines()
        return [json.loads(line) for line in lines]

    def partitions(self, topic, *options):
        """{partition: {"first": .., "end": .., "committed": .., "lag": ..}}"""
        found = {}
        for line in self.command("topics", topic, *options).splitlines():
            name, *fields = line.split("\t")
            values = dict(f.rsplit(" ", 1) for f in fields)
            found[int(name.rsplit("[", 1)[1][:-1])] = {
                k: int(v) for k, v in values.items() if v.lstrip("-").isdigit() and v != "-"}
        return found


def read_lines(directory):
    """What a file sink has committed."""
    lines = []
    for path in sorted(pathlib.Path(directory).glob("part-*")):
        lines += path.read_text().splitlines()
    return lines
