/*
 * The contract between a task and one operator instance. Built-in operators register through the
 * same struct that plug-ins will get.
 *
 * Threads    every hook runs on the task's worker thread, one at a time, and returns within about a
 *            millisecond; it never sleeps, locks or does I/O. Blocking work goes through
 *            env->ops->run_blocking. Only env->ops->wake may be called from another thread.
 * Output     emit only while emitter_has_room(out, output); emitter_emit() takes the batch and
 *            cannot fail. No room left: keep your place and return STEP_AGAIN.
 * Ownership  a batch passed in is borrowed until the hook returns STEP_DONE; batch_ref keeps it.
 * Replay     hooks run again after a restore with the same input: whatever decides output is in
 *            state, in the snapshot, or in the input. No clock but env->clock, no randomness.
 * Order      timers and mailbox run only between completed calls. The task calls before_barrier and
 *            then, with nothing in between, snapshot.
 * Absent     a NULL hook means the default named in [brackets].
 */
#ifndef COMMON_API_OPERATOR_H
#define COMMON_API_OPERATOR_H

#include "common/api/state.h"
#include "common/api/step.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/late_counters.h"
#include "common/base/memory.h"
#include "common/base/status.h"
#include "common/data/batch.h"
#include "common/data/key.h"
#include "common/graph/job_graph.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a hook's output goes; the task (or the test kit) provides it. */
struct emitter {
    bool (*has_room)(const struct emitter *emitter, uint32_t output);
    void (*emit)(struct emitter *emitter, uint32_t output, struct batch *batch);
};

static inline bool emitter_has_room(const struct emitter *emitter, uint32_t output)
{
    return emitter->has_room(emitter, output);
}

/* Takes the reference; requires room. Empty batches are dropped. */
static inline void emitter_emit(struct emitter *emitter, uint32_t output, struct batch *batch)
{
    emitter->emit(emitter, output, batch);
}

/* Non-keyed operator state. An entry is opaque bytes; LIST entries are split between subtasks on
 * rescale, UNION entries go to everyone, BROADCAST entries are the same everywhere. */
enum operator_state_kind { OPERATOR_STATE_LIST, OPERATOR_STATE_UNION, OPERATOR_STATE_BROADCAST };

struct snapshot_writer {
    void (*put)(struct snapshot_writer *writer, const char *name, enum operator_state_kind kind,
                const void *bytes, size_t size);
};

struct snapshot_entry {
    const char *name;
    const void *bytes;
    size_t size;
};

/* All restored entries of one operator instance, in the order they were put. Borrowed. */
struct snapshot_reader {
    const struct snapshot_entry *entries;
    size_t count;
};

/* A row that could not be processed, for on_error. All texts are borrowed. */
struct row_error {
    const char *cause;   /* "parse", "expression", "too_large" */
    const char *message; /* complete sentence with column, value (shortened) and expression */
    const struct batch_origin *origin; /* may be NULL */
    int64_t position;                  /* byte or record offset; -1: unknown, see origin */
    const char *raw;                   /* the record's bytes, may be NULL */
    size_t raw_size;
    const char *key; /* of the record, as text; may be NULL */
    size_t key_size;
};

struct operator_env;

struct operator_env_ops {
    /* Makes the task runnable again after STEP_WAIT. Any thread. */
    void (*wake)(struct operator_env *env);
    /* Runs `run(argument)` on a pooled thread that may block; `argument` must live until it has
     * returned. Call wake from there when something changed. */
    void (*run_blocking)(struct operator_env *env, void (*run)(void *argument), void *argument);
    /* Applies on_error to one row: FAIL fills err and returns STEP_FAILED, SKIP counts it and
     * returns STEP_DONE, DEAD_LETTER emits a row on the output "errors" (STEP_AGAIN: no room now,
     * same call again). */
    enum step (*row_error)(struct operator_env *env, const struct row_error *error,
                           struct emitter *out, struct error *err);
    /* The largest event time of a batch (milliseconds since 1970) that the operator passes on,
     * before it emits it: the task makes the watermark of the batch's split from it. Only behind a
     * source, in its chain. */
    void (*event_time)(struct operator_env *env, const struct batch_origin *origin, int64_t max_ms);
    /* The last watermark whose hook and timers this operator has completed, restored ones
     * included: a row with a time at or below it is late. EVENT_TIME_NONE before the first. */
    int64_t (*watermark_ms)(const struct operator_env *env);
    /* What the instance waits for outside ("kafka-1:9092: Connection refused"), for people who look
     * at the job's status; NULL: nothing any more. The text is copied. The task's thread. */
    void (*waits_for)(struct operator_env *env, const char *reason);
};

/* Watermarks are milliseconds since 1970: no row with a time at or below is expected any more. */
#define EVENT_TIME_NONE INT64_MIN /* nothing is known */
#define EVENT_TIME_MAX  INT64_MAX /* the input has ended */

/* What an instance may know and use. Lives as long as the instance. */
struct operator_env {
    const struct operator_env_ops *ops;
    const struct operator_spec *spec;
    const struct job_graph *job; /* NULL in tests that need none */
    struct job_id job_id;
    struct attempt_id attempt;
    uint32_t subtask_index;
    uint32_t parallelism;
    uint32_t max_parallelism;
    struct key_group_range key_groups;
    struct keyed_state *keyed; /* NULL for an operator without OPERATOR_KEYED */
    struct memory_account *memory;
    const struct clock *clock;
    struct late_counters *late; /* of this operator; NULL: nobody asks */
};

enum operator_trait {
    OPERATOR_KEYED = 1 << 0, /* runs behind a key exchange; keyed state allowed */
    /* Takes rows of other kinds than +I; the compiler checks it at submit. */
    OPERATOR_TAKES_CHANGES = 1 << 2,
};

struct operator_ops {
    uint32_t abi_size;    /* sizeof(struct operator_ops): fields are only appended */
    uint32_t traits;      /* enum operator_trait */
    const char *kind;     /* registry key: "aggregate" */
    size_t instance_size; /* zeroed memory that the task provides as self */
    uint16_t input_count; /* 1; 2 for joins; unions are many channels of one input */

    /* Reads the spec, registers state, prepares expressions. Nothing flows before it returns. */
    enum status (*open)(void *self, struct operator_env *env, struct error *err);

    /* Once, after open, if there is a checkpoint to restore (keyed state is already there). At a
     * changed parallelism the reader holds parts of several old instances. [nothing to read] */
    enum status (*restore)(void *self, const struct snapshot_reader *reader, struct error *err);

    /* Consumes the selected rows of one batch. The same batch comes again after STEP_AGAIN. */
    enum step (*process)(void *self, uint16_t input, struct batch *in, struct emitter *out,
                         struct error *err);

    /* Emits what must leave before the combined watermark does. [nothing; it is forwarded] */
    enum step (*before_watermark)(void *self, int64_t watermark_ms, struct emitter *out,
                                  struct error *err);
    /* A timer set through env->keyed is due. [fails: no timer was ever set] */
    enum step (*on_timer)(void *self, const struct timer *due, struct emitter *out,
                          struct error *err);

    /* Emits what must leave before the barrier does (buffers, pre-aggregates). [nothing] */
    enum step (*before_barrier)(void *self, struct emitter *out, struct error *err);
    /* Writes what is not in keyed state. Must not emit. [nothing to write] */
    enum status (*snapshot)(void *self, struct checkpoint_id id, struct snapshot_writer *writer,
                            struct error *err);
    /* The checkpoint, and every earlier one, is durable on every task. May take its time: STEP_WAIT
     * or STEP_AGAIN bring the call back between other calls. [nothing] */
    enum step (*checkpoint_completed)(void *self, struct checkpoint_id id, struct error *err);
    /* The checkpoint was given up; may come for one that was never seen here. [nothing] */
    void (*checkpoint_aborted)(void *self, struct checkpoint_id id);

    /* Emit what is held back: at most once per execution.buffer-timeout.interval, and at once when
     * the last time is longer ago. [nothing] */
    enum step (*flush)(void *self, struct emitter *out, struct error *err);

    /* All inputs have ended: emit what is left. [nothing] */
    enum step (*finish)(void *self, struct emitter *out, struct error *err);

    /* Releases everything; also after a failed open. [nothing] */
    void (*close)(void *self);

    /* All timers that were due have been given to on_timer (there may have been none): emit what
     * was held back for them. Comes before the watermark goes on. [nothing] */
    enum step (*timers_done)(void *self, struct emitter *out, struct error *err);
};

#endif
