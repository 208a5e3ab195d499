/* Reads blocks of files ahead: see file_fetcher.h. */
#include "connectors/file/file_fetcher.h"

#include "connectors/background.h"
#include "connectors/file/compressed_file.h"

#include "common/base/allocate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING_BLOCKS 4
/* Buffers kept for reuse once nobody else refers to them: what is hot in the cache stays so. */
#define POOL_BUFFERS 8
/* How far the last block of a split looks behind its end for the end of the line. */
#define OVERREAD_BYTES 4096

struct fetch_item {
    char *path;
    uint64_t file_size;
    uint64_t end;
    uint64_t next;
    bool must_skip;
    enum compression compression;
    uint64_t skip_to; /* compressed: decoded bytes before it were read before a restore */
};

/* What the job on the pool and the worker share. */
struct fetch_state {
    struct background *background;
    struct memory_account *account;
    uint32_t block_bytes;
    /* under background_lock */
    struct fetch_item *items; /* [item_first, item_count) wait or are being read */
    size_t item_first;
    size_t item_count;
    size_t item_capacity;
    struct record_block ring[RING_BLOCKS];
    unsigned ring_first;
    unsigned ring_count;
    bool has_failed;
    struct error failure;
    /* of the job */
    int fd;                             /* of the item being read; -1: none */
    struct compressed_file *compressed; /* of the item being read if it is compressed */
    struct buffer *pool[POOL_BUFFERS];
    unsigned pool_next;
};

struct file_fetcher {
    struct background *background;
};

static void close_file(struct fetch_state *fetch)
{
    compressed_file_destroy(fetch->compressed);
    fetch->compressed = NULL;
    if (fetch->fd >= 0)
        (void)close(fetch->fd); /* it was only read */
    fetch->fd = -1;
}

static void fetch_done(void *memory)
{
    struct fetch_state *fetch = memory;
    close_file(fetch);
    for (size_t i = fetch->item_first; i < fetch->item_count; i++)
        free(fetch->items[i].path);
    free(fetch->items);
    for (unsigned i = 0; i < fetch->ring_count; i++)
        buffer_unref(fetch->ring[(fetch->ring_first + i) % RING_BLOCKS].buffer);
    for (unsigned i = 0; i < POOL_BUFFERS; i++)
        buffer_unref(fetch->pool[i]);
}

struct file_fetcher *file_fetcher_create(struct operator_env *env, uint32_t block_bytes)
{
    struct file_fetcher *fetcher = allocate(sizeof(*fetcher));
    fetcher->background =
        background_create(env, BACKGROUND_POOL, sizeof(struct fetch_state), fetch_done);
    struct fetch_state *fetch = background_memory(fetcher->background);
    fetch->background = fetcher->background;
    fetch->account = env->memory;
    fetch->block_bytes = block_bytes;
    fetch->fd = -1;
    return fetcher;
}

void file_fetcher_destroy(struct file_fetcher *fetcher)
{
    if (fetcher == NULL)
        return;
    background_release(fetcher->background);
    free(fetcher);
}

/* ---- the job ---- */

/* A buffer that nobody else refers to, with a reference for the caller. */
static struct buffer *take_buffer(struct fetch_state *fetch)
{
    for (unsigned i = 0; i < POOL_BUFFERS; i++) {
        struct buffer *buffer = fetch->pool[i];
        if (buffer != NULL && atomic_load_explicit(&buffer->references, memory_order_acquire) == 1)
            return buffer_ref(buffer);
    }
    struct buffer *buffer =
        buffer_create(fetch->account, RECORD_BLOCK_HEADROOM + fetch->block_bytes);
    struct buffer **slot = &fetch->pool[fetch->pool_next++ % POOL_BUFFERS];
    buffer_unref(*slot);
    *slot = buffer_ref(buffer);
    return buffer;
}

static enum status open_file(struct fetch_state *fetch, const struct fetch_item *item,
                             struct error *err)
{
    if (fetch->fd >= 0)
        return STATUS_OK;
    fetch->fd = open(item->path, O_RDONLY | O_CLOEXEC);
    struct stat found;
    if (fetch->fd < 0 || fstat(fetch->fd, &found) != 0)
        return error_set_errno(err, errno, "read %s at byte %" PRIu64, item->path, item->next);
    if ((uint64_t)found.st_size < item->file_size)
        return error_set(err, STATUS_IO,
                         "read %s at byte %" PRIu64 ": the file has shrunk from %" PRIu64
                         " to %" PRIu64 " bytes since it was found: files must not change once "
                         "they are there",
                         item->path, item->next, item->file_size, (uint64_t)found.st_size);
    (void)posix_fadvise(fetch->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* only a hint */
    if (item->compression != COMPRESSION_NONE)
        fetch->compressed = compressed_file_create(fetch->fd, item->path, item->compression);
    return STATUS_OK;
}

static enum status read_fully(int fd, const struct fetch_item *item, char *bytes, uint32_t size,
                              struct error *err)
{
    uint32_t done = 0;
    while (done < size) {
        const ssize_t count = pread(fd, bytes + done, size - done, (off_t)(item->next + done));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set_errno(err, errno, "read %s at byte %" PRIu64, item->path,
                                   item->next + done);
        if (count == 0)
            return error_set(err, STATUS_IO,
                             "read %s: the file ends at byte %" PRIu64 ", it had %" PRIu64
                             " bytes when it was found: files must not change once they are there",
                             item->path, item->next + done, item->file_size);
        done += (uint32_t)count;
    }
    return STATUS_OK;
}

/* Was everything read before? A restored split may be at its end already. */
static bool is_read(const struct fetch_state *fetch, const struct fetch_item *item)
{
    const bool is_begun = fetch->fd >= 0;
    return item->next >= item->file_size ||
           (!is_begun && !item->must_skip && item->next > item->end);
}

static uint32_t size_to_read(const struct fetch_state *fetch, const struct fetch_item *item)
{
    uint64_t size = item->file_size - item->next;
    if (item->next <= item->end) {
        const uint64_t wanted = item->end - item->next + OVERREAD_BYTES;
        size = size < wanted ? size : wanted;
    }
    return size < fetch->block_bytes ? (uint32_t)size : fetch->block_bytes;
}

/* Drops what belongs to the split before. */
static void skip_to_record(struct fetch_item *item, struct record_block *block)
{
    const char *bytes = block->buffer->bytes + block->offset;
    const char *newline = memchr(bytes, '\n', block->size);
    const uint32_t skipped = newline != NULL ? (uint32_t)(newline - bytes) + 1 : block->size;
    block->offset += skipped;
    block->size -= skipped;
    block->position += skipped;
    item->must_skip = newline == NULL;
    /* The record that begins here is the next split's: this one has none. */
    if (newline != NULL && (uint64_t)block->position > item->end) {
        block->size = 0;
        block->is_last = true;
    }
}

/* Cuts behind the record in which the split ends. */
static void cut_at_end(const struct fetch_item *item, struct record_block *block)
{
    const uint64_t first = (uint64_t)block->position;
    if (item->end >= item->file_size || first + block->size <= item->end)
        return;
    const char *bytes = block->buffer->bytes + block->offset;
    const uint32_t from = first >= item->end ? 0 : (uint32_t)(item->end - first);
    const char *newline = memchr(bytes + from, '\n', block->size - from);
    if (newline == NULL)
        return;
    block->size = (uint32_t)(newline - bytes) + 1;
    block->is_last = true;
}

/* Reads a block of a file's decoded bytes; empty where a restore has to get past it. */
static enum status read_decoded(struct fetch_state *fetch, struct fetch_item *item,
                                struct record_block *block, struct error *err)
{
    TRY(open_file(fetch, item, err));
    TRY(compressed_file_read(fetch->compressed, block->buffer->bytes + block->offset,
                             fetch->block_bytes, &block->size, &block->is_last, err));
    item->next += block->size;
    const uint64_t first = (uint64_t)block->position;
    if (first < item->skip_to) {
        const uint64_t behind = item->skip_to - first;
        const uint32_t skipped = behind < block->size ? (uint32_t)behind : block->size;
        block->offset += skipped;
        block->size -= skipped;
        block->position += skipped;
    }
    return STATUS_OK;
}

/* Reads a block of the bytes of a split. */
static enum status read_plain(struct fetch_state *fetch, struct fetch_item *item,
                              struct record_block *block, struct error *err)
{
    /* What was read to its end before a restore has one empty block. */
    if (is_read(fetch, item)) {
        block->is_last = true;
        return STATUS_OK;
    }
    TRY(open_file(fetch, item, err));
    block->size = size_to_read(fetch, item);
    TRY(read_fully(fetch->fd, item, block->buffer->bytes + block->offset, block->size, err));
    item->next += block->size;
    const bool is_at_end = item->next >= item->file_size;
    if (item->must_skip)
        skip_to_record(item, block);
    if (!block->is_last && !item->must_skip)
        cut_at_end(item, block);
    block->is_last = block->is_last || is_at_end;
    return STATUS_OK;
}

/* Reads one block of the item; it may be empty. */
static enum status read_block(struct fetch_state *fetch, struct fetch_item *item,
                              struct record_block *ret_block, struct error *err)
{
    SCOPED(buffer_unref) struct buffer *buffer = take_buffer(fetch);
    struct record_block block = {
        .buffer = buffer, .offset = RECORD_BLOCK_HEADROOM, .position = (int64_t)item->next};
    TRY((item->compression != COMPRESSION_NONE ? read_decoded : read_plain)(fetch, item, &block,
                                                                            err));
    buffer->size = block.offset + block.size;
    *ret_block = block;
    (void)take_pointer(&buffer);
    return STATUS_OK;
}

/* The lock is held. */
static void push_locked(struct fetch_state *fetch, const struct fetch_item *item,
                        const struct record_block *block)
{
    if (block->size == 0 && !block->is_last)
        buffer_unref(block->buffer);
    else
        fetch->ring[(fetch->ring_first + fetch->ring_count++) % RING_BLOCKS] = *block;
    if (!block->is_last) {
        fetch->items[fetch->item_first] = *item;
        return;
    }
    close_file(fetch);
    free(item->path);
    if (++fetch->item_first == fetch->item_count)
        fetch->item_first = fetch->item_count = 0;
}

/* The lock is held. */
static bool has_work_locked(const struct fetch_state *fetch)
{
    return fetch->item_first < fetch->item_count && fetch->ring_count < RING_BLOCKS &&
           !fetch->has_failed;
}

/* Reads one block with the lock, which is held before and after, released meanwhile. */
static void fetch_one_locked(struct fetch_state *fetch)
{
    struct fetch_item item = fetch->items[fetch->item_first];
    background_unlock(fetch->background);
    struct record_block block;
    struct error err;
    const enum status status = read_block(fetch, &item, &block, &err);
    background_lock(fetch->background);
    const bool was_empty = fetch->ring_count == 0;
    if (status != STATUS_OK) {
        fetch->has_failed = true;
        fetch->failure = err;
    } else {
        push_locked(fetch, &item, &block);
    }
    if (was_empty && fetch->ring_count > 0)
        background_wake(fetch->background);
}

static void fetch_run(void *memory)
{
    struct fetch_state *fetch = memory;
    background_lock(fetch->background);
    while (has_work_locked(fetch) && !background_is_closing(fetch->background))
        fetch_one_locked(fetch);
    background_unlock(fetch->background);
}

/* ---- the worker ---- */

void file_fetcher_add(struct file_fetcher *fetcher, const struct file_split *split)
{
    struct fetch_state *fetch = background_memory(fetcher->background);
    background_lock(fetcher->background);
    array_push(fetch->items, fetch->item_count, fetch->item_capacity) = (struct fetch_item){
        .path = copy_text(split->path),
        .file_size = split->file_size,
        .end = split->end,
        .next = split->compression == COMPRESSION_NONE ? split->next : 0,
        .must_skip = split->must_skip,
        .compression = split->compression,
        .skip_to = split->next,
    };
    background_unlock(fetcher->background);
    if (!background_is_busy(fetcher->background))
        background_start(fetcher->background, fetch_run);
}

enum fetch file_fetcher_take(struct file_fetcher *fetcher, struct record_block *ret_block,
                             struct error *err)
{
    struct fetch_state *fetch = background_memory(fetcher->background);
    background_lock(fetcher->background);
    enum fetch result = FETCH_NONE;
    if (fetch->ring_count > 0) {
        *ret_block = fetch->ring[fetch->ring_first];
        fetch->ring_first = (fetch->ring_first + 1) % RING_BLOCKS;
        fetch->ring_count--;
        result = FETCH_BLOCK;
    } else if (fetch->has_failed) {
        (void)error_set(err, fetch->failure.code, "%s", fetch->failure.message);
        result = FETCH_FAILED;
    }
    /* A job reads until the ring is full: starting one for each block would cost more. */
    const bool wants_more = has_work_locked(fetch) && fetch->ring_count <= RING_BLOCKS / 2;
    background_unlock(fetcher->background);
    if (wants_more && !background_is_busy(fetcher->background))
        background_start(fetcher->background, fetch_run);
    return result;
}
