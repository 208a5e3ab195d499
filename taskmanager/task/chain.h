/*
 * The operators of one task, run as a chain.
 *
 * Each boundary (what waits before an operator) holds at most one batch; the deepest non-empty one
 * runs first. One control element at a time is in the chain: it visits the operators in order, and
 * enters one only when everything that was emitted before has left. While it is inside, the chain
 * takes no batch, so that a barrier is one point for all operators.
 *
 * Output 0 of an operator goes to the next one and to the edges of that output, other outputs to
 * edges only; an output that nobody reads takes everything and drops it.
 *
 * One thread: the task's worker.
 */
#ifndef TASKMANAGER_TASK_CHAIN_H
#define TASKMANAGER_TASK_CHAIN_H

#include "common/api/row_error.h"
#include "taskmanager/exchange/partitioner.h"
#include "taskmanager/task/keyed_backend.h"

struct chain_output {
    bool to_next;
    struct partitioner **partitioners; /* one per edge; owned */
    uint32_t partitioner_count;
};

/* Written by the worker, read by whoever wants to know. */
struct operator_counters {
    _Atomic uint64_t rows_in;
    _Atomic uint64_t rows_out;
    _Atomic uint64_t errors; /* rows skipped or sent to `errors` */
};

struct chain;

struct chain_operator {
    struct emitter emitter;  /* first */
    struct operator_env env; /* what the hooks see; env.ops lead back here */
    struct chain *chain;
    uint32_t position;
    const struct operator_ops *ops;
    void *self; /* owned */
    bool is_open;
    bool is_sink;    /* self is a struct sink_driver */
    bool is_in_call; /* the last call of process or of a hook was not its last */
    bool waits;      /* that call said STEP_WAIT and nobody has woken the task since */
    uint16_t held_input;
    struct batch *held; /* the boundary before it */
    uint32_t output_count;
    struct chain_output *outputs;
    uint32_t errors_output;      /* UINT32_MAX: none */
    struct batch_builder errors; /* initialised if there is an errors output */
    bool has_timer;              /* timer: its on_timer has not said DONE */
    bool ends_timers;            /* the last call of timers_done has not said DONE */
    struct timer timer;
    struct checkpoint_id completed; /* still to be told; 0: nothing */
    int64_t watermark_ms;           /* the last one it has dealt with; EVENT_TIME_NONE */
    char *waits_for;                /* owned; NULL: nothing */
    struct operator_counters counters;
    struct late_counters late;
};

enum chain_control_kind {
    CHAIN_IDLE, /* nothing is in the chain */
    CHAIN_PASS, /* goes through untouched: idle, active, latency */
    CHAIN_WATERMARK,
    CHAIN_BARRIER,
    CHAIN_END,
    CHAIN_FLUSH,  /* stops at the last operator */
    CHAIN_TIMERS, /* processing time; stops at the last operator */
};

/* What the chain needs from its task. */
struct chain_host {
    void *context;
    void (*wake)(void *context); /* any thread */
    void (*run_blocking)(void *context, void (*run)(void *argument), void *argument);
    /* All operators are at the barrier: take the snapshot. */
    enum status (*on_barrier)(void *context, const struct barrier *barrier, struct error *err);
    /* See operator_env_ops.event_time. NULL: nobody makes watermarks here. */
    void (*on_event_time)(void *context, uint32_t split, int64_t max_ms);
    /* See operator_env_ops.waits_for. */
    void (*on_waits_for)(void *context, const char *reason);
};

#define CHAIN_RECORD_BYTES 512

struct chain {
    struct chain_host host;
    const struct clock *clock;
    struct keyed_backend *keyed;      /* NULL: none */
    struct chain_operator *operators; /* array: addresses are stable */
    uint32_t operator_count;
    uint64_t emit_count; /* batches emitted by any operator: progress */
    bool is_blocked;     /* the last run stopped for want of room downstream */
    enum chain_control_kind control;
    uint32_t control_at;     /* the operator it is at; operator_count: at the edges */
    bool control_has_called; /* the operator's hook is done: its timers and errors remain */
    bool control_has_snapshot;
    struct element element;                 /* of the control */
    char failed_record[CHAIN_RECORD_BYTES]; /* identifies the row that failed the chain; "" */
    int64_t now_ms;                         /* TIMERS: wall clock */
};

/* The operators are filled in by the caller (chain_build.c), then opened. */
void chain_init(struct chain *chain, uint32_t operator_count, const struct chain_host *host,
                const struct clock *clock);
/* Closes operators and edges. */
void chain_done(struct chain *chain);

/* Sets emitter and env.ops of an operator whose ops, self and outputs are set. */
void chain_operator_bind(struct chain *chain, uint32_t position);

/* Nothing is inside: a batch or a control may enter. */
bool chain_is_empty(const struct chain *chain);
/* Room at every edge of every operator. */
bool chain_has_room(const struct chain *chain);

/* Everything emitted is out of this side's hands. */
bool chain_is_drained(const struct chain *chain);

/* Takes the batch; requires an empty chain. For a source: emits it behind the first operator. */
void chain_push(struct chain *chain, uint16_t input, struct batch *batch);
void chain_push_from_source(struct chain *chain, struct batch *batch);
void chain_start(struct chain *chain, enum chain_control_kind kind, const struct element *element);

/* Runs until empty (STEP_DONE), out of time (STEP_AGAIN), or nothing can go on before a wake
 * (STEP_WAIT; is_blocked says whether for room). */
enum step chain_run(struct chain *chain, int64_t deadline_us, struct error *err);
/* A new turn: whoever waited may be called again. */
void chain_woken(struct chain *chain);
/* Tells operators of completed checkpoints, where no call is under way. false: some are left. */
enum step chain_tell_completed(struct chain *chain, struct error *err);

/* Goes on with what the edges hold. */
enum status chain_pump(struct chain *chain, int64_t now_us, struct error *err) MUST_CHECK;
/* After a failure of pump: the TaskManager that was lost. */
struct id128 chain_failed_peer(const struct chain *chain);
int64_t chain_due_us(const struct chain *chain);

/* chain_control.c: one step of the control inside. */
enum step chain_step_control(struct chain *chain, struct error *err);
/* chain_env.c */
extern const struct operator_env_ops chain_env_ops;
/* Sends collected dead letters. false: no room. */
bool chain_flush_errors(struct chain_operator *op);
/* Interprets what a call of an operator returned: DONE, WAIT (blocked or waiting), AGAIN, FAILED.
 * emitted: emit_count before the call. */
enum step chain_after_call(struct chain_operator *op, enum step step, uint64_t emitted,
                           struct error *err);

#endif
