/* One registered state: its schema check, keys in storage, and loading of stored values. */
#include "common/base/allocate.h"
#include "taskmanager/state/timer_queue.h"

static const struct state_meta_entry *restored_entry(const struct keyed_operator *owner,
                                                     const char *name)
{
    return state_meta_find(&owner->backend->restored, owner->uid, name);
}

static struct schema *schema_of_types(const struct type *types, uint32_t count)
{
    struct schema_column columns[KEY_COLUMN_MAX];
    for (uint32_t i = 0; i < count; i++)
        columns[i] = (struct schema_column){.name = "", .type = types[i]};
    return schema_create(columns, count, -1);
}

static enum status check_restored(const struct state_meta_entry *old,
                                  const struct state_table *table, struct error *err)
{
    if (old->kind != (uint8_t)table->descriptor.kind ||
        old->order != (uint8_t)table->descriptor.order || old->is_timers != table->is_timers)
        return error_set(err, STATUS_INVALID, "its kind differs from the one in the checkpoint");
    const struct schema *const olds[2] = {old->keys, old->subkeys};
    const struct schema *const news[2] = {table->keys, table->subkeys};
    for (int i = 0; i < 2; i++) {
        if (schema_equals(olds[i], news[i], false))
            continue;
        struct text SCOPED_TEXT_BUFFER was;
        struct text SCOPED_TEXT_BUFFER is;
        text_init(&was, 300);
        text_init(&is, 300);
        schema_format(olds[i], &was);
        schema_format(news[i], &is);
        return error_set(err, STATUS_INVALID,
                         "its %s was (%s) in the checkpoint and is (%s) now; keys cannot change: "
                         "give the state a new name",
                         i == 0 ? "key" : "subkey", was.bytes, is.bytes);
    }
    return STATUS_OK;
}

static enum status init_codec(struct state_table *table, const struct state_meta_entry *old,
                              struct error *err)
{
    if (old != NULL)
        TRY(check_restored(old, table, err));
    return state_value_codec_init(&table->codec,
                                  old == NULL ? NULL : (const struct schema *const *)old->values,
                                  old == NULL ? 0 : old->value_count, table->descriptor.value,
                                  table->descriptor.ttl_ms > 0, err);
}

/* What is in the checkpoint for this state. */
static enum status attach_storage(struct state_table *table, struct error *err)
{
    struct state_backend *backend = table->backend;
    const struct state_meta_entry *old = restored_entry(table->owner, table->descriptor.name);
    if (backend->config.kind == STATE_BACKEND_MEMORY)
        return old == NULL
                   ? STATUS_OK
                   : state_memory_load(table, (uint32_t)(old - backend->restored.entries), err);
    SCOPED_TEXT char *column = format_text("%zu:%s/%s", strlen(table->owner->uid),
                                           table->owner->uid, table->descriptor.name);
    TRY(state_database_column(backend->database, column, table->descriptor.ttl_ms, &table->column,
                              err));
    table->has_stored = old != NULL;
    return STATUS_OK;
}

static void copy_descriptor(struct state_table *table, const struct state_descriptor *from)
{
    struct state_descriptor *to = &table->descriptor;
    *to = *from;
    to->name = copy_text(from->name);
    to->value = schema_ref(from->value);
    table->keys = schema_of_types(from->key_types, from->key_count);
    table->subkeys = schema_of_types(from->subkey_types, from->subkey_count);
    struct type *types = allocate_array(from->key_count + from->subkey_count + 1, sizeof(*types));
    for (uint32_t i = 0; i < from->key_count; i++)
        types[i] = table->keys->columns[i].type;
    for (uint32_t i = 0; i < from->subkey_count; i++)
        types[from->key_count + i] = table->subkeys->columns[i].type;
    to->key_types = types;
    to->subkey_types = types + from->key_count;
}

enum status state_table_create(struct keyed_operator *owner,
                               const struct state_descriptor *descriptor, bool is_timers,
                               struct state_table **ret_table, struct error *err)
{
    struct state_backend *backend = owner->backend;
    if (descriptor->key_count > KEY_COLUMN_MAX || descriptor->subkey_count > KEY_COLUMN_MAX ||
        backend->table_count >= STATE_COUNT_MAX)
        return error_set(err, STATUS_LIMIT, "operator %s, state %s: too many keys or states",
                         owner->uid, descriptor->name);
    for (size_t i = 0; i < backend->table_count; i++) {
        if (backend->tables[i]->owner == owner &&
            strcmp(backend->tables[i]->descriptor.name, descriptor->name) == 0)
            return error_set(err, STATUS_EXISTS, "operator %s registers the state %s twice",
                             owner->uid, descriptor->name);
    }
    struct state_table *table = allocate(sizeof(*table));
    table->backend = backend;
    table->owner = owner;
    table->is_timers = is_timers;
    table->round = 2;
    table->index = (uint32_t)backend->table_count;
    copy_descriptor(table, descriptor);
    enum status status = init_codec(table, restored_entry(owner, descriptor->name), err);
    if (status != STATUS_OK) {
        (void)error_wrap(err, status, "operator %s, state %s", owner->uid, descriptor->name);
        state_table_destroy(table);
        return status;
    }
    table->base = (struct state){
        .ops = &state_table_ops, .layout = table->codec.layout, .descriptor = &table->descriptor};
    /* Timers keep their place in the heap where others keep the slot. */
    const uint32_t slot_size = is_timers ? 8 : table->codec.layout.size;
    const uint32_t time_size = table->codec.has_ttl ? 16 : 0;
    table->has_namespaces =
        !is_timers && descriptor->order == STATE_NAMESPACE_FIRST && descriptor->subkey_count > 0;
    const uint32_t link_size = table->has_namespaces ? (uint32_t)sizeof(struct namespace_link) : 0;
    entry_table_init(&table->table, &backend->arena, time_size + link_size, slot_size,
                     is_timers || descriptor->subkey_count > 0);
    if (table->has_namespaces)
        namespace_index_init(&table->namespaces, &backend->arena, backend->config.key_groups,
                             ENTRY_TIME_OFFSET + time_size);
    text_init(&table->scratch, SIZE_MAX / 4);
    status = attach_storage(table, err);
    if (status != STATUS_OK) {
        (void)error_wrap(err, status, "operator %s, state %s", owner->uid, descriptor->name);
        state_table_destroy(table);
        return status;
    }
    array_push(backend->tables, backend->table_count, backend->table_capacity) = table;
    *ret_table = table;
    return STATUS_OK;
}

void state_table_destroy(struct state_table *table)
{
    if (table == NULL)
        return;
    state_scan_end(table);
    if (table->codec.layout.has_bytes && table->table.directory != NULL) {
        /* Large pieces are not part of the arena's regions. */
        uint64_t cursor = 0;
        do {
            struct entry *entries[CHUNK_ENTRIES];
            const uint32_t count = entry_table_walk(&table->table, &cursor, entries);
            for (uint32_t i = 0; i < count; i++)
                state_slot_release(&table->codec.layout, entry_slot(&table->table, entries[i]),
                                   &table->backend->arena);
        } while (cursor != 0);
    }
    namespace_index_done(&table->namespaces);
    state_drops_done(table);
    entry_table_done(&table->table);
    if (table->scratch.bytes != NULL)
        text_done(&table->scratch);
    free(table->dirty);
    free(table->scan.slots);
    free(table->scan.entries);
    state_value_codec_done(&table->codec);
    free((void *)table->descriptor.key_types);
    free((char *)table->descriptor.name);
    schema_unref((struct schema *)table->descriptor.value);
    schema_unref(table->keys);
    schema_unref(table->subkeys);
    free(table);
}

/* ---- keys in storage ---- */

static uint64_t hash_of_key(const struct state_table *table, const struct entry *entry)
{
    return table->table.has_subkey
               ? key_hash(entry_key_bytes(&table->table, entry), entry->key_size)
               : entry->hash;
}

uint32_t state_key_group(const struct state_table *table, const struct entry *entry)
{
    return key_group_of(hash_of_key(table, entry), table->backend->config.max_parallelism);
}

/* A timer's key has no types here: its canonical bytes are stored as BYTES are, so that timers
 * order by kind, time, key and namespace. */
static const struct type timer_key_type = {.kind = TYPE_BYTES, .nullable = true};

static void append_timer_key(const struct entry_key *key, struct text *out)
{
    text_append_bytes(out, key->subkey, TIMER_HEAD_SIZE);
    key_storage_from_canonical(&timer_key_type, 1, key->key, key->key_size, out);
    text_append_bytes(out, key->subkey + TIMER_HEAD_SIZE, key->subkey_size - TIMER_HEAD_SIZE);
}

void state_storage_key(const struct state_table *table, const struct entry_key *key,
                       uint64_t key_hash_value, struct text *out)
{
    const uint32_t group = key_group_of(key_hash_value, table->backend->config.max_parallelism);
    text_append_char(out, (char)(group >> 8));
    text_append_char(out, (char)group);
    if (table->is_timers) {
        append_timer_key(key, out);
        return;
    }
    const struct state_descriptor *descriptor = &table->descriptor;
    if (descriptor->order == STATE_NAMESPACE_FIRST && descriptor->subkey_count > 0)
        key_storage_from_canonical(descriptor->subkey_types, descriptor->subkey_count, key->subkey,
                                   key->subkey_size, out);
    key_storage_from_canonical(descriptor->key_types, descriptor->key_count, key->key,
                               key->key_size, out);
    if (descriptor->order == STATE_KEY_FIRST && descriptor->subkey_count > 0)
        key_storage_from_canonical(descriptor->subkey_types, descriptor->subkey_count, key->subkey,
                                   key->subkey_size, out);
}

void state_storage_key_of(const struct state_table *table, const struct entry *entry,
                          struct text *out)
{
    const struct entry_key key = {
        .key = entry_key_bytes(&table->table, entry),
        .key_size = entry->key_size,
        .subkey = entry_subkey_bytes(&table->table, entry),
        .subkey_size = entry->subkey_size,
        .hash = entry->hash,
    };
    state_storage_key(table, &key, hash_of_key(table, entry), out);
}

void state_entry_index(struct state_table *table, struct entry *entry)
{
    if (!table->has_namespaces)
        return;
    text_clear(&table->scratch);
    key_storage_from_canonical(table->descriptor.subkey_types, table->descriptor.subkey_count,
                               entry_subkey_bytes(&table->table, entry), entry->subkey_size,
                               &table->scratch);
    namespace_index_add(&table->namespaces, entry, state_key_group(table, entry),
                        table->scratch.bytes, (uint32_t)table->scratch.size);
}

static enum status damaged_key(const struct state_table *table, struct error *err)
{
    return error_set(err, STATUS_CORRUPT, "operator %s, state %s: a key is damaged",
                     table->owner->uid, table->descriptor.name);
}

static enum status decode_timer_key(const struct state_table *table, const char *at, size_t size,
                                    struct text *out, struct state_decoded_key *ret_key,
                                    struct error *err)
{
    if (size < TIMER_HEAD_SIZE || (uint8_t)at[0] > TIMER_PROCESSING_TIME)
        return damaged_key(table, err);
    size_t taken;
    ret_key->key_offset = out->size;
    TRY(key_canonical_from_storage(&timer_key_type, 1, at + TIMER_HEAD_SIZE, size - TIMER_HEAD_SIZE,
                                   &taken, out, &ret_key->key_size, err));
    /* Comparisons load whole vectors of a key. */
    text_append_bytes(out, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    ret_key->subkey_offset = out->size;
    text_append_bytes(out, at, TIMER_HEAD_SIZE);
    text_append_bytes(out, at + TIMER_HEAD_SIZE + taken, size - TIMER_HEAD_SIZE - taken);
    ret_key->subkey_size = (uint32_t)(out->size - ret_key->subkey_offset);
    return STATUS_OK;
}

enum status state_key_decode(const struct state_table *table, const void *bytes, size_t size,
                             struct text *out, struct state_decoded_key *ret_key, struct error *err)
{
    const struct state_descriptor *descriptor = &table->descriptor;
    if (size < 2)
        return damaged_key(table, err);
    const char *at = (const char *)bytes + 2;
    size_t left = size - 2;
    if (table->is_timers)
        return decode_timer_key(table, at, left, out, ret_key, err);
    *ret_key = (struct state_decoded_key){0};
    for (int i = 0; i < 2; i++) {
        const bool is_subkey = (i == 0) == (descriptor->order == STATE_NAMESPACE_FIRST);
        if (is_subkey && descriptor->subkey_count == 0)
            continue;
        size_t taken;
        uint32_t part_size;
        const size_t offset = out->size;
        TRY(key_canonical_from_storage(is_subkey ? descriptor->subkey_types : descriptor->key_types,
                                       is_subkey ? descriptor->subkey_count : descriptor->key_count,
                                       at, left, &taken, out, &part_size, err));
        at += taken;
        left -= taken;
        *(is_subkey ? &ret_key->subkey_offset : &ret_key->key_offset) = offset;
        *(is_subkey ? &ret_key->subkey_size : &ret_key->key_size) = part_size;
        /* Comparisons load whole vectors of a key. */
        text_append_bytes(out, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    }
    return left == 0 ? STATUS_OK : damaged_key(table, err);
}

enum status state_entry_load(struct state_table *table, const struct entry_key *key,
                             const void *value, size_t size, struct entry **ret_entry,
                             struct error *err)
{
    struct entry *entry = entry_table_add(&table->table, key);
    entry->flags = ENTRY_STORED;
    state_entry_index(table, entry);
    if (ret_entry != NULL)
        *ret_entry = entry;
    if (table->is_timers)
        return STATUS_OK;
    int64_t write_ms;
    void *slot = entry_slot(&table->table, entry);
    const enum status status = state_value_decode(&table->codec, value, size, slot, &write_ms,
                                                  &table->backend->arena, err);
    if (status != STATUS_OK) {
        state_entry_free(table, entry);
        return error_wrap(err, status, "operator %s, state %s", table->owner->uid,
                          table->descriptor.name);
    }
    if (table->codec.has_ttl)
        *entry_write_ms(entry) =
            write_ms >= 0 ? write_ms : clock_wall_ms(table->backend->config.clock);
    return STATUS_OK;
}

enum status state_load_record(struct state_table *table, const void *key, size_t key_size,
                              const void *value, size_t value_size, struct error *err)
{
    struct text SCOPED_TEXT_BUFFER canonical;
    text_init(&canonical, SIZE_MAX / 4);
    struct state_decoded_key decoded;
    TRY(state_key_decode(table, key, key_size, &canonical, &decoded, err));
    struct entry_key entry_key = {
        .key = canonical.bytes + decoded.key_offset,
        .key_size = decoded.key_size,
        .subkey = canonical.bytes + decoded.subkey_offset,
        .subkey_size = decoded.subkey_size,
    };
    entry_key.hash = key_hash(entry_key.key, entry_key.key_size);
    const uint32_t group = key_group_of(entry_key.hash, table->backend->config.max_parallelism);
    if (group < table->backend->config.key_groups.first ||
        group > table->backend->config.key_groups.last)
        return damaged_key(table, err);
    if (table->table.has_subkey)
        entry_key.hash =
            entry_hash(entry_key.hash, key_hash(entry_key.subkey, entry_key.subkey_size));
    if (entry_table_find(&table->table, &entry_key) != NULL)
        return damaged_key(table, err);
    return state_entry_load(table, &entry_key, value, value_size, NULL, err);
}
