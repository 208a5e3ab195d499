/* Batches: see batch.h. */
#include "common/data/batch.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

struct batch *batch_create(const struct schema *schema, uint32_t row_count)
{
    const size_t pointer_bytes = schema->column_count * sizeof(struct column *);
    struct batch *batch = reallocate_array(NULL, sizeof(*batch) + pointer_bytes, 1);
    *batch = (struct batch){
        .row_count = row_count,
        .column_count = schema->column_count,
        .schema = schema_ref(schema),
    };
    atomic_init(&batch->references, 1);
    memset(batch->columns, 0, pointer_bytes);
    return batch;
}

struct batch *batch_ref(struct batch *batch)
{
    atomic_fetch_add_explicit(&batch->references, 1, memory_order_relaxed);
    return batch;
}

static void batch_free(struct batch *batch)
{
    for (uint32_t i = 0; i < batch->column_count; i++)
        column_unref(batch->columns[i]);
    free(batch->selection);
    free(batch->row_kinds);
    buffer_unref(batch->origin.source);
    schema_unref(batch->schema);
    free(batch);
}

void batch_unref(struct batch *batch)
{
    if (batch == NULL)
        return;
    /* The only holder needs no locked instruction. */
    if (atomic_load_explicit(&batch->references, memory_order_acquire) == 1 ||
        atomic_fetch_sub_explicit(&batch->references, 1, memory_order_acq_rel) == 1)
        batch_free(batch);
}

/* The selected rows as a batch without selection, views still in their buffers. */
static struct batch *apply_selection(const struct batch *batch)
{
    const uint32_t count = batch->selected_count;
    const bool selects_all = count == batch->row_count;
    struct batch *dense = batch_create(batch->schema, count);
    for (uint32_t i = 0; i < batch->column_count; i++) {
        dense->columns[i] = selects_all ? column_ref(batch->columns[i])
                                        : column_gather(batch->columns[i], batch->selection, count);
    }
    if (batch->row_kinds != NULL) {
        dense->row_kinds = reallocate_array(NULL, count, 1);
        for (uint32_t i = 0; i < count; i++)
            dense->row_kinds[i] = batch->row_kinds[batch->selection[i]];
    }
    dense->origin = batch->origin;
    if (dense->origin.source != NULL)
        (void)buffer_ref(dense->origin.source);
    return dense;
}

struct batch *batch_compact(struct batch *batch)
{
    struct batch *dense = batch->selection != NULL ? apply_selection(batch) : batch_ref(batch);
    for (uint32_t i = 0; i < dense->column_count; i++) {
        struct column *column = column_repack(dense->columns[i]);
        if (column == dense->columns[i]) {
            column_unref(column);
            continue;
        }
        if (dense != batch) {
            column_unref(dense->columns[i]);
            dense->columns[i] = column;
            continue;
        }
        /* The batch may be shared, so its pointers are not touched. That it outlives the reference
         * given back below, the caller's, is beyond the analyzer. */
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        struct batch *packed = batch_create(batch->schema, batch->row_count);
        for (uint32_t c = 0; c < batch->column_count; c++)
            packed->columns[c] = c == i ? column : column_ref(batch->columns[c]);
        if (batch->row_kinds != NULL)
            packed->row_kinds = copy_memory(batch->row_kinds, batch->row_count);
        packed->origin = batch->origin;
        if (packed->origin.source != NULL)
            (void)buffer_ref(packed->origin.source);
        batch_unref(dense);
        dense = packed;
    }
    return dense;
}

uint64_t batch_byte_size(const struct batch *batch)
{
    uint64_t size = batch->row_kinds != NULL ? batch->row_count : 0;
    for (uint32_t i = 0; i < batch->column_count; i++)
        size += column_byte_size(batch->columns[i]);
    return size;
}
