/*
 * Executes the core's storage requests on threads of its own, lane by lane in order, and answers
 * each with one completion.
 *
 * Every write to the job store re-reads the leader epoch first; another epoch there is
 * STATUS_FENCED, on which the core ends the process.
 */
#ifndef JOBMANAGER_STORAGE_H
#define JOBMANAGER_STORAGE_H

#include "common/io/file_store.h"
#include "jobmanager/core/core.h"
#include "jobmanager/leader_lock.h"

#define STORAGE_THREADS   4
#define STORE_OBJECT_MAX  (64 * 1024 * 1024)
#define STORE_OBJECTS_MAX 200000

/* What became of a request. Owned by the receiver, which calls storage_result_destroy. */
struct storage_result {
    uint64_t request;
    enum status code;
    struct error err;
    struct core_object *objects;
    size_t object_count;
    size_t object_capacity;
};
void storage_result_destroy(struct storage_result *result);

/* On one of the threads; takes the result. */
typedef void (*storage_done)(void *context, struct storage_result *result);

struct storage;

/* job_store, checkpoint_store (may be NULL: requests for it fail) and lock (may be NULL: nothing is
 * checked) outlive the storage. */
struct storage *storage_create(struct file_store *job_store, struct file_store *checkpoint_store,
                               const struct leader_lock *lock, storage_done done, void *context)
    __attribute__((returns_nonnull, warn_unused_result));
/* Takes the content of the request. */
void storage_submit(struct storage *storage, struct storage_request *request);
/* Executes what waits, then ends the threads. */
void storage_destroy(struct storage *storage);

#endif
