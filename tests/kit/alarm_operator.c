/*
 * "alarm": two inputs, a named output and processing-time timers, which no built-in operator uses
 * yet. Rows of input 0 leave on output 0, rows of input 1 on output 1. With round = value / 100 mod
 * 5, every row of input 0 sets a timer of its key at base + round ms, and one of round 3 deletes
 * the key's timer at base + 1: a key that saw two of each round has four timers left. A timer that
 * fires leaves on output 1 with its time - base.
 */
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "tests/kit/task_kit.h"

#include <string.h>

int64_t kit_alarm_base_ms;
_Atomic uint64_t kit_alarm_fired;
_Atomic uint64_t kit_alarm_disorder;
_Atomic uint64_t kit_alarm_restored_rows;

struct alarm_operator {
    struct operator_env *env;
    struct state *counts;
    struct key_batch keys;
    struct timer last;
    uint32_t next; /* row */
    uint32_t step; /* of the row: set, delete */
    uint64_t rows;
    bool is_busy;
};

static const struct type alarm_key = {.kind = TYPE_STRING, .nullable = true};

static enum status alarm_open(void *self, struct operator_env *env, struct error *err)
{
    struct alarm_operator *operator= self;
    operator->env = env;
    key_batch_init(&operator->keys);
    operator->last.time_ms = INT64_MIN;
    const struct schema_column column = {.name = "rows", .type = type_of_kind(TYPE_BIGINT)};
    SCOPED(schema_unref) struct schema *value = schema_create(&column, 1, -1);
    const struct state_descriptor descriptor = {
        .name = "rows",
        .kind = STATE_VALUE,
        .key_types = &alarm_key,
        .key_count = 1,
        .value = value,
    };
    return env->keyed->ops->register_state(env->keyed, &descriptor, &operator->counts, err);
}

static struct timer timer_of(const struct alarm_operator *operator, uint32_t i, int64_t at_ms)
{
    return (struct timer){
        .kind = TIMER_PROCESSING_TIME,
        .time_ms = kit_alarm_base_ms + at_ms,
        .key = operator->keys.bytes[i],
        .key_size = operator->keys.sizes[i],
        .hash = operator->keys.hashes[i],
        .name_space = "",
    };
}

static enum step alarm_rows(struct alarm_operator *operator, const struct batch * in,
                            struct error *err)
{
    struct keyed_state *keyed = operator->env->keyed;
    for (; operator->next<batch_selected(in); operator->next++) {
        const int64_t value =
            ((const int64_t *)in->columns[1]->values)[batch_row(in, operator->next)];
        const int64_t round = value / 100 % 5;
        if (operator->step == 0) {
            const struct timer timer = timer_of(operator, operator->next, round);
            const enum step step = keyed->ops->set_timer(keyed, &timer, err);
            if (step != STEP_DONE)
                return step;
            operator->step = 1;
        }
        if (round == 3) {
            const struct timer timer = timer_of(operator, operator->next, 1);
            const enum step step = keyed->ops->delete_timer(keyed, &timer, err);
            if (step != STEP_DONE)
                return step;
        }
        operator->step = 0;
    }
    return STEP_DONE;
}

static enum step alarm_process(void *self, uint16_t input, struct batch *in, struct emitter *out,
                               struct error *err)
{
    struct alarm_operator *operator= self;
    const uint32_t column = 0;
    if (!operator->is_busy) {
        key_batch_compute(&operator->keys, in, &column, 1);
        operator->next = 0;
        operator->is_busy = true;
    }
    if (input == 0) {
        const enum step step = alarm_rows(operator, in, err);
        if (step != STEP_DONE)
            return step;
    }
    if (!emitter_has_room(out, input))
        return STEP_AGAIN;
    operator->rows += batch_selected(in);
    emitter_emit(out, input, batch_ref(in));
    operator->is_busy = false;
    return STEP_DONE;
}

static enum step alarm_on_timer(void *self, const struct timer *due, struct emitter *out,
                                struct error *err)
{
    (void)err;
    struct alarm_operator *operator= self;
    if (!emitter_has_room(out, 1))
        return STEP_AGAIN;
    SCOPED(schema_unref) struct schema *schema = kit_row_schema();
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    batch_builder_bytes(&builder, 0, due->key, due->key_size);
    batch_builder_int(&builder, 1, due->time_ms - kit_alarm_base_ms);
    batch_builder_end_row(&builder, ROW_INSERT);
    emitter_emit(out, 1, batch_builder_take(&builder));
    batch_builder_done(&builder);
    kit_alarm_fired++;
    kit_alarm_disorder += due->time_ms < operator->last.time_ms ? 1 : 0;
    operator->last.time_ms = due->time_ms;
    return STEP_DONE;
}

static enum status alarm_snapshot(void *self, struct checkpoint_id id,
                                  struct snapshot_writer *writer, struct error *err)
{
    (void)id;
    (void)err;
    struct alarm_operator *operator= self;
    writer->put(writer, "rows", OPERATOR_STATE_BROADCAST, &operator->rows, sizeof(operator->rows));
    return STATUS_OK;
}

static enum status alarm_restore(void *self, const struct snapshot_reader *reader,
                                 struct error *err)
{
    (void)err;
    struct alarm_operator *operator= self;
    CHECK(reader->count == 1 && strcmp(reader->entries[0].name, "rows") == 0);
    memcpy(&operator->rows, reader->entries[0].bytes, sizeof(operator->rows));
    kit_alarm_restored_rows += operator->rows;
    return STATUS_OK;
}

static void alarm_close(void *self)
{
    key_batch_done(&((struct alarm_operator *)self)->keys);
}

const struct operator_ops kit_alarm_operator = {
    .abi_size = sizeof(struct operator_ops),
    .traits = OPERATOR_KEYED,
    .kind = "alarm",
    .instance_size = sizeof(struct alarm_operator),
    .input_count = 2,
    .open = alarm_open,
    .restore = alarm_restore,
    .process = alarm_process,
    .on_timer = alarm_on_timer,
    .snapshot = alarm_snapshot,
    .close = alarm_close,
};
