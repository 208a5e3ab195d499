/* Snapshots from the mark to durable files: begin and result on the worker, upload on a thread. */
#include "common/base/allocate.h"
#include "taskmanager/state/parts.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#define META_BYTES_MAX ((size_t)1 << 30)
/* Checkpoints in a row that complete here and fail elsewhere. */
#define BASE_COUNT_MAX 64

static void handle_done(struct keyed_state_handle *handle)
{
    free(handle->backend);
    free(handle->meta);
    for (size_t i = 0; i < handle->file_count; i++) {
        free(handle->files[i].path);
        free(handle->files[i].name);
    }
    free(handle->files);
    *handle = (struct keyed_state_handle){0};
}

static void copy_files(struct keyed_state_handle *to, const struct keyed_state_handle *from)
{
    to->files = allocate_array(from->file_count + 1, sizeof(*to->files));
    to->file_count = from->file_count;
    for (size_t i = 0; i < from->file_count; i++) {
        to->files[i] = from->files[i];
        to->files[i].path = copy_text(from->files[i].path);
        to->files[i].name = copy_text(from->files[i].name);
    }
}

void snapshot_work_destroy(struct snapshot_work *work)
{
    if (work == NULL)
        return;
    handle_done(&work->base);
    handle_done(&work->result.handle);
    free(work->directory);
    free(work);
}

/* ---- what the handle says ---- */

static void describe_table(const struct state_table *table, struct state_meta_entry *entry)
{
    const uint32_t count = table->codec.version_count;
    *entry = (struct state_meta_entry){
        .uid = copy_text(table->owner->uid),
        .name = copy_text(table->descriptor.name),
        .kind = (uint8_t)table->descriptor.kind,
        .order = (uint8_t)table->descriptor.order,
        .is_timers = table->is_timers,
        .ttl_ms = table->descriptor.ttl_ms,
        .keys = schema_ref(table->keys),
        .subkeys = schema_ref(table->subkeys),
        .values = allocate_array(count + 1, sizeof(struct schema *)),
        .value_count = count,
    };
    for (uint32_t i = 0; i < count; i++)
        entry->values[i] = schema_ref(table->codec.versions[i].schema);
}

static void copy_entry(const struct state_meta_entry *from, struct state_meta_entry *entry)
{
    *entry = *from;
    entry->uid = copy_text(from->uid);
    entry->name = copy_text(from->name);
    entry->keys = schema_ref(from->keys);
    entry->subkeys = schema_ref(from->subkeys);
    entry->values = allocate_array(from->value_count + 1, sizeof(struct schema *));
    for (uint32_t i = 0; i < from->value_count; i++)
        entry->values[i] = schema_ref(from->values[i]);
}

/* The order of the tables is that of the records in a memory file. States of the checkpoint that no
 * operator has registered stay in the database, and so in the description. */
static void describe(const struct state_backend *backend, struct keyed_state_handle *handle)
{
    struct state_meta meta = {.max_parallelism = backend->config.max_parallelism};
    meta.entries =
        allocate_array(backend->table_count + backend->restored.count + 1, sizeof(*meta.entries));
    for (size_t i = 0; i < backend->table_count; i++)
        describe_table(backend->tables[i], &meta.entries[meta.count++]);
    for (uint32_t i = 0; backend->database != NULL && i < backend->restored.count; i++) {
        const struct state_meta_entry *old = &backend->restored.entries[i];
        if (state_meta_find(&meta, old->uid, old->name) == NULL)
            copy_entry(old, &meta.entries[meta.count++]);
    }
    struct text SCOPED_TEXT_BUFFER bytes;
    text_init(&bytes, META_BYTES_MAX);
    state_meta_encode(&meta, &bytes);
    handle->meta_size = bytes.size;
    handle->meta = text_take(&bytes);
    handle->backend = copy_text(backend->database != NULL ? "rocksdb" : "memory");
    handle->key_groups = backend->config.key_groups;
    state_meta_done(&meta);
}

/* ---- worker ---- */

static const struct snapshot_base *find_base(const struct state_backend *backend,
                                             struct checkpoint_id checkpoint)
{
    for (size_t i = 0; i < backend->base_count; i++) {
        if (checkpoint.value != 0 && backend->bases[i].checkpoint.value == checkpoint.value)
            return &backend->bases[i];
    }
    return NULL;
}

enum status state_backend_begin_snapshot(struct state_backend *backend,
                                         struct checkpoint_id checkpoint,
                                         struct checkpoint_id newest_completed, struct error *err)
{
    CHECK(backend->current == NULL);
    const int64_t begun_us = clock_now_us(backend->config.clock);
    if (backend->config.store == NULL)
        return error_set(err, STATUS_UNSUPPORTED, "no checkpoint storage is configured");
    if (atomic_load(&backend->has_failed)) {
        (void)state_backend_failed(backend, err);
        return backend->failure.code;
    }
    struct snapshot_work *work = allocate(sizeof(*work));
    work->checkpoint = checkpoint;
    work->result.checkpoint = checkpoint;
    work->result.begun_us = begun_us;
    work->directory = format_text("%s/checkpoint-%llu", backend->config.directory,
                                  (unsigned long long)checkpoint.value);
    const struct snapshot_base *base = find_base(backend, newest_completed);
    if (base != NULL && backend->database != NULL)
        copy_files(&work->base, &base->handle);
    describe(backend, &work->result.handle);
    (void)pthread_mutex_lock(&backend->queue_lock);
    backend->current = work;
    (void)pthread_mutex_unlock(&backend->queue_lock);
    state_mark(backend, work);
    backend->pause_us = clock_now_us(backend->config.clock) - begun_us;
    return STATUS_OK;
}

/* The first may be that of the newest completed checkpoint. One that is missing costs a whole
 * upload. */
static void forget_second_base(struct state_backend *backend)
{
    handle_done(&backend->bases[1].handle);
    backend->base_count--;
    memmove(&backend->bases[1], &backend->bases[2],
            (backend->base_count - 1) * sizeof(*backend->bases));
}

bool state_backend_poll_snapshot(struct state_backend *backend, struct state_snapshot *ret_snapshot)
{
    (void)pthread_mutex_lock(&backend->queue_lock);
    struct snapshot_work *work = backend->current;
    const bool is_done = work != NULL && work->is_done;
    if (is_done)
        backend->current = NULL;
    (void)pthread_mutex_unlock(&backend->queue_lock);
    if (!is_done)
        return false;
    if (work->result.status != STATUS_OK)
        handle_done(&work->result.handle);
    *ret_snapshot = work->result;
    ret_snapshot->pause_us = backend->pause_us;
    if (work->result.status == STATUS_OK && backend->database != NULL) {
        if (backend->base_count == BASE_COUNT_MAX)
            forget_second_base(backend);
        struct snapshot_base *base =
            &array_push(backend->bases, backend->base_count, backend->base_capacity);
        base->checkpoint = work->checkpoint;
        copy_files(&base->handle, &work->result.handle);
    }
    work->result.handle = (struct keyed_state_handle){0};
    snapshot_work_destroy(work);
    return true;
}

void state_backend_checkpoint_completed(struct state_backend *backend,
                                        struct checkpoint_id checkpoint)
{
    size_t kept = 0;
    for (size_t i = 0; i < backend->base_count; i++) {
        if (backend->bases[i].checkpoint.value >= checkpoint.value)
            backend->bases[kept++] = backend->bases[i];
        else
            handle_done(&backend->bases[i].handle);
    }
    backend->base_count = kept;
}

/* ---- upload thread ---- */

static void remove_uploads(struct state_backend *backend, struct snapshot_work *work)
{
    /* Never acknowledged: nobody else can know these files. */
    struct file_store *store = backend->config.store;
    struct error ignored;
    for (size_t i = 0; i < work->result.handle.file_count; i++) {
        const struct state_file *file = &work->result.handle.files[i];
        bool is_base = false;
        for (size_t j = 0; j < work->base.file_count && !is_base; j++)
            is_base = strcmp(work->base.files[j].path, file->path) == 0;
        if (is_base)
            continue;
        SCOPED_TEXT char *path = format_text("%s/%s", backend->config.store_prefix, file->path);
        (void)store->ops->remove(store, path, &ignored);
    }
}

static void remove_directory(const char *directory)
{
    DIR *entries = opendir(directory);
    if (entries == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        SCOPED_TEXT char *path = format_text("%s/%s", directory, entry->d_name);
        if (entry->d_name[0] != '.')
            (void)unlink(path);
    }
    (void)closedir(entries);
    (void)rmdir(directory);
}

static void finish(struct state_backend *backend, struct snapshot_work *work)
{
    remove_directory(work->directory);
    work->result.durable_us = clock_now_us(backend->config.clock);
    if (work->result.status != STATUS_OK)
        remove_uploads(backend, work);
    (void)pthread_mutex_lock(&backend->queue_lock);
    const bool is_dropped = atomic_load(&work->is_aborted);
    work->is_done = true;
    (void)pthread_mutex_unlock(&backend->queue_lock);
    /* From here on work belongs to the worker unless it was dropped. */
    if (is_dropped) {
        remove_uploads(backend, work);
        snapshot_work_destroy(work);
    } else if (backend->config.wake != NULL) {
        backend->config.wake(backend->config.wake_context);
    }
}

void state_backend_abort_snapshot(struct state_backend *backend, struct checkpoint_id checkpoint)
{
    (void)pthread_mutex_lock(&backend->queue_lock);
    struct snapshot_work *work = backend->current;
    if (work == NULL || work->checkpoint.value != checkpoint.value) {
        (void)pthread_mutex_unlock(&backend->queue_lock);
        return;
    }
    backend->current = NULL;
    const bool is_done = work->is_done;
    atomic_store(&work->is_aborted, true);
    (void)pthread_mutex_unlock(&backend->queue_lock);
    if (is_done) {
        /* The upload thread has let go of it: it goes there once more, to be removed. */
        state_snapshot_to_upload(backend, work);
    }
}

static bool ends_with(const char *text, const char *end)
{
    const size_t text_size = strlen(text);
    const size_t end_size = strlen(end);
    return text_size >= end_size && strcmp(text + text_size - end_size, end) == 0;
}

static const struct state_file *find_file(const struct keyed_state_handle *handle, const char *name)
{
    for (size_t i = 0; i < handle->file_count; i++) {
        if (strcmp(handle->files[i].name, name) == 0)
            return &handle->files[i];
    }
    return NULL;
}

/* The names of uploads carry attempt and checkpoint: no path is ever written twice, so that nobody
 * who removes what an aborted checkpoint left can hit a later one. */
static enum status upload_file(struct state_backend *backend, struct snapshot_work *work,
                               const char *name, struct error *err)
{
    struct keyed_state_handle *handle = &work->result.handle;
    const bool is_shared = ends_with(name, ".sst");
    const struct state_file *known = is_shared ? find_file(&work->base, name) : NULL;
    struct state_file file = {.is_shared = is_shared};
    enum status status = STATUS_OK;
    if (known != NULL) {
        file = *known;
        file.path = copy_text(known->path);
    } else {
        const unsigned long long attempt = backend->config.attempt.value;
        const unsigned long long checkpoint = work->checkpoint.value;
        file.path = is_shared ? format_text("shared/%llu/%llu-%s", attempt, checkpoint, name)
                              : format_text("chk-%llu/%llu/%s", checkpoint, attempt, name);
        SCOPED_TEXT char *local = format_text("%s/%s", work->directory, name);
        SCOPED_TEXT char *path = format_text("%s/%s", backend->config.store_prefix, file.path);
        status = backend->config.store->ops->upload(backend->config.store, local, path,
                                                    &file.crc32c, &file.size, err);
        work->result.uploaded_bytes += file.size;
    }
    file.name = copy_text(name);
    handle->files = reallocate_array(handle->files, handle->file_count + 1, sizeof(*handle->files));
    handle->files[handle->file_count++] = file;
    return status;
}

static enum status upload_directory(struct state_backend *backend, struct snapshot_work *work,
                                    struct error *err)
{
    DIR *entries = opendir(work->directory);
    if (entries == NULL)
        return error_set_errno(err, errno, "open directory %s", work->directory);
    enum status status = STATUS_OK;
    for (const struct dirent *entry; status == STATUS_OK && (entry = readdir(entries)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        if (atomic_load(&work->is_aborted))
            break;
        status = upload_file(backend, work, entry->d_name, err);
    }
    (void)closedir(entries);
    return status;
}

static void upload(struct state_backend *backend, struct snapshot_work *work)
{
    if (work->result.status == STATUS_OK && !atomic_load(&work->is_aborted)) {
        work->result.status = upload_directory(backend, work, &work->result.err);
        if (work->result.status != STATUS_OK)
            (void)error_wrap(&work->result.err, work->result.status, "checkpoint %llu",
                             (unsigned long long)work->checkpoint.value);
        uint64_t sum = 0;
        for (size_t i = 0; i < work->result.handle.file_count; i++)
            sum += work->result.handle.files[i].size;
        work->result.handle.byte_count = sum;
    }
    finish(backend, work);
}

void state_snapshot_to_upload(struct state_backend *backend, struct snapshot_work *work)
{
    (void)pthread_mutex_lock(&backend->queue_lock);
    struct snapshot_work **last = &backend->uploads;
    while (*last != NULL)
        last = &(*last)->next;
    work->next = NULL;
    *last = work;
    (void)pthread_cond_broadcast(&backend->queue_changed);
    (void)pthread_mutex_unlock(&backend->queue_lock);
}

void *state_upload_thread(void *context)
{
    struct state_backend *backend = context;
    (void)pthread_mutex_lock(&backend->queue_lock);
    for (;;) {
        while (backend->uploads == NULL && !backend->is_upload_stopping)
            (void)pthread_cond_wait(&backend->queue_changed, &backend->queue_lock);
        struct snapshot_work *work = backend->uploads;
        if (work == NULL)
            break;
        backend->uploads = work->next;
        (void)pthread_mutex_unlock(&backend->queue_lock);
        upload(backend, work);
        (void)pthread_mutex_lock(&backend->queue_lock);
    }
    (void)pthread_mutex_unlock(&backend->queue_lock);
    return NULL;
}
