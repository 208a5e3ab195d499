"""The word count from Kafka to Kafka against a bare librdkafka program, with a real broker."""
import contextlib
import sys
import tempfile
import uuid

from measure import BUILD, MILLSTREAM, ROOT, header, interleave, local, median, ratio, row, run

sys.path.insert(0, str(ROOT / "tools/kafka"))
from broker import Kafka  # noqa: E402

LINES, LINES_QUICK = 200000, 10000
PARTITIONS = 2


@contextlib.contextmanager
def one_broker():
    with tempfile.TemporaryDirectory(prefix="millstream-kafka-") as directory:
        kafka = Kafka(directory)
        kafka.create("4", 1, False)
        kafka.start()
        try:
            yield kafka
        finally:
            kafka.kill()


def make_topic(kafka):
    name = f"bench-{uuid.uuid4().hex[:12]}"
    run([MILLSTREAM, "kafka", "topics", "--brokers", kafka.bootstrap, "--create", name, "--partitions", PARTITIONS])
    return name


def make_input(kafka, lines):
    topic = make_topic(kafka)
    with tempfile.NamedTemporaryFile() as text:
        run([BUILD / "bench/generate_text", lines, 10, 100000, 1, text.name])
        run([MILLSTREAM, "kafka", "produce", "--brokers", kafka.bootstrap, topic], stdin=open(text.name))
    return topic


def bench_kafka(arguments, directory):
    """The topics that are written are new in each run, so that no run reads or waits for another's."""
    lines = LINES_QUICK if arguments.quick else LINES
    with one_broker() as kafka:
        source = make_input(kafka, lines)
        commands = {
            "librdkafka alone": lambda: run([BUILD / "bench/baseline/kafka_wordcount", kafka.bootstrap, source,
                                             make_topic(kafka)]),
            "Millstream": lambda: run(local("kafka-wordcount.yaml", directory, brokers=kafka.bootstrap,
                                            input_topic=source, output_topic=make_topic(kafka))),
        }
        results = interleave(arguments.runs, commands)
        header(f"Kafka to Kafka, {lines * 10:,} records written, RocksDB state, a checkpoint every second")
        row("librdkafka alone", results, "librdkafka alone", "1")
        row("Millstream", results, "librdkafka alone", "1.43")
        wall = ratio(results, "librdkafka alone", "Millstream", "wall")
        print(f"\nrecords a second over those of librdkafka alone: {wall:.2f} (goal: 0.7); "
              f"{lines * 10 / median(results['Millstream'], 'wall'):,.0f} a second")
