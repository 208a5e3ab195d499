/* Dropped ranges: from the worker, with the next set, into the database. See parts.h. */
#include "common/base/allocate.h"
#include "taskmanager/state/parts.h"

#define PENDING_DROP_MAX 64  /* then a set is launched with them */
#define DROP_MAX         256 /* of a table, on their way: then the worker waits */
#define GROUP_SIZE       2   /* bytes of the key group before a storage key */

void state_drop_init(struct state_drop *drop)
{
    *drop = (struct state_drop){.group = -1};
    text_init(&drop->from, SIZE_MAX / 4);
    text_init(&drop->to, SIZE_MAX / 4);
}

void state_drop_done(struct state_drop *drop)
{
    text_done(&drop->from);
    text_done(&drop->to);
}

static void copy_bytes(struct text *to, const struct text *from)
{
    text_clear(to);
    text_append_bytes(to, from->bytes, from->size);
}

void state_drop_copy(struct state_drop *drop, const struct state_drop *from)
{
    drop->has_to = from->has_to;
    drop->group = from->group;
    copy_bytes(&drop->from, &from->from);
    copy_bytes(&drop->to, &from->to);
}

bool state_drop_holds(const struct state_drop *drop, const char *bytes, size_t size)
{
    return state_compare_bytes(bytes, size, drop->from.bytes, drop->from.size) >= 0 &&
           (!drop->has_to || state_compare_bytes(bytes, size, drop->to.bytes, drop->to.size) < 0);
}

const struct state_drop *state_drop_find(struct state_drop *const *drops, size_t count,
                                         const char *bytes, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        if (state_drop_holds(drops[i], bytes, size))
            return drops[i];
    }
    return NULL;
}

bool state_key_is_dropped(struct state_table *table, const struct entry_key *key)
{
    text_clear(&table->scratch);
    key_storage_from_canonical(table->descriptor.subkey_types, table->descriptor.subkey_count,
                               key->subkey, key->subkey_size, &table->scratch);
    return state_drop_find(table->drops, table->drop_count, table->scratch.bytes,
                           table->scratch.size) != NULL;
}

/* ---- worker: pending drops ---- */

/* a and b overlap or touch. */
static bool can_join(const struct state_drop *a, const struct state_drop *b)
{
    return (!a->has_to ||
            state_compare_bytes(b->from.bytes, b->from.size, a->to.bytes, a->to.size) <= 0) &&
           (!b->has_to ||
            state_compare_bytes(a->from.bytes, a->from.size, b->to.bytes, b->to.size) <= 0);
}

static void join_into(struct state_drop *to, const struct state_drop *from)
{
    if (state_compare_bytes(from->from.bytes, from->from.size, to->from.bytes, to->from.size) < 0)
        copy_bytes(&to->from, &from->from);
    if (to->has_to && from->has_to &&
        state_compare_bytes(from->to.bytes, from->to.size, to->to.bytes, to->to.size) > 0)
        copy_bytes(&to->to, &from->to);
    to->has_to = to->has_to && from->has_to;
}

static void push_pending(struct state_table *table, const struct state_drop *range)
{
    struct state_drop *drop = allocate(sizeof(*drop));
    state_drop_init(drop);
    state_drop_copy(drop, range);
    const size_t first = table->drop_count - table->pending_drop_count;
    size_t kept = first;
    for (size_t i = first; i < table->drop_count; i++) {
        struct state_drop *old = table->drops[i];
        if (!can_join(drop, old)) {
            table->drops[kept++] = old;
            continue;
        }
        join_into(drop, old);
        state_drop_done(old);
        free(old);
    }
    table->drop_count = kept;
    array_push(table->drops, table->drop_count, table->drop_capacity) = drop;
    table->pending_drop_count = table->drop_count - first;
}

enum step state_drop_add(struct state_table *table, const struct state_drop *range,
                         struct error *err)
{
    struct state_backend *backend = table->backend;
    if (atomic_load_explicit(&backend->has_failed, memory_order_relaxed))
        return state_backend_failed(backend, err);
    if (table->drop_count >= DROP_MAX) {
        state_release_written(backend);
        if (backend->flight != NULL && table->drop_count >= DROP_MAX)
            return atomic_load_explicit(&backend->flight->is_written, memory_order_acquire)
                       ? STEP_AGAIN
                       : STEP_WAIT;
    }
    /* What was evicted so far lies before the drop. */
    state_launch_open_set(backend);
    if (!table->has_stored)
        return STEP_DONE;
    push_pending(table, range);
    if (table->pending_drop_count >= PENDING_DROP_MAX) {
        state_start_open_set(backend);
        state_launch_open_set(backend);
    }
    return STEP_DONE;
}

void state_drops_attach(struct state_backend *backend, struct write_set *set)
{
    for (size_t i = 0; i < backend->table_count; i++) {
        struct state_table *table = backend->tables[i];
        const size_t count = table->pending_drop_count;
        if (table->is_timers)
            state_timers_attach(table, set);
        if (count == 0)
            continue;
        struct write_list *list = write_set_list(set, table);
        list->drops = allocate_array(count, sizeof(struct state_drop *));
        list->drop_count = count;
        struct state_drop **pending = table->drops + table->drop_count - count;
        for (size_t d = 0; d < count; d++) {
            pending[d]->number = set->number;
            list->drops[d] = pending[d];
        }
        table->pending_drop_count = 0;
    }
}

/* Nobody else knows what timers have fired; other drops are in the table's list. */
static void free_timer_drops(struct write_list *list)
{
    for (size_t d = 0; d < list->drop_count; d++) {
        state_drop_done(list->drops[d]);
        free(list->drops[d]);
    }
    list->drop_count = 0;
}

void state_drops_release(struct write_set *set)
{
    for (size_t i = 0; i < set->list_count; i++) {
        struct write_list *list = &set->lists[i];
        if (list->drop_count == 0)
            continue;
        struct state_table *table = list->table;
        if (table->is_timers) {
            free_timer_drops(list);
            continue;
        }
        size_t kept = 0;
        for (size_t d = 0; d < table->drop_count; d++) {
            struct state_drop *drop = table->drops[d];
            if (drop->number != set->number) {
                table->drops[kept++] = drop;
                continue;
            }
            state_drop_done(drop);
            free(drop);
        }
        table->drop_count = kept;
        list->drop_count = 0;
    }
}

void state_drops_done(struct state_table *table)
{
    for (size_t d = 0; d < table->drop_count; d++) {
        state_drop_done(table->drops[d]);
        free(table->drops[d]);
    }
    free(table->drops);
    table->drops = NULL;
    table->drop_count = 0;
    table->pending_drop_count = 0;
}

/* ---- worker: dropped entries ---- */

/* The newest set that points to the entry. Older ones are released before it. */
static struct write_set *holder_of(const struct state_table *table, const struct entry *entry)
{
    const struct state_backend *backend = table->backend;
    if (entry->stamp != backend->epoch)
        return entry->stamp == 0 ? NULL : write_set_find(backend, entry->stamp);
    /* A set that had the entry has captured it before it became dirty again. */
    return (entry->flags & ENTRY_STORED) == 0 ? NULL : write_set_find(backend, entry->written);
}

void state_entry_drop(struct state_table *table, struct entry *entry)
{
    struct state_backend *backend = table->backend;
    if (backend->config.kind == STATE_BACKEND_MEMORY) {
        state_entry_remove(table, entry);
        return;
    }
    struct write_set *set = holder_of(table, entry);
    if (entry->stamp == backend->epoch)
        table->dirty[entry->position] = NULL;
    if (set == NULL) {
        state_entry_free(table, entry);
        return;
    }
    entry->is_dropped = 1;
    if (table->has_namespaces)
        namespace_index_remove(&table->namespaces, entry);
    entry_table_unlink(&table->table, entry);
    array_push(set->dropped, set->dropped_count, set->dropped_capacity) =
        (struct dropped_entry){.table = table, .entry = entry};
}

void state_dropped_free(struct write_set *set, uint32_t *budget)
{
    for (; set->dropped_count > 0 && *budget > 0; (*budget)--) {
        const struct dropped_entry *dropped = &set->dropped[--set->dropped_count];
        struct state_table *table = dropped->table;
        if (!table->is_timers)
            state_slot_release(&table->codec.layout, entry_slot(&table->table, dropped->entry),
                               &table->backend->arena);
        entry_table_free(&table->table, dropped->entry);
    }
}

/* ---- writer thread ---- */

static void group_bytes(uint32_t group, const struct text *bytes, struct text *out)
{
    text_clear(out);
    text_append_char(out, (char)(group >> 8));
    text_append_char(out, (char)group);
    if (bytes != NULL)
        text_append_bytes(out, bytes->bytes, bytes->size);
}

struct drop_walk {
    const struct state_drop *drop;
    struct key_group_range groups; /* of the drop */
    struct state_iterator *iterator;
    uint32_t group;
    struct text from; /* of the drop in the group */
    struct text to;
};

static void walk_group(struct drop_walk *walk, uint32_t group)
{
    walk->group = group;
    group_bytes(group, &walk->drop->from, &walk->from);
    if (walk->drop->has_to)
        group_bytes(group, &walk->drop->to, &walk->to);
    else
        group_bytes(group + 1, NULL, &walk->to);
}

/* The next key group in which the database holds something of the drop. */
static bool walk_next(struct drop_walk *walk)
{
    uint32_t group = walk->group + 1;
    while (group <= walk->groups.last) {
        walk_group(walk, group);
        state_iterator_seek(walk->iterator, walk->from.bytes, walk->from.size);
        const char *key;
        const char *value;
        size_t key_size;
        size_t value_size;
        if (!state_iterator_get(walk->iterator, &key, &key_size, &value, &value_size))
            return false;
        if (state_compare_bytes(key, key_size, walk->to.bytes, walk->to.size) < 0)
            return true;
        const uint32_t found =
            key_size < GROUP_SIZE ? group : (uint32_t)(uint8_t)key[0] << 8 | (uint8_t)key[1];
        group = found > group ? found : group + 1;
    }
    return false;
}

enum status state_drops_write(struct state_backend *backend, const struct write_list *list,
                              struct state_file_writer *writer, struct error *err)
{
    if (list->drop_count == 0)
        return STATUS_OK;
    struct drop_walk walk = {0};
    walk.iterator = state_iterator_create(backend->database, list->table->column);
    text_init(&walk.from, SIZE_MAX / 4);
    text_init(&walk.to, SIZE_MAX / 4);
    enum status status = STATUS_OK;
    for (size_t d = 0; d < list->drop_count && status == STATUS_OK; d++) {
        walk.drop = list->drops[d];
        walk.groups = backend->config.key_groups;
        if (walk.drop->group >= 0)
            walk.groups.first = walk.groups.last = (uint32_t)walk.drop->group;
        walk.group = walk.groups.first - 1U;
        while (status == STATUS_OK && walk_next(&walk))
            status = state_file_writer_delete_range(writer, walk.from.bytes, walk.from.size,
                                                    walk.to.bytes, walk.to.size, err);
        if (status == STATUS_OK)
            status = state_iterator_status(walk.iterator, err);
    }
    text_done(&walk.from);
    text_done(&walk.to);
    state_iterator_destroy(walk.iterator);
    return status;
}

/* Only in groups that hold much: most windows are small parts of files, which compaction clears. */
enum status state_drops_delete_files(struct state_backend *backend, const struct write_list *list,
                                     struct error *err)
{
    /* Without key columns the end of a range may be a key. */
    if (list->drop_count == 0 || list->table->descriptor.key_count == 0)
        return STATUS_OK;
    struct drop_walk walk = {.groups = backend->config.key_groups};
    text_init(&walk.from, SIZE_MAX / 4);
    text_init(&walk.to, SIZE_MAX / 4);
    enum status status = STATUS_OK;
    for (size_t d = 0; d < list->drop_count && status == STATUS_OK; d++) {
        walk.drop = list->drops[d];
        uint64_t size = 0;
        for (uint32_t g = walk.groups.first; g <= walk.groups.last && status == STATUS_OK; g++) {
            walk_group(&walk, g);
            status = state_database_delete_files(backend->database, list->table->column,
                                                 walk.from.bytes, walk.from.size, walk.to.bytes,
                                                 walk.to.size, &size, err);
        }
        /* Ranges without a beginning take in what was dropped before. */
        if (status == STATUS_OK)
            status = state_database_note_deleted(backend->database, list->table->column, size,
                                                 walk.drop->from.size > 0, err);
    }
    text_done(&walk.from);
    text_done(&walk.to);
    return status;
}
