/*
 * The keyed state of one subtask attempt: what the task runtime sees. Operators see
 * common/api/state.h.
 *
 * Kinds
 *   rocksdb   hash tables of hot entries (a write-back cache with a byte budget) before one RocksDB
 *             database of this attempt; snapshots are incremental
 *   memory    the same hash tables, nothing behind them; snapshots hold everything
 *
 * Life: create; at most one restore; then state_backend_operator for each keyed operator, whose
 * open registers its states; batches; destroy.
 *
 * Snapshot: begin takes microseconds on the worker: what is dirty belongs to the snapshot, and an
 * entry changed later is copied first. The backend's threads write, upload and sync; then `wake` is
 * called and poll gives the result once. One snapshot at a time: abort the old one first. Whatever
 * becomes of it, what it wrote to the database stays written.
 *
 * Threads: everything on the task's worker thread. wake is called from the backend's threads.
 * Failures of the local directory fail the backend for good (every later call gives the error);
 * failures of checkpoint storage fail only the snapshot.
 */
#ifndef TASKMANAGER_STATE_BACKEND_H
#define TASKMANAGER_STATE_BACKEND_H

#include "common/api/state.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/memory.h"
#include "common/graph/task_state.h"
#include "common/io/file_store.h"

enum state_backend_kind { STATE_BACKEND_ROCKSDB, STATE_BACKEND_MEMORY };

struct state_block_cache;

/* The block cache (with index and filter blocks) that all databases of a process share. */
struct state_block_cache *state_block_cache_create(uint64_t size_bytes)
    __attribute__((returns_nonnull, warn_unused_result));
void state_block_cache_destroy(
    struct state_block_cache *cache); /* after all backends; NULL is ok */

/* Bytes in it now; any thread. */
uint64_t state_block_cache_used(const struct state_block_cache *cache);

struct state_backend_config {
    enum state_backend_kind kind;
    /* Of this attempt alone; made if missing, emptied at create, removed at destroy. */
    const char *directory;
    struct key_group_range key_groups;
    uint32_t max_parallelism;
    struct attempt_id attempt;
    struct memory_account *account; /* books what is used, also beyond its limit; may be NULL */
    uint64_t cache_bytes;           /* rocksdb: entries and index; memory: the limit of both */
    uint64_t queue_bytes;           /* rocksdb: entries in the write queue */
    struct state_block_cache *block_cache; /* rocksdb; NULL: a small one of its own */
    const struct clock *clock;
    struct file_store *store;    /* checkpoint storage; NULL: no snapshot, no restore */
    const char *store_prefix;    /* "<job id>": paths of state files are relative to it */
    void (*wake)(void *context); /* may be NULL */
    void *wake_context;
};

struct state_backend;

/* Copies the texts of the config. */
enum status state_backend_create(const struct state_backend_config *config,
                                 struct state_backend **ret_backend, struct error *err) MUST_CHECK;
/* Waits for running uploads' current file; the results of an unfinished snapshot are removed. */
void state_backend_destroy(struct state_backend *backend);

/* From storage alone. The handle must be of the same kind and key groups: UNSUPPORTED otherwise; a
 * missing or damaged file is named. checkpoint: the handle's, base of the next increment if it is
 * the newest completed one. */
enum status state_backend_restore(struct state_backend *backend,
                                  const struct keyed_state_handle *handle,
                                  struct checkpoint_id checkpoint, struct error *err) MUST_CHECK;

/* The keyed state of the operator with that uid: made at the first call, lives as long as the
 * backend. Restores its timers. */
enum status state_backend_operator(struct state_backend *backend, const char *uid,
                                   struct keyed_state **ret_keyed, struct error *err) MUST_CHECK;

/* ---- snapshots ---- */

struct state_snapshot {
    struct checkpoint_id checkpoint;
    enum status status; /* what err says, or OK */
    struct error err;
    struct keyed_state_handle handle; /* if OK: owned by the caller */
    uint64_t uploaded_bytes;          /* new in this checkpoint */
    int64_t begun_us;                 /* clock_now_us at begin */
    int64_t durable_us;
    int64_t pause_us; /* how long begin took */
};

/* newest_completed: what trigger and barrier said: files of that checkpoint are referenced, not
 * uploaded again; 0: none (savepoints too: they reference nothing). */
enum status state_backend_begin_snapshot(struct state_backend *backend,
                                         struct checkpoint_id checkpoint,
                                         struct checkpoint_id newest_completed,
                                         struct error *err) MUST_CHECK;
/* True once per finished snapshot. */
bool state_backend_poll_snapshot(struct state_backend *backend,
                                 struct state_snapshot *ret_snapshot);
/* Gives the running snapshot up, if it is that one: poll will not report it, its files go. */
void state_backend_abort_snapshot(struct state_backend *backend, struct checkpoint_id checkpoint);
/* Forgets bases of increments older than this one. */
void state_backend_checkpoint_completed(struct state_backend *backend,
                                        struct checkpoint_id checkpoint);

/* ---- timers ---- */

/* Takes out the earliest timer due at now_ms (time <= now_ms) if there is one. *ret_timer is valid
 * until the next call on the same operator's timers. Order: time, then key bytes. */
enum step state_timers_pop(struct keyed_state *keyed, enum timer_kind kind, int64_t now_ms,
                           bool *ret_found, struct timer *ret_timer, struct error *err);
/* When the earliest one is due; INT64_MAX: none. */
int64_t state_timers_next_ms(const struct keyed_state *keyed, enum timer_kind kind);

/* ---- status ---- */

struct state_metrics {
    uint64_t entry_count; /* estimate */
    uint64_t byte_count;  /* estimate: cache, and the database's files */
    uint64_t cache_bytes;
    uint64_t cache_hits;
    uint64_t cache_misses;
    uint64_t queue_bytes;
    uint64_t evicted_entries;
    uint64_t written_files; /* ingested */
    int64_t pause_us;       /* of the last begin_snapshot */
};

void state_backend_metrics(const struct state_backend *backend, struct state_metrics *ret_metrics);

#endif
