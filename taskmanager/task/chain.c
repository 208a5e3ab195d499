/* The executor of a chain; control elements: chain_control.c, env and errors: chain_env.c. */
#include "taskmanager/task/chain.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

void chain_init(struct chain *chain, uint32_t operator_count, const struct chain_host *host,
                const struct clock *clock)
{
    CHECK(operator_count > 0);
    *chain = (struct chain){
        .host = *host,
        .clock = clock,
        .operators = allocate_array(operator_count, sizeof(struct chain_operator)),
        .operator_count = operator_count,
    };
    for (uint32_t i = 0; i < operator_count; i++) {
        chain->operators[i].errors_output = UINT32_MAX;
        chain->operators[i].watermark_ms = EVENT_TIME_NONE;
    }
}

static void operator_done(struct chain_operator *op)
{
    if (op->is_open && op->ops->close != NULL)
        op->ops->close(op->self);
    batch_unref(op->held);
    if (op->errors_output != UINT32_MAX)
        batch_builder_done(&op->errors);
    for (uint32_t i = 0; i < op->output_count; i++) {
        for (uint32_t j = 0; j < op->outputs[i].partitioner_count; j++)
            partitioner_destroy(op->outputs[i].partitioners[j]);
        free(op->outputs[i].partitioners);
    }
    free(op->outputs);
    free(op->self);
    free(op->waits_for);
}

void chain_done(struct chain *chain)
{
    for (uint32_t i = 0; i < chain->operator_count; i++)
        operator_done(&chain->operators[i]);
    free(chain->operators);
    *chain = (struct chain){0};
}

static bool output_has_room(const struct chain_operator *op, uint32_t output)
{
    if (output >= op->output_count)
        return true;
    const struct chain_output *to = &op->outputs[output];
    if (to->to_next && op->chain->operators[op->position + 1].held != NULL)
        return false;
    for (uint32_t i = 0; i < to->partitioner_count; i++) {
        if (!partitioner_has_room(to->partitioners[i]))
            return false;
    }
    return true;
}

static bool emitter_room(const struct emitter *emitter, uint32_t output)
{
    return output_has_room((const struct chain_operator *)emitter, output);
}

static void count(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

static void emitter_take(struct emitter *emitter, uint32_t output, struct batch *batch)
{
    struct chain_operator *op = (struct chain_operator *)emitter;
    CHECK(output_has_room(op, output));
    op->chain->emit_count++;
    const uint32_t row_count = batch_selected(batch);
    if (output >= op->output_count || row_count == 0) {
        batch_unref(batch);
        return;
    }
    count(&op->counters.rows_out, row_count);
    const struct chain_output *to = &op->outputs[output];
    for (uint32_t i = 0; i < to->partitioner_count; i++)
        partitioner_push(to->partitioners[i], batch_ref(batch));
    if (to->to_next) {
        struct chain_operator *next = &op->chain->operators[op->position + 1];
        next->held = batch;
        next->held_input = 0;
        count(&next->counters.rows_in, row_count);
    } else {
        batch_unref(batch);
    }
}

void chain_operator_bind(struct chain *chain, uint32_t position)
{
    struct chain_operator *op = &chain->operators[position];
    op->chain = chain;
    op->position = position;
    op->emitter.has_room = emitter_room;
    op->emitter.emit = emitter_take;
    op->env.ops = &chain_env_ops;
    op->env.late = &op->late;
    CHECK(position + 1 < chain->operator_count || op->output_count == 0 || !op->outputs[0].to_next);
}

bool chain_is_empty(const struct chain *chain)
{
    if (chain->control != CHAIN_IDLE)
        return false;
    for (uint32_t i = 0; i < chain->operator_count; i++) {
        if (chain->operators[i].held != NULL)
            return false;
    }
    return true;
}

static bool all_edges(const struct chain *chain, bool (*holds)(const struct partitioner *))
{
    for (uint32_t i = 0; i < chain->operator_count; i++) {
        const struct chain_operator *op = &chain->operators[i];
        for (uint32_t j = 0; j < op->output_count; j++) {
            for (uint32_t k = 0; k < op->outputs[j].partitioner_count; k++) {
                if (!holds(op->outputs[j].partitioners[k]))
                    return false;
            }
        }
    }
    return true;
}

bool chain_has_room(const struct chain *chain)
{
    return all_edges(chain, partitioner_has_room);
}

bool chain_is_drained(const struct chain *chain)
{
    return all_edges(chain, partitioner_is_drained);
}

void chain_push(struct chain *chain, uint16_t input, struct batch *batch)
{
    DCHECK(chain_is_empty(chain));
    struct chain_operator *first = &chain->operators[0];
    CHECK(input < first->ops->input_count);
    first->held = batch;
    first->held_input = input;
    count(&first->counters.rows_in, batch_selected(batch));
}

void chain_push_from_source(struct chain *chain, struct batch *batch)
{
    emitter_take(&chain->operators[0].emitter, 0, batch);
}

void chain_woken(struct chain *chain)
{
    for (uint32_t i = 0; i < chain->operator_count; i++)
        chain->operators[i].waits = false;
}

enum step chain_after_call(struct chain_operator *op, enum step step, uint64_t emitted,
                           struct error *err)
{
    op->is_in_call = step == STEP_AGAIN || step == STEP_WAIT;
    op->waits = step == STEP_WAIT;
    switch (step) {
    case STEP_DONE:
        return STEP_DONE;
    case STEP_WAIT:
        return STEP_WAIT;
    case STEP_AGAIN:
        if (op->chain->emit_count != emitted)
            return STEP_AGAIN; /* what it emitted runs first */
        for (uint32_t i = 0; i < op->output_count; i++) {
            if (!output_has_room(op, i)) {
                op->chain->is_blocked = true;
                return STEP_WAIT;
            }
        }
        return STEP_AGAIN;
    case STEP_FAILED:
        (void)error_wrap(err, err->code == STATUS_OK ? STATUS_IO : err->code, "%s",
                         op->env.spec != NULL ? op->env.spec->name : op->ops->kind);
        return STEP_FAILED;
    }
    UNREACHABLE();
}

static enum step run_operator(struct chain_operator *op, struct error *err)
{
    struct chain *chain = op->chain;
    if (op->waits)
        return STEP_WAIT;
    if (!output_has_room(op, 0)) {
        chain->is_blocked = true;
        return STEP_WAIT;
    }
    const uint64_t emitted = chain->emit_count;
    const enum step step = op->ops->process(op->self, op->held_input, op->held, &op->emitter, err);
    if (step == STEP_DONE) {
        batch_unref(op->held);
        op->held = NULL;
    }
    (void)chain_flush_errors(op);
    return chain_after_call(op, step, emitted, err);
}

static struct chain_operator *deepest_held(struct chain *chain)
{
    for (uint32_t i = chain->operator_count; i > 0; i--) {
        if (chain->operators[i - 1].held != NULL)
            return &chain->operators[i - 1];
    }
    return NULL;
}

enum step chain_run(struct chain *chain, int64_t deadline_us, struct error *err)
{
    chain->is_blocked = false;
    for (;;) {
        struct chain_operator *op = deepest_held(chain);
        if (op == NULL && chain->control == CHAIN_IDLE)
            return STEP_DONE;
        const uint64_t emitted = chain->emit_count;
        const enum step step = op != NULL ? run_operator(op, err) : chain_step_control(chain, err);
        if (step == STEP_FAILED)
            return STEP_FAILED;
        const bool emitted_now = chain->emit_count != emitted;
        if (step == STEP_WAIT && !emitted_now)
            return STEP_WAIT;
        if (step == STEP_AGAIN && !emitted_now)
            return STEP_AGAIN;
        if (clock_now_us(chain->clock) >= deadline_us)
            return chain_is_empty(chain) ? STEP_DONE : STEP_AGAIN;
    }
}

enum step chain_tell_completed(struct chain *chain, struct error *err)
{
    enum step result = STEP_DONE;
    for (uint32_t i = 0; i < chain->operator_count; i++) {
        struct chain_operator *op = &chain->operators[i];
        if (op->completed.value == 0)
            continue;
        if (op->ops->checkpoint_completed == NULL) {
            op->completed.value = 0;
            continue;
        }
        /* A sink may wait in write for just this commit. */
        if (op->is_in_call && !(op->is_sink && op->waits)) {
            result = result == STEP_DONE ? STEP_WAIT : result;
            continue;
        }
        const enum step step = op->ops->checkpoint_completed(op->self, op->completed, err);
        if (step == STEP_FAILED) {
            (void)error_wrap(err, err->code, "%s: commit of checkpoint %llu", op->env.spec->name,
                             (unsigned long long)op->completed.value);
            return STEP_FAILED;
        }
        if (step == STEP_DONE)
            op->completed.value = 0;
        else if (step == STEP_AGAIN || result == STEP_DONE)
            result = step;
    }
    return result;
}

enum status chain_pump(struct chain *chain, int64_t now_us, struct error *err)
{
    for (uint32_t i = 0; i < chain->operator_count; i++) {
        struct chain_operator *op = &chain->operators[i];
        for (uint32_t j = 0; j < op->output_count; j++) {
            for (uint32_t k = 0; k < op->outputs[j].partitioner_count; k++)
                TRY(partitioner_pump(op->outputs[j].partitioners[k], now_us, err));
        }
    }
    return STATUS_OK;
}

struct id128 chain_failed_peer(const struct chain *chain)
{
    struct id128 peer = {{0}};
    for (uint32_t i = 0; i < chain->operator_count; i++) {
        const struct chain_operator *op = &chain->operators[i];
        for (uint32_t j = 0; j < op->output_count; j++) {
            for (uint32_t k = 0; k < op->outputs[j].partitioner_count; k++) {
                if (id128_is_none(peer))
                    peer = partitioner_failed_peer(op->outputs[j].partitioners[k]);
            }
        }
    }
    return peer;
}

int64_t chain_due_us(const struct chain *chain)
{
    int64_t due_us = INT64_MAX;
    for (uint32_t i = 0; i < chain->operator_count; i++) {
        const struct chain_operator *op = &chain->operators[i];
        for (uint32_t j = 0; j < op->output_count; j++) {
            for (uint32_t k = 0; k < op->outputs[j].partitioner_count; k++) {
                const int64_t edge_us = partitioner_due_us(op->outputs[j].partitioners[k]);
                due_us = edge_us < due_us ? edge_us : due_us;
            }
        }
    }
    return due_us;
}
