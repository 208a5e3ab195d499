/*
 * What kernels work on: vectors of arguments, the rows to compute, the result column.
 *
 * A kernel computes `result` for the given rows only. Unless its function says FUNCTION_SEES_NULL,
 * no row it is given has a NULL argument (FUNCTION_ANY_VALUE: it may be given such rows, their
 * result is discarded, and it neither raises nor follows views). A row it cannot compute is raised
 * and its result left as it is. Strings that outlive nothing are written through string_writer;
 * parts of arguments are shared by registering the argument's buffers (call_share_buffers).
 */
#ifndef EXPRESSIONS_KERNEL_H
#define EXPRESSIONS_KERNEL_H

#include "expressions/node.h"

/* No string made by a function is longer: such a row is an error. */
#define EXPRESSION_STRING_BYTES_MAX (16u * 1024 * 1024)

/* mask UINT32_MAX: one value a row; 0: the value of row 0 holds for all. */
struct vector {
    struct column *column;
    uint32_t mask;
};

struct call {
    const struct node *node;
    struct expression_scratch *scratch;
    const struct vector *args;
    uint32_t arg_count;
    struct column *result;
    const uint32_t *rows; /* ascending; NULL: rows 0 to count - 1 */
    uint32_t count;
    uint32_t row_count; /* of the batch */
};

/* Runs the statements for each row; `continue` goes on with the next. */
#define KERNEL_LOOP(call, row, ...)                                                                \
    do {                                                                                           \
        if ((call)->rows == NULL) {                                                                \
            for (uint32_t row = 0; row < (call)->count; row++) {                                   \
                __VA_ARGS__                                                                        \
            }                                                                                      \
        } else {                                                                                   \
            for (uint32_t loop_i_ = 0; loop_i_ < (call)->count; loop_i_++) {                       \
                const uint32_t row = (call)->rows[loop_i_];                                        \
                __VA_ARGS__                                                                        \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* The same as a statement: for kernels whose work outweighs the question which rows there are. */
#define FOR_ROWS(call, row)                                                                        \
    for (uint32_t at_##row = 0, row = 0;                                                           \
         at_##row < (call)->count &&                                                               \
         ((row = (call)->rows != NULL ? (call)->rows[at_##row] : at_##row), true);                 \
         at_##row++)

/* Value of argument n as a C type. */
#define ARG(call, n, c_type, row)                                                                  \
    (((const c_type *)(call)->args[n].column->values)[(row) & (call)->args[n].mask])
#define RESULT(call, c_type) ((c_type *)(call)->result->values)

static inline uint32_t arg_row(const struct call *call, uint32_t n, uint32_t row)
{
    return row & call->args[n].mask;
}

static inline bool arg_is_null(const struct call *call, uint32_t n, uint32_t row)
{
    return column_is_null(call->args[n].column, row & call->args[n].mask);
}

/* A string argument. */
struct slice {
    const char *bytes;
    uint32_t size;
};

static inline struct slice arg_string(const struct call *call, uint32_t n, uint32_t row)
{
    const struct column *column = call->args[n].column;
    const struct string_view *view = &column_views(column)[row & call->args[n].mask];
    return (struct slice){string_view_bytes(column, view), view->size};
}

static inline void call_set_null(const struct call *call, uint32_t row)
{
    column_need_validity(call->result);
    column_set_null(call->result, row);
}

/* The row fails with that cause; values and sub-expression are added to the message. */
void call_raise(const struct call *call, uint32_t row, const char *cause, ...)
    __attribute__((format(printf, 3, 4)));

/* Registers the buffers of argument n with the result (or its child `column`) and returns what has
 * to be added to buffer indices of its views. */
uint32_t column_share_buffers(struct column *column, const struct column *from);

/* The part [offset, offset + size) of a view whose buffers were shared with shift. */
static inline struct string_view string_view_part(const struct column *from,
                                                  const struct string_view *view, uint32_t shift,
                                                  uint32_t offset, uint32_t size)
{
    const char *bytes = string_view_bytes(from, view) + offset;
    if (size <= STRING_VIEW_INLINE)
        return string_view_inline(bytes, size);
    struct string_view part = {.size = size};
    memcpy(part.ref.prefix, bytes, sizeof(part.ref.prefix));
    part.ref.buffer = view->ref.buffer + shift;
    part.ref.offset = view->ref.offset + offset;
    return part;
}

/* Writes new strings into buffers of the result. */
struct string_writer {
    struct column *column;
    struct memory_account *account;
    struct buffer *buffer; /* the one being filled, owned by column */
    uint32_t index;
};

struct string_writer string_writer_start(const struct call *call, struct column *column);
/* Room for size bytes (at most EXPRESSION_STRING_BYTES_MAX), to be filled before commit. */
char *string_writer_reserve(struct string_writer *writer, uint32_t size);
/* The first size bytes of the room become the value of that entry. */
void string_writer_commit(struct string_writer *writer, uint32_t entry, uint32_t size);
/* reserve, copy, commit. */
void string_writer_put(struct string_writer *writer, uint32_t entry, const char *bytes,
                       uint32_t size);

/* Working memory of the scratch: an array of row_count entries, given back after use. */
uint32_t *scratch_take_rows(struct expression_scratch *scratch);
void scratch_give_rows(struct expression_scratch *scratch, uint32_t *rows);
struct memory_account *scratch_account(const struct expression_scratch *scratch);
const struct expression *scratch_expression(const struct expression_scratch *scratch);

#endif
