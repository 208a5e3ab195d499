/*
 * The plain program that the word count at parallelism 2 is measured against: two threads, each
 * reads every second file, counts the words whose hash is its own and sends the others' over a ring
 * of blocks of 32 KiB with one producer and one consumer. Arguments: files. Prints the number of
 * words and of distinct ones.
 */
#include "bench/baseline/word_table.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#define THREADS     2
#define READ_BYTES  (256 * 1024)
#define BLOCK_BYTES (32 * 1024)
#define RING_BLOCKS 16 /* a power of two */
#define WORD_MAX    4096
#define HEAD_BYTES  6 /* hash and size before each word of a block */

struct block {
    uint32_t size;
    char bytes[BLOCK_BYTES];
};

/* head: blocks taken, tail: blocks given; on cache lines of their own. */
struct ring {
    _Alignas(64) _Atomic uint32_t head;
    _Alignas(64) _Atomic uint32_t tail;
    _Alignas(64) _Atomic bool is_ended;
    struct block blocks[RING_BLOCKS];
};

struct worker {
    _Alignas(64) uint32_t index;
    struct table table;
    uint64_t words;
    char **files;
    int file_count;
    struct ring *out;
    struct ring *in;
};

static struct ring rings[THREADS];

/* Counts one block of the other thread; false if there is none. */
static bool receive(struct worker *worker)
{
    struct ring *ring = worker->in;
    const uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (head == atomic_load_explicit(&ring->tail, memory_order_acquire))
        return false;
    const struct block *block = &ring->blocks[head & (RING_BLOCKS - 1)];
    for (uint32_t at = 0; at < block->size;) {
        uint32_t hash;
        uint16_t size;
        memcpy(&hash, block->bytes + at, sizeof(hash));
        memcpy(&size, block->bytes + at + sizeof(hash), sizeof(size));
        count_word(&worker->table, block->bytes + at + HEAD_BYTES, size, hash);
        at += HEAD_BYTES + size;
    }
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return true;
}

/* The block that is being filled is the one at the tail; waits for room while it counts. */
static struct block *next_block(struct worker *worker)
{
    const uint32_t tail = atomic_load_explicit(&worker->out->tail, memory_order_relaxed);
    while (tail - atomic_load_explicit(&worker->out->head, memory_order_acquire) == RING_BLOCKS) {
        if (!receive(worker))
            (void)sched_yield();
    }
    struct block *block = &worker->out->blocks[tail & (RING_BLOCKS - 1)];
    block->size = 0;
    return block;
}

static void give(struct worker *worker)
{
    atomic_fetch_add_explicit(&worker->out->tail, 1, memory_order_release);
}

static void take_word(struct worker *worker, struct block **block, const char *word, uint32_t size,
                      uint32_t hash)
{
    worker->words++;
    /* FNV's high bits choose the thread, its low ones the place in the table. */
    if (((hash >> 24) ^ (hash >> 15)) % THREADS == worker->index) {
        count_word(&worker->table, word, size, hash);
        return;
    }
    if ((*block)->size + HEAD_BYTES + size > BLOCK_BYTES) {
        give(worker);
        *block = next_block(worker);
    }
    char *to = (*block)->bytes + (*block)->size;
    const uint16_t short_size = (uint16_t)size;
    memcpy(to, &hash, sizeof(hash));
    memcpy(to + sizeof(hash), &short_size, sizeof(short_size));
    memcpy(to + HEAD_BYTES, word, size);
    (*block)->size += HEAD_BYTES + size;
}

/* Words go on from read to read: the open one is kept in `word`. */
static void count_file(struct worker *worker, const char *path, char *bytes, struct block **block)
{
    char word[WORD_MAX];
    const int fd = open(path, O_RDONLY);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    uint32_t size = 0;
    uint32_t hash = 2166136261U;
    for (ssize_t count; (count = read(fd, bytes, READ_BYTES)) > 0;) {
        for (ssize_t i = 0; i < count; i++) {
            const char c = bytes[i];
            if (c != ' ' && (c < '\t' || c > '\r')) {
                if (size < WORD_MAX)
                    word[size++] = c;
                hash = (hash ^ (unsigned char)c) * 16777619U;
            } else if (size > 0) {
                take_word(worker, block, word, size, hash);
                size = 0;
                hash = 2166136261U;
            }
        }
        while (receive(worker)) {
        }
    }
    if (size > 0)
        take_word(worker, block, word, size, hash);
    (void)close(fd);
}

static void *work(void *context)
{
    struct worker *worker = context;
    char *bytes = must(malloc(READ_BYTES));
    struct block *block = next_block(worker);
    for (int i = (int)worker->index; i < worker->file_count; i += THREADS)
        count_file(worker, worker->files[i], bytes, &block);
    give(worker);
    atomic_store_explicit(&worker->out->is_ended, true, memory_order_release);
    for (;;) {
        const bool is_ended = atomic_load_explicit(&worker->in->is_ended, memory_order_acquire);
        if (receive(worker))
            continue;
        if (is_ended)
            break;
        (void)sched_yield();
    }
    free(bytes);
    return NULL;
}

int main(int count, char **arguments)
{
    static struct worker workers[THREADS];
    pthread_t threads[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.index = i,
                                     .files = arguments + 1,
                                     .file_count = count - 1,
                                     .out = &rings[i],
                                     .in = &rings[1 - i]};
        grow(&workers[i].table);
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) {
            fputs("no thread\n", stderr);
            return 1;
        }
    }
    uint64_t words = 0;
    uint32_t distinct = 0;
    for (uint32_t i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        words += workers[i].words;
        distinct += workers[i].table.used;
    }
    printf("%" PRIu64 " words, %" PRIu32 " distinct\n", words, distinct);
    return 0;
}
