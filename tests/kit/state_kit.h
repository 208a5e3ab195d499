/*
 * Backends over a storage of their own, for the tests of taskmanager/state: the state "values" of
 * the operator "op" with numbers as keys. What is not said to return a status fails the running
 * test with the text of kit.err.
 */
#ifndef TESTS_KIT_STATE_KIT_H
#define TESTS_KIT_STATE_KIT_H

#include "taskmanager/state/backend.h"

#define NUMBERS_MAX 500

struct state_kit {
    char root[64]; /* a directory; state_kit_done removes it */
    struct file_store *store;
    struct manual_clock manual;
    struct state_block_cache *cache;
    uint64_t cache_bytes; /* of the backends that are made; 16 MiB */
    uint64_t next_attempt;
    struct error err; /* where the functions below put their errors */
};

extern struct state_kit kit;

void state_kit_init(void);
void state_kit_done(void);

void must(enum status status);
/* Does kit.err say this? */
void expect_message(const char *part);
/* False when the step is done; waits a little where it has to. */
bool again(enum step step);

struct state_backend *make_backend_with(enum state_backend_kind kind, struct key_group_range groups,
                                        struct file_store *storage);
/* All key groups, in kit.store. */
struct state_backend *make_backend(enum state_backend_kind kind);

struct keyed_state *open_operator(struct state_backend *backend);
/* BIGINT keys, and subkeys if asked for. */
enum status open_fields(struct state_backend *backend, const struct schema_column *columns,
                        uint32_t count, bool has_subkey, int64_t ttl_ms, struct state **ret_state);
/* One BIGINT. */
struct state *open_count(struct state_backend *backend, bool has_subkey, int64_t ttl_ms);

struct numbers {
    struct key_batch batch;
    int64_t values[NUMBERS_MAX + 2];
    const char *bytes[NUMBERS_MAX];
    uint32_t sizes[NUMBERS_MAX];
    uint64_t hashes[NUMBERS_MAX];
};

/* first, first + step, ...; the keys lie in numbers. */
const struct key_batch *number_keys(struct numbers *numbers, int64_t first, uint32_t count,
                                    int64_t step);
/* Adds `delta` to the counts of those keys; returns how many were fresh. */
uint32_t add_to_counts(struct state *state, const struct key_batch *keys,
                       const struct key_batch *subkeys, int64_t delta);
/* The count of one key, -1 if it is absent. */
int64_t get_count(struct state *state, int64_t key);

void wait_snapshot(struct state_backend *backend, struct state_snapshot *snapshot);
/* Snapshot `id` on the base of the completed one `base`, 0: none. Free it. */
void take_snapshot(struct state_backend *backend, uint64_t id, uint64_t base,
                   struct state_snapshot *snapshot);
void free_snapshot(struct state_snapshot *snapshot);

#endif
