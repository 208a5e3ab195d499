/* A control element on its way through the chain: the hooks, then timers and dead letters of each
 * operator, then the snapshot, then the edges. */
#include "taskmanager/task/chain.h"

#include "common/base/check.h"

void chain_start(struct chain *chain, enum chain_control_kind kind, const struct element *element)
{
    CHECK(chain_is_empty(chain) && kind != CHAIN_IDLE);
    chain->control = kind;
    chain->control_at = kind == CHAIN_PASS ? chain->operator_count : 0;
    chain->control_has_called = false;
    chain->control_has_snapshot = false;
    chain->element = element != NULL ? *element : (struct element){.kind = ELEMENT_END};
    chain->now_ms = clock_wall_ms(chain->clock);
}

static enum step call_hook(struct chain *chain, struct chain_operator *op, struct error *err)
{
    const struct operator_ops *ops = op->ops;
    switch (chain->control) {
    case CHAIN_WATERMARK:
        return ops->before_watermark == NULL
                   ? STEP_DONE
                   : ops->before_watermark(op->self, chain->element.watermark_ms, &op->emitter,
                                           err);
    case CHAIN_BARRIER:
        return ops->before_barrier == NULL ? STEP_DONE
                                           : ops->before_barrier(op->self, &op->emitter, err);
    case CHAIN_END:
        return ops->finish == NULL ? STEP_DONE : ops->finish(op->self, &op->emitter, err);
    case CHAIN_FLUSH:
        return ops->flush == NULL ? STEP_DONE : ops->flush(op->self, &op->emitter, err);
    case CHAIN_TIMERS:
        return STEP_DONE;
    case CHAIN_IDLE:
    case CHAIN_PASS:
        break;
    }
    UNREACHABLE();
}

static enum step next_timer(struct chain *chain, struct chain_operator *op, struct error *err)
{
    const bool is_event_time = chain->control == CHAIN_WATERMARK;
    if (chain->keyed == NULL || op->env.keyed == NULL ||
        (!is_event_time && chain->control != CHAIN_TIMERS))
        return STEP_DONE;
    const enum step found = chain->keyed->ops->take_timer(
        op->env.keyed, is_event_time ? TIMER_EVENT_TIME : TIMER_PROCESSING_TIME,
        is_event_time ? chain->element.watermark_ms : chain->now_ms, &op->has_timer, &op->timer,
        err);
    if (found == STEP_DONE && op->has_timer && op->ops->on_timer == NULL) {
        (void)error_set(err, STATUS_CORRUPT, "a timer is due, but the operator sets none");
        return STEP_FAILED;
    }
    return found;
}

/* Fires one due timer. STEP_DONE with *ret_fired false: none is left. */
static enum step fire_timer(struct chain *chain, struct chain_operator *op, bool *ret_fired,
                            struct error *err)
{
    *ret_fired = false;
    if (!op->has_timer) {
        const enum step found = next_timer(chain, op, err);
        if (found != STEP_DONE || !op->has_timer)
            return found;
    }
    const enum step step = op->ops->on_timer(op->self, &op->timer, &op->emitter, err);
    if (step == STEP_DONE) {
        op->has_timer = false;
        *ret_fired = true;
    }
    return step;
}

/* What the operator held back for its timers. */
static enum step end_timers(const struct chain *chain, struct chain_operator *op, struct error *err)
{
    if ((chain->control != CHAIN_WATERMARK && chain->control != CHAIN_TIMERS) ||
        op->ops->timers_done == NULL)
        return STEP_DONE;
    op->ends_timers = true;
    const enum step step = op->ops->timers_done(op->self, &op->emitter, err);
    op->ends_timers = step != STEP_DONE;
    return step;
}

static enum step visit(struct chain *chain, struct chain_operator *op, struct error *err)
{
    if (op->waits)
        return STEP_WAIT;
    const uint64_t emitted = chain->emit_count;
    if (!chain->control_has_called) {
        const enum step step = call_hook(chain, op, err);
        if (step != STEP_DONE)
            return chain_after_call(op, step, emitted, err);
        chain->control_has_called = true;
        op->is_in_call = false;
    }
    bool has_fired = false;
    enum step fired = op->ends_timers ? STEP_DONE : fire_timer(chain, op, &has_fired, err);
    if (fired == STEP_DONE && !has_fired)
        fired = end_timers(chain, op, err);
    if (fired != STEP_DONE)
        return chain_after_call(op, fired, emitted, err);
    op->is_in_call = false;
    if (has_fired)
        return STEP_DONE;
    if (!chain_flush_errors(op)) {
        chain->is_blocked = true;
        return STEP_WAIT;
    }
    if (chain->control == CHAIN_WATERMARK)
        op->watermark_ms = chain->element.watermark_ms;
    chain->control_at++;
    chain->control_has_called = false;
    return STEP_DONE;
}

static enum step leave(struct chain *chain, struct error *err)
{
    if (chain->control == CHAIN_BARRIER && !chain->control_has_snapshot) {
        if (chain->host.on_barrier(chain->host.context, &chain->element.barrier, err) != STATUS_OK)
            return STEP_FAILED;
        chain->control_has_snapshot = true;
    }
    if (chain->control != CHAIN_FLUSH && chain->control != CHAIN_TIMERS) {
        if (!chain_has_room(chain)) {
            chain->is_blocked = true;
            return STEP_WAIT;
        }
        for (uint32_t i = 0; i < chain->operator_count; i++) {
            const struct chain_operator *op = &chain->operators[i];
            for (uint32_t j = 0; j < op->output_count; j++) {
                for (uint32_t k = 0; k < op->outputs[j].partitioner_count; k++)
                    partitioner_control(op->outputs[j].partitioners[k], &chain->element);
            }
        }
    }
    chain->control = CHAIN_IDLE;
    return STEP_DONE;
}

enum step chain_step_control(struct chain *chain, struct error *err)
{
    if (chain->control_at < chain->operator_count)
        return visit(chain, &chain->operators[chain->control_at], err);
    return leave(chain, err);
}
