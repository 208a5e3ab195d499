/*
 * The plain program that the word count from Kafka to Kafka is measured against: librdkafka alone,
 * one thread of its own, one open-addressing table; reads a topic to its end and writes
 * {"word":...,"count":...} for each word, keyed by the word, and waits for all confirmations.
 * Arguments: brokers, input topic, output topic. The clients' settings are those of the connectors.
 */
#include "bench/baseline/word_table.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>

#define BATCH_MESSAGES 1000
#define PARTITIONS_MAX 100

struct program {
    struct table table;
    rd_kafka_t *producer;
    rd_kafka_topic_t *output;
    uint64_t words;
};

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static rd_kafka_t *make_client(rd_kafka_type_t type, const char *const *settings)
{
    char problem[300];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (; *settings != NULL; settings += 2) {
        if (rd_kafka_conf_set(conf, settings[0], settings[1], problem, sizeof(problem)) !=
            RD_KAFKA_CONF_OK)
            fail(settings[0], problem);
    }
    rd_kafka_t *client = rd_kafka_new(type, conf, problem, sizeof(problem));
    if (client == NULL)
        fail("client", problem);
    return client;
}

/* The word's count after this one. */
static uint64_t count_of(struct table *table, const char *word, uint32_t size, uint32_t hash)
{
    count_word(table, word, size, hash);
    uint32_t at = hash & (table->capacity - 1);
    while (table->entries[at].hash != hash || table->entries[at].size != size ||
           memcmp(table->entries[at].word, word, size) != 0)
        at = (at + 1) & (table->capacity - 1);
    return table->entries[at].count;
}

static void send_count(struct program *program, const char *word, uint32_t size, uint32_t hash)
{
    char value[5000];
    const uint64_t count = count_of(&program->table, word, size, hash);
    const int value_size = snprintf(
        value, sizeof(value), "{\"word\":\"%.*s\",\"count\":%" PRIu64 "}", (int)size, word, count);
    program->words++;
    while (rd_kafka_produce(program->output, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value,
                            (size_t)value_size, word, size, NULL) != 0) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
        (void)rd_kafka_poll(program->producer, 10);
    }
}

static void count_line(struct program *program, const char *line, size_t size)
{
    size_t start = 0;
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i <= size; i++) {
        const char c = i < size ? line[i] : ' ';
        if (c != ' ' && (c < '\t' || c > '\r')) {
            hash = (hash ^ (unsigned char)c) * 16777619U;
            continue;
        }
        if (i > start)
            send_count(program, line + start, (uint32_t)(i - start), hash);
        start = i + 1;
        hash = 2166136261U;
    }
}

/* Assigns all partitions from their beginning; returns how many there are. */
static int assign(rd_kafka_t *consumer, const char *name)
{
    const rd_kafka_metadata_t *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer, name, NULL);
    if (rd_kafka_metadata(consumer, 0, topic, &metadata, 10000) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail(name, "no metadata");
    const int count = metadata->topics[0].partition_cnt;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, name, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    return count;
}

static void read_topic(struct program *program, rd_kafka_t *consumer, int partition_count)
{
    rd_kafka_message_t *messages[BATCH_MESSAGES];
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    for (int ended = 0; ended < partition_count;) {
        const ssize_t count = rd_kafka_consume_batch_queue(queue, 100, messages, BATCH_MESSAGES);
        for (ssize_t i = 0; i < count; i++) {
            const rd_kafka_message_t *message = messages[i];
            if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
                count_line(program, message->payload, message->len);
            else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
                ended++;
            rd_kafka_message_destroy(messages[i]);
        }
        (void)rd_kafka_poll(program->producer, 0);
    }
    rd_kafka_queue_destroy(queue);
}

int main(int count, char **arguments)
{
    if (count != 4)
        fail("usage", "kafka_wordcount BROKERS INPUT OUTPUT");
    const char *const reading[] = {"bootstrap.servers",
                                   arguments[1],
                                   "group.id",
                                   "bench",
                                   "enable.auto.commit",
                                   "false",
                                   "enable.partition.eof",
                                   "true",
                                   "isolation.level",
                                   "read_committed",
                                   "check.crcs",
                                   "true",
                                   "queued.max.messages.kbytes",
                                   "16384",
                                   NULL};
    const char *const writing[] = {"bootstrap.servers",
                                   arguments[1],
                                   "acks",
                                   "all",
                                   "enable.idempotence",
                                   "true",
                                   "message.timeout.ms",
                                   "0",
                                   "queue.buffering.max.kbytes",
                                   "16384",
                                   "partitioner",
                                   "murmur2_random",
                                   NULL};
    struct program program = {.producer = make_client(RD_KAFKA_PRODUCER, writing)};
    rd_kafka_t *consumer = make_client(RD_KAFKA_CONSUMER, reading);
    (void)rd_kafka_poll_set_consumer(consumer);
    program.output = rd_kafka_topic_new(program.producer, arguments[3], NULL);
    grow(&program.table);
    read_topic(&program, consumer, assign(consumer, arguments[2]));
    while (rd_kafka_flush(program.producer, 1000) != RD_KAFKA_RESP_ERR_NO_ERROR)
        continue;
    printf("%" PRIu64 " words, %" PRIu32 " distinct\n", program.words, program.table.used);
    rd_kafka_destroy(consumer);
    rd_kafka_topic_destroy(program.output);
    rd_kafka_destroy(program.producer);
    return 0;
}
