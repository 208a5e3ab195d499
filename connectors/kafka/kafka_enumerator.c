/* Finds partitions: see kafka_enumerator.h. */
#include "connectors/kafka/kafka_enumerator.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "connectors/kafka/kafka_offsets.h"
#include "connectors/kafka/kafka_split.h"
#include "connectors/kafka/kafka_topics.h"

#include <inttypes.h>

/* Without discovery only the first look counts; this is how rarely an enumerator has to be asked
 * again to stay alive. */
#define NEVER_MS INT64_C(86400000)

/* Its consumer fetches nothing. */
#define QUEUE_BYTES 65536

enum status kafka_enumerator_open(void *self, const struct operator_spec *spec, struct error *err)
{
    struct kafka_enumerator *enumerator = self;
    enumerator->spec = spec;
    return kafka_source_options_read(spec, &enumerator->options, err);
}

void kafka_enumerator_close(void *self)
{
    struct kafka_enumerator *enumerator = self;
    kafka_client_destroy(enumerator->client);
    for (size_t i = 0; i < enumerator->known_count; i++)
        free(enumerator->known[i]);
    free(enumerator->known);
    kafka_source_options_done(&enumerator->options);
    *enumerator = (struct kafka_enumerator){0};
}

void kafka_enumerator_resume(void *self)
{
    ((struct kafka_enumerator *)self)->has_begun = true;
}

int64_t kafka_enumerator_interval_ms(const void *self)
{
    const struct kafka_enumerator *enumerator = self;
    return enumerator->options.discovery_ms > 0 ? enumerator->options.discovery_ms : NEVER_MS;
}

/* ---- topics ---- */

static enum status list_topics(struct kafka_client *client,
                               const struct kafka_source_options *options, int timeout_ms,
                               struct kafka_topic_list *list, struct error *err)
{
    if (options->pattern != NULL) {
        TRY(kafka_topics_matching(client, options->pattern, timeout_ms, list, err));
        return list->count > 0
                   ? STATUS_OK
                   : error_set(err, STATUS_NOT_FOUND, "no topic matches \"%s\"", options->pattern);
    }
    for (size_t i = 0; i < options->topic_count; i++)
        TRY(kafka_topic_find(client, options->topics[i], timeout_ms, list, err));
    return STATUS_OK;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_known(const struct kafka_enumerator *enumerator, const char *id)
{
    return enumerator->known_count > 0 && bsearch(&id, enumerator->known, enumerator->known_count,
                                                  sizeof(char *), compare_texts) != NULL;
}

static void remember(struct kafka_enumerator *enumerator, const struct kafka_split *splits,
                     int count)
{
    for (int i = 0; i < count; i++)
        array_push(enumerator->known, enumerator->known_count, enumerator->known_capacity) =
            copy_text(splits[i].id);
    if (count > 0)
        qsort(enumerator->known, enumerator->known_count, sizeof(char *), compare_texts);
}

/* The partitions not seen before. */
static rd_kafka_topic_partition_list_t *new_partitions(const struct kafka_enumerator *enumerator,
                                                       const struct kafka_topic_list *topics)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (size_t i = 0; i < topics->count; i++) {
        const struct kafka_topic *topic = &topics->topics[i];
        for (uint32_t j = 0; j < topic->partition_count; j++) {
            SCOPED_TEXT char *id = format_text("%s[%d]", topic->name, (int)topic->partitions[j].id);
            if (!is_known(enumerator, id))
                (void)rd_kafka_topic_partition_list_add(list, topic->name, topic->partitions[j].id);
        }
    }
    return list;
}

/* ---- where to begin ---- */

static void set_all(rd_kafka_topic_partition_list_t *list, int64_t offset)
{
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = offset;
}

static enum status out_of_range(const rd_kafka_topic_partition_t *wanted, const char *whose,
                                int64_t first, int64_t end, struct error *err)
{
    return error_set(err, STATUS_INVALID,
                     "%s[%d]: %s is offset %" PRId64 ", the broker has %" PRId64 " to %" PRId64
                     "; on_lost_offsets: earliest or latest begins there instead",
                     wanted->topic, (int)wanted->partition, whose, wanted->offset, first, end);
}

/* Offsets named by people or by the group must be there; what to do if not is on_lost_offsets. */
static enum status check_range(struct kafka_enumerator *enumerator,
                               rd_kafka_topic_partition_t *wanted, const char *whose,
                               struct error *err)
{
    int64_t first = 0;
    int64_t end = 0;
    TRY(kafka_offsets_range(enumerator->client, wanted->topic, wanted->partition, KAFKA_REQUEST_MS,
                            &first, &end, err));
    if (wanted->offset >= first && wanted->offset <= end)
        return STATUS_OK;
    switch (enumerator->options.on_lost) {
    case KAFKA_ON_LOST_FAIL:
        return out_of_range(wanted, whose, first, end, err);
    case KAFKA_ON_LOST_EARLIEST:
        wanted->offset = first;
        return STATUS_OK;
    case KAFKA_ON_LOST_LATEST:
        wanted->offset = end;
        return STATUS_OK;
    }
    UNREACHABLE();
}

/* Entries without an offset of their own begin at the earliest. */
static enum status fill_and_check(struct kafka_enumerator *enumerator,
                                  rd_kafka_topic_partition_list_t *list, const char *whose,
                                  struct error *err)
{
    rd_kafka_topic_partition_list_t *rest = rd_kafka_topic_partition_list_new(list->cnt);
    for (int i = 0; i < list->cnt; i++) {
        if (list->elems[i].offset < 0)
            rd_kafka_topic_partition_list_add(rest, list->elems[i].topic, list->elems[i].partition)
                ->offset = KAFKA_OFFSET_EARLIEST;
    }
    enum status status = kafka_offsets_find(enumerator->client, rest, KAFKA_REQUEST_MS, err);
    for (int i = 0; i < list->cnt && status == STATUS_OK; i++) {
        rd_kafka_topic_partition_t *entry = &list->elems[i];
        if (entry->offset >= 0)
            status = check_range(enumerator, entry, whose, err);
        else
            entry->offset =
                rd_kafka_topic_partition_list_find(rest, entry->topic, entry->partition)->offset;
    }
    rd_kafka_topic_partition_list_destroy(rest);
    return status;
}

static void set_named(rd_kafka_topic_partition_list_t *list,
                      const struct kafka_named_offset *offsets, size_t count, int64_t otherwise)
{
    for (int i = 0; i < list->cnt; i++) {
        const int64_t named =
            kafka_named_offset_find(offsets, count, list->elems[i].topic, list->elems[i].partition);
        list->elems[i].offset = named >= 0 ? named : otherwise;
    }
}

static enum status find_starts(struct kafka_enumerator *enumerator,
                               rd_kafka_topic_partition_list_t *list, struct error *err)
{
    const struct kafka_source_options *options = &enumerator->options;
    const enum kafka_start start = enumerator->has_begun ? KAFKA_START_EARLIEST : options->start;
    switch (start) {
    case KAFKA_START_GROUP:
        TRY(kafka_offsets_committed(enumerator->client, list, KAFKA_REQUEST_MS, err));
        return fill_and_check(enumerator, list, "what the group committed", err);
    case KAFKA_START_OFFSETS:
        set_named(list, options->start_offsets, options->start_offset_count, -1);
        return fill_and_check(enumerator, list, "the start", err);
    case KAFKA_START_EARLIEST:
        set_all(list, KAFKA_OFFSET_EARLIEST);
        break;
    case KAFKA_START_LATEST:
        set_all(list, KAFKA_OFFSET_LATEST);
        break;
    case KAFKA_START_TIMESTAMP:
        set_all(list, options->start_ms);
        break;
    }
    return kafka_offsets_find(enumerator->client, list, KAFKA_REQUEST_MS, err);
}

static enum status find_ends(struct kafka_enumerator *enumerator,
                             rd_kafka_topic_partition_list_t *list, struct error *err)
{
    const struct kafka_source_options *options = &enumerator->options;
    switch (options->end) {
    case KAFKA_END_NEVER:
        set_all(list, KAFKA_NO_END);
        return STATUS_OK;
    case KAFKA_END_LATEST:
        set_all(list, KAFKA_OFFSET_LATEST);
        break;
    case KAFKA_END_TIMESTAMP:
        set_all(list, options->end_ms);
        break;
    case KAFKA_END_OFFSETS:
        /* Those not named end at the latest. */
        set_all(list, KAFKA_OFFSET_LATEST);
        TRY(kafka_offsets_find(enumerator->client, list, KAFKA_REQUEST_MS, err));
        for (int i = 0; i < list->cnt; i++) {
            const int64_t named =
                kafka_named_offset_find(options->end_offsets, options->end_offset_count,
                                        list->elems[i].topic, list->elems[i].partition);
            if (named >= 0)
                list->elems[i].offset = named;
        }
        return STATUS_OK;
    }
    return kafka_offsets_find(enumerator->client, list, KAFKA_REQUEST_MS, err);
}

/* ---- discovering ---- */

static void add_splits(struct kafka_enumerator *enumerator,
                       const rd_kafka_topic_partition_list_t *starts,
                       const rd_kafka_topic_partition_list_t *ends, struct split_list *ret_found)
{
    struct kafka_split *splits = allocate_array((size_t)starts->cnt + 1, sizeof(*splits));
    for (int i = 0; i < starts->cnt; i++) {
        const rd_kafka_topic_partition_t *start = &starts->elems[i];
        kafka_split_init(&splits[i], start->topic, start->partition, start->offset,
                         ends->elems[i].offset);
        uint8_t state[KAFKA_SPLIT_BYTES];
        kafka_split_encode(&splits[i], state);
        split_list_add(ret_found, splits[i].id, state, sizeof(state));
    }
    remember(enumerator, splits, starts->cnt);
    for (int i = 0; i < starts->cnt; i++)
        kafka_split_done(&splits[i]);
    free(splits);
}

static enum status discover_new(struct kafka_enumerator *enumerator,
                                const struct kafka_topic_list *topics, struct split_list *ret_found,
                                struct error *err)
{
    rd_kafka_topic_partition_list_t *starts = new_partitions(enumerator, topics);
    rd_kafka_topic_partition_list_t *ends = rd_kafka_topic_partition_list_copy(starts);
    enum status status = STATUS_OK;
    if (starts->cnt > 0) {
        status = find_starts(enumerator, starts, err);
        if (status == STATUS_OK)
            status = find_ends(enumerator, ends, err);
        if (status == STATUS_OK)
            add_splits(enumerator, starts, ends, ret_found);
    }
    rd_kafka_topic_partition_list_destroy(starts);
    rd_kafka_topic_partition_list_destroy(ends);
    return status;
}

/* A topic has no fewer partitions than before, unless somebody deleted it and made it anew. */
static enum status check_lost(const struct kafka_enumerator *enumerator,
                              const struct kafka_topic_list *topics, struct error *err)
{
    for (size_t i = 0; i < topics->count; i++) {
        const struct kafka_topic *topic = &topics->topics[i];
        SCOPED_TEXT char *next = format_text("%s[%u]", topic->name, topic->partition_count);
        if (is_known(enumerator, next) && enumerator->options.on_lost == KAFKA_ON_LOST_FAIL)
            return error_set(err, STATUS_INVALID,
                             "topic \"%s\" has lost partitions: it has %u now and had more; it "
                             "was deleted and made anew",
                             topic->name, topic->partition_count);
    }
    return STATUS_OK;
}

enum status kafka_enumerator_discover(void *self, struct split_list *ret_found, bool *ret_is_last,
                                      struct error *err)
{
    struct kafka_enumerator *enumerator = self;
    if (enumerator->client == NULL)
        TRY(kafka_source_client(enumerator->spec, &enumerator->options, "millstream-discovery",
                                QUEUE_BYTES, &enumerator->client, err));
    struct kafka_topic_list topics = {0};
    enum status status =
        list_topics(enumerator->client, &enumerator->options, KAFKA_REQUEST_MS, &topics, err);
    if (status == STATUS_NOT_FOUND && enumerator->options.on_missing == KAFKA_ON_MISSING_FAIL)
        status = error_wrap(err, STATUS_INVALID, "on_missing: fail");
    if (status == STATUS_OK)
        status = check_lost(enumerator, &topics, err);
    if (status == STATUS_OK)
        status = discover_new(enumerator, &topics, ret_found, err);
    kafka_topic_list_done(&topics);
    if (status == STATUS_OK) {
        enumerator->has_begun = true;
        *ret_is_last = enumerator->options.end != KAFKA_END_NEVER;
    }
    return status;
}

enum status kafka_source_probe(const struct operator_spec *spec, struct error *err)
{
    struct kafka_source_options options;
    TRY(kafka_source_options_read(spec, &options, err));
    struct kafka_client *client = NULL;
    enum status status =
        kafka_source_client(spec, &options, "millstream-probe", QUEUE_BYTES, &client, err);
    struct kafka_topic_list topics = {0};
    if (status == STATUS_OK)
        status = list_topics(client, &options, KAFKA_PROBE_MS, &topics, err);
    kafka_topic_list_done(&topics);
    kafka_client_destroy(client);
    kafka_source_options_done(&options);
    return status;
}
