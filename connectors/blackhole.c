/*
 * The sink "blackhole": reads every value and keeps nothing, for measurements.
 *
 * Every validity word, fixed-width value, view and first byte of a long string goes into a sum, so
 * that nothing before the sink can be left out.
 */
#include "connectors/connectors.h"

struct blackhole {
    uint64_t sum;
    volatile uint64_t seen; /* where the sum goes: no compiler may drop what it is made of */
};

static enum status blackhole_open(void *self, struct operator_env *env, const struct format *format,
                                  struct error *err)
{
    (void)self;
    (void)env;
    (void)format;
    (void)err;
    return STATUS_OK;
}

static uint64_t sum_bytes(const unsigned char *bytes, size_t size)
{
    uint64_t sum = 0;
    uint64_t word;
    for (; size >= sizeof(word); size -= sizeof(word), bytes += sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        sum += word;
    }
    for (; size > 0; size--)
        sum += *bytes++;
    return sum;
}

static uint64_t sum_long_strings(const struct column *column)
{
    uint64_t sum = 0;
    const struct string_view *views = column_views(column);
    for (uint32_t row = 0; row < column->row_count; row++) {
        if (views[row].size > STRING_VIEW_INLINE && !column_is_null(column, row))
            sum += (unsigned char)*string_view_bytes(column, &views[row]);
    }
    return sum;
}

static uint64_t sum_column(const struct column *column)
{
    const size_t rows = column->row_count;
    uint64_t sum = 0;
    if (column->validity != NULL)
        sum += sum_bytes((const unsigned char *)column->validity, (rows + 7) / 8);
    if (column->offsets != NULL)
        sum += sum_bytes((const unsigned char *)column->offsets, (rows + 1) * sizeof(uint32_t));
    if (column->values != NULL)
        sum += sum_bytes(column->values, rows * type_value_size(column->type.kind));
    if (type_is_view(column->type.kind) && column->buffer_count > 0)
        sum += sum_long_strings(column);
    for (uint32_t i = 0; i < column->child_count; i++)
        sum += sum_column(column->children[i]);
    return sum;
}

static enum step blackhole_write(void *self, struct batch *in, struct emitter *out,
                                 struct error *err)
{
    (void)out;
    (void)err;
    struct blackhole *blackhole = self;
    for (uint32_t i = 0; i < in->column_count; i++)
        blackhole->sum += sum_column(in->columns[i]);
    if (in->row_kinds != NULL)
        blackhole->sum += sum_bytes(in->row_kinds, in->row_count);
    blackhole->seen = blackhole->sum;
    return STEP_DONE;
}

static void blackhole_close(void *self)
{
    (void)self;
}

static const struct option_spec options[] = {{.name = NULL}};

const struct sink_connector sink_blackhole = {
    .abi_size = sizeof(struct sink_connector),
    .name = "blackhole",
    .help = "Reads every value and keeps nothing.",
    .options = options,
    .takes_changes = true,
    .guarantee = GUARANTEE_IDEMPOTENT,
    .writer = {.instance_size = sizeof(struct blackhole),
               .open = blackhole_open,
               .write = blackhole_write,
               .close = blackhole_close},
};
