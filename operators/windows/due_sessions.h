/*
 * Keys with a session timer that is due, gathered over many timers so that their sessions are read
 * and removed by the batch.
 *
 * Every session has a timer of its key at or before its last millisecond; a session that has grown
 * since gets a new one when the timer comes. So a row that prolongs a session costs nothing more.
 */
#ifndef OPERATORS_WINDOWS_DUE_SESSIONS_H
#define OPERATORS_WINDOWS_DUE_SESSIONS_H

#include "operators/windows/session_store.h"
#include "operators/windows/window_output.h"

#define DUE_SESSIONS_MAX MERGE_ENTRIES_MAX
#define DUE_TABLE_SIZE   (4 * DUE_SESSIONS_MAX)

enum due_stage { DUE_GATHER, DUE_READ, DUE_REMOVE, DUE_TIMERS, DUE_ONE_BY_ONE };

struct due_sessions {
    struct operator_env *env;
    const struct window_spec *window;
    struct session_store *store;
    const struct window_output *output;
    bool gives_rows; /* when a session ends */
    struct text bytes;
    size_t *offsets; /* of each key in bytes */
    uint16_t
        *table; /* index + 1 of a key, 0 if free: a key counts once, however many timers it has */
    struct key_batch keys;
    enum due_stage stage;
    int64_t watermark_ms;
    uint32_t next;
    struct key_batch gone;  /* keys whose session has been given */
    struct key_batch later; /* keys that get another timer, at later_ms */
    int64_t *later_ms;
    uint32_t *many; /* keys to be looked at one by one */
    uint32_t many_count;
    bool has_given; /* of the key that is looked at */
    size_t next_timer;
};

void due_sessions_open(struct due_sessions *due, struct operator_env *env,
                       const struct window_spec *window, struct session_store *store,
                       const struct window_output *output);
void due_sessions_close(struct due_sessions *due);
/* Takes the key of a timer. false: run first. */
bool due_sessions_add(struct due_sessions *due, const struct timer *timer);
/* Gives and forgets what is due at watermark_ms. Resumable. */
enum step due_sessions_run(struct due_sessions *due, int64_t watermark_ms, struct emitter *out,
                           struct error *err);

/* A timer of the key for a session that ends there. */
enum step session_timer_set(struct operator_env *env, const struct window_spec *window,
                            const struct key_batch *keys, uint32_t index, int64_t time_ms,
                            struct error *err);

#endif
