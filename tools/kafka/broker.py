#!/usr/bin/env python3
"""Real Kafka brokers on this machine, for trying Millstream out and for its tests.

    tools/kafka/broker.py start build/kafka            # one broker; prints its address
    tools/kafka/broker.py start build/kafka --brokers 3 --secure
    tools/kafka/broker.py status build/kafka
    tools/kafka/broker.py stop build/kafka

The broker is Apache Kafka itself, fetched once from Maven Central by Maven (Java 17, packages
openjdk-17-jre-headless and maven), run without ZooKeeper (KRaft) and bound to 127.0.0.1. A directory
that was started before keeps its topics, addresses and version. --secure adds a second address that
speaks SASL_SSL with SCRAM-SHA-512 and a certificate of a private authority made in DIR/tls.

Topics are made and read with `millstream kafka`. With librdkafka before 2.6.1 (Debian 12 has 2.0.2)
SCRAM works with Kafka 3 only: --secure --version 3.
"""
import argparse
import base64
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VERSIONS = {"3": "3.9.1", "4": "4.3.1"}
DEFAULT_VERSION = VERSIONS["4"]
HEAP = "256m"
START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 20
USER = "millstream"

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millstream</groupId><artifactId>kafka-broker</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{version}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""

class BrokerError(Exception):
    pass


def run(command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise BrokerError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def jars(version=DEFAULT_VERSION):
    """The directory with Kafka's jars, fetched on first use. Several processes may ask at once."""
    for program, package in (("java", "openjdk-17-jre-headless"), ("mvn", "maven")):
        if shutil.which(program) is None:
            raise BrokerError(f"{program} is missing: install the package {package} (make deps does)")
    cache = pathlib.Path(os.environ.get("MILLSTREAM_KAFKA_CACHE", ROOT / "build/kafka-jars"))
    directory = cache / version
    if directory.is_dir():
        return directory
    work = cache / f".{version}-{os.getpid()}"
    work.mkdir(parents=True)
    try:
        (work / "pom.xml").write_text(POM.format(version=version))
        for attempt in (1, 2, 3):
            try:
                run(["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={work}/libs",
                     "-DincludeScope=runtime"], cwd=work)
                break
            except BrokerError:
                if attempt == 3:
                    raise
                time.sleep(2)
        try:
            (work / "libs").rename(directory)
        except OSError:
            if not directory.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return directory


def free_ports(count):
    """Ports nobody listens on now, outside of the range that outgoing connections take theirs from."""
    found = []
    while len(found) < count:
        port = 20000 + secrets.randbelow(12000)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def make_certificates(directory):
    """A private authority and a certificate of it for 127.0.0.1 and localhost, as Kafka reads them."""
    directory.mkdir(parents=True)
    ca_key, ca = directory / "ca.key", directory / "ca.pem"
    run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj",
         "/CN=Millstream test authority", "-keyout", ca_key, "-out", ca])
    key, request, certificate = directory / "broker.key", directory / "broker.csr", directory / "broker.crt"
    run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", key,
         "-out", request])
    extensions = directory / "extensions"
    extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    run(["openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days",
         "3650", "-extfile", extensions, "-out", certificate])
    (directory / "keystore.pem").write_text(key.read_text() + certificate.read_text() + ca.read_text())
    for path in (ca_key, key, directory / "keystore.pem"):
        path.chmod(0o600)


class Kafka:
    """Brokers that share a directory. `description` holds what must stay the same over restarts."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory).resolve()
        self.path = self.directory / "kafka.json"
        self.description = json.loads(self.path.read_text()) if self.path.exists() else None
        self.children = {}

    # ---- what it consists of ----

    @property
    def nodes(self):
        return range(1, len(self.description["ports"]) + 1)

    @property
    def bootstrap(self):
        return ",".join(f"127.0.0.1:{p}" for p in self.description["ports"])

    @property
    def secure_bootstrap(self):
        return ",".join(f"127.0.0.1:{p}" for p in self.description["secure_ports"])

    @property
    def authority(self):
        return self.directory / "tls/ca.pem"

    @property
    def password(self):
        return self.description["password"]

    def node_directory(self, node):
        return self.directory / f"broker-{node}"

    def log(self, node=1):
        return (self.node_directory(node) / "log").read_text(errors="replace")

    def pid(self, node=1):
        """Of the running broker, or None."""
        path = self.node_directory(node) / "pid"
        try:
            pid = int(path.read_text())
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if str(self.node_directory(node)).encode() in command else None

    # ---- making it ----

    def create(self, version=DEFAULT_VERSION, brokers=1, secure=False, port=None, password=None, properties=None):
        """Writes the configuration of a new cluster."""
        ports = free_ports(3 * brokers)
        self.description = {
            "version": VERSIONS.get(version, version),
            # The first byte keeps it from looking like an option.
            "cluster_id": base64.urlsafe_b64encode(b"\x00" + secrets.token_bytes(15)).decode().rstrip("="),
            "ports": [port + i for i in range(brokers)] if port else ports[:brokers],
            "controller_ports": ports[brokers:2 * brokers],
            "secure_ports": ports[2 * brokers:] if secure else [],
            "password": (password or secrets.token_urlsafe(12)) if secure else None,
            "properties": properties or {},
        }
        self.directory.mkdir(parents=True, exist_ok=True)
        for left in [self.directory / "tls", *self.directory.glob("broker-*")]:
            shutil.rmtree(left, ignore_errors=True)
        if secure:
            make_certificates(self.directory / "tls")
        for node in self.nodes:
            self.node_directory(node).mkdir()
            self.write_properties(node)
        for node in self.nodes:
            self.format(node)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w") as out:
            json.dump(self.description, out, indent=2)

    def write_properties(self, node):
        d = self.description
        replicas = min(3, len(d["ports"]))
        voters = ",".join(f"{n}@127.0.0.1:{d['controller_ports'][n - 1]}" for n in self.nodes)
        listeners = [f"PLAINTEXT://127.0.0.1:{d['ports'][node - 1]}"]
        if d["secure_ports"]:
            listeners.append(f"SASL_SSL://127.0.0.1:{d['secure_ports'][node - 1]}")
        values = {
            "process.roles": "broker,controller",
            "node.id": node,
            "controller.quorum.voters": voters,
            "listeners": ",".join([*listeners, f"CONTROLLER://127.0.0.1:{d['controller_ports'][node - 1]}"]),
            "advertised.listeners": ",".join(listeners),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
            "log.dirs": self.node_directory(node) / "data",
            "auto.create.topics.enable": "false",
            "message.max.bytes": 33554432,
            "replica.fetch.max.bytes": 33554432,
            "offsets.topic.num.partitions": 2,
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.num.partitions": 2,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": min(2, replicas),
            "default.replication.factor": replicas,
            "min.insync.replicas": min(2, replicas),
            "group.initial.rebalance.delay.ms": 0,
            "log.retention.check.interval.ms": 1000,
            "num.network.threads": 2,
            "num.io.threads": 2,
            "num.recovery.threads.per.data.dir": 1,
            "log.cleaner.dedupe.buffer.size": 4194304,
            "controlled.shutdown.max.retries": 1,
        }
        if d["secure_ports"]:
            values |= {
                "sasl.enabled.mechanisms": "SCRAM-SHA-512",
                "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config":
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;",
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": self.directory / "tls/keystore.pem",
            }
        values |= d["properties"]
        text = "".join(f"{key}={value}\n" for key, value in values.items())
        path = self.node_directory(node) / "server.properties"
        path.write_text(text)

    def java(self, *options):
        return ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-cp", f"{jars(self.description['version'])}/*", *options]

    def format(self, node):
        command = self.java("kafka.tools.StorageTool", "format", "-t", self.description["cluster_id"], "-c",
                            str(self.node_directory(node) / "server.properties"))
        if self.description["password"]:
            command += ["--add-scram", f"SCRAM-SHA-512=[name={USER},password={self.description['password']}]"]
        run(command)

    # ---- running it ----

    def start(self, nodes=None, wait=True):
        """Starts what does not run and waits until it answers."""
        for node in nodes or self.nodes:
            if self.pid(node) is not None:
                continue
            directory = self.node_directory(node)
            command = self.java()
            command[1:1] = [f"-Xms{HEAP}", f"-Xmx{HEAP}"]
            with open(directory / "log", "ab") as log:
                process = subprocess.Popen([*command, "kafka.Kafka", str(directory / "server.properties")],
                                           stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                           cwd=directory, start_new_session=True)
            (directory / "pid").write_text(str(process.pid))
            self.children[node] = process
        if wait:
            self.wait(nodes)

    def wait(self, nodes=None):
        deadline = time.monotonic() + START_TIMEOUT_S
        for node in nodes or self.nodes:
            while not self.answers(node):
                if self.gone(node):
                    raise BrokerError(f"broker {node} ended while starting:\n{self.log(node)[-3000:]}")
                if time.monotonic() > deadline:
                    raise BrokerError(f"broker {node} did not start in {START_TIMEOUT_S} s:\n{self.log(node)[-3000:]}")
                time.sleep(0.05)

    def gone(self, node):
        """Has the process ended? Reaps it if it is a child of this process."""
        child = self.children.get(node)
        return child.poll() is not None if child is not None else self.pid(node) is None

    def answers(self, node):
        """Does it take requests? An ApiVersions request of version 0 is enough to ask."""
        request = b"\x00\x12\x00\x00\x00\x00\x00\x01\x00\x04test"
        try:
            with socket.create_connection(("127.0.0.1", self.description["ports"][node - 1]), timeout=5) as s:
                s.sendall(len(request).to_bytes(4, "big") + request)
                return len(s.recv(4)) == 4
        except OSError:
            return False

    def send(self, number, nodes=None):
        """Also for tests: SIGKILL, SIGSTOP, SIGCONT."""
        for node in nodes or self.nodes:
            pid = self.pid(node)
            if pid is not None:
                os.kill(pid, number)

    def stop(self, nodes=None, number=signal.SIGTERM):
        self.send(signal.SIGCONT, nodes)
        self.send(number, nodes)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for node in nodes or self.nodes:
            while not self.gone(node):
                if time.monotonic() > deadline:
                    self.send(signal.SIGKILL, [node])
                time.sleep(0.02)
            child = self.children.get(node)
            if child is not None:
                child.wait()
            (self.node_directory(node) / "pid").unlink(missing_ok=True)

    def kill(self, nodes=None):
        self.stop(nodes, signal.SIGKILL)


def show(kafka):
    running = [kafka.pid(node) for node in kafka.nodes]
    print(f"kafka {kafka.description['version']} in {kafka.directory}")
    for node, pid in zip(kafka.nodes, running):
        print(f"broker {node}: 127.0.0.1:{kafka.description['ports'][node - 1]} "
              f"{f'pid {pid}' if pid else 'not running'}")
    print(f"brokers: {kafka.bootstrap}")
    if kafka.description["secure_ports"]:
        print(f"secure brokers: {kafka.secure_bootstrap}")
        print(f"user: {USER}\npassword: {kafka.password}\nauthority: {kafka.authority}")
    return all(running)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser("fetch", help="get Kafka's jars, so that start needs no network")
    start = commands.add_parser("start", help="start the brokers of DIR; the first time makes them")
    for command in (fetch, start):
        command.add_argument("--version", default=DEFAULT_VERSION,
                             help=f"of Kafka: 3 ({VERSIONS['3']}), 4 ({VERSIONS['4']}, the default) or a full one")
    start.add_argument("--brokers", type=int, choices=(1, 2, 3), default=1)
    start.add_argument("--port", type=int, help="of the first broker; the default is any free one")
    start.add_argument("--secure", action="store_true", help="also listen with SASL_SSL, SCRAM-SHA-512")
    start.add_argument("--password", help=f"of the user {USER}; the default is a random one")
    stop = commands.add_parser("stop", help="stop the brokers of DIR; topics stay")
    status = commands.add_parser("status", help="addresses and processes; exit 1 if one does not run")
    for command in (start, stop, status):
        command.add_argument("directory", metavar="DIR")
    arguments = parser.parse_args()
    try:
        if arguments.command == "fetch":
            print(jars(VERSIONS.get(arguments.version, arguments.version)))
            return 0
        kafka = Kafka(arguments.directory)
        if arguments.command == "start":
            if kafka.description is None:
                kafka.create(arguments.version, arguments.brokers, arguments.secure, arguments.port,
                             arguments.password)
            kafka.start()
        elif kafka.description is None:
            raise BrokerError(f"{arguments.directory} holds no broker: start one first")
        elif arguments.command == "stop":
            kafka.stop()
            return 0
        return 0 if show(kafka) else 1
    except BrokerError as error:
        print(f"broker.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
