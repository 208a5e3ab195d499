"""The Kafka sink against a real broker."""
import collections
import json
import time
import unittest

from kafka_kit import Topics, broker
from kit import Cluster

FAST = ("-D", "execution.checkpointing.interval=200ms")

COUNTS = """
name: counts
parameters: {brokers, topic, input, rate: 0}
nodes:
  lines:
    source: {file: {path: "${input}", rate: "${rate}"}}
    format: raw
    schema: {line: string}
  counts:
    from: lines
    unnest: {word: split(line)}
    key_by: word
    aggregate: {count: count(*)}
    emit: %s
  result:
    from: counts
    sink:
      kafka:
        brokers: ${brokers}
        topic: ${topic}
%s
    format: json
"""

LINES = """
name: lines
parameters: {brokers, topic, input}
nodes:
  lines:
    source: {file: "${input}"}
    format: raw
    schema: {line: string}
  result:
    from: lines
    sink: {kafka: {brokers: "${brokers}", topic: "${topic}"%s}}
    format: raw
%s
"""


def kafka_partition(key, count):
    """Where Kafka's own clients put a key: murmur2, as its Java sources define it."""
    data, mask = key.encode(), 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    for i in range(0, len(data) // 4 * 4, 4):
        k = int.from_bytes(data[i:i + 4], "little") * 0x5BD1E995 & mask
        k ^= k >> 24
        h = (h * 0x5BD1E995 & mask) ^ (k * 0x5BD1E995 & mask)
    rest = data[len(data) // 4 * 4:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * 0x5BD1E995 & mask
    h ^= h >> 13
    h = h * 0x5BD1E995 & mask
    h ^= h >> 15
    return (h & 0x7FFFFFFF) % count


class KafkaSink(unittest.TestCase):
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

    def input(self, lines):
        path = self.cluster.directory / f"{self._testMethodName}.txt"
        path.write_text("".join(line + "\n" for line in lines))
        return path

    def submit(self, text, topic, lines, *options, **parameters):
        job = self.cluster.directory / f"{self._testMethodName}.yaml"
        job.write_text(text)
        return self.cluster.submit(job, *FAST, *options, brokers=self.kafka.bootstrap, topic=topic,
                                   input=self.input(lines), **parameters)

    def wait_finished(self, job, timeout=60):
        self.cluster.wait_state(job, "FINISHED", timeout=timeout)

    def check_counts(self, records, words):
        """At least once and in order per key: repeats may go back to an earlier count, and no further."""
        totals = collections.Counter(words)
        seen = collections.defaultdict(list)
        for record in records:
            value = json.loads(record["value"])
            self.assertEqual(value["word"], record["key"])
            seen[record["key"]].append(value["count"])
        self.assertEqual({word: set(counts) for word, counts in seen.items()},
                         {word: set(range(1, total + 1)) for word, total in totals.items()})
        for counts in seen.values():
            for before, after in zip(counts, counts[1:]):
                self.assertLessEqual(after, before + 1)
            self.assertEqual(counts[-1], max(counts))

    def test_keys_partitions_and_order(self):
        words = [f"word{i % 50}" for i in range(5000)]
        for compression in ("none", "gzip", "snappy", "lz4", "zstd"):
            topic = self.topics.create(partitions=4)
            job = self.submit(COUNTS % ("each", f"        key: word\n        compression: {compression}"), topic,
                              words, "-p", 2)
            self.wait_finished(job)
            records = self.topics.consume(topic)
            self.assertEqual(len(records), len(words))
            self.check_counts(records, words)
            for record in records:
                self.assertEqual(record["partition"], kafka_partition(record["key"], 4))
            self.assertEqual(self.cluster.job(job)["millstream"]["guarantee"], "at-least-once")

    def test_killed_workers(self):
        topic = self.topics.create(partitions=3)
        words = [f"word{i % 20}" for i in range(6000)]
        job = self.submit(COUNTS % ("each", "        key: word"), topic, words, "-p", 2, rate=2000)
        for _ in range(3):
            done = self.cluster.completed_checkpoints(job)
            self.cluster.wait_for(lambda: self.cluster.completed_checkpoints(job) > done, "a checkpoint")
            self.cluster.kill_task_manager(self.cluster.task_managers[0])
            self.cluster.add_task_manager()
        self.wait_finished(job)
        self.check_counts(self.topics.consume(topic), words)

    def test_broker_restarted(self):
        topic = self.topics.create(partitions=3)
        words = [f"word{i % 20}" for i in range(8000)]
        job = self.submit(COUNTS % ("each", "        key: word"), topic, words, rate=2000)
        self.cluster.wait_for(lambda: self.cluster.completed_checkpoints(job) >= 2, "two checkpoints")
        self.kafka.kill()
        self.cluster.wait_for(lambda: self.cluster.job(job)["millstream"]["waiting-for"], "the reason")
        self.kafka.start()
        self.wait_finished(job)
        self.assertEqual(self.cluster.job(job)["millstream"].get("restarts", 0), 0)
        records = self.topics.consume(topic)
        self.assertEqual(len(records), len(words), "an idempotent producer repeats nothing by itself")
        self.check_counts(records, words)

    def test_upsert(self):
        topic = self.topics.create(cleanup_policy="compact")
        words = [f"word{i % 10}" for i in range(1000)]
        job = self.submit(COUNTS % ("changelog", "        key: word\n        mode: upsert\n        value_fields: except_key"),
                          topic, words)
        self.wait_finished(job)
        newest = {record["key"]: json.loads(record["value"]) for record in self.topics.consume(topic)}
        self.assertEqual(newest, {f"word{i}": {"count": 100} for i in range(10)})
        self.assertEqual(self.cluster.job(job)["millstream"]["guarantee"], "idempotent")

    def test_missing_topic_is_waited_for(self):
        name = f"later-{int(time.time() * 1000)}"
        job = self.submit(LINES % ("", ""), name, ["a", "b"])
        self.cluster.wait_for(lambda: name in (self.cluster.job(job)["millstream"]["waiting-for"] or ""), "the reason")
        self.topics.create(name=name)
        self.wait_finished(job)
        self.assertEqual([r["value"] for r in self.topics.consume(name)], ["a", "b"])

    def test_made_topic(self):
        name = f"made-{int(time.time() * 1000)}"
        job = self.submit(LINES % (", create_topic: true, partitions: 5, partitioner: round_robin", ""), name,
                          [str(i) for i in range(100)])
        self.wait_finished(job)
        records = self.topics.consume(name)
        self.assertEqual(collections.Counter(r["partition"] for r in records), {p: 20 for p in range(5)})

    def test_too_large_a_record(self):
        topic = self.topics.create(max_message_bytes=10000)
        lines = ["small", "x" * 9000, "y" * 10000, "last"]
        dead = self.cluster.directory / "dead"
        text = LINES % ("", "    on_error: dead_letter\n  dead: {from: result.errors, sink: {file: %s}, format: json}"
                        % dead)
        job = self.submit(text, topic, lines)
        self.wait_finished(job)
        self.assertEqual([r["value"] for r in self.topics.consume(topic)], ["small", "x" * 9000, "last"])
        letters = [json.loads(line) for path in dead.glob("part-*") for line in path.read_text().splitlines()]
        self.assertEqual([letter["cause"] for letter in letters], ["too_large"])
        self.assertIn("10000 at most", letters[0]["message"])
        job = self.submit(LINES % ("", ""), topic, lines)
        self.cluster.wait_state(job, "FAILED")
        self.assertIn("max.message.bytes", self.cluster.job(job)["millstream"]["last-failure"]["message"])

    def test_what_is_wrong_is_told_at_submit(self):
        path = self.cluster.directory / "wrong.yaml"
        arguments = ["run", "-d", "--param", f"brokers={self.kafka.bootstrap}", "--param", "topic=t",
                     "--param", f"input={self.input(['a'])}", str(path)]
        for sink, expected in ((", key: wrd", "there is no column"), (", mode: upsert", "mode: upsert needs `key`"),
                               (", acks: 1", "unknown option"), (", properties.acks: 1", "decides it itself"),
                               (", partitions: 3", "create_topic: true"), (", topc: x", "unknown option")):
            path.write_text(LINES % (sink, ""))
            done = self.cluster.cli(*arguments, check=False)
            self.assertEqual(done.returncode, 2, sink)
            self.assertIn(expected, done.stderr)


if __name__ == "__main__":
    unittest.main()
