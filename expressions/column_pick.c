/* Columns put together from rows of others: see column_pick.h. */
#include "expressions/column_pick.h"

#include "common/base/allocate.h"
#include "expressions/kernel.h"

static void pick_values(struct column *result, struct column *const *sources, const uint32_t *which,
                        const uint32_t *rows, uint32_t count, size_t size)
{
    char *out = result->values;
    for (uint32_t i = 0; i < count; i++) {
        if (which[i] < PICK_SKIP)
            memcpy(out + i * size, (const char *)sources[which[i]]->values + rows[i] * size, size);
        else
            memset(out + i * size, 0, size);
    }
}

static void pick_views(struct column *result, struct column *const *sources, uint32_t source_count,
                       const uint32_t *which, const uint32_t *rows, uint32_t count)
{
    SCOPED(free) void *memory = allocate_array(source_count + 1, sizeof(uint32_t));
    uint32_t *shifts = memory;
    for (uint32_t i = 0; i < source_count; i++)
        shifts[i] = column_share_buffers(result, sources[i]);
    struct string_view *out = column_views(result);
    for (uint32_t i = 0; i < count; i++) {
        if (which[i] >= PICK_SKIP || column_is_null(sources[which[i]], rows[i])) {
            out[i] = (struct string_view){.size = 0};
            continue;
        }
        out[i] = column_views(sources[which[i]])[rows[i]];
        if (out[i].size > STRING_VIEW_INLINE)
            out[i].ref.buffer += shifts[which[i]];
    }
}

/* The children of ARRAY and MAP: the ranges of the picked entries one behind another. */
static void pick_elements(struct column *result, struct column *const *sources,
                          uint32_t source_count, const uint32_t *which, const uint32_t *rows,
                          uint32_t count)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        result->offsets[i] = total;
        if (which[i] < PICK_SKIP && !column_is_null(sources[which[i]], rows[i])) {
            const uint32_t *offsets = sources[which[i]]->offsets;
            total += offsets[rows[i] + 1] - offsets[rows[i]];
        }
    }
    result->offsets[count] = total;
    uint32_t *child_which = allocate_array(total + 1, sizeof(uint32_t));
    uint32_t *child_rows = allocate_array(total + 1, sizeof(uint32_t));
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t at = result->offsets[i]; at < result->offsets[i + 1]; at++) {
            child_which[at] = which[i];
            child_rows[at] = sources[which[i]]->offsets[rows[i]] + (at - result->offsets[i]);
        }
    }
    struct column **child_sources = allocate_array(source_count + 1, sizeof(struct column *));
    for (uint32_t child = 0; child < result->child_count; child++) {
        for (uint32_t i = 0; i < source_count; i++)
            child_sources[i] = sources[i]->children[child];
        result->children[child] = column_pick(result->type.children[child].type, child_sources,
                                              source_count, child_which, child_rows, total);
    }
    free(child_sources);
    free(child_which);
    free(child_rows);
}

static void pick_fields(struct column *result, struct column *const *sources, uint32_t source_count,
                        const uint32_t *which, const uint32_t *rows, uint32_t count)
{
    struct column **child_sources = allocate_array(source_count + 1, sizeof(struct column *));
    for (uint32_t child = 0; child < result->child_count; child++) {
        for (uint32_t i = 0; i < source_count; i++)
            child_sources[i] = sources[i]->children[child];
        result->children[child] = column_pick(result->type.children[child].type, child_sources,
                                              source_count, which, rows, count);
    }
    free(child_sources);
}

struct column *column_pick(struct type type, struct column *const *sources, uint32_t source_count,
                           const uint32_t *which, const uint32_t *rows, uint32_t count)
{
    struct column *result = column_create(type, count);
    for (uint32_t i = 0; i < count; i++) {
        if (which[i] == PICK_NULL ||
            (which[i] < PICK_SKIP && column_is_null(sources[which[i]], rows[i]))) {
            column_need_validity(result);
            column_set_null(result, i);
        }
    }
    if (type_is_view(type.kind))
        pick_views(result, sources, source_count, which, rows, count);
    else if (type.kind == TYPE_ARRAY || type.kind == TYPE_MAP)
        pick_elements(result, sources, source_count, which, rows, count);
    else if (type.kind == TYPE_ROW)
        pick_fields(result, sources, source_count, which, rows, count);
    else
        pick_values(result, sources, which, rows, count, type_value_size(type.kind));
    return result;
}

struct column *column_create_null(struct type type, uint32_t count)
{
    uint32_t *which = allocate_array((size_t)count + 1, sizeof(uint32_t));
    uint32_t *rows = allocate_array((size_t)count + 1, sizeof(uint32_t));
    for (uint32_t i = 0; i < count; i++)
        which[i] = PICK_NULL;
    struct column *column = column_pick(type, NULL, 0, which, rows, count);
    free(which);
    free(rows);
    return column;
}
