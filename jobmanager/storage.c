/* Executes the core's storage requests: see storage.h. */
#include "jobmanager/storage.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/text.h"

#include <pthread.h>
#include <string.h>

struct queued_request {
    struct queued_request *next;
    struct storage_request request;
};

struct lane_thread {
    struct storage *storage;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct queued_request *first;
    struct queued_request *last;
    bool is_stopped;
};

struct storage {
    struct file_store *job_store;
    struct file_store *checkpoint_store;
    const struct leader_lock *lock;
    storage_done done;
    void *context;
    struct lane_thread threads[STORAGE_THREADS];
};

void storage_result_destroy(struct storage_result *result)
{
    for (size_t i = 0; i < result->object_count; i++) {
        free(result->objects[i].path);
        free(result->objects[i].bytes);
    }
    free(result->objects);
    free(result);
}

static void request_done(struct storage_request *request)
{
    free(request->path);
    free(request->bytes);
    for (size_t i = 0; i < request->path_count; i++)
        free(request->paths[i]);
    free(request->paths);
}

/* ---- loading ---- */

struct load {
    struct file_store *store;
    const char *directory; /* "" at the root */
    struct storage_result *result;
};

static enum status get_object(struct file_store *store, const char *path,
                              struct storage_result *result, struct error *err)
{
    struct text bytes;
    text_init(&bytes, STORE_OBJECT_MAX);
    const enum status status = store->ops->get(store, path, &bytes, err);
    if (status == STATUS_OK && result->object_count == STORE_OBJECTS_MAX) {
        text_done(&bytes);
        return error_set(err, STATUS_LIMIT, "more than %d objects below the job store",
                         STORE_OBJECTS_MAX);
    }
    if (status == STATUS_OK) {
        struct core_object *object =
            &array_push(result->objects, result->object_count, result->object_capacity);
        object->path = copy_text(path);
        object->size = bytes.size;
        object->bytes = text_take(&bytes);
    }
    text_done(&bytes);
    return status;
}

static enum status load_entry(void *context, const char *name, bool is_directory, uint64_t size,
                              struct error *err)
{
    (void)size;
    const struct load *load = context;
    SCOPED_TEXT char *path =
        load->directory[0] != '\0' ? format_text("%s/%s", load->directory, name) : copy_text(name);
    if (!is_directory)
        return get_object(load->store, path, load->result, err);
    struct load below = {.store = load->store, .directory = path, .result = load->result};
    return load->store->ops->list(load->store, path, load_entry, &below, err);
}

/* ---- sweeping ---- */

struct sweep {
    struct file_store *store;
    const struct storage_request *request;
    const char *directory; /* under way: "<job>/chk-7" */
    const char *prefix;    /* of the directories looked for: "chk-", "" below shared/ */
    uint64_t below;        /* only directories with a lesser number */
    size_t kept_count;     /* entries that stay in the directory under way */
};

/* Named as a file, or by the directory it lies in. */
static bool is_kept(const struct storage_request *request, const char *path)
{
    for (size_t i = 0; i < request->path_count; i++) {
        const char *kept = request->paths[i];
        const size_t size = strlen(kept);
        if (size > 0 && kept[size - 1] == '/' ? strncmp(kept, path, size) == 0
                                              : strcmp(kept, path) == 0)
            return true;
    }
    return false;
}

static enum status sweep_file(void *context, const char *name, bool is_directory, uint64_t size,
                              struct error *err);

/* Empties one directory as far as nothing in it is kept, and removes it when it is empty. */
static enum status sweep_directory(const struct sweep *above, const char *directory,
                                   size_t *ret_kept_count, struct error *err)
{
    struct sweep below = *above;
    below.directory = directory;
    below.kept_count = 0;
    TRY(above->store->ops->list(above->store, directory, sweep_file, &below, err));
    *ret_kept_count = below.kept_count;
    if (below.kept_count > 0)
        return STATUS_OK;
    return above->store->ops->remove_tree(above->store, directory, err);
}

static enum status sweep_file(void *context, const char *name, bool is_directory, uint64_t size,
                              struct error *err)
{
    (void)size;
    struct sweep *sweep = context;
    SCOPED_TEXT char *path = format_text("%s/%s", sweep->directory, name);
    size_t kept_count = 0;
    if (is_directory) {
        TRY(sweep_directory(sweep, path, &kept_count, err));
    } else if (is_kept(sweep->request, path)) {
        kept_count = 1;
    } else {
        const enum status status = sweep->store->ops->remove(sweep->store, path, err);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND)
            return status;
    }
    sweep->kept_count += kept_count;
    return STATUS_OK;
}

/* "chk-12" with the prefix "chk-": 12. Anything else is not ours to touch. */
static bool number_of(const char *name, const char *prefix, uint64_t *ret_number)
{
    const size_t size = strlen(prefix);
    if (strncmp(name, prefix, size) != 0 || name[size] < '0' || name[size] > '9')
        return false;
    char *end = NULL;
    *ret_number = strtoull(name + size, &end, 10);
    return *end == '\0';
}

static enum status sweep_numbered(void *context, const char *name, bool is_directory, uint64_t size,
                                  struct error *err)
{
    (void)size;
    const struct sweep *sweep = context;
    uint64_t number = 0;
    if (!is_directory || !number_of(name, sweep->prefix, &number) || number >= sweep->below)
        return STATUS_OK;
    SCOPED_TEXT char *directory = format_text("%s/%s", sweep->directory, name);
    SCOPED_TEXT char *with_slash = format_text("%s/", directory);
    if (is_kept(sweep->request, with_slash))
        return STATUS_OK;
    size_t kept_count = 0;
    return sweep_directory(sweep, directory, &kept_count, err);
}

static enum status sweep_job(struct file_store *store, const struct storage_request *request,
                             struct error *err)
{
    struct sweep checkpoints = {.store = store,
                                .request = request,
                                .directory = request->path,
                                .prefix = "chk-",
                                .below = request->checkpoint_below};
    TRY(store->ops->list(store, request->path, sweep_numbered, &checkpoints, err));
    SCOPED_TEXT char *shared = format_text("%s/shared", request->path);
    struct sweep attempts = {.store = store,
                             .request = request,
                             .directory = shared,
                             .prefix = "",
                             .below = request->attempt_below};
    return store->ops->list(store, shared, sweep_numbered, &attempts, err);
}

/* ---- the requests ---- */

static enum status delete_paths(struct file_store *store, const struct storage_request *request,
                                struct error *err)
{
    enum status first_failure = STATUS_OK;
    for (size_t i = 0; i < request->path_count; i++) {
        struct error reason;
        const enum status status = store->ops->remove(store, request->paths[i], &reason);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND && first_failure == STATUS_OK)
            first_failure = error_set(err, status, "%s", reason.message);
    }
    return first_failure;
}

static enum status copy_paths(struct file_store *store, const struct storage_request *request,
                              struct error *err)
{
    for (size_t i = 0; i + 1 < request->path_count; i += 2)
        TRY(store->ops->copy(store, request->paths[i], request->paths[i + 1], err));
    return STATUS_OK;
}

static bool is_for_job_store(enum storage_kind kind)
{
    return kind == STORAGE_LOAD || kind == STORAGE_PUT_RECORD || kind == STORAGE_REMOVE_RECORDS;
}

static enum status execute_on(struct file_store *store, const struct storage_request *request,
                              struct storage_result *result, struct error *err)
{
    struct load load = {.store = store, .directory = request->path, .result = result};
    switch (request->kind) {
    case STORAGE_LOAD:
        return store->ops->list(store, request->path, load_entry, &load, err);
    case STORAGE_READ_METADATA:
        return get_object(store, request->path, result, err);
    case STORAGE_PUT_RECORD:
    case STORAGE_PUT_METADATA:
        return store->ops->put(store, request->path, request->bytes, request->size, false, err);
    case STORAGE_REMOVE_RECORDS:
    case STORAGE_DELETE_TREE:
        return store->ops->remove_tree(store, request->path, err);
    case STORAGE_DELETE:
        return delete_paths(store, request, err);
    case STORAGE_SWEEP:
        return sweep_job(store, request, err);
    case STORAGE_COPY:
        return copy_paths(store, request, err);
    }
    UNREACHABLE();
}

static struct storage_result *execute(struct storage *storage,
                                      const struct storage_request *request)
{
    struct storage_result *result = allocate(sizeof(*result));
    result->request = request->id;
    struct file_store *store =
        is_for_job_store(request->kind) ? storage->job_store : storage->checkpoint_store;
    result->code = STATUS_OK;
    if (store == NULL)
        result->code = error_set(&result->err, STATUS_INVALID,
                                 "no directory is configured: set execution.checkpointing.dir");
    /* Checkpoint files too: a leader that was replaced must neither write nor delete any. */
    if (result->code == STATUS_OK && storage->lock != NULL && request->kind != STORAGE_LOAD &&
        request->kind != STORAGE_READ_METADATA)
        result->code = leader_lock_check(storage->lock, &result->err);
    if (result->code == STATUS_OK)
        result->code = execute_on(store, request, result, &result->err);
    return result;
}

static void *run_lane(void *argument)
{
    struct lane_thread *lane = argument;
    (void)pthread_mutex_lock(&lane->lock);
    while (lane->first != NULL || !lane->is_stopped) {
        struct queued_request *queued = lane->first;
        if (queued == NULL) {
            (void)pthread_cond_wait(&lane->wake, &lane->lock);
            continue;
        }
        lane->first = queued->next;
        (void)pthread_mutex_unlock(&lane->lock);
        struct storage_result *result = execute(lane->storage, &queued->request);
        request_done(&queued->request);
        free(queued);
        lane->storage->done(lane->storage->context, result);
        (void)pthread_mutex_lock(&lane->lock);
    }
    (void)pthread_mutex_unlock(&lane->lock);
    return NULL;
}

struct storage *storage_create(struct file_store *job_store, struct file_store *checkpoint_store,
                               const struct leader_lock *lock, storage_done done, void *context)
{
    struct storage *storage = allocate(sizeof(*storage));
    storage->job_store = job_store;
    storage->checkpoint_store = checkpoint_store;
    storage->lock = lock;
    storage->done = done;
    storage->context = context;
    for (size_t i = 0; i < STORAGE_THREADS; i++) {
        struct lane_thread *lane = &storage->threads[i];
        lane->storage = storage;
        CHECK(pthread_mutex_init(&lane->lock, NULL) == 0);
        CHECK(pthread_cond_init(&lane->wake, NULL) == 0);
        CHECK(pthread_create(&lane->thread, NULL, run_lane, lane) == 0);
    }
    return storage;
}

void storage_submit(struct storage *storage, struct storage_request *request)
{
    struct queued_request *queued = allocate(sizeof(*queued));
    queued->request = *request;
    *request = (struct storage_request){0};
    struct lane_thread *lane = &storage->threads[queued->request.lane % STORAGE_THREADS];
    (void)pthread_mutex_lock(&lane->lock);
    if (lane->first == NULL)
        lane->first = queued;
    else
        lane->last->next = queued;
    lane->last = queued;
    (void)pthread_cond_signal(&lane->wake);
    (void)pthread_mutex_unlock(&lane->lock);
}

void storage_destroy(struct storage *storage)
{
    if (storage == NULL)
        return;
    for (size_t i = 0; i < STORAGE_THREADS; i++) {
        struct lane_thread *lane = &storage->threads[i];
        (void)pthread_mutex_lock(&lane->lock);
        lane->is_stopped = true;
        (void)pthread_cond_signal(&lane->wake);
        (void)pthread_mutex_unlock(&lane->lock);
        (void)pthread_join(lane->thread, NULL);
        (void)pthread_cond_destroy(&lane->wake);
        (void)pthread_mutex_destroy(&lane->lock);
    }
    free(storage);
}
