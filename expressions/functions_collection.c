/* ARRAY[...], MAP[...], ROW(...), element access, cardinality, array_contains. */
#include "expressions/binder.h"
#include "expressions/column_pick.h"
#include "expressions/compare_value.h"
#include "expressions/function.h"

#include "common/base/allocate.h"

/* ---- constructors: evaluated for NULL arguments too ---- */

/* A child whose entries are, row after row, the arguments first, first + step, ... */
static struct column *interleave(struct call *call, uint32_t first, uint32_t step, struct type type)
{
    const uint32_t width = call->arg_count / step;
    const size_t total = (size_t)call->count * width;
    uint32_t *which = allocate_array(total + 1, sizeof(uint32_t));
    uint32_t *rows = allocate_array(total + 1, sizeof(uint32_t));
    struct column **sources = allocate_array((size_t)width + 1, sizeof(struct column *));
    for (uint32_t i = 0; i < width; i++)
        sources[i] = call->args[first + i * step].column;
    size_t at = 0;
    FOR_ROWS(call, row)
    {
        for (uint32_t i = 0; i < width; i++) {
            which[at] = i;
            rows[at++] = arg_row(call, first + i * step, row);
        }
    }
    struct column *child = column_pick(type, sources, width, which, rows, (uint32_t)total);
    free(sources);
    free(rows);
    free(which);
    return child;
}

static void set_offsets(struct call *call, uint32_t width)
{
    uint32_t *offsets = call->result->offsets;
    uint32_t next = 0;
    uint32_t total = 0;
    FOR_ROWS(call, row)
    {
        while (next <= row)
            offsets[next++] = total;
        total += width;
    }
    while (next <= call->row_count)
        offsets[next++] = total;
}

static void make_array(struct call *call)
{
    set_offsets(call, call->arg_count);
    call->result->children[0] = interleave(call, 0, 1, call->node->type.children[0].type);
}

static void make_map(struct call *call)
{
    set_offsets(call, call->arg_count / 2);
    for (uint32_t i = 0; i < 2; i++)
        call->result->children[i] = interleave(call, i, 2, call->node->type.children[i].type);
}

static void make_row(struct call *call)
{
    for (uint32_t i = 0; i < call->arg_count; i++) {
        struct column *source = call->args[i].column;
        if (call->args[i].mask != 0) {
            call->result->children[i] = column_ref(source);
            continue;
        }
        uint32_t *zeros = scratch_take_rows(call->scratch);
        memset(zeros, 0, call->row_count * sizeof(uint32_t));
        call->result->children[i] = column_gather(source, zeros, call->row_count);
        scratch_give_rows(call->scratch, zeros);
    }
}

static struct type_field *make_fields(struct binder *binder, struct node *node, uint32_t count)
{
    struct type_field *fields =
        node_arena_allocate(&binder->expression->arena, (count + 1) * sizeof(*fields));
    node->type.child_count = (uint16_t)count;
    node->type.children = fields;
    return fields;
}

#define CONSTRUCTOR_ARGUMENTS_MAX 1000

static bool check_arguments(struct binder *binder, struct node *node)
{
    if (node->arg_count == 0)
        return bind_fail(binder, node, "%s needs at least one value", node->name);
    return node->arg_count <= CONSTRUCTOR_ARGUMENTS_MAX ||
           bind_fail(binder, node, "%s takes at most %d values", node->name,
                     CONSTRUCTOR_ARGUMENTS_MAX);
}

static bool bind_array(struct binder *binder, struct node *node)
{
    if (!check_arguments(binder, node))
        return false;
    node->type = type_of_kind(TYPE_ARRAY);
    struct type_field *fields = make_fields(binder, node, 1);
    fields[0].name = "";
    return bind_unify(binder, node, 0, 1, "the elements of ARRAY", &fields[0].type);
}

static bool bind_map(struct binder *binder, struct node *node)
{
    if (!check_arguments(binder, node))
        return false;
    if (node->arg_count % 2 != 0)
        return bind_fail(binder, node, "MAP needs a value for each key: MAP[k1, v1, k2, v2]");
    node->type = type_of_kind(TYPE_MAP);
    struct type_field *fields = make_fields(binder, node, 2);
    fields[0].name = fields[1].name = "";
    return bind_unify(binder, node, 0, 2, "the keys of MAP", &fields[0].type) &&
           bind_unify(binder, node, 1, 2, "the values of MAP", &fields[1].type);
}

static bool bind_row(struct binder *binder, struct node *node)
{
    static const char *const names[] = {"EXPR$0", "EXPR$1", "EXPR$2", "EXPR$3", "EXPR$4",
                                        "EXPR$5", "EXPR$6", "EXPR$7", "EXPR$8", "EXPR$9"};
    if (!check_arguments(binder, node))
        return false;
    if (node->arg_count > sizeof(names) / sizeof(names[0]))
        return bind_fail(binder, node, "ROW(...) takes at most 10 values");
    node->type = type_of_kind(TYPE_ROW);
    struct type_field *fields = make_fields(binder, node, node->arg_count);
    for (uint32_t i = 0; i < node->arg_count; i++) {
        if (node->args[i]->type.kind == TYPE_NONE)
            return bind_fail(binder, node->args[i],
                             "the type of NULL is not known here: write CAST(NULL AS type)");
        fields[i].name = names[i];
        fields[i].type = node->args[i]->type;
    }
    return true;
}

/* ---- a[1], m['k'] ---- */

static uint32_t find_in_map(const struct column *map, uint32_t entry, const struct column *keys,
                            uint32_t key)
{
    /* The last of equal keys holds. */
    for (uint32_t at = map->offsets[entry + 1]; at > map->offsets[entry]; at--) {
        if (!column_is_null(map->children[0], at - 1) &&
            compare_values(map->children[0], at - 1, keys, key) == 0)
            return at - 1;
    }
    return PICK_NULL;
}

static void item(struct call *call)
{
    const struct column *from = call->args[0].column;
    const bool is_map = from->type.kind == TYPE_MAP;
    uint32_t *which = scratch_take_rows(call->scratch);
    uint32_t *rows = scratch_take_rows(call->scratch);
    for (uint32_t row = 0; row < call->row_count; row++)
        which[row] = PICK_NULL;
    FOR_ROWS(call, row)
    {
        const uint32_t entry = arg_row(call, 0, row);
        if (is_map) {
            rows[row] = find_in_map(from, entry, call->args[1].column, arg_row(call, 1, row));
        } else {
            const int64_t index = ARG(call, 1, int64_t, row);
            const int64_t size = from->offsets[entry + 1] - from->offsets[entry];
            rows[row] = index < 1 || index > size ? PICK_NULL
                                                  : from->offsets[entry] + (uint32_t)(index - 1);
        }
        which[row] = rows[row] == PICK_NULL ? PICK_NULL : 0;
    }
    struct column *child = from->children[is_map ? 1 : 0];
    column_unref(call->result);
    call->result = column_pick(call->node->type, &child, 1, which, rows, call->row_count);
    scratch_give_rows(call->scratch, rows);
    scratch_give_rows(call->scratch, which);
}

static bool bind_item(struct binder *binder, struct node *node)
{
    const struct type type = node->args[0]->type;
    const struct type index = node->args[1]->type;
    if (type.kind == TYPE_ARRAY) {
        node->type = type.children[0].type;
        if (!type_is_integer(index.kind) && index.kind != TYPE_NONE)
            return bind_fail(binder, node->args[1], "the index of an ARRAY is an integer, not %s",
                             type_text(index));
        return bind_coerce(binder, node, 1, type_of_kind(TYPE_BIGINT));
    }
    if (type.kind == TYPE_MAP) {
        node->type = type.children[1].type;
        struct type common;
        if (!type_is_comparable(type.children[0].type) ||
            !type_common(&binder->expression->arena, type.children[0].type, index, &common))
            return bind_fail(binder, node->args[1], "the keys of this MAP are %s, not %s",
                             type_text(type.children[0].type), type_text(index));
        return bind_coerce(binder, node, 1, type.children[0].type);
    }
    return bind_fail(binder, node, "only ARRAY and MAP have elements, not %s", type_text(type));
}

/* ---- cardinality, array_contains ---- */

static void cardinality(struct call *call)
{
    const uint32_t *offsets = call->args[0].column->offsets;
    FOR_ROWS(call, row)
    {
        const uint32_t entry = arg_row(call, 0, row);
        RESULT(call, int32_t)[row] = (int32_t)(offsets[entry + 1] - offsets[entry]);
    }
}

static bool bind_cardinality(struct binder *binder, struct node *node)
{
    const enum type_kind kind = node->args[0]->type.kind;
    return kind == TYPE_ARRAY || kind == TYPE_MAP ||
           bind_fail(binder, node, "cardinality takes an ARRAY or a MAP, not %s",
                     type_text(node->args[0]->type));
}

/* NULL is looked for too, as in Flink. */
static void array_contains(struct call *call)
{
    const struct column *array = call->args[0].column;
    const struct column *elements = array->children[0];
    FOR_ROWS(call, row)
    {
        const uint32_t entry = arg_row(call, 0, row);
        if (column_is_null(array, entry)) {
            call_set_null(call, row);
            continue;
        }
        const bool wants_null = arg_is_null(call, 1, row);
        bool found = false;
        for (uint32_t at = array->offsets[entry]; at < array->offsets[entry + 1] && !found; at++) {
            const bool is_null = column_is_null(elements, at);
            found = wants_null ? is_null
                               : !is_null && compare_values(elements, at, call->args[1].column,
                                                            arg_row(call, 1, row)) == 0;
        }
        RESULT(call, uint8_t)[row] = found;
    }
}

static bool bind_array_contains(struct binder *binder, struct node *node)
{
    const struct type array = node->args[0]->type;
    struct type common;
    if (array.kind != TYPE_ARRAY || !type_is_comparable(array) ||
        !type_common(&binder->expression->arena, array.children[0].type, node->args[1]->type,
                     &common))
        return bind_fail(binder, node,
                         "array_contains(%s, %s): the second has to be of the element type",
                         type_text(array), type_text(node->args[1]->type));
    return bind_coerce(binder, node, 1, array.children[0].type);
}

const struct function functions_collection[] = {
    {"array", "x*", 0, FUNCTION_SEES_NULL | FUNCTION_NOT_NULL, make_array, bind_array,
     "ARRAY[a, ...]", "an array of these values", "ARRAY[1, 2]", "ARRAY<common type>"},
    {"map", "x*", 0, FUNCTION_SEES_NULL | FUNCTION_NOT_NULL, make_map, bind_map,
     "MAP[key, value, ...]", "a map of these pairs", "MAP['a', 1]", "MAP<common types>"},
    {"row", "x*", 0, FUNCTION_SEES_NULL | FUNCTION_NOT_NULL, make_row, bind_row, "ROW(a, ...)",
     "a row of these values", "ROW(1, 'a')", "ROW<...>"},
    {"item", "xx", 0, FUNCTION_GIVES_NULL, item, bind_item, "a[index], m[key]",
     "element (the first is 1) or value of a key; NULL if there is none", "ARRAY[5, 6][2]",
     "type of the elements"},
    {"cardinality", "x", 'n', 0, cardinality, bind_cardinality, "cardinality(array or map)",
     "number of elements", "cardinality(ARRAY[5, 6])", "INT"},
    {"array_contains", "xx", 'b', FUNCTION_SEES_NULL, array_contains, bind_array_contains,
     "array_contains(array, value)", "is the value among the elements",
     "array_contains(ARRAY[5, 6], 6)", "BOOLEAN"},
};
DEFINE_FAMILY_COUNT(collection);
