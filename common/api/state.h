/*
 * Keyed state as operators see it.
 *
 * Kinds: VALUE, LIST, MAP, REDUCING, AGGREGATING. All of them are entries addressed by (key,
 * subkey): the subkey is empty for VALUE, REDUCING and AGGREGATING without a namespace, the user's
 * map key for MAP, the window for windowed state. An entry's value is a row of a schema, kept in
 * memory as a slot of fixed size that operators change in place.
 *
 * A slot is laid out by struct value_layout: a bitmap of NULLs (bit i set: field i is NULL), then
 * the fields. Fixed-width types lie there as in struct column; view types and nested types (as
 * bytes of batch_codec's value form) as struct state_bytes, changed only by state_set_bytes.
 * A fresh slot is all zero: no field is NULL, numbers are 0, bytes are empty.
 *
 * Access is by the batch. The calls below may read the database for a bounded number of misses, so
 * they handle a prefix of what was asked and say how much; they return
 *   STEP_DONE   rows [first, first + *ret_count) were handled, *ret_count >= 1
 *               (ret_slots[i] and ret_fresh[i] belong to row first + i)
 *   STEP_AGAIN  nothing handled: end the turn and call again
 *   STEP_WAIT   nothing handled: the write queue is full; the task is woken when there is room
 *   STEP_FAILED err says why
 * Slots stay valid and in place until the next call on the same state. One thread: the task's.
 *
 * Ranges, of NAMESPACE_FIRST states only (UNSUPPORTED elsewhere). A window is opened by update with
 * its subkey, fired by scan_range over its subkeys, and closed by remove_range, whose cost follows
 * the entries in memory that it drops, not the size of the state: what lies in the database goes by
 * range tombstones. Subkeys order by value (as the types of their columns do, NULL first); ranges
 * hold the same subkeys whatever the key. A scan gives entries ordered by (key group, subkey, key):
 * within a key group the windows come one after another, but all of [from, to) of one key group
 * come before any of the next. So a scan over one window meets all its keys, each once.
 *
 * Expired entries (TTL since the last write) are never returned.
 */
#ifndef COMMON_API_STATE_H
#define COMMON_API_STATE_H

#include "common/api/step.h"
#include "common/base/status.h"
#include "common/data/key.h"
#include "common/data/schema.h"

#include <stdbool.h>
#include <stdint.h>

enum state_kind { STATE_VALUE, STATE_LIST, STATE_MAP, STATE_REDUCING, STATE_AGGREGATING };

/* KEY_FIRST: read by key. NAMESPACE_FIRST: the subkey (a window's time) leads, so that all entries
 * of a window are one range, fired by a scan and dropped by a range delete. */
enum state_order { STATE_KEY_FIRST, STATE_NAMESPACE_FIRST };

struct state_descriptor {
    const char *name; /* unique within the operator: "accumulators" */
    enum state_kind kind;
    enum state_order order;
    const struct type *key_types;
    uint32_t key_count;
    const struct type *subkey_types; /* NULL if there is no subkey */
    uint32_t subkey_count;
    const struct schema *value; /* field_id of each column identifies it across versions */
    int64_t ttl_ms;             /* 0: none */
};

struct state_bytes {
    char *bytes;
    uint32_t size;
    uint32_t capacity;
};

struct value_layout {
    uint32_t size; /* of a slot; a multiple of 8 */
    uint32_t field_count;
    uint32_t *offsets; /* of field i in the slot */
    bool has_bytes;    /* some field is a struct state_bytes */
    const struct schema *schema;
};

/* An empty slot's NULL bitmap and its fields. */
static inline bool slot_is_null(const void *slot, uint32_t field)
{
    return (((const uint8_t *)slot)[field / 8] >> (field % 8) & 1) != 0;
}

static inline void slot_set_null(void *slot, uint32_t field, bool is_null)
{
    uint8_t *byte = &((uint8_t *)slot)[field / 8];
    const uint8_t bit = (uint8_t)(1U << (field % 8));
    *byte = (uint8_t)(is_null ? *byte | bit : *byte & ~bit);
}

static inline void *slot_field(const struct value_layout *layout, void *slot, uint32_t field)
{
    return (char *)slot + layout->offsets[field];
}

struct state;

/* One entry met by a scan. Valid until the next call. */
struct state_entry {
    uint64_t hash;
    const char *key; /* canonical */
    uint32_t key_size;
    const char *subkey; /* canonical; NULL without subkey */
    uint32_t subkey_size;
    void *slot; /* read only */
};

/* Subkeys from .. to, given canonically as in a key_batch. */
struct state_range {
    const char *from; /* NULL: from the first one on */
    uint32_t from_size;
    bool is_after;  /* `from` itself is not in the range */
    const char *to; /* the first one behind the range; NULL: to the last one */
    uint32_t to_size;
};

struct state_ops {
    /* Entries for writing: absent ones are made (ret_fresh[i] = 1, slot all zero). subkeys: NULL or
     * one per key. */
    enum step (*update)(struct state *state, const struct key_batch *keys,
                        const struct key_batch *subkeys, uint32_t first, uint32_t *ret_count,
                        void **ret_slots, uint8_t *ret_fresh, struct error *err);
    /* Entries for reading only: NULL for absent ones. */
    enum step (*read)(struct state *state, const struct key_batch *keys,
                      const struct key_batch *subkeys, uint32_t first, uint32_t *ret_count,
                      void **ret_slots, struct error *err);
    enum step (*remove)(struct state *state, const struct key_batch *keys,
                        const struct key_batch *subkeys, uint32_t first, uint32_t *ret_count,
                        struct error *err);
    /* Makes field `field` of a slot (from the last update) hold these bytes. */
    void (*set_bytes)(struct state *state, void *slot, uint32_t field, const void *bytes,
                      uint32_t size);
    /* Scans: every entry of this subtask once, in storage order; scan_key: those of one key (MAP).
     * scan_next gives up to capacity entries; *ret_count 0 with STEP_DONE is the end. Changing
     * the state ends a scan. A scan need not be finished. */
    enum step (*scan_start)(struct state *state, struct error *err);
    enum step (*scan_key)(struct state *state, const char *key, uint32_t key_size, uint64_t hash,
                          struct error *err);
    enum step (*scan_next)(struct state *state, struct state_entry *entries, uint32_t capacity,
                           uint32_t *ret_count, struct error *err);
    /* Number of keys and bytes, estimates, for status. */
    uint64_t (*entry_count)(const struct state *state);
    /* Starts a scan over a range; its entries come by scan_next, in the order said above. scan_next
     * may say STEP_AGAIN (nothing given yet, work so far is kept). */
    enum step (*scan_range)(struct state *state, const struct state_range *range,
                            struct error *err);
    /* Drops every entry of a range. A call drops a bounded number: STEP_AGAIN and STEP_WAIT say
     * that some entries may be gone and others not: call again with the same range until STEP_DONE.
     * What is updated in the range afterwards is fresh. Ends a scan. */
    enum step (*remove_range)(struct state *state, const struct state_range *range,
                              struct error *err);
    /* The smallest subkey of a range that has an entry, to find after a restore which windows are
     * open: begin with NULL as `from`, go on with the one found and is_after. The found subkey is
     * canonical, valid until the next call on the state. STEP_AGAIN: call again with the same
     * range. Ends a scan. Not for the hot path: it looks into each key group of the database. */
    enum step (*find_subkey)(struct state *state, const struct state_range *range, bool *ret_found,
                             const char **ret_subkey, uint32_t *ret_size, struct error *err);
};

/* What a backend embeds at the start of its own struct. */
struct state {
    const struct state_ops *ops;
    struct value_layout layout;
    const struct state_descriptor *descriptor;
};

static inline enum step state_update(struct state *state, const struct key_batch *keys,
                                     const struct key_batch *subkeys, uint32_t first,
                                     uint32_t *ret_count, void **ret_slots, uint8_t *ret_fresh,
                                     struct error *err)
{
    return state->ops->update(state, keys, subkeys, first, ret_count, ret_slots, ret_fresh, err);
}

static inline enum step state_read(struct state *state, const struct key_batch *keys,
                                   const struct key_batch *subkeys, uint32_t first,
                                   uint32_t *ret_count, void **ret_slots, struct error *err)
{
    return state->ops->read(state, keys, subkeys, first, ret_count, ret_slots, err);
}

static inline enum step state_remove(struct state *state, const struct key_batch *keys,
                                     const struct key_batch *subkeys, uint32_t first,
                                     uint32_t *ret_count, struct error *err)
{
    return state->ops->remove(state, keys, subkeys, first, ret_count, err);
}

static inline void state_set_bytes(struct state *state, void *slot, uint32_t field,
                                   const void *bytes, uint32_t size)
{
    state->ops->set_bytes(state, slot, field, bytes, size);
}

static inline enum step state_scan_range(struct state *state, const struct state_range *range,
                                         struct error *err)
{
    return state->ops->scan_range(state, range, err);
}

static inline enum step state_scan_next(struct state *state, struct state_entry *entries,
                                        uint32_t capacity, uint32_t *ret_count, struct error *err)
{
    return state->ops->scan_next(state, entries, capacity, ret_count, err);
}

static inline enum step state_remove_range(struct state *state, const struct state_range *range,
                                           struct error *err)
{
    return state->ops->remove_range(state, range, err);
}

static inline enum step state_find_subkey(struct state *state, const struct state_range *range,
                                          bool *ret_found, const char **ret_subkey,
                                          uint32_t *ret_size, struct error *err)
{
    return state->ops->find_subkey(state, range, ret_found, ret_subkey, ret_size, err);
}

/* ---- timers: keyed state too, deduplicated by (kind, time, key, namespace) ---- */

enum timer_kind { TIMER_EVENT_TIME, TIMER_PROCESSING_TIME };

struct timer {
    enum timer_kind kind;
    int64_t time_ms;
    const char *key; /* canonical */
    uint32_t key_size;
    uint64_t hash;
    const char *name_space;
    uint32_t name_space_size;
};

/* The keyed state of one operator, given to it by the task. */
struct keyed_state;

struct keyed_state_ops {
    /* Called in open only. The descriptor is copied. A schema that is not compatible with the one
     * in the restored checkpoint is refused with state, field, old and new type. */
    enum status (*register_state)(struct keyed_state *keyed,
                                  const struct state_descriptor *descriptor,
                                  struct state **ret_state, struct error *err);
    enum step (*set_timer)(struct keyed_state *keyed, const struct timer *timer, struct error *err);
    enum step (*delete_timer)(struct keyed_state *keyed, const struct timer *timer,
                              struct error *err);
};

struct keyed_state {
    const struct keyed_state_ops *ops;
};

#endif
