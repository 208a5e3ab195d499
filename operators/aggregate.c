/*
 * aggregate: rolling aggregates by key, kept in one value state ("accumulators").
 *
 * Settings: emit (each, batch, end, changelog), ttl_ms, merge (the input is the output of
 * local_aggregate), input_changes (the input holds -U and -D: groups without rows disappear).
 */
#include "common/base/allocate.h"
#include "operators/keyed_fold.h"
#include "operators/operators.h"

struct aggregate {
    struct operator_env *env;
    struct keyed_fold fold;
    void *empty_slot;
};

static enum status aggregate_open(void *self, struct operator_env *env, struct error *err)
{
    struct aggregate *aggregate = self;
    struct keyed_fold *fold = &aggregate->fold;
    aggregate->env = env;
    enum emit_mode mode;
    int64_t ttl_ms;
    TRY(emit_mode_of(env->spec, &mode, err));
    TRY(ttl_of(env->spec, &ttl_ms, err));
    TRY(keyed_fold_open(fold, env, mode, mode == EMIT_CHANGELOG, false, err));
    const struct state_descriptor descriptor = {
        .name = "accumulators",
        .kind = STATE_AGGREGATING,
        .order = STATE_KEY_FIRST,
        .key_types = fold->output.key_types,
        .key_count = env->spec->key_count,
        .value = fold->parts.schema,
        .ttl_ms = ttl_ms,
    };
    struct state *state;
    TRY(env->keyed->ops->register_state(env->keyed, &descriptor, &state, err));
    TRY(keyed_fold_place(fold, state, ttl_ms, err));
    if (env->spec->key_count == 0) {
        const uint8_t fresh = 1;
        aggregate->empty_slot = allocate(state->layout.size);
        aggregate_parts_init_slots(&fold->parts, &aggregate->empty_slot, &fresh, 1);
    }
    return STATUS_OK;
}

static enum step aggregate_process(void *self, uint16_t input, struct batch *in,
                                   struct emitter *out, struct error *err)
{
    struct aggregate *aggregate = self;
    (void)input;
    if (!keyed_fold_is_busy(&aggregate->fold))
        keyed_fold_start(&aggregate->fold, in, NULL, false);
    return keyed_fold_run(&aggregate->fold, out, err);
}

static enum step aggregate_finish(void *self, struct emitter *out, struct error *err)
{
    struct aggregate *aggregate = self;
    return keyed_output_finish(&aggregate->fold.output, aggregate->fold.state,
                               aggregate->empty_slot, aggregate->env->memory, out, err);
}

static void aggregate_close(void *self)
{
    struct aggregate *aggregate = self;
    keyed_fold_close(&aggregate->fold);
    free(aggregate->empty_slot);
    *aggregate = (struct aggregate){0};
}

const struct operator_ops aggregate_operator = {
    .abi_size = sizeof(struct operator_ops),
    .traits = OPERATOR_KEYED | OPERATOR_TAKES_CHANGES,
    .kind = "aggregate",
    .instance_size = sizeof(struct aggregate),
    .input_count = 1,
    .open = aggregate_open,
    .process = aggregate_process,
    .finish = aggregate_finish,
    .close = aggregate_close,
};
