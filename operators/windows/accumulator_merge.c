/* Slots added to slots, a field at a time: see accumulator_merge.h. */
#include "operators/windows/accumulator_merge.h"

#include "common/base/check.h"

#include <string.h>

const char *accumulators_unmergeable(const struct aggregate_parts *parts)
{
    for (uint32_t p = 0; p < parts->count; p++) {
        if (parts->parts[p].accumulator.function->merge == NULL || parts->parts[p].call.is_distinct)
            return parts->parts[p].named->name;
    }
    return NULL;
}

bool accumulators_can_merge(const struct aggregate_parts *parts)
{
    for (uint32_t p = 0; p < parts->count; p++) {
        if (parts->parts[p].accumulator.function->is_ordered)
            return false;
    }
    return accumulators_unmergeable(parts) == NULL;
}

bool accumulators_can_unmerge(const struct aggregate_parts *parts)
{
    for (uint32_t p = 0; p < parts->count; p++) {
        const struct accumulator *accumulator = &parts->parts[p].accumulator;
        if (accumulator->function->can_unmerge == NULL ||
            !accumulator->function->can_unmerge(accumulator->argument))
            return false;
    }
    return accumulators_can_merge(parts);
}

#define GATHER_FIXED(c_type)                                                                       \
    for (uint32_t i = 0; i < count; i++)                                                           \
    memcpy((c_type *)values + i, (const char *)slots[i] + offset, sizeof(c_type))

static void gather_values(char *values, void *const *slots, uint32_t count, uint32_t offset,
                          size_t size)
{
    switch (size) {
    case 1:
        GATHER_FIXED(uint8_t);
        break;
    case 2:
        GATHER_FIXED(uint16_t);
        break;
    case 4:
        GATHER_FIXED(uint32_t);
        break;
    case 8:
        GATHER_FIXED(uint64_t);
        break;
    default:
        for (uint32_t i = 0; i < count; i++)
            memcpy(values + i * size, (const char *)slots[i] + offset, size);
    }
}

/* One field of all sources as a column. */
static struct column *gather_field(const struct accumulator *accumulator, uint32_t field,
                                   void *const *slots, uint32_t count)
{
    const struct type type = accumulator->types[field];
    const uint32_t offset = accumulator->offsets[field];
    struct aggregate_results results;
    aggregate_results_init(&results, type, count);
    struct column *column = results.column;
    if (type.nullable) {
        for (uint32_t i = 0; i < count; i++) {
            if (slot_is_null(slots[i], accumulator->first_field + field))
                column_set_null(column, i);
        }
    }
    if (!type_is_view(type.kind)) {
        gather_values(column->values, slots, count, offset, type_value_size(type.kind));
        return column;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct state_bytes *bytes =
            (const void *)((const char *)slots[i] + accumulator->offsets[field]);
        if (!column_is_null(column, i))
            column_views(column)[i] = aggregate_results_bytes(&results, bytes->bytes, bytes->size);
    }
    return column;
}

static void merge_rows(const struct aggregate_parts *parts, void *const *targets,
                       void *const *sources, uint32_t count, int sign)
{
    for (uint32_t i = 0; i < count; i++) {
        const int64_t rows =
            aggregate_slot_rows(parts, targets[i]) + sign * aggregate_slot_rows(parts, sources[i]);
        memcpy((char *)targets[i] + parts->rows_offset, &rows, sizeof(rows));
    }
}

void accumulators_merge(const struct aggregate_parts *parts, void *const *targets,
                        void *const *sources, uint32_t count, int sign)
{
    static const int8_t taken_back[MERGE_ENTRIES_MAX] = {[0 ... MERGE_ENTRIES_MAX - 1] = -1};
    uint32_t identity[MERGE_ENTRIES_MAX];
    CHECK(count <= MERGE_ENTRIES_MAX);
    for (uint32_t i = 0; i < count; i++)
        identity[i] = i;
    const struct aggregate_rows rows = {
        .count = count, .slots = targets, .rows = identity, .signs = sign < 0 ? taken_back : NULL};
    for (uint32_t p = 0; p < parts->count; p++) {
        const struct accumulator *accumulator = &parts->parts[p].accumulator;
        struct column *fields[AGGREGATE_FIELD_MAX] = {NULL};
        for (uint32_t f = 0; f < accumulator->field_count; f++)
            fields[f] = gather_field(accumulator, f, sources, count);
        accumulator->function->merge(accumulator, &rows, fields);
        for (uint32_t f = 0; f < accumulator->field_count; f++)
            column_unref(fields[f]);
    }
    if (parts->has_rows)
        merge_rows(parts, targets, sources, count, sign);
}
