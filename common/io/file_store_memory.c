/* A file store in memory: the job store of high-availability.type none, and a twin for tests. */
#include "common/io/file_store.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <pthread.h>
#include <string.h>

#define MEMORY_STORE_BYTES_MAX (UINT64_C(1) << 30)

struct object {
    char *path;
    char *bytes;
    size_t size;
};

struct memory_store {
    struct file_store store;
    pthread_mutex_t lock;
    struct object *objects; /* sorted by path */
    size_t count;
    size_t capacity;
    uint64_t byte_count;
};

static struct memory_store *memory(struct file_store *store)
{
    return (struct memory_store *)store;
}

/* The first object whose path is not before `path`. */
static size_t lower_bound(const struct memory_store *store, const char *path)
{
    size_t first = 0;
    size_t last = store->count;
    while (first < last) {
        const size_t middle = first + (last - first) / 2;
        if (strcmp(store->objects[middle].path, path) < 0)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

static bool is_at(const struct memory_store *store, size_t index, const char *path)
{
    return index < store->count && strcmp(store->objects[index].path, path) == 0;
}

static void erase(struct memory_store *store, size_t index)
{
    store->byte_count -= store->objects[index].size;
    free(store->objects[index].path);
    free(store->objects[index].bytes);
    memmove(&store->objects[index], &store->objects[index + 1],
            (store->count - index - 1) * sizeof(*store->objects));
    store->count--;
}

static void insert(struct memory_store *store, size_t index, const char *path, const void *bytes,
                   size_t size)
{
    (void)array_push(store->objects, store->count, store->capacity);
    memmove(&store->objects[index + 1], &store->objects[index],
            (store->count - 1 - index) * sizeof(*store->objects));
    store->objects[index] =
        (struct object){.path = copy_text(path), .bytes = copy_memory(bytes, size), .size = size};
    store->byte_count += size;
}

static enum status put_locked(struct memory_store *store, const char *path, const void *bytes,
                              size_t size, bool must_be_new, struct error *err)
{
    const size_t index = lower_bound(store, path);
    const bool is_there = is_at(store, index, path);
    if (is_there && must_be_new)
        return error_set(err, STATUS_EXISTS, "object %s exists", path);
    if (store->byte_count + size > MEMORY_STORE_BYTES_MAX)
        return error_set(err, STATUS_IO, "put %s: the store in memory is full", path);
    if (is_there)
        erase(store, index);
    insert(store, index, path, bytes, size);
    return STATUS_OK;
}

static enum status memory_put(struct file_store *file_store, const char *path, const void *bytes,
                              size_t size, bool must_be_new, struct error *err)
{
    struct memory_store *store = memory(file_store);
    (void)pthread_mutex_lock(&store->lock);
    const enum status status = put_locked(store, path, bytes, size, must_be_new, err);
    (void)pthread_mutex_unlock(&store->lock);
    return status;
}

static enum status memory_get(struct file_store *file_store, const char *path, struct text *out,
                              struct error *err)
{
    struct memory_store *store = memory(file_store);
    enum status status = STATUS_OK;
    (void)pthread_mutex_lock(&store->lock);
    const size_t index = lower_bound(store, path);
    if (!is_at(store, index, path))
        status = error_set(err, STATUS_NOT_FOUND, "no object %s", path);
    else
        text_append_bytes(out, store->objects[index].bytes, store->objects[index].size);
    (void)pthread_mutex_unlock(&store->lock);
    if (status == STATUS_OK && out->overflowed)
        return error_set(err, STATUS_LIMIT, "object %s is larger than %zu bytes", path, out->max);
    return status;
}

static enum status memory_copy(struct file_store *file_store, const char *from, const char *to,
                               struct error *err)
{
    struct text bytes;
    text_init(&bytes, MEMORY_STORE_BYTES_MAX);
    enum status status = memory_get(file_store, from, &bytes, err);
    if (status == STATUS_OK)
        status = memory_put(file_store, to, bytes.bytes, bytes.size, false, err);
    text_done(&bytes);
    return status;
}

static enum status memory_remove(struct file_store *file_store, const char *path, struct error *err)
{
    struct memory_store *store = memory(file_store);
    (void)pthread_mutex_lock(&store->lock);
    const size_t index = lower_bound(store, path);
    const bool is_there = is_at(store, index, path);
    if (is_there)
        erase(store, index);
    (void)pthread_mutex_unlock(&store->lock);
    return is_there ? STATUS_OK : error_set(err, STATUS_NOT_FOUND, "no object %s", path);
}

static bool is_below(const char *object, const char *directory)
{
    const size_t size = strlen(directory);
    return size == 0 || (strncmp(object, directory, size) == 0 && object[size] == '/');
}

static enum status memory_remove_tree(struct file_store *file_store, const char *path,
                                      struct error *err)
{
    (void)err;
    struct memory_store *store = memory(file_store);
    (void)pthread_mutex_lock(&store->lock);
    for (size_t i = store->count; i > 0; i--) {
        if (is_below(store->objects[i - 1].path, path))
            erase(store, i - 1);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return STATUS_OK;
}

struct listed {
    char *name;
    bool is_directory;
    uint64_t size;
};

static struct listed *collect(struct memory_store *store, const char *path, size_t *ret_count)
{
    struct listed *entries = NULL;
    size_t count = 0;
    size_t capacity = 0;
    const size_t skip = path[0] == '\0' ? 0 : strlen(path) + 1;
    for (size_t i = 0; i < store->count; i++) {
        const char *object = store->objects[i].path;
        if (!is_below(object, path))
            continue;
        const size_t size = strcspn(object + skip, "/");
        if (count > 0 && strlen(entries[count - 1].name) == size &&
            memcmp(entries[count - 1].name, object + skip, size) == 0)
            continue;
        const bool is_directory = object[skip + size] == '/';
        array_push(entries, count, capacity) =
            (struct listed){.name = copy_text_n(object + skip, size),
                            .is_directory = is_directory,
                            .size = is_directory ? 0 : store->objects[i].size};
    }
    *ret_count = count;
    return entries;
}

static enum status memory_list(struct file_store *file_store, const char *path,
                               file_store_list_fn fn, void *context, struct error *err)
{
    struct memory_store *store = memory(file_store);
    size_t count = 0;
    /* Called without the lock: fn may use the store. */
    (void)pthread_mutex_lock(&store->lock);
    struct listed *entries = collect(store, path, &count);
    (void)pthread_mutex_unlock(&store->lock);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < count; i++) {
        if (status == STATUS_OK)
            status = fn(context, entries[i].name, entries[i].is_directory, entries[i].size, err);
        free(entries[i].name);
    }
    free(entries);
    return status;
}

static enum status memory_upload(struct file_store *store, const char *local_path, const char *path,
                                 uint32_t *ret_crc32c, uint64_t *ret_size, struct error *err)
{
    (void)store;
    (void)path;
    (void)ret_crc32c;
    (void)ret_size;
    return error_set(err, STATUS_UNSUPPORTED, "upload %s: this store holds no files", local_path);
}

static enum status memory_download(struct file_store *store, const char *path,
                                   const char *local_path, uint32_t crc, uint64_t size,
                                   struct error *err)
{
    (void)store;
    (void)path;
    (void)crc;
    (void)size;
    return error_set(err, STATUS_UNSUPPORTED, "download %s: this store holds no files", local_path);
}

static enum status memory_space(struct file_store *file_store, uint64_t *ret_free,
                                uint64_t *ret_total, struct error *err)
{
    (void)err;
    struct memory_store *store = memory(file_store);
    (void)pthread_mutex_lock(&store->lock);
    *ret_total = MEMORY_STORE_BYTES_MAX;
    *ret_free = MEMORY_STORE_BYTES_MAX - store->byte_count;
    (void)pthread_mutex_unlock(&store->lock);
    return STATUS_OK;
}

static void memory_destroy(struct file_store *file_store)
{
    struct memory_store *store = memory(file_store);
    while (store->count > 0)
        erase(store, store->count - 1);
    free(store->objects);
    (void)pthread_mutex_destroy(&store->lock);
    free(store);
}

struct file_store *file_store_memory_create(void)
{
    static const struct file_store_ops ops = {
        .put = memory_put,
        .get = memory_get,
        .upload = memory_upload,
        .download = memory_download,
        .copy = memory_copy,
        .remove = memory_remove,
        .remove_tree = memory_remove_tree,
        .list = memory_list,
        .space = memory_space,
        .destroy = memory_destroy,
    };
    struct memory_store *store = allocate(sizeof(*store));
    store->store.ops = &ops;
    CHECK(pthread_mutex_init(&store->lock, NULL) == 0);
    return &store->store;
}
