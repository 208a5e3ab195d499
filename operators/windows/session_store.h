/*
 * Sessions in keyed state. A key has mostly one: it lies in "sessions", found with one look, and
 * carries the number of others, which lie in "more_sessions" by their start. The whole set of a key
 * can be taken into memory, changed and put back.
 *
 * Slots hold the accumulators, then start, end, the number of others (first session only), and
 * whether the result was given.
 */
#ifndef OPERATORS_WINDOWS_SESSION_STORE_H
#define OPERATORS_WINDOWS_SESSION_STORE_H

#include "common/api/operator.h"
#include "operators/windows/session_list.h"

enum session_field { SESSION_START, SESSION_END, SESSION_MORE, SESSION_FIRED, SESSION_FIELD_COUNT };

enum store_stage {
    STORE_READ,
    STORE_SCAN,
    STORE_LOADED, /* the list may be changed */
    STORE_REMOVE_FIRST,
    STORE_REMOVE_MORE,
    STORE_PUT_FIRST,
    STORE_PUT_MORE,
};

struct session_store {
    struct aggregate_parts *parts;
    struct state *first;
    struct state *more;
    struct schema *schema; /* of both */
    uint32_t offsets[SESSION_FIELD_COUNT];
    struct session_list list;
    /* The key at work. */
    enum store_stage stage;
    bool is_scanning;
    struct key_batch key;     /* one entry, borrowed */
    struct key_batch keys;    /* the same key for each of ids */
    struct key_batch subkeys; /* ids */
    int64_t *ids;             /* and two more */
    size_t id_count;          /* of what lies in more_sessions */
    size_t id_capacity;
    size_t next;
};

enum status session_store_open(struct session_store *store, const struct operator_env *env,
                               struct aggregate_parts *parts, const struct type *key_types,
                               struct error *err) MUST_CHECK;
void session_store_close(struct session_store *store);

/* Takes the sessions of a key into the list. The key is borrowed until it is put back. Resumable;
 * done when the stage is STORE_LOADED. */
enum step session_store_load(struct session_store *store, const struct key_batch *keys,
                             uint32_t index, struct error *err);
/* Leaves the key as it is in the state. */
void session_store_leave(struct session_store *store);
/* Puts the list back. Resumable. */
enum step session_store_put(struct session_store *store, struct error *err);

static inline int64_t session_value(const struct session_store *store, const void *slot,
                                    enum session_field field)
{
    int64_t value;
    memcpy(&value, (const char *)slot + store->offsets[field], sizeof(value));
    return value;
}

static inline void session_set(const struct session_store *store, void *slot,
                               enum session_field field, int64_t value)
{
    memcpy((char *)slot + store->offsets[field], &value, sizeof(value));
}

#endif
