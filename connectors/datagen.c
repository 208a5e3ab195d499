/*
 * The source "datagen": made-up rows, the same for the same seed.
 *
 * Row g of the whole source is made by subtask g mod parallelism; each value follows from (seed, g,
 * column) alone, so that a restore goes on with the same rows. Options per column:
 *
 *     fields.<column>.kind      sequence (min + g) or random (default)
 *     fields.<column>.min, max  numbers, dates, times and timestamps, in the type's own ticks
 *     fields.<column>.length    characters of a string, bytes of BYTES (default 16)
 *     fields.<column>.distinct  so many different values at most
 *
 * State of a subtask, version 1, little-endian: u8 version, 3 x u8 0, u32 first, u32 step, u32 0,
 * u64 next row: rows first + k * step.
 */
#include "connectors/connectors.h"
#include "connectors/rate_limiter.h"

#include "common/base/allocate.h"
#include "common/base/random.h"
#include "common/data/value_text.h"

#include <inttypes.h>

#define STATE_VERSION 1
#define STATE_BYTES   24
#define LENGTH_MAX    (1024 * 1024)

enum datagen_option { DATAGEN_RATE, DATAGEN_ROWS, DATAGEN_SEED, DATAGEN_FIELDS, DATAGEN_COUNT };

static const struct option_spec options[] = {
    [DATAGEN_RATE] = {.name = "rate",
                      .type = OPTION_INT,
                      .fallback = "10000",
                      .alias = "rows-per-second",
                      .min = 0,
                      .max = INT64_C(1000000000000),
                      .help = "Rows a second over all subtasks; 0 is unlimited."},
    [DATAGEN_ROWS] = {.name = "rows",
                      .type = OPTION_INT,
                      .alias = "number-of-rows",
                      .min = 0,
                      .max = INT64_MAX,
                      .help = "The input ends after so many rows; without it, never."},
    [DATAGEN_SEED] = {.name = "seed",
                      .type = OPTION_INT,
                      .fallback = "1",
                      .min = INT64_MIN,
                      .max = INT64_MAX,
                      .help = "The same seed gives the same rows."},
    [DATAGEN_FIELDS] = {.name = "fields.*",
                        .type = OPTION_MAP,
                        .help = "fields.<column>.kind (sequence, random), .min, .max, .length, "
                                ".distinct: what a column holds."},
    {.name = NULL},
};

static const char *const kind_choices[] = {"random", "sequence", NULL};

enum field_option { FIELD_KIND, FIELD_MIN, FIELD_MAX, FIELD_LENGTH, FIELD_DISTINCT, FIELD_COUNT };

static const struct option_spec field_options[] = {
    [FIELD_KIND] = {.name = "kind",
                    .type = OPTION_ENUM,
                    .fallback = "random",
                    .choices = kind_choices,
                    .help = "random, or sequence: min, min + 1, ..."},
    [FIELD_MIN] = {.name = "min", .type = OPTION_INT, .alias = "start", .help = "Smallest value."},
    [FIELD_MAX] = {.name = "max", .type = OPTION_INT, .alias = "end", .help = "Largest value."},
    [FIELD_LENGTH] = {.name = "length",
                      .type = OPTION_INT,
                      .fallback = "16",
                      .min = 1,
                      .max = LENGTH_MAX,
                      .help = "Characters of a string, bytes of BYTES."},
    [FIELD_DISTINCT] = {.name = "distinct",
                        .type = OPTION_INT,
                        .fallback = "0",
                        .min = 0,
                        .max = INT64_MAX,
                        .help = "So many different values at most; 0: no bound."},
    {.name = NULL},
};

struct field {
    bool is_sequence;
    int64_t min;
    int64_t max;
    uint32_t length;
    uint64_t distinct;
};

struct datagen {
    struct operator_env *env;
    struct schema *schema;
    struct field *fields;
    struct rate_limiter limiter;
    struct batch_builder builder;
    char *scratch; /* LENGTH_MAX at most: the longest of the fields */
    uint64_t seed;
    uint64_t row_limit; /* of the whole source */
    bool has_split;
    bool is_paced;
    uint32_t first;
    uint32_t step;
    uint64_t next;
};

static bool is_bounded(const struct operator_spec *spec)
{
    return operator_setting(spec, "connector.rows") != NULL ||
           operator_setting(spec, "connector.number-of-rows") != NULL;
}

/* ---- options of the columns ---- */

static int64_t default_max(const struct type *type)
{
    const size_t size = type_value_size(type->kind);
    switch (type->kind) {
    case TYPE_DATE:
        return 36524; /* 2069-12-31 */
    case TYPE_TIME:
        return INT64_C(86399999999);
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_LTZ:
        return INT64_C(1893456000) * type_timestamp_ticks(*type); /* 2030-01-01 */
    case TYPE_TINYINT:
    case TYPE_SMALLINT:
    case TYPE_INT:
        return (INT64_C(1) << (8 * size - 1)) - 1;
    case TYPE_DECIMAL:
        return (int64_t)decimal_power(type->precision < 18 ? type->precision : 18) - 1;
    case TYPE_FLOAT:
    case TYPE_DOUBLE:
        return 1;
    case TYPE_NONE:
    case TYPE_BOOLEAN:
    case TYPE_BIGINT:
    case TYPE_CHAR:
    case TYPE_VARCHAR:
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_INTERVAL_MONTH:
    case TYPE_INTERVAL_SECOND:
    case TYPE_ARRAY:
    case TYPE_MAP:
    case TYPE_ROW:
        break;
    }
    return type->kind == TYPE_INTERVAL_MONTH ? 1200 : INT64_MAX;
}

static enum status read_field(struct field *field, const struct operator_spec *spec,
                              const struct schema_column *column, struct error *err)
{
    if (type_value_size(column->type.kind) == 0)
        return error_set(err, STATUS_UNSUPPORTED,
                         "column \"%s\": datagen makes no ARRAY, MAP or ROW", column->name);
    struct option_value values[FIELD_COUNT];
    SCOPED_TEXT char *prefix = format_text("connector.fields.%s.", column->name);
    const enum status status = options_from_settings(field_options, spec->settings,
                                                     spec->setting_count, prefix, values, err);
    if (status != STATUS_OK)
        return error_wrap(err, status, "fields.%s", column->name);
    const int64_t largest = default_max(&column->type);
    *field = (struct field){
        .is_sequence = values[FIELD_KIND].integer == 1,
        .min = values[FIELD_MIN].is_set ? values[FIELD_MIN].integer : 0,
        .max = values[FIELD_MAX].is_set ? values[FIELD_MAX].integer : largest,
        .length = (uint32_t)values[FIELD_LENGTH].integer,
        .distinct = (uint64_t)values[FIELD_DISTINCT].integer,
    };
    const struct type *type = &column->type;
    if ((type->kind == TYPE_CHAR || type->kind == TYPE_VARCHAR) && type->length < field->length)
        field->length = type->length;
    if (field->max < field->min)
        return error_set(err, STATUS_INVALID,
                         "fields.%s: min %" PRId64 " is larger than max %" PRId64, column->name,
                         field->min, field->max);
    const bool has_bound =
        type_value_size(type->kind) < 8 && type->kind != TYPE_FLOAT && type->kind != TYPE_BOOLEAN;
    if (has_bound && type_is_integer(type->kind) &&
        (field->max > largest || field->min < -largest - 1))
        return error_set(err, STATUS_INVALID,
                         "fields.%s: %" PRId64 " to %" PRId64 " does not fit the column's type",
                         column->name, field->min, field->max);
    return STATUS_OK;
}

/* Every fields.<column> must be a column. */
static enum status check_field_names(const struct operator_spec *spec, const struct schema *schema,
                                     struct error *err)
{
    static const char prefix[] = "connector.fields.";
    for (uint32_t i = 0; i < spec->setting_count; i++) {
        const char *key = spec->settings[i].key;
        if (strncmp(key, prefix, sizeof(prefix) - 1) != 0)
            continue;
        const char *name = key + sizeof(prefix) - 1;
        const char *dot = strrchr(name, '.');
        SCOPED_TEXT char *column = copy_text_n(name, dot != NULL ? (size_t)(dot - name) : 0);
        if (dot == NULL || schema_find(schema, column) < 0)
            return error_set(err, STATUS_INVALID,
                             "fields.%s: expected fields.<column>.<option> with a column of the "
                             "schema",
                             name);
    }
    return STATUS_OK;
}

static enum status datagen_open(void *self, struct operator_env *env, const struct format *format,
                                struct error *err)
{
    (void)format;
    struct datagen *datagen = self;
    const struct schema *schema = env->spec->outputs[0].schema;
    struct option_value values[DATAGEN_COUNT];
    datagen->env = env;
    TRY(options_from_settings(options, env->spec->settings, env->spec->setting_count, "connector.",
                              values, err));
    TRY(check_field_names(env->spec, schema, err));
    datagen->fields = allocate_array(schema->column_count, sizeof(struct field));
    uint32_t longest = 1;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        TRY(read_field(&datagen->fields[i], env->spec, &schema->columns[i], err));
        if (datagen->fields[i].length > longest)
            longest = datagen->fields[i].length;
    }
    datagen->scratch = allocate(longest);
    datagen->seed = (uint64_t)values[DATAGEN_SEED].integer;
    datagen->row_limit =
        values[DATAGEN_ROWS].is_set ? (uint64_t)values[DATAGEN_ROWS].integer : UINT64_MAX;
    rate_limiter_init(&datagen->limiter,
                      (double)values[DATAGEN_RATE].integer / (double)env->parallelism,
                      clock_now_us(env->clock));
    datagen->schema = schema_ref(schema);
    batch_builder_init(&datagen->builder, schema, env->memory);
    return STATUS_OK;
}

static void datagen_close(void *self)
{
    struct datagen *datagen = self;
    if (datagen->schema != NULL)
        batch_builder_done(&datagen->builder);
    schema_unref(datagen->schema);
    free(datagen->fields);
    free(datagen->scratch);
    *datagen = (struct datagen){0};
}

/* ---- splits ---- */

static void put_le(unsigned char *to, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_le(const unsigned char *from, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static enum status datagen_add_splits(void *self, const struct split_list *splits,
                                      struct error *err)
{
    struct datagen *datagen = self;
    for (size_t i = 0; i < splits->count; i++) {
        const struct split *split = &splits->splits[i];
        const unsigned char *state = (const unsigned char *)split->state;
        if (datagen->has_split)
            return error_set(err, STATUS_UNSUPPORTED,
                             "datagen: a subtask cannot go on with the rows of several: restore at "
                             "the same parallelism");
        if (split->state_size == 0) {
            datagen->first = datagen->env->subtask_index;
            datagen->step = datagen->env->parallelism;
            datagen->next = datagen->first;
        } else if (split->state_size != STATE_BYTES || state[0] != STATE_VERSION ||
                   get_le(state + 8, 4) == 0) {
            return error_set(err, STATUS_CORRUPT, "datagen: the state of split %s is damaged",
                             split->id);
        } else {
            datagen->first = (uint32_t)get_le(state + 4, 4);
            datagen->step = (uint32_t)get_le(state + 8, 4);
            datagen->next = get_le(state + 16, 8);
        }
        datagen->has_split = true;
    }
    return STATUS_OK;
}

static bool is_finished(const struct datagen *datagen)
{
    return !datagen->has_split || datagen->next >= datagen->row_limit;
}

static enum status datagen_snapshot(void *self, struct split_list *ret_splits, struct error *err)
{
    (void)err;
    const struct datagen *datagen = self;
    if (is_finished(datagen))
        return STATUS_OK;
    unsigned char state[STATE_BYTES] = {STATE_VERSION};
    put_le(state + 4, datagen->first, 4);
    put_le(state + 8, datagen->step, 4);
    put_le(state + 16, datagen->next, 8);
    SCOPED_TEXT char *id = format_text("%" PRIu32, datagen->first);
    split_list_add(ret_splits, id, state, sizeof(state));
    return STATUS_OK;
}

/* ---- rows ---- */

static void append_string(struct datagen *datagen, uint32_t column, uint64_t number)
{
    const struct field *field = &datagen->fields[column];
    struct random random;
    random_init(&random, number);
    for (uint32_t i = 0; i < field->length; i++)
        datagen->scratch[i] = (char)('a' + random_below(&random, 26));
    batch_builder_bytes(&datagen->builder, column, datagen->scratch, field->length);
}

static void append_value(struct datagen *datagen, uint32_t column, uint64_t row)
{
    const struct field *field = &datagen->fields[column];
    const struct type *type = &datagen->schema->columns[column].type;
    struct random random;
    random_init(&random, datagen->seed);
    random_init(&random, random_next(&random) ^ (row * UINT64_C(0xD1342543DE82EF95)));
    random_init(&random, random_next(&random) + column);
    /* A span of 0 is the whole of 2^64. */
    const uint64_t span = (uint64_t)field->max - (uint64_t)field->min + 1;
    uint64_t number = random_next(&random);
    if (field->is_sequence)
        number = row;
    else if (field->distinct > 0)
        number %= field->distinct;
    if (type_is_view(type->kind)) {
        append_string(datagen, column, number);
        return;
    }
    /* Spread what is bounded to few values over the span only as far as it goes. */
    const int64_t value = (int64_t)((uint64_t)field->min + (span == 0 ? number : number % span));
    if (type->kind == TYPE_BOOLEAN)
        batch_builder_bool(&datagen->builder, column, (number & 1) != 0);
    else if (type->kind == TYPE_DECIMAL)
        batch_builder_decimal(&datagen->builder, column, value);
    else if (type->kind != TYPE_FLOAT && type->kind != TYPE_DOUBLE)
        batch_builder_int(&datagen->builder, column, value);
    else if (field->is_sequence || field->distinct > 0)
        batch_builder_double(&datagen->builder, column, (double)field->min + (double)number);
    else
        batch_builder_double(&datagen->builder, column,
                             (double)field->min +
                                 random_unit(&random) * ((double)field->max - (double)field->min));
}

static enum poll datagen_poll(void *self, struct emitter *out, struct batch **ret_batch,
                              struct error *err)
{
    (void)out;
    (void)err;
    struct datagen *datagen = self;
    datagen->is_paced = false;
    if (is_finished(datagen))
        return POLL_NEED_SPLITS;
    const uint32_t due = rate_limiter_due(&datagen->limiter, clock_now_us(datagen->env->clock));
    datagen->is_paced = due == 0;
    if (due == 0)
        return POLL_IDLE;
    while (!is_finished(datagen) && datagen->builder.row_count < due &&
           !batch_builder_is_full(&datagen->builder)) {
        for (uint32_t i = 0; i < datagen->schema->column_count; i++)
            append_value(datagen, i, datagen->next);
        batch_builder_end_row(&datagen->builder, ROW_INSERT);
        datagen->next =
            datagen->next > UINT64_MAX - datagen->step ? UINT64_MAX : datagen->next + datagen->step;
    }
    rate_limiter_take(&datagen->limiter, datagen->builder.row_count);
    *ret_batch = batch_builder_take(&datagen->builder);
    return POLL_BATCH;
}

static int64_t datagen_next_wake_us(const void *self)
{
    const struct datagen *datagen = self;
    return datagen->is_paced ? rate_limiter_next_us(&datagen->limiter) : INT64_MAX;
}

static enum split_status datagen_split_status(const void *self, uint32_t split)
{
    (void)split; /* there is one */
    return is_finished(self) ? SPLIT_FINISHED : SPLIT_HAS_MORE;
}

const struct source_connector source_datagen = {
    .abi_size = sizeof(struct source_connector),
    .name = "datagen",
    .help = "Makes up rows, the same ones for the same seed.",
    .options = options,
    .is_replayable = true,
    .makes_splits = true,
    .is_bounded = is_bounded,
    .reader = {.instance_size = sizeof(struct datagen),
               .open = datagen_open,
               .add_splits = datagen_add_splits,
               .poll = datagen_poll,
               .snapshot = datagen_snapshot,
               .close = datagen_close,
               .next_wake_us = datagen_next_wake_us,
               .split_status = datagen_split_status},
};
