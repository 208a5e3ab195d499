/*
 * Evaluation of bound trees. Each node gets the rows it has to compute and gives a column whose
 * entry r belongs to row r. Rows that fail are marked in the scratch and left out of everything
 * that follows, so no kernel sees them.
 */
#include "expressions/evaluate.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "expressions/column_pick.h"
#include "expressions/function.h"

/* ---- rows ---- */

struct row_set {
    const uint32_t *rows; /* NULL: 0 to count - 1 */
    uint32_t count;
    uint32_t *owned; /* to be given back, or NULL */
};

static void row_set_done(struct expression_scratch *scratch, struct row_set *set)
{
    if (set->owned != NULL)
        scratch_give_rows(scratch, set->owned);
    set->owned = NULL;
}

static inline uint32_t row_set_at(const struct row_set *set, uint32_t i)
{
    return set->rows != NULL ? set->rows[i] : i;
}

static uint32_t *row_set_own(struct expression_scratch *scratch, struct row_set *set)
{
    if (set->owned == NULL)
        set->owned = scratch_take_rows(scratch);
    return set->owned;
}

/* Leaves out the rows that have failed. */
static void row_set_drop_errors(struct expression_scratch *scratch, struct row_set *set)
{
    const struct row_set before = *set;
    uint32_t *out = row_set_own(scratch, set);
    uint32_t count = 0;
    for (uint32_t i = 0; i < before.count; i++) {
        const uint32_t row = row_set_at(&before, i);
        if ((scratch->errors[row / 64] >> (row % 64) & 1) == 0)
            out[count++] = row;
    }
    set->rows = out;
    set->count = count;
}

static void row_set_keep_valid(struct expression_scratch *scratch, struct row_set *set,
                               const uint64_t *validity)
{
    const struct row_set before = *set;
    uint32_t *out = row_set_own(scratch, set);
    uint32_t count = 0;
    for (uint32_t i = 0; i < before.count; i++) {
        const uint32_t row = row_set_at(&before, i);
        out[count] = row;
        count += (uint32_t)(validity[row / 64] >> (row % 64) & 1);
    }
    set->rows = out;
    set->count = count;
}

uint32_t *scratch_take_rows(struct expression_scratch *scratch)
{
    if (scratch->free_count > 0)
        return scratch->free_rows[--scratch->free_count];
    return allocate_array((size_t)scratch->rows_capacity + 1, sizeof(uint32_t));
}

void scratch_give_rows(struct expression_scratch *scratch, uint32_t *rows)
{
    array_push(scratch->free_rows, scratch->free_count, scratch->free_capacity) = rows;
}

struct memory_account *scratch_account(const struct expression_scratch *scratch)
{
    return scratch->account;
}

const struct expression *scratch_expression(const struct expression_scratch *scratch)
{
    return scratch->expression;
}

void scratch_start(struct expression_scratch *scratch, const struct expression *expression,
                   const struct batch *batch, uint32_t row_count)
{
    scratch->expression = expression;
    scratch->batch = batch;
    scratch->row_count = row_count;
    if (row_count > scratch->rows_capacity) {
        while (scratch->free_count > 0)
            free(scratch->free_rows[--scratch->free_count]);
        scratch->rows_capacity = row_count > 4096 ? row_count : 4096;
    }
    const uint32_t words = (row_count + 63) / 64;
    if (words > scratch->error_words) {
        scratch->errors = reallocate_array(scratch->errors, words, sizeof(uint64_t));
        scratch->error_words = words;
        scratch->errors_dirty = true;
    }
    if (scratch->errors_dirty && scratch->errors != NULL)
        memset(scratch->errors, 0, scratch->error_words * sizeof(uint64_t));
    scratch->errors_dirty = false;
    scratch->error_count = 0;
}

/* ---- calls ---- */

static struct vector constant_vector(struct column *column)
{
    return (struct vector){column_ref(column), 0};
}

static struct vector null_vector(struct type type)
{
    return (struct vector){column_create_null(type, 1), 0};
}

/* The result is NULL where an argument is. true: it is NULL everywhere. */
static bool join_validity(struct column *result, const struct vector *args, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct column *arg = args[i].column;
        if (arg->validity == NULL)
            continue;
        if (args[i].mask == 0) {
            if (column_is_null(arg, 0))
                return true;
            continue;
        }
        const uint32_t words = (result->row_count + 63) / 64;
        column_need_validity(result);
        for (uint32_t word = 0; word < words; word++)
            result->validity[word] &= arg->validity[word];
    }
    return false;
}

#define CALL_ARGS_LOCAL 8

static struct vector run_kernel(struct expression_scratch *scratch, const struct node *node,
                                const struct vector *args, struct row_set *set)
{
    const unsigned flags = node->function != NULL ? node->function->flags : 0;
    struct column *result = column_create(node->type, scratch->row_count);
    if ((flags & FUNCTION_SEES_NULL) == 0) {
        if (join_validity(result, args, node->arg_count)) {
            column_unref(result);
            return null_vector(node->type);
        }
        if (result->validity != NULL && (flags & FUNCTION_ANY_VALUE) == 0)
            row_set_keep_valid(scratch, set, result->validity);
    }
    struct call call = {
        .node = node,
        .scratch = scratch,
        .args = args,
        .arg_count = node->arg_count,
        .result = result,
        .rows = set->rows,
        .count = set->count,
        .row_count = scratch->row_count,
    };
    node->kernel(&call);
    return (struct vector){call.result, UINT32_MAX};
}

static struct vector evaluate_call(struct expression_scratch *scratch, const struct node *node,
                                   const uint32_t *rows, uint32_t count)
{
    struct vector local[CALL_ARGS_LOCAL];
    struct vector *args = local;
    if (node->arg_count > CALL_ARGS_LOCAL)
        args = allocate_array(node->arg_count, sizeof(*args));
    struct row_set set = {.rows = rows, .count = count};
    for (uint32_t i = 0; i < node->arg_count; i++) {
        const uint32_t errors_before = scratch->error_count;
        args[i] = evaluate_node(scratch, node->args[i], set.rows, set.count);
        if (scratch->error_count != errors_before)
            row_set_drop_errors(scratch, &set);
    }
    const struct vector result = run_kernel(scratch, node, args, &set);
    row_set_done(scratch, &set);
    for (uint32_t i = 0; i < node->arg_count; i++)
        column_unref(args[i].column);
    if (args != local)
        free(args);
    return result;
}

/* ---- AND, OR ---- */

/* Each argument is computed for the rows that the ones before it left open. */
static struct vector evaluate_chain(struct expression_scratch *scratch, const struct node *node,
                                    const uint32_t *rows, uint32_t count)
{
    const uint8_t open = node->kind == NODE_AND; /* the value that leaves the result open */
    struct column *result = column_create(node->type, scratch->row_count);
    uint8_t *out = result->values;
    memset(out, open, scratch->row_count);
    struct row_set set = {.rows = rows, .count = count};
    for (uint32_t i = 0; i < node->arg_count && set.count > 0; i++) {
        const uint32_t errors_before = scratch->error_count;
        const struct vector arg = evaluate_node(scratch, node->args[i], set.rows, set.count);
        if (scratch->error_count != errors_before)
            row_set_drop_errors(scratch, &set);
        const struct row_set before = set;
        uint32_t *next = row_set_own(scratch, &set);
        const uint8_t *values = arg.column->values;
        uint32_t kept = 0;
        for (uint32_t at = 0; at < before.count; at++) {
            const uint32_t row = row_set_at(&before, at);
            const uint32_t from = row & arg.mask;
            if (column_is_null(arg.column, from)) {
                column_need_validity(result);
                column_set_null(result, row);
            } else if (values[from] != open) {
                out[row] = !open;
                if (result->validity != NULL)
                    result->validity[row / 64] |= UINT64_C(1) << (row % 64);
                continue;
            }
            next[kept++] = row;
        }
        set.rows = next;
        set.count = kept;
        column_unref(arg.column);
    }
    row_set_done(scratch, &set);
    return (struct vector){result, UINT32_MAX};
}

/* ---- CASE, COALESCE ---- */

struct merge {
    struct column **sources;
    uint32_t source_count;
    uint32_t *which;
    uint32_t *from;
};

static void merge_start(struct merge *merge, struct expression_scratch *scratch,
                        uint32_t source_count)
{
    merge->sources = allocate_array(source_count + 1, sizeof(struct column *));
    merge->source_count = 0;
    merge->which = scratch_take_rows(scratch);
    merge->from = scratch_take_rows(scratch);
    for (uint32_t i = 0; i < scratch->row_count; i++)
        merge->which[i] = PICK_SKIP;
}

static struct vector merge_finish(struct merge *merge, struct expression_scratch *scratch,
                                  struct type type)
{
    struct column *result = column_pick(type, merge->sources, merge->source_count, merge->which,
                                        merge->from, scratch->row_count);
    for (uint32_t i = 0; i < merge->source_count; i++)
        column_unref(merge->sources[i]);
    free(merge->sources);
    scratch_give_rows(scratch, merge->which);
    scratch_give_rows(scratch, merge->from);
    return (struct vector){result, UINT32_MAX};
}

static void merge_branch(struct merge *merge, struct expression_scratch *scratch,
                         const struct node *value_node, const uint32_t *rows, uint32_t count)
{
    const struct vector value = evaluate_node(scratch, value_node, rows, count);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = rows != NULL ? rows[i] : i;
        if (scratch->error_count > 0 && (scratch->errors[row / 64] >> (row % 64) & 1) != 0)
            continue;
        merge->which[row] = merge->source_count;
        merge->from[row] = row & value.mask;
    }
    merge->sources[merge->source_count++] = value.column;
}

static struct vector evaluate_case(struct expression_scratch *scratch, const struct node *node,
                                   const uint32_t *rows, uint32_t count)
{
    struct merge merge;
    merge_start(&merge, scratch, node->arg_count);
    uint32_t *taken = scratch_take_rows(scratch);
    struct row_set set = {.rows = rows, .count = count};
    for (uint32_t i = 0; i + 1 < node->arg_count && set.count > 0; i += 2) {
        const uint32_t errors_before = scratch->error_count;
        const struct vector when = evaluate_node(scratch, node->args[i], set.rows, set.count);
        if (scratch->error_count != errors_before)
            row_set_drop_errors(scratch, &set);
        const struct row_set before = set;
        uint32_t *open = row_set_own(scratch, &set);
        const uint8_t *values = when.column->values;
        uint32_t taken_count = 0;
        uint32_t open_count = 0;
        for (uint32_t at = 0; at < before.count; at++) {
            const uint32_t row = row_set_at(&before, at);
            const uint32_t from = row & when.mask;
            if (!column_is_null(when.column, from) && values[from] != 0)
                taken[taken_count++] = row;
            else
                open[open_count++] = row;
        }
        set.rows = open;
        set.count = open_count;
        column_unref(when.column);
        if (taken_count > 0)
            merge_branch(&merge, scratch, node->args[i + 1], taken, taken_count);
    }
    if (node->arg_count % 2 == 1 && set.count > 0)
        merge_branch(&merge, scratch, node->args[node->arg_count - 1], set.rows, set.count);
    else
        for (uint32_t i = 0; i < set.count; i++)
            merge.which[row_set_at(&set, i)] = PICK_NULL;
    scratch_give_rows(scratch, taken);
    row_set_done(scratch, &set);
    return merge_finish(&merge, scratch, node->type);
}

static struct vector evaluate_coalesce(struct expression_scratch *scratch, const struct node *node,
                                       const uint32_t *rows, uint32_t count)
{
    struct merge merge;
    merge_start(&merge, scratch, node->arg_count);
    struct row_set set = {.rows = rows, .count = count};
    for (uint32_t i = 0; i < node->arg_count && set.count > 0; i++) {
        const uint32_t errors_before = scratch->error_count;
        merge_branch(&merge, scratch, node->args[i], set.rows, set.count);
        if (scratch->error_count != errors_before)
            row_set_drop_errors(scratch, &set);
        const struct column *value = merge.sources[merge.source_count - 1];
        if (value->validity == NULL)
            break;
        const struct row_set before = set;
        uint32_t *open = row_set_own(scratch, &set);
        uint32_t open_count = 0;
        for (uint32_t at = 0; at < before.count; at++) {
            const uint32_t row = row_set_at(&before, at);
            if (column_is_null(value, merge.from[row]))
                open[open_count++] = row;
        }
        set.rows = open;
        set.count = open_count;
    }
    row_set_done(scratch, &set);
    return merge_finish(&merge, scratch, node->type);
}

/* ---- all kinds ---- */

static struct vector evaluate_let(struct expression_scratch *scratch, const struct node *node,
                                  const uint32_t *rows, uint32_t count)
{
    struct row_set set = {.rows = rows, .count = count};
    const uint32_t errors_before = scratch->error_count;
    const struct vector value = evaluate_node(scratch, node->args[0], rows, count);
    if (scratch->error_count != errors_before)
        row_set_drop_errors(scratch, &set);
    if (scratch->slots == NULL)
        scratch->slots = allocate_array(EXPRESSION_LET_MAX, sizeof(*scratch->slots));
    const struct vector outer = scratch->slots[node->index];
    scratch->slots[node->index] = value;
    const struct vector result = evaluate_node(scratch, node->args[1], set.rows, set.count);
    scratch->slots[node->index] = outer;
    column_unref(value.column);
    row_set_done(scratch, &set);
    return result;
}

/* The column of a field; NULL rows of the ROW are NULL in it. */
static struct vector evaluate_field(struct expression_scratch *scratch, const struct node *node,
                                    const uint32_t *rows, uint32_t count)
{
    const struct vector row_value = evaluate_node(scratch, node->args[0], rows, count);
    struct column *child = row_value.column->children[node->index];
    struct vector result = {NULL, row_value.mask};
    if (row_value.column->validity == NULL) {
        result.column = column_ref(child);
    } else {
        const uint32_t size = row_value.column->row_count;
        uint32_t *which = allocate_array((size_t)size + 1, sizeof(uint32_t));
        uint32_t *from = allocate_array((size_t)size + 1, sizeof(uint32_t));
        for (uint32_t i = 0; i < size; i++) {
            which[i] = column_is_null(row_value.column, i) ? PICK_NULL : 0;
            from[i] = i;
        }
        result.column = column_pick(node->type, &child, 1, which, from, size);
        free(which);
        free(from);
    }
    column_unref(row_value.column);
    return result;
}

static struct vector evaluate_literal(struct expression_scratch *scratch, const struct node *node)
{
    if (!scratch->expression->keeps_literals_wide || scratch->batch == NULL)
        return constant_vector(node->literal);
    SCOPED(free) void *zeros = allocate_array((size_t)scratch->row_count + 1, sizeof(uint32_t));
    return (struct vector){column_gather(node->literal, zeros, scratch->row_count), UINT32_MAX};
}

struct vector evaluate_node(struct expression_scratch *scratch, const struct node *node,
                            const uint32_t *rows, uint32_t count)
{
    switch (node->kind) {
    case NODE_LITERAL:
        return evaluate_literal(scratch, node);
    case NODE_COLUMN:
        return (struct vector){column_ref(scratch->batch->columns[node->index]), UINT32_MAX};
    case NODE_FIELD:
        return evaluate_field(scratch, node, rows, count);
    case NODE_CALL:
    case NODE_CAST:
        return evaluate_call(scratch, node, rows, count);
    case NODE_AND:
    case NODE_OR:
        return evaluate_chain(scratch, node, rows, count);
    case NODE_CASE:
        return evaluate_case(scratch, node, rows, count);
    case NODE_COALESCE:
        return evaluate_coalesce(scratch, node, rows, count);
    case NODE_LET:
        return evaluate_let(scratch, node, rows, count);
    case NODE_SLOT: {
        const struct vector value = scratch->slots[node->let->index];
        return (struct vector){column_ref(value.column), value.mask};
    }
    case NODE_NAME:
        break;
    }
    UNREACHABLE();
}
