/* A partition of a topic as a split: see kafka_split.h. */
#include "connectors/kafka/kafka_split.h"

#include "common/base/allocate.h"

#include <string.h>
#include <xxhash.h>

#define SPLIT_VERSION 1

void kafka_split_init(struct kafka_split *split, const char *topic, int32_t partition, int64_t next,
                      int64_t end)
{
    *split = (struct kafka_split){
        .id = format_text("%s[%d]", topic, (int)partition),
        .topic = copy_text(topic),
        .partition = partition,
        .next = next,
        .end = end,
        .last_offset = -1,
    };
}

void kafka_split_done(struct kafka_split *split)
{
    free(split->id);
    free(split->topic);
    *split = (struct kafka_split){0};
}

static uint8_t *put_number(uint8_t *out, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        *out++ = (uint8_t)(value >> (8 * i));
    return out;
}

static uint64_t get_number(const uint8_t *in, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)in[i] << (8 * i);
    return value;
}

void kafka_split_encode(const struct kafka_split *split, uint8_t out[static KAFKA_SPLIT_BYTES])
{
    out = put_number(out, SPLIT_VERSION, 4);
    out = put_number(out, split->rows_done, 4);
    out = put_number(out, (uint64_t)split->next, 8);
    out = put_number(out, (uint64_t)split->end, 8);
    out = put_number(out, (uint64_t)split->last_offset, 8);
    out = put_number(out, (uint64_t)split->last_time_ms, 8);
    (void)put_number(out, split->last_hash, 8);
}

/* "topic[partition]" */
static bool parse_id(const char *id, struct kafka_split *split)
{
    const char *bracket = strchr(id, '[');
    if (bracket == NULL || bracket == id)
        return false;
    char *end = NULL;
    const long partition = strtol(bracket + 1, &end, 10);
    if (end == bracket + 1 || strcmp(end, "]") != 0 || partition < 0 || partition > INT32_MAX)
        return false;
    split->partition = (int32_t)partition;
    split->topic = copy_text_n(id, (size_t)(bracket - id));
    split->id = copy_text(id);
    return true;
}

enum status kafka_split_decode(const char *id, const void *bytes, size_t size,
                               struct kafka_split *ret_split, struct error *err)
{
    const uint8_t *in = bytes;
    if (size != KAFKA_SPLIT_BYTES || get_number(in, 4) != SPLIT_VERSION)
        return error_set(err, STATUS_CORRUPT,
                         "restore partition %.300s: %zu bytes of version %d, known is %d", id, size,
                         size > 0 ? in[0] : -1, SPLIT_VERSION);
    struct kafka_split split = {
        .rows_done = (uint32_t)get_number(in + 4, 4),
        .next = (int64_t)get_number(in + 8, 8),
        .end = (int64_t)get_number(in + 16, 8),
        .last_offset = (int64_t)get_number(in + 24, 8),
        .last_time_ms = (int64_t)get_number(in + 32, 8),
        .last_hash = get_number(in + 40, 8),
    };
    if (split.next < 0 || split.end < 0 || split.last_offset < -1 ||
        split.last_offset >= split.next || !parse_id(id, &split))
        return error_set(err, STATUS_CORRUPT, "restore partition %.300s: positions make no sense",
                         id);
    *ret_split = split;
    return STATUS_OK;
}

uint64_t kafka_record_hash(const void *key, size_t key_size, const void *value, size_t value_size)
{
    const uint64_t of_key = key == NULL ? 1 : XXH3_64bits(key, key_size);
    return value == NULL ? of_key + 2 : XXH3_64bits_withSeed(value, value_size, of_key);
}
