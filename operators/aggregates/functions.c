/* The list of aggregate functions, and the columns that their results go to. */
#include "operators/aggregates/aggregate_function.h"

#include "common/base/buffer.h"

#include <string.h>

#define RESULT_CHUNK_BYTES (64 * 1024)

static const struct {
    const char *name;
    const struct aggregate_function *function;
} functions[] = {
    {"count", &aggregate_count}, {"sum", &aggregate_sum},         {"avg", &aggregate_avg},
    {"min", &aggregate_min},     {"max", &aggregate_max},         {"first_value", &aggregate_first},
    {"first", &aggregate_first}, {"last_value", &aggregate_last}, {"last", &aggregate_last},
};

const struct aggregate_function *aggregate_implementation_find(const char *name)
{
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (strcmp(functions[i].name, name) == 0)
            return functions[i].function;
    }
    return NULL;
}

void aggregate_results_init(struct aggregate_results *results, struct type type, uint32_t row_count)
{
    *results = (struct aggregate_results){.column = column_create(type, row_count)};
    if (type.nullable)
        column_need_validity(results->column);
    if (type_is_view(type.kind) && row_count > 0)
        memset(results->column->values, 0, row_count * sizeof(struct string_view));
}

struct column *aggregate_results_take(struct aggregate_results *results)
{
    struct column *column = results->column;
    *results = (struct aggregate_results){0};
    return column;
}

void aggregate_results_done(struct aggregate_results *results)
{
    column_unref(results->column);
    *results = (struct aggregate_results){0};
}

struct string_view aggregate_results_bytes(struct aggregate_results *results, const char *bytes,
                                           uint32_t size)
{
    if (size <= STRING_VIEW_INLINE)
        return size > 0 ? string_view_inline(bytes, size) : (struct string_view){0};
    struct buffer *chunk = results->has_chunk ? results->column->buffers[results->chunk] : NULL;
    if (chunk == NULL || chunk->capacity - chunk->size < size) {
        chunk = buffer_create(NULL, size > RESULT_CHUNK_BYTES ? size : RESULT_CHUNK_BYTES);
        results->chunk = column_add_buffer(results->column, chunk);
        results->has_chunk = true;
        buffer_unref(chunk);
    }
    const uint32_t offset = chunk->size;
    memcpy(chunk->bytes + offset, bytes, size);
    chunk->size += size;
    return string_view_make(chunk, results->chunk, offset, size);
}
