/* The meta data of a handle: see state_meta.h. */
#include "taskmanager/state/state_meta.h"

#include "common/base/allocate.h"
#include "common/base/crc32c.h"
#include "common/data/batch_codec.h"

#include <string.h>

/* The form of timers' storage keys; 1 was never released. */
#define TIMERS_ORDERED_BY_KEY 2

#define MAGIC          "MSKS"
#define STATES_MAX     1000
#define TEXT_BYTES_MAX 65536
#define VERSIONS_MAX   1000

static void put_bytes(struct text *out, const void *bytes, size_t size)
{
    const uint32_t length = (uint32_t)size;
    text_append_bytes(out, &length, sizeof(length));
    text_append_bytes(out, bytes, size);
}

static void put_schema(struct text *out, const struct schema *schema)
{
    struct text SCOPED_TEXT_BUFFER bytes;
    text_init(&bytes, SIZE_MAX / 4);
    schema_encode(schema, &bytes);
    put_bytes(out, bytes.bytes, bytes.size);
}

void state_meta_encode(const struct state_meta *meta, struct text *out)
{
    const size_t start = out->size;
    const uint16_t versions[2] = {STATE_META_VERSION, STATE_META_VERSION};
    text_append_bytes(out, MAGIC, strlen(MAGIC));
    text_append_bytes(out, versions, sizeof(versions));
    text_append_bytes(out, &meta->max_parallelism, sizeof(meta->max_parallelism));
    text_append_bytes(out, &meta->count, sizeof(meta->count));
    for (uint32_t i = 0; i < meta->count; i++) {
        const struct state_meta_entry *entry = &meta->entries[i];
        put_bytes(out, entry->uid, strlen(entry->uid));
        put_bytes(out, entry->name, strlen(entry->name));
        const char bytes[3] = {(char)entry->kind, (char)entry->order,
                               entry->is_timers ? TIMERS_ORDERED_BY_KEY : 0};
        text_append_bytes(out, bytes, sizeof(bytes));
        text_append_bytes(out, &entry->ttl_ms, sizeof(entry->ttl_ms));
        put_schema(out, entry->keys);
        put_schema(out, entry->subkeys);
        text_append_bytes(out, &entry->value_count, sizeof(entry->value_count));
        for (uint32_t j = 0; j < entry->value_count; j++)
            put_schema(out, entry->values[j]);
    }
    const uint32_t crc = crc32c(0, out->bytes + start, out->size - start);
    text_append_bytes(out, &crc, sizeof(crc));
}

struct reader {
    const char *at;
    const char *end;
    bool is_short;
};

static void take(struct reader *reader, void *to, size_t size)
{
    if ((size_t)(reader->end - reader->at) < size) {
        reader->is_short = true;
        memset(to, 0, size);
        return;
    }
    memcpy(to, reader->at, size);
    reader->at += size;
}

static uint32_t take_u32(struct reader *reader, uint32_t max)
{
    uint32_t value;
    take(reader, &value, sizeof(value));
    if (value > max) {
        reader->is_short = true;
        return 0;
    }
    return value;
}

static const char *take_bytes(struct reader *reader, uint32_t max, uint32_t *ret_size)
{
    *ret_size = take_u32(reader, max);
    const char *bytes = reader->at;
    if ((size_t)(reader->end - reader->at) < *ret_size) {
        reader->is_short = true;
        *ret_size = 0;
    }
    reader->at += *ret_size;
    return bytes;
}

static char *take_string(struct reader *reader)
{
    uint32_t size;
    const char *bytes = take_bytes(reader, TEXT_BYTES_MAX, &size);
    return copy_text_n(bytes, size);
}

static enum status take_schema(struct reader *reader, struct schema **ret_schema, struct error *err)
{
    uint32_t size;
    const char *bytes = take_bytes(reader, UINT32_MAX, &size);
    if (reader->is_short)
        return error_set(err, STATUS_CORRUPT, "the description of the states is cut short");
    return schema_decode(bytes, size, ret_schema, err);
}

static enum status take_entry(struct reader *reader, struct state_meta_entry *entry,
                              struct error *err)
{
    entry->uid = take_string(reader);
    entry->name = take_string(reader);
    uint8_t bytes[3];
    take(reader, bytes, sizeof(bytes));
    entry->kind = bytes[0];
    entry->order = bytes[1];
    if (!reader->is_short && bytes[2] != 0 && bytes[2] != TIMERS_ORDERED_BY_KEY)
        return error_set(err, STATUS_UNSUPPORTED,
                         "operator %s: its timers were written in form %u, this version reads form "
                         "%d: start the job without this checkpoint",
                         entry->uid, bytes[2], TIMERS_ORDERED_BY_KEY);
    entry->is_timers = bytes[2] != 0;
    take(reader, &entry->ttl_ms, sizeof(entry->ttl_ms));
    TRY(take_schema(reader, &entry->keys, err));
    TRY(take_schema(reader, &entry->subkeys, err));
    const uint32_t count = take_u32(reader, VERSIONS_MAX);
    entry->values = allocate_array(count + 1, sizeof(struct schema *));
    for (uint32_t i = 0; i < count; i++) {
        TRY(take_schema(reader, &entry->values[i], err));
        entry->value_count++;
    }
    return STATUS_OK;
}

enum status state_meta_decode(const void *bytes, size_t size, struct state_meta *ret_meta,
                              struct error *err)
{
    uint32_t crc;
    if (size < 20 || memcmp(bytes, MAGIC, 4) != 0)
        return error_set(err, STATUS_CORRUPT, "the description of the states is damaged");
    uint16_t version;
    memcpy(&version, (const char *)bytes + 4, sizeof(version));
    if (version != STATE_META_VERSION)
        return error_set(err, STATUS_UNSUPPORTED,
                         "the state was written in format %u, this version reads format %d",
                         version, STATE_META_VERSION);
    memcpy(&crc, (const char *)bytes + size - sizeof(crc), sizeof(crc));
    if (crc != crc32c(0, bytes, size - sizeof(crc)))
        return error_set(err, STATUS_CORRUPT,
                         "the description of the states is damaged: wrong checksum");
    struct reader reader = {.at = (const char *)bytes + 8,
                            .end = (const char *)bytes + size - sizeof(crc)};
    struct state_meta meta = {0};
    meta.max_parallelism = take_u32(&reader, UINT32_MAX);
    const uint32_t count = take_u32(&reader, STATES_MAX);
    meta.entries = allocate_array(count + 1, sizeof(*meta.entries));
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
        meta.count++;
        status = take_entry(&reader, &meta.entries[i], err);
    }
    if (status == STATUS_OK && (reader.is_short || reader.at != reader.end))
        status = error_set(err, STATUS_CORRUPT, "the description of the states is damaged");
    if (status != STATUS_OK) {
        state_meta_done(&meta);
        return status;
    }
    *ret_meta = meta;
    return STATUS_OK;
}

void state_meta_done(struct state_meta *meta)
{
    for (uint32_t i = 0; i < meta->count; i++) {
        struct state_meta_entry *entry = &meta->entries[i];
        free(entry->uid);
        free(entry->name);
        schema_unref(entry->keys);
        schema_unref(entry->subkeys);
        for (uint32_t j = 0; j < entry->value_count; j++)
            schema_unref(entry->values[j]);
        free(entry->values);
    }
    free(meta->entries);
    *meta = (struct state_meta){0};
}

const struct state_meta_entry *state_meta_find(const struct state_meta *meta, const char *uid,
                                               const char *name)
{
    for (uint32_t i = 0; i < meta->count; i++) {
        if (strcmp(meta->entries[i].uid, uid) == 0 && strcmp(meta->entries[i].name, name) == 0)
            return &meta->entries[i];
    }
    return NULL;
}
