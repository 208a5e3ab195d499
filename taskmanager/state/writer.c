/* The ordered write queue: sets become sorted files, files enter the database, marks become hard
 * links. Served by one thread of the backend, which is the only one that writes to the database. */
#include "common/base/allocate.h"
#include "taskmanager/state/key_run.h"

#include <errno.h>
#include <sys/stat.h>

/* Entries encoded while the worker is kept from changing captured ones. */
#define CAPTURE_COUNT 32

void state_queue_push(struct state_backend *backend, struct write_set *set)
{
    (void)pthread_mutex_lock(&backend->queue_lock);
    if (backend->queue_last != NULL)
        backend->queue_last->next = set;
    else
        backend->queue = set;
    backend->queue_last = set;
    (void)pthread_cond_broadcast(&backend->queue_changed);
    (void)pthread_mutex_unlock(&backend->queue_lock);
}

static void wake(struct state_backend *backend)
{
    if (backend->config.wake != NULL)
        backend->config.wake(backend->config.wake_context);
}

void state_backend_fail(struct state_backend *backend, const struct error *err)
{
    (void)pthread_mutex_lock(&backend->queue_lock);
    if (backend->failure.code == STATUS_OK)
        backend->failure = *err;
    (void)pthread_mutex_unlock(&backend->queue_lock);
    atomic_store(&backend->has_failed, true);
    wake(backend);
}

enum step state_backend_failed(struct state_backend *backend, struct error *err)
{
    (void)pthread_mutex_lock(&backend->queue_lock);
    if (err != NULL)
        *err = backend->failure;
    (void)pthread_mutex_unlock(&backend->queue_lock);
    return STEP_FAILED;
}

/* ---- one list of a set ---- */

struct list_writer {
    struct state_backend *backend;
    struct write_set *set;
    struct state_table *table;
    struct state_file_writer *file;
    struct key_run run;
    struct text values[CAPTURE_COUNT];
};

static enum status write_run(struct list_writer *writer, struct error *err)
{
    const char *bytes[CAPTURE_COUNT];
    size_t sizes[CAPTURE_COUNT];
    for (size_t at = 0; at < writer->run.count; at += CAPTURE_COUNT) {
        const size_t left = writer->run.count - at;
        const size_t count = left < CAPTURE_COUNT ? left : CAPTURE_COUNT;
        (void)pthread_mutex_lock(&writer->backend->capture_lock);
        for (size_t i = 0; i < count; i++) {
            text_clear(&writer->values[i]);
            write_set_value(writer->set, writer->table, writer->run.items[at + i].entry,
                            &writer->values[i], &bytes[i], &sizes[i]);
        }
        (void)pthread_mutex_unlock(&writer->backend->capture_lock);
        for (size_t i = 0; i < count; i++) {
            const char *key = key_run_key(&writer->run, at + i);
            const uint32_t key_size = writer->run.items[at + i].size;
            if (bytes[i] != NULL)
                TRY(state_file_writer_put(writer->file, key, key_size, bytes[i], sizes[i], err));
            else
                TRY(state_file_writer_delete(writer->file, key, key_size, err));
        }
    }
    return STATUS_OK;
}

static enum status write_groups(struct list_writer *writer, struct entry **entries, size_t count,
                                struct error *err)
{
    while (count > 0) {
        const size_t group = key_run_group_size(writer->table, entries, count);
        key_run_load(&writer->run, writer->table, entries, group);
        TRY(write_run(writer, err));
        entries += group;
        count -= group;
    }
    return state_file_writer_finish(writer->file, err);
}

static enum status write_list(struct state_backend *backend, struct write_set *set,
                              struct write_list *list, struct error *err)
{
    key_run_sort_by_group(list->table, list->entries, &list->count);
    if (list->count == 0 && list->drop_count == 0)
        return STATUS_OK;
    struct list_writer writer = {.backend = backend, .set = set, .table = list->table};
    SCOPED_TEXT char *path = format_text("%s/new-%llu.sst", backend->config.directory,
                                         (unsigned long long)backend->next_file++);
    TRY(state_file_writer_create(backend->database, list->table->column, path, &writer.file, err));
    key_run_init(&writer.run);
    for (int i = 0; i < CAPTURE_COUNT; i++)
        text_init(&writer.values[i], SIZE_MAX / 4);
    enum status status = state_drops_write(backend, list, writer.file, err);
    if (status == STATUS_OK)
        status = write_groups(&writer, list->entries, list->count, err);
    if (status == STATUS_OK)
        status = state_drops_delete_files(backend, list, err);
    for (int i = 0; i < CAPTURE_COUNT; i++)
        text_done(&writer.values[i]);
    key_run_done(&writer.run);
    state_file_writer_destroy(writer.file);
    atomic_fetch_add(&backend->written_files, 1);
    return status == STATUS_OK ? STATUS_OK
                               : error_wrap(err, status, "operator %s, state %s",
                                            list->table->owner->uid, list->table->descriptor.name);
}

/* ---- sets ---- */

static enum status write_mark(struct state_backend *backend, struct write_set *set,
                              struct error *err)
{
    struct snapshot_work *work = set->work;
    if (backend->config.kind == STATE_BACKEND_MEMORY) {
        if (mkdir(work->directory, 0700) != 0)
            return error_set_errno(err, errno, "make directory %s", work->directory);
        SCOPED_TEXT char *path = format_text("%s/memory.state", work->directory);
        TRY(state_memory_write(backend, set, path, err));
        work->result.handle.key_count = set->entry_count;
        return STATUS_OK;
    }
    if (atomic_load(&work->is_aborted))
        return STATUS_OK;
    TRY(state_database_checkpoint(backend->database, work->directory, err));
    work->result.handle.key_count = state_database_key_count(backend->database);
    work->result.handle.byte_count = state_database_byte_count(backend->database);
    return STATUS_OK;
}

static void write_set(struct state_backend *backend, struct write_set *set)
{
    struct error err = {.code = STATUS_OK};
    enum status status = STATUS_OK;
    if (backend->config.kind == STATE_BACKEND_ROCKSDB) {
        for (size_t i = 0; i < set->list_count && status == STATUS_OK; i++)
            status = write_list(backend, set, &set->lists[i], &err);
    }
    if (set->work != NULL) {
        if (status == STATUS_OK)
            status = write_mark(backend, set, &err);
        set->work->result.status = status;
        set->work->result.err = err;
        state_snapshot_to_upload(backend, set->work);
    }
    if (status != STATUS_OK)
        state_backend_fail(backend, &err);
    /* After a failure entries of the set are still dirty: they must not be released as clean. */
    else
        atomic_store_explicit(&set->is_written, true, memory_order_release);
    wake(backend);
}

static void *write_thread(void *context)
{
    struct state_backend *backend = context;
    (void)pthread_mutex_lock(&backend->queue_lock);
    for (;;) {
        while (backend->queue == NULL && !backend->is_stopping)
            (void)pthread_cond_wait(&backend->queue_changed, &backend->queue_lock);
        if (backend->is_stopping)
            break;
        struct write_set *set = backend->queue;
        backend->queue = set->next;
        if (backend->queue == NULL)
            backend->queue_last = NULL;
        (void)pthread_mutex_unlock(&backend->queue_lock);
        /* Once a write failed nothing may follow it. */
        if (!atomic_load(&backend->has_failed))
            write_set(backend, set);
        else if (set->work != NULL) {
            (void)state_backend_failed(backend, &set->work->result.err);
            set->work->result.status = set->work->result.err.code;
            state_snapshot_to_upload(backend, set->work);
        }
        (void)pthread_mutex_lock(&backend->queue_lock);
    }
    (void)pthread_mutex_unlock(&backend->queue_lock);
    return NULL;
}

enum status state_threads_start(struct state_backend *backend, struct error *err)
{
    if (backend->has_threads)
        return STATUS_OK;
    int failed = pthread_create(&backend->writer, NULL, write_thread, backend);
    if (failed != 0)
        return error_set_errno(err, failed, "start the thread that writes state");
    failed = pthread_create(&backend->uploader, NULL, state_upload_thread, backend);
    backend->has_threads = true;
    if (failed != 0) {
        (void)pthread_mutex_lock(&backend->queue_lock);
        backend->is_stopping = true;
        (void)pthread_cond_broadcast(&backend->queue_changed);
        (void)pthread_mutex_unlock(&backend->queue_lock);
        (void)pthread_join(backend->writer, NULL);
        backend->has_threads = false;
        return error_set_errno(err, failed, "start the thread that uploads state");
    }
    return STATUS_OK;
}

void state_threads_stop(struct state_backend *backend)
{
    if (!backend->has_threads)
        return;
    (void)pthread_mutex_lock(&backend->queue_lock);
    backend->is_stopping = true;
    if (backend->current != NULL)
        atomic_store(&backend->current->is_aborted, true);
    (void)pthread_cond_broadcast(&backend->queue_changed);
    (void)pthread_mutex_unlock(&backend->queue_lock);
    (void)pthread_join(backend->writer, NULL);
    (void)pthread_mutex_lock(&backend->queue_lock);
    backend->is_upload_stopping = true;
    (void)pthread_cond_broadcast(&backend->queue_changed);
    (void)pthread_mutex_unlock(&backend->queue_lock);
    (void)pthread_join(backend->uploader, NULL);
    backend->has_threads = false;
}
