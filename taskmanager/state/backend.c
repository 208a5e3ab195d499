/* Creating, restoring and ending a backend: see backend.h. */
#include "taskmanager/state/backend.h"

#include "common/base/allocate.h"
#include "taskmanager/state/parts.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUEUE_BYTES_MIN    ((uint64_t)64 << 10)
#define CACHE_BYTES_MIN    ((uint64_t)64 << 10)
#define MEMORY_FILE_MAX    ((size_t)64 << 30)
#define DATABASE_DIRECTORY "db"

static const char *kind_name(enum state_backend_kind kind)
{
    return kind == STATE_BACKEND_ROCKSDB ? "rocksdb" : "memory";
}

/* The local directory, through the same code that checkpoint storage uses. */
static enum status empty_directory(const char *directory, struct error *err)
{
    struct file_store *store;
    SCOPED_TEXT char *parent = copy_text(directory);
    char *slash = strrchr(parent, '/');
    if (slash == NULL || slash == parent || slash[1] == '\0')
        return error_set(err, STATUS_INVALID, "\"%s\" is no directory for state", directory);
    *slash = '\0';
    TRY(file_store_local_create(parent, &store, err));
    const enum status status = store->ops->remove_tree(store, slash + 1, err);
    store->ops->destroy(store);
    return status;
}

static enum status open_database(struct state_backend *backend, struct error *err)
{
    SCOPED_TEXT char *path = format_text("%s/" DATABASE_DIRECTORY, backend->config.directory);
    return state_database_open(path, backend->config.block_cache, backend->config.clock,
                               &backend->database, err);
}

enum status state_backend_create(const struct state_backend_config *config,
                                 struct state_backend **ret_backend, struct error *err)
{
    CHECK(config->max_parallelism > 0 && config->max_parallelism <= MAX_PARALLELISM_MAX);
    TRY(empty_directory(config->directory, err));
    if (mkdir(config->directory, 0700) != 0)
        return error_set_errno(err, errno, "make directory %s", config->directory);
    struct state_backend *backend = allocate(sizeof(*backend));
    backend->config = *config;
    backend->config.directory = copy_text(config->directory);
    backend->config.store_prefix =
        copy_text(config->store_prefix == NULL ? "state" : config->store_prefix);
    if (backend->config.queue_bytes < QUEUE_BYTES_MIN)
        backend->config.queue_bytes = QUEUE_BYTES_MIN;
    if (backend->config.cache_bytes < CACHE_BYTES_MIN)
        backend->config.cache_bytes = CACHE_BYTES_MIN;
    arena_init(&backend->arena, config->account);
    text_init(&backend->memory_captured, SIZE_MAX / 4);
    text_init(&backend->restored_memory, MEMORY_FILE_MAX);
    backend->epoch = 1;
    backend->last_number = 1;
    (void)pthread_mutex_init(&backend->capture_lock, NULL);
    (void)pthread_mutex_init(&backend->queue_lock, NULL);
    (void)pthread_cond_init(&backend->queue_changed, NULL);
    enum status status = state_threads_start(backend, err);
    if (status == STATUS_OK && config->kind == STATE_BACKEND_ROCKSDB)
        status = open_database(backend, err);
    if (status != STATUS_OK) {
        state_backend_destroy(backend);
        return status;
    }
    *ret_backend = backend;
    return STATUS_OK;
}

static void destroy_sets(struct state_backend *backend)
{
    write_set_destroy(backend->open_set);
    /* Every set in the queue is in flight too. A mark that was never written has no uploader. */
    for (const struct write_set *set = backend->queue; set != NULL; set = set->next)
        snapshot_work_destroy(set->work);
    while (backend->flight != NULL) {
        struct write_set *next = backend->flight->next_flight;
        write_set_destroy(backend->flight);
        backend->flight = next;
    }
}

/* A finished snapshot that nobody has asked for was not acknowledged. */
static void give_up_snapshot(struct state_backend *backend)
{
    if (backend->current != NULL)
        state_backend_abort_snapshot(backend, backend->current->checkpoint);
}

void state_backend_destroy(struct state_backend *backend)
{
    if (backend == NULL)
        return;
    give_up_snapshot(backend);
    state_threads_stop(backend);
    destroy_sets(backend);
    for (size_t i = 0; i < backend->table_count; i++)
        state_table_destroy(backend->tables[i]);
    free(backend->tables);
    for (size_t i = 0; i < backend->operator_count; i++) {
        state_timers_done(backend->operators[i]);
        free(backend->operators[i]->uid);
        free(backend->operators[i]);
    }
    free(backend->operators);
    state_database_close(backend->database);
    arena_done(&backend->arena);
    state_meta_done(&backend->restored);
    text_done(&backend->memory_captured);
    text_done(&backend->restored_memory);
    state_backend_checkpoint_completed(backend, (struct checkpoint_id){UINT64_MAX});
    free(backend->bases);
    (void)pthread_mutex_destroy(&backend->capture_lock);
    (void)pthread_mutex_destroy(&backend->queue_lock);
    (void)pthread_cond_destroy(&backend->queue_changed);
    struct error ignored;
    (void)empty_directory(backend->config.directory, &ignored);
    free((char *)backend->config.directory);
    free((char *)backend->config.store_prefix);
    free(backend);
}

/* ---- restore ---- */

static enum status check_handle(const struct state_backend *backend,
                                const struct keyed_state_handle *handle, struct error *err)
{
    const char *kind = kind_name(backend->config.kind);
    if (strcmp(handle->backend, kind) != 0)
        return error_set(err, STATUS_UNSUPPORTED,
                         "the checkpoint was written with state.backend.type %s and cannot be "
                         "restored with %s: set state.backend.type: %s",
                         handle->backend, kind, handle->backend);
    const struct key_group_range mine = backend->config.key_groups;
    if (handle->key_groups.first != mine.first || handle->key_groups.last != mine.last)
        return error_set(
            err, STATUS_UNSUPPORTED,
            "the checkpoint's state holds key groups %u to %u, this subtask owns %u to "
            "%u: rescaling is not supported yet, restore with the parallelism of the "
            "checkpoint",
            handle->key_groups.first, handle->key_groups.last, mine.first, mine.last);
    if (backend->restored.max_parallelism != backend->config.max_parallelism)
        return error_set(
            err, STATUS_UNSUPPORTED,
            "the checkpoint has max parallelism %u, the job %u: it cannot change while "
            "state is kept",
            backend->restored.max_parallelism, backend->config.max_parallelism);
    return STATUS_OK;
}

static bool is_plain_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

static enum status download_files(const struct state_backend *backend,
                                  const struct keyed_state_handle *handle, const char *directory,
                                  struct error *err)
{
    struct file_store *store = backend->config.store;
    if (mkdir(directory, 0700) != 0)
        return error_set_errno(err, errno, "make directory %s", directory);
    for (size_t i = 0; i < handle->file_count; i++) {
        const struct state_file *file = &handle->files[i];
        if (!is_plain_name(file->name))
            return error_set(err, STATUS_CORRUPT, "\"%s\" is no name of a state file", file->name);
        SCOPED_TEXT char *local = format_text("%s/%s", directory, file->name);
        SCOPED_TEXT char *path = format_text("%s/%s", backend->config.store_prefix, file->path);
        const enum status status =
            store->ops->download(store, path, local, file->crc32c, file->size, err);
        if (status != STATUS_OK)
            return error_wrap(err, status, "restore state file %s", file->path);
    }
    return STATUS_OK;
}

static enum status restore_memory(struct state_backend *backend, const char *directory,
                                  struct error *err)
{
    struct file_store *local;
    TRY(file_store_local_create(directory, &local, err));
    enum status status = local->ops->get(local, "memory.state", &backend->restored_memory, err);
    if (status == STATUS_OK)
        status = local->ops->remove(local, "memory.state", err);
    local->ops->destroy(local);
    return status == STATUS_OK ? state_memory_check(&backend->restored_memory, err) : status;
}

static void remember_base(struct state_backend *backend, const struct keyed_state_handle *handle,
                          struct checkpoint_id checkpoint)
{
    struct task_state copied;
    const struct task_state from = {.keyed = *handle};
    task_state_copy(&copied, &from);
    struct snapshot_base *base =
        &array_push(backend->bases, backend->base_count, backend->base_capacity);
    base->checkpoint = checkpoint;
    base->handle = copied.keyed;
}

enum status state_backend_restore(struct state_backend *backend,
                                  const struct keyed_state_handle *handle,
                                  struct checkpoint_id checkpoint, struct error *err)
{
    CHECK(backend->table_count == 0 && backend->restored.count == 0);
    if (handle->backend == NULL)
        return STATUS_OK;
    if (backend->config.store == NULL)
        return error_set(err, STATUS_UNSUPPORTED, "no checkpoint storage is configured");
    TRY(state_meta_decode(handle->meta, handle->meta_size, &backend->restored, err));
    TRY(check_handle(backend, handle, err));
    state_database_close(backend->database);
    backend->database = NULL;
    SCOPED_TEXT char *directory = format_text("%s/" DATABASE_DIRECTORY, backend->config.directory);
    struct file_store *local;
    TRY(file_store_local_create(backend->config.directory, &local, err));
    const enum status removed = local->ops->remove_tree(local, DATABASE_DIRECTORY, err);
    local->ops->destroy(local);
    TRY(removed);
    TRY(download_files(backend, handle, directory, err));
    if (backend->config.kind == STATE_BACKEND_MEMORY)
        return restore_memory(backend, directory, err);
    TRY(open_database(backend, err));
    remember_base(backend, handle, checkpoint);
    return STATUS_OK;
}

/* ---- operators ---- */

static enum status register_state(struct keyed_state *keyed,
                                  const struct state_descriptor *descriptor,
                                  struct state **ret_state, struct error *err)
{
    struct keyed_operator *owner = (struct keyed_operator *)keyed;
    struct state_table *table;
    TRY(state_table_create(owner, descriptor, false, &table, err));
    *ret_state = &table->base;
    return STATUS_OK;
}

static const struct keyed_state_ops keyed_ops = {
    .register_state = register_state,
    .set_timer = state_set_timer,
    .delete_timer = state_delete_timer,
};

enum status state_backend_operator(struct state_backend *backend, const char *uid,
                                   struct keyed_state **ret_keyed, struct error *err)
{
    for (size_t i = 0; i < backend->operator_count; i++) {
        if (strcmp(backend->operators[i]->uid, uid) == 0) {
            *ret_keyed = &backend->operators[i]->base;
            return STATUS_OK;
        }
    }
    struct keyed_operator *owner = allocate(sizeof(*owner));
    owner->base.ops = &keyed_ops;
    owner->backend = backend;
    owner->uid = copy_text(uid);
    text_init(&owner->popped, SIZE_MAX / 4);
    text_init(&owner->subkey, SIZE_MAX / 4);
    array_push(backend->operators, backend->operator_count, backend->operator_capacity) = owner;
    TRY(state_timers_restore(owner, err));
    *ret_keyed = &owner->base;
    return STATUS_OK;
}

void state_backend_metrics(const struct state_backend *backend, struct state_metrics *ret_metrics)
{
    struct state_metrics metrics = {
        .cache_bytes = backend->arena.used_bytes,
        .cache_hits = backend->cache_hits,
        .cache_misses = backend->cache_misses,
        .queue_bytes = backend->flight_bytes,
        .evicted_entries = backend->evicted_entries,
        .written_files = atomic_load(&backend->written_files),
        .pause_us = backend->pause_us,
        .byte_count = backend->arena.used_bytes,
    };
    uint64_t cached = 0;
    for (size_t i = 0; i < backend->table_count; i++)
        cached += backend->tables[i]->table.entry_count;
    metrics.entry_count = cached;
    if (backend->database != NULL) {
        /* What the cache holds is mostly in the database too. */
        const uint64_t stored = state_database_key_count(backend->database);
        metrics.entry_count = stored > cached ? stored : cached;
        metrics.byte_count += state_database_byte_count(backend->database);
    }
    *ret_metrics = metrics;
}
