/*
 * What a backend says about its states in a handle's meta. Format version 1, little-endian:
 *
 *   "MSKS", 2 bytes version, 2 bytes writer version, 32-bit max parallelism, 32-bit state count,
 *   for each state: uid, name (32-bit length, bytes), 1 byte enum state_kind, 1 byte enum
 *   state_order, 1 byte 2 for timers (below) or 0, 64-bit TTL in ms, schema of keys, schema of
 * subkeys, 32-bit count of value schemas (oldest first), the schemas (32-bit length,
 * schema_encode's bytes); 32-bit CRC-32C of all before.
 *
 * The numbers of kinds and orders are part of the format.
 *
 * Storage keys: key group (2 bytes, big-endian); storage bytes of key and subkey, or of subkey and
 * key in namespace-first states; for timers (form 2) 1 byte enum timer_kind, 8 bytes time
 * (big-endian, sign flipped), the canonical key stored as one nullable BYTES, the namespace.
 */
#ifndef TASKMANAGER_STATE_STATE_META_H
#define TASKMANAGER_STATE_STATE_META_H

#include "common/api/state.h"
#include "common/base/text.h"

#define STATE_META_VERSION 1

struct state_meta_entry {
    char *uid;
    char *name;
    uint8_t kind;
    uint8_t order;
    bool is_timers;
    int64_t ttl_ms;
    struct schema *keys; /* owned references */
    struct schema *subkeys;
    struct schema **values; /* oldest first */
    uint32_t value_count;
};

struct state_meta {
    uint32_t max_parallelism;
    struct state_meta_entry *entries;
    uint32_t count;
};

void state_meta_encode(const struct state_meta *meta, struct text *out);
enum status state_meta_decode(const void *bytes, size_t size, struct state_meta *ret_meta,
                              struct error *err) MUST_CHECK;
void state_meta_done(struct state_meta *meta);
/* NULL: the checkpoint did not have it. */
const struct state_meta_entry *state_meta_find(const struct state_meta *meta, const char *uid,
                                               const char *name);

#endif
