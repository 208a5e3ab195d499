/*
 * The memory of a TaskManager, split into parts that are counted and enforced.
 *
 *     total     taskmanager.memory.process.size, else the cgroup's limit, else 512m
 *     overhead  what belongs to no part: code, libraries, and the heap that no part has booked
 *               (RocksDB's readers and merges, structures of bounded size, free pieces);
 *               OVERHEAD_BYTES + 1/16 of the rest; measured, not enforced
 *     exchange, state cache, write queue, rocksdb   by their fractions of the rest
 *     operators what remains: batches, pre-aggregates, read buffers
 */
#ifndef TASKMANAGER_MEMORY_BUDGET_H
#define TASKMANAGER_MEMORY_BUDGET_H

#include "common/base/memory.h"
#include "common/config/config.h"

#define MEMORY_TOTAL_DEFAULT_BYTES (UINT64_C(512) << 20)
#define MEMORY_TOTAL_MIN_BYTES     (UINT64_C(64) << 20)
#define MEMORY_OVERHEAD_BYTES      (UINT64_C(20) << 20)

struct memory_budget {
    uint64_t total_bytes;
    struct memory_account overhead;
    struct memory_account exchange;
    struct memory_account state_cache;
    struct memory_account write_queue;
    struct memory_account rocksdb;
    struct memory_account operators;
};

/* cgroup_limit_bytes: 0 if there is none. */
enum status memory_budget_init(struct memory_budget *budget, const struct config *config,
                               uint64_t cgroup_limit_bytes, struct error *err) MUST_CHECK;

/* For a part that something else keeps count of: one caller at a time. */
void memory_account_set(struct memory_account *account, uint64_t bytes);

/* Books in the overhead what is in use now, as malloc and the system tell; takes a millisecond. */
void memory_budget_measure(struct memory_budget *budget);

/* The limit of this process' memory cgroup (version 2 or 1); 0: none. */
uint64_t memory_cgroup_limit_bytes(void);
/* Resident memory of this process. */
uint64_t memory_resident_bytes(void);

#endif
