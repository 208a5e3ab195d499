/*
 * Reads the bytes of splits ahead, off the worker: a queue of splits in, a ring of blocks out.
 *
 * The blocks of a split hold exactly the bytes of its records (file_split.h); the last one says so.
 * Splits are read in the order given. Calls on the worker thread only; the reading itself runs
 * through env->ops->run_blocking and wakes the task.
 */
#ifndef CONNECTORS_FILE_FILE_FETCHER_H
#define CONNECTORS_FILE_FILE_FETCHER_H

#include "connectors/file/file_split.h"
#include "connectors/record_reader.h"

#define FETCH_BLOCK_BYTES (256 * 1024)

struct file_fetcher;

/* block_bytes: how much is read at once; FETCH_BLOCK_BYTES but in tests. */
struct file_fetcher *file_fetcher_create(struct operator_env *env, uint32_t block_bytes)
    __attribute__((returns_nonnull, warn_unused_result));
/* Waits for nothing. NULL is ignored. */
void file_fetcher_destroy(struct file_fetcher *fetcher);

void file_fetcher_add(struct file_fetcher *fetcher, const struct file_split *split);

enum fetch {
    FETCH_BLOCK,  /* *ret_block is the next block, owned by the caller      */
    FETCH_NONE,   /* none is there yet; the task will be woken              */
    FETCH_FAILED, /* err names the file and the offset                      */
};

enum fetch file_fetcher_take(struct file_fetcher *fetcher, struct record_block *ret_block,
                             struct error *err);

#endif
