/*
 * The snapshot file of the memory backend. Format version 1, little-endian:
 *
 *   "MSTM", 32-bit version
 *   blocks: 32-bit size, 32-bit CRC-32C, records
 *   end: a block of size 0 with CRC 0, 64-bit count of records
 *   record: 16-bit index of the state in the meta data, 32-bit key size, storage key, 32-bit value
 *   size, value (state_value.h)
 *
 * Records are in no order. A timer's value is empty.
 */
#include "common/base/allocate.h"
#include "common/base/crc32c.h"
#include "taskmanager/state/parts.h"

#include <errno.h>
#include <stdio.h>

#define MAGIC          "MSTM"
#define FILE_VERSION   1
#define HEAD_SIZE      8
#define BLOCK_HEAD     8
#define BLOCK_SIZE_MAX (UINT32_C(1) << 30)
#define RECORD_HEAD    6

void state_memory_record(const struct state_table *table, struct entry *entry, int64_t wall_ms,
                         struct text *out)
{
    if (entry_is_expired(table, entry, wall_ms))
        return;
    const uint16_t index = (uint16_t)table->index;
    uint32_t size = 0;
    text_append_bytes(out, &index, sizeof(index));
    text_append_bytes(out, &size, sizeof(size));
    size_t start = out->size;
    state_storage_key_of(table, entry, out);
    size = (uint32_t)(out->size - start);
    memcpy(out->bytes + start - sizeof(size), &size, sizeof(size));
    size = 0;
    text_append_bytes(out, &size, sizeof(size));
    start = out->size;
    if (!table->is_timers)
        state_value_encode(&table->codec, entry_slot(&table->table, entry),
                           table->codec.has_ttl ? *entry_write_ms(entry) : 0, out);
    size = (uint32_t)(out->size - start);
    memcpy(out->bytes + start - sizeof(size), &size, sizeof(size));
}

/* ---- writing ---- */

static enum status write_block(FILE *file, const char *path, const struct text *records,
                               struct error *err)
{
    if (records->size == 0)
        return STATUS_OK;
    const uint32_t head[2] = {(uint32_t)records->size, crc32c(0, records->bytes, records->size)};
    if (fwrite(head, sizeof(head), 1, file) != 1 ||
        fwrite(records->bytes, records->size, 1, file) != 1)
        return error_set_errno(err, errno, "write %s", path);
    return STATUS_OK;
}

static uint64_t count_records(const struct text *records)
{
    uint64_t count = 0;
    for (size_t at = 0; at < records->size; count++) {
        uint32_t size;
        memcpy(&size, records->bytes + at + 2, sizeof(size));
        at += RECORD_HEAD + size;
        memcpy(&size, records->bytes + at, sizeof(size));
        at += sizeof(size) + size;
    }
    return count;
}

/* Under the capture lock: the entries of one segment that the mark still lacks. */
static void capture_segment(struct state_backend *backend, struct write_set *set,
                            struct state_table *table, uint64_t *cursor, struct text *out)
{
    const struct entry_segment *segment = table_segment(&table->table, *cursor);
    do {
        struct entry *entries[CHUNK_ENTRIES];
        const uint32_t count = entry_table_walk(&table->table, cursor, entries);
        for (uint32_t i = 0; i < count; i++) {
            if (entries[i]->written == set->number)
                continue;
            entries[i]->written = set->number;
            state_memory_record(table, entries[i], set->wall_ms, out);
        }
    } while (*cursor != 0 && table_segment(&table->table, *cursor) == segment);
    text_append_bytes(out, backend->memory_captured.bytes, backend->memory_captured.size);
    text_clear(&backend->memory_captured);
}

static enum status write_table(struct state_backend *backend, struct write_set *set,
                               struct state_table *table, FILE *file, const char *path,
                               struct error *err)
{
    struct text SCOPED_TEXT_BUFFER records;
    text_init(&records, BLOCK_SIZE_MAX);
    uint64_t cursor = 0;
    do {
        text_clear(&records);
        (void)pthread_mutex_lock(&backend->capture_lock);
        const bool is_current = backend->memory_mark == set->number;
        if (is_current)
            capture_segment(backend, set, table, &cursor, &records);
        (void)pthread_mutex_unlock(&backend->capture_lock);
        if (!is_current || atomic_load(&set->work->is_aborted))
            return STATUS_OK; /* given up: nobody will read the file */
        if (records.overflowed)
            return error_set(err, STATUS_LIMIT, "write %s: values of more than 1 GiB", path);
        set->entry_count += count_records(&records);
        TRY(write_block(file, path, &records, err));
    } while (cursor != 0);
    return STATUS_OK;
}

static enum status write_content(struct state_backend *backend, struct write_set *set, FILE *file,
                                 const char *path, struct error *err)
{
    const uint32_t version = FILE_VERSION;
    if (fwrite(MAGIC, 4, 1, file) != 1 || fwrite(&version, sizeof(version), 1, file) != 1)
        return error_set_errno(err, errno, "write %s", path);
    for (size_t i = 0; i < set->list_count; i++)
        TRY(write_table(backend, set, set->lists[i].table, file, path, err));
    (void)pthread_mutex_lock(&backend->capture_lock);
    struct text SCOPED_TEXT_BUFFER rest;
    text_init(&rest, BLOCK_SIZE_MAX);
    if (backend->memory_mark == set->number) {
        text_append_bytes(&rest, backend->memory_captured.bytes, backend->memory_captured.size);
        text_clear(&backend->memory_captured);
        backend->memory_mark = 0;
    }
    (void)pthread_mutex_unlock(&backend->capture_lock);
    set->entry_count += count_records(&rest);
    TRY(write_block(file, path, &rest, err));
    const uint32_t end[2] = {0, 0};
    const uint64_t count = set->entry_count;
    if (fwrite(end, sizeof(end), 1, file) != 1 || fwrite(&count, sizeof(count), 1, file) != 1)
        return error_set_errno(err, errno, "write %s", path);
    return STATUS_OK;
}

enum status state_memory_write(struct state_backend *backend, struct write_set *set,
                               const char *path, struct error *err)
{
    FILE *file = fopen(path, "wxe");
    if (file == NULL)
        return error_set_errno(err, errno, "create %s", path);
    enum status status = write_content(backend, set, file, path, err);
    if (fclose(file) != 0 && status == STATUS_OK)
        status = error_set_errno(err, errno, "close %s", path);
    return status;
}

/* ---- reading ---- */

typedef enum status (*record_fn)(void *context, uint32_t index, const char *key, uint32_t key_size,
                                 const char *value, uint32_t value_size, struct error *err);

static enum status damaged(struct error *err)
{
    return error_set(err, STATUS_CORRUPT, "the file of the memory state is damaged");
}

static enum status read_block(const char *at, const char *end, record_fn fn, void *context,
                              uint64_t *count, struct error *err)
{
    while (at < end) {
        uint16_t index;
        uint32_t key_size;
        uint32_t value_size;
        if (end - at < RECORD_HEAD)
            return damaged(err);
        memcpy(&index, at, sizeof(index));
        memcpy(&key_size, at + 2, sizeof(key_size));
        at += RECORD_HEAD;
        if ((uint64_t)(end - at) < (uint64_t)key_size + sizeof(value_size))
            return damaged(err);
        const char *key = at;
        memcpy(&value_size, at + key_size, sizeof(value_size));
        at += key_size + sizeof(value_size);
        if ((uint64_t)(end - at) < value_size)
            return damaged(err);
        TRY(fn(context, index, key, key_size, at, value_size, err));
        at += value_size;
        (*count)++;
    }
    return STATUS_OK;
}

static enum status read_content(const struct text *content, record_fn fn, void *context,
                                struct error *err)
{
    uint32_t version;
    if (content->size < HEAD_SIZE || memcmp(content->bytes, MAGIC, 4) != 0)
        return damaged(err);
    memcpy(&version, content->bytes + 4, sizeof(version));
    if (version != FILE_VERSION)
        return error_set(err, STATUS_UNSUPPORTED,
                         "the memory state has format %u, this version reads format %d", version,
                         FILE_VERSION);
    const char *at = content->bytes + HEAD_SIZE;
    const char *end = content->bytes + content->size;
    uint64_t count = 0;
    for (;;) {
        uint32_t head[2];
        if (end - at < BLOCK_HEAD)
            return damaged(err);
        memcpy(head, at, sizeof(head));
        at += BLOCK_HEAD;
        if (head[0] == 0)
            break;
        if ((uint64_t)(end - at) < head[0] || crc32c(0, at, head[0]) != head[1])
            return damaged(err);
        TRY(read_block(at, at + head[0], fn, context, &count, err));
        at += head[0];
    }
    return (size_t)(end - at) == sizeof(count) && memcmp(at, &count, sizeof(count)) == 0
               ? STATUS_OK
               : damaged(err);
}

static enum status ignore_record(void *context, uint32_t index, const char *key, uint32_t key_size,
                                 const char *value, uint32_t value_size, struct error *err)
{
    (void)context, (void)index, (void)key, (void)key_size, (void)value, (void)value_size, (void)err;
    return STATUS_OK;
}

enum status state_memory_check(const struct text *content, struct error *err)
{
    return read_content(content, ignore_record, NULL, err);
}

struct load {
    struct state_table *table;
    uint32_t index;
};

static enum status load_record(void *context, uint32_t index, const char *key, uint32_t key_size,
                               const char *value, uint32_t value_size, struct error *err)
{
    const struct load *load = context;
    if (index != load->index)
        return STATUS_OK;
    return state_load_record(load->table, key, key_size, value, value_size, err);
}

enum status state_memory_load(struct state_table *table, uint32_t file_index, struct error *err)
{
    struct load load = {.table = table, .index = file_index};
    return read_content(&table->backend->restored_memory, load_record, &load, err);
}
