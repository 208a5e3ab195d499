/* What operators may ask of the task: wake, pooled threads, and the policy for bad rows. */
#include "taskmanager/task/chain.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <stdio.h>

#define RAW_SHOWN_BYTES 120

static struct chain_operator *operator_of(struct operator_env *env)
{
    return (struct chain_operator *)((char *)env - offsetof(struct chain_operator, env));
}

static void env_wake(struct operator_env *env)
{
    const struct chain_host *host = &operator_of(env)->chain->host;
    host->wake(host->context);
}

static void env_run_blocking(struct operator_env *env, void (*run)(void *argument), void *argument)
{
    const struct chain_host *host = &operator_of(env)->chain->host;
    host->run_blocking(host->context, run, argument);
}

/* By its place in the source where that is known exactly; else by what is wrong with it, which is
 * the same when the same row comes again. */
static void note_failed_record(struct chain_operator *op, const struct row_error *error)
{
    const struct buffer *source = error->origin != NULL ? error->origin->source : NULL;
    char *record = op->chain->failed_record;
    if (source != NULL && error->position >= 0)
        (void)snprintf(record, CHAIN_RECORD_BYTES, "%s %.*s:%lld", op->env.spec->name,
                       source->size < 300 ? (int)source->size : 300, source->bytes,
                       (long long)error->position);
    else
        (void)snprintf(record, CHAIN_RECORD_BYTES, "%s %s", op->env.spec->name, error->message);
}

static enum step fail_row(const struct row_error *error, struct error *err)
{
    char where[512] = "";
    const struct batch_origin *origin = error->origin;
    if (origin != NULL && origin->source != NULL)
        (void)snprintf(where, sizeof(where), " at %.*s:%lld",
                       origin->source->size < 400 ? (int)origin->source->size : 400,
                       origin->source->bytes,
                       (long long)(error->position >= 0 ? error->position : origin->first));
    else if (error->position >= 0)
        (void)snprintf(where, sizeof(where), " at position %lld", (long long)error->position);
    char raw[RAW_SHOWN_BYTES + 16] = "";
    if (error->raw != NULL && error->raw_size > 0) {
        const bool is_cut = error->raw_size > RAW_SHOWN_BYTES;
        (void)snprintf(raw, sizeof(raw), ": %.*s%s",
                       is_cut ? RAW_SHOWN_BYTES : (int)error->raw_size, error->raw,
                       is_cut ? "..." : "");
    }
    (void)error_set(err, STATUS_RECORD,
                    "%s error%s: %s%s; set on_error to skip or dead_letter to go on without "
                    "such rows",
                    error->cause, where, error->message, raw);
    return STEP_FAILED;
}

static enum step env_row_error(struct operator_env *env, const struct row_error *error,
                               struct emitter *out, struct error *err)
{
    (void)out; /* the operator's own: dead letters are collected and sent with its other output */
    struct chain_operator *op = operator_of(env);
    switch (env->spec->on_error) {
    case ON_ERROR_FAIL:
        note_failed_record(op, error);
        return fail_row(error, err);
    case ON_ERROR_DEAD_LETTER:
        if (op->errors_output == UINT32_MAX)
            break;
        if (batch_builder_is_full(&op->errors) && !chain_flush_errors(op))
            return STEP_AGAIN;
        row_error_append(&op->errors, env->spec->name, error, clock_wall_ms(env->clock));
        break;
    case ON_ERROR_SKIP:
        break;
    }
    atomic_fetch_add_explicit(&op->counters.errors, 1, memory_order_relaxed);
    return STEP_DONE;
}

static void env_event_time(struct operator_env *env, const struct batch_origin *origin,
                           int64_t max_ms)
{
    const struct chain_host *host = &operator_of(env)->chain->host;
    if (host->on_event_time != NULL)
        host->on_event_time(host->context, origin->split, max_ms);
}

static int64_t env_watermark_ms(const struct operator_env *env)
{
    return operator_of((struct operator_env *)(uintptr_t)env)->watermark_ms;
}

/* One text is shown for the task: the first operator's that waits. */
static void env_waits_for(struct operator_env *env, const char *reason)
{
    struct chain_operator *op = operator_of(env);
    if (reason == op->waits_for ||
        (reason != NULL && op->waits_for != NULL && strcmp(reason, op->waits_for) == 0))
        return;
    free(op->waits_for);
    op->waits_for = reason != NULL ? copy_text(reason) : NULL;
    const struct chain *chain = op->chain;
    const char *shown = NULL;
    for (uint32_t i = 0; i < chain->operator_count && shown == NULL; i++)
        shown = chain->operators[i].waits_for;
    chain->host.on_waits_for(chain->host.context, shown);
}

bool chain_flush_errors(struct chain_operator *op)
{
    if (op->errors_output == UINT32_MAX || op->errors.row_count == 0)
        return true;
    if (!emitter_has_room(&op->emitter, op->errors_output))
        return false;
    emitter_emit(&op->emitter, op->errors_output, batch_builder_take(&op->errors));
    return true;
}

const struct operator_env_ops chain_env_ops = {
    .wake = env_wake,
    .run_blocking = env_run_blocking,
    .row_error = env_row_error,
    .event_time = env_event_time,
    .watermark_ms = env_watermark_ms,
    .waits_for = env_waits_for,
};
