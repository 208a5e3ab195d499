/*
 * Nodes become operators: schemas flow from the sources, every expression is checked on the way.
 * A node that is wrong gives no schema, and nodes behind it are left out, so that one mistake is
 * reported once. See plan.h; keyed.c and endpoints.c hold the larger kinds.
 */
#include "compiler/analyze.h"
#include "operators/registry.h"

#include "common/api/row_error.h"
#include "common/base/allocate.h"
#include "common/base/check.h"

#include <string.h>

struct plan_operator *add_operator(struct analyzer *analyzer, enum operator_role role,
                                   const char *kind, struct schema *output)
{
    struct plan *plan = analyzer->plan;
    if (plan->count == plan->capacity) {
        plan->capacity = plan->capacity == 0 ? 64 : plan->capacity * 2;
        plan->operators =
            reallocate_array(plan->operators, plan->capacity, sizeof(*plan->operators));
    }
    struct plan_operator *stage = &plan->operators[plan->count++];
    memset(stage, 0, sizeof(*stage));
    stage->node = analyzer->node;
    stage->role = role;
    stage->kind = kind;
    stage->parallelism = analyzer->node->parallelism;
    stage->input = analyzer->current != NULL ? schema_ref(analyzer->current) : NULL;
    stage->output = output;
    schema_unref(analyzer->current);
    analyzer->current = output != NULL ? schema_ref(output) : NULL;
    analyzer->node->operator_count++;
    return stage;
}

struct named_expression *identity_columns(struct compiler *compiler, const struct schema *schema)
{
    struct named_expression *columns =
        pool_take(&compiler->pool, schema->column_count, sizeof(*columns));
    for (uint32_t i = 0; i < schema->column_count; i++) {
        columns[i].name = pool_text(&compiler->pool, schema->columns[i].name);
        columns[i].text = (char *)(uintptr_t)quote_name(compiler, schema->columns[i].name);
    }
    return columns;
}

void add_identity(struct analyzer *analyzer, enum operator_role role)
{
    struct schema *input = analyzer->current;
    CHECK(input != NULL); /* only a sink leaves none behind, and nothing follows a sink */
    const uint32_t count = input->column_count;
    struct named_expression *columns = identity_columns(analyzer->compiler, input);
    struct plan_operator *stage = add_operator(analyzer, role, "calc", schema_ref(input));
    stage->columns = columns;
    stage->column_count = count;
}

/* ---- column lists ---- */

static bool type_is_usable(struct analyzer *analyzer, const struct named_expression *column,
                           struct type *type)
{
    if (type->kind != TYPE_NONE)
        return true;
    compile_error(analyzer->compiler, column->line, column->column,
                  "node \"%s\": column \"%s\": NULL alone has no type: write cast(null as TYPE)",
                  analyzer->node->name, column->name);
    analyzer->node->is_failed = true;
    return false;
}

/* The types of all columns; false if one is wrong. */
bool check_columns(struct analyzer *analyzer, const char *clause,
                   const struct named_expression *columns, uint32_t count,
                   struct schema_column *ret_columns)
{
    bool is_good = true;
    for (uint32_t i = 0; i < count; i++) {
        SCOPED(expression_destroy)
        struct expression *expression = check_expression(analyzer->compiler, analyzer->node, clause,
                                                         &columns[i], analyzer->current, NULL);
        if (expression == NULL) {
            is_good = false;
            continue;
        }
        ret_columns[i] =
            (struct schema_column){.name = columns[i].name, .type = expression_type(expression)};
        is_good = type_is_usable(analyzer, &columns[i], &ret_columns[i].type) && is_good;
        /* Nested types live in the expression or its schema: a schema of one column keeps them. */
        struct schema *keeper = schema_create(&ret_columns[i], 1, -1);
        ret_columns[i].type = keeper->columns[0].type;
        keep_schema(analyzer, keeper);
    }
    return is_good;
}

int32_t event_time_of(struct compiler *compiler, const struct schema *from,
                      const struct named_expression *columns, uint32_t count)
{
    if (from->event_time < 0)
        return -1;
    const char *name = from->columns[from->event_time].name;
    const char *quoted = quote_name(compiler, name);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(columns[i].text, quoted) == 0 || strcmp(columns[i].text, name) == 0)
            return (int32_t)i;
    }
    return -1;
}

void keep_schema(struct analyzer *analyzer, struct schema *schema)
{
    array_push(analyzer->kept, analyzer->kept_count, analyzer->kept_capacity) = schema;
}

static void analyze_unnest(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    const struct named_expression *column = &node->unnest.items[0];
    SCOPED(expression_destroy)
    struct expression *expression =
        check_expression(analyzer->compiler, node, "unnest", column, analyzer->current, NULL);
    if (expression == NULL)
        return;
    const struct type type = expression_type(expression);
    if (type.kind != TYPE_ARRAY) {
        struct text shown SCOPED_TEXT_BUFFER;
        text_init(&shown, 200);
        type_format(type, &shown);
        compile_error(analyzer->compiler, column->line, column->column,
                      "node \"%s\": unnest %s: an ARRAY is expected, such as split(line), but this "
                      "is %s",
                      node->name, column->name, shown.bytes);
        node->is_failed = true;
        return;
    }
    const struct schema *input = analyzer->current;
    const int32_t same = schema_find(input, column->name);
    if (same >= 0 && expression_as_column(expression) != same) {
        compile_error(analyzer->compiler, column->line, column->column,
                      "node \"%s\": unnest: there is a column \"%s\" already: choose another name",
                      node->name, column->name);
        node->is_failed = true;
        return;
    }
    struct schema_column *columns =
        pool_take(&analyzer->compiler->pool, input->column_count + 1, sizeof(*columns));
    uint32_t count = 0;
    int32_t event_time = -1;
    for (uint32_t i = 0; i < input->column_count; i++) {
        if ((int32_t)i == same)
            continue;
        if ((int32_t)i == input->event_time)
            event_time = (int32_t)count;
        columns[count++] =
            (struct schema_column){.name = input->columns[i].name, .type = input->columns[i].type};
    }
    columns[count++] = (struct schema_column){.name = column->name, .type = type.children[0].type};
    struct plan_operator *stage =
        add_operator(analyzer, ROLE_UNNEST, "unnest", schema_create(columns, count, event_time));
    stage->columns = node->unnest.items;
    stage->column_count = 1;
}

static void analyze_set(struct analyzer *analyzer)
{
    struct compiler *compiler = analyzer->compiler;
    const struct expression_list *set = &analyzer->node->set;
    const struct schema *input = analyzer->current;
    CHECK(input != NULL);
    const uint32_t most = input->column_count + set->count;
    struct named_expression *columns = pool_take(&compiler->pool, most, sizeof(*columns));
    struct schema_column *types = pool_take(&compiler->pool, most, sizeof(*types));
    memcpy(columns, identity_columns(compiler, input), input->column_count * sizeof(*columns));
    uint32_t count = input->column_count;
    for (uint32_t i = 0; i < set->count; i++) {
        const int32_t known = schema_find(input, set->items[i].name);
        columns[known >= 0 ? (uint32_t)known : count++] = set->items[i];
    }
    if (count > SCHEMA_COLUMN_MAX) {
        compile_error(compiler, analyzer->node->line, analyzer->node->column,
                      "node \"%s\": more than %d columns", analyzer->node->name, SCHEMA_COLUMN_MAX);
        analyzer->node->is_failed = true;
        return;
    }
    if (!check_columns(analyzer, "set", columns, count, types))
        return;
    struct plan_operator *stage =
        add_operator(analyzer, ROLE_CALC, "calc",
                     schema_create(types, count, event_time_of(compiler, input, columns, count)));
    stage->columns = columns;
    stage->column_count = count;
}

static void analyze_where(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    SCOPED(expression_destroy)
    struct expression *expression = check_expression(
        analyzer->compiler, node, "where", &node->where.items[0], analyzer->current, NULL);
    if (expression == NULL)
        return;
    const struct type type = expression_type(expression);
    if (type.kind != TYPE_BOOLEAN && type.kind != TYPE_NONE) {
        struct text shown SCOPED_TEXT_BUFFER;
        text_init(&shown, 200);
        type_format(type, &shown);
        compile_error(analyzer->compiler, node->where.items[0].line, node->where.items[0].column,
                      "node \"%s\": where: a condition (BOOLEAN) is expected, but this is %s",
                      node->name, shown.bytes);
        node->is_failed = true;
        return;
    }
    add_identity(analyzer, ROLE_WHERE);
    struct plan_operator *stage = &analyzer->plan->operators[analyzer->plan->count - 1];
    stage->filters = node->where.items;
    stage->filter_count = 1;
}

static void analyze_select(struct analyzer *analyzer)
{
    const struct expression_list *select = &analyzer->node->select;
    struct schema_column *types =
        pool_take(&analyzer->compiler->pool, select->count, sizeof(*types));
    if (!check_columns(analyzer, "select", select->items, select->count, types))
        return;
    const int32_t event_time =
        event_time_of(analyzer->compiler, analyzer->current, select->items, select->count);
    struct plan_operator *stage = add_operator(analyzer, ROLE_SELECT, "calc",
                                               schema_create(types, select->count, event_time));
    stage->columns = select->items;
    stage->column_count = select->count;
}

/* ---- inputs ---- */

static const struct schema *schema_of_input(const struct analyzer *analyzer,
                                            const struct node_input *input)
{
    if (input->is_errors)
        return analyzer->errors;
    if (input->is_late)
        return input->node != NULL ? input->node->late : NULL;
    return input->node != NULL ? input->node->output : NULL;
}

static void union_error(struct analyzer *analyzer, const struct node_input *input,
                        const struct schema *first, const struct schema *other)
{
    struct text what SCOPED_TEXT_BUFFER;
    text_init(&what, 600);
    const uint32_t most =
        first->column_count < other->column_count ? first->column_count : other->column_count;
    uint32_t at = 0;
    while (at < most && strcmp(first->columns[at].name, other->columns[at].name) == 0 &&
           types_unite(first->columns[at].type, other->columns[at].type, NULL))
        at++;
    if (at == most) {
        text_format(&what, "%u columns against %u", other->column_count, first->column_count);
    } else {
        text_format(&what, "column %u is \"%s\" ", at + 1, other->columns[at].name);
        type_format(other->columns[at].type, &what);
        text_format(&what, " against \"%s\" ", first->columns[at].name);
        type_format(first->columns[at].type, &what);
    }
    compile_error(analyzer->compiler, input->line, input->column,
                  "node \"%s\": a union needs equal columns, but \"%s\" differs from \"%s\": %s",
                  analyzer->node->name, input->text, analyzer->node->inputs[0].text, what.bytes);
    analyzer->node->is_failed = true;
}

bool types_unite(struct type a, struct type b, struct type *ret_type)
{
    const bool is_text = type_is_string(a.kind) && type_is_string(b.kind);
    struct type united = a;
    if (is_text && (a.kind != b.kind || a.length != b.length)) {
        united = type_of_kind(TYPE_VARCHAR);
        united.length = a.length > b.length ? a.length : b.length;
        if (a.kind == TYPE_STRING || b.kind == TYPE_STRING)
            united = type_of_kind(TYPE_STRING);
    } else if (!type_equals(a, b, false)) {
        return false;
    }
    united.nullable = a.nullable || b.nullable;
    if (ret_type != NULL)
        *ret_type = united;
    return true;
}

/* NULL if they do not fit. */
static struct schema *unite(struct analyzer *analyzer, const struct schema *a,
                            const struct schema *b)
{
    if (a->column_count != b->column_count)
        return NULL;
    struct schema_column *columns =
        pool_take(&analyzer->compiler->pool, a->column_count + 1, sizeof(*columns));
    for (uint32_t i = 0; i < a->column_count; i++) {
        columns[i].name = a->columns[i].name;
        if (strcmp(a->columns[i].name, b->columns[i].name) != 0 ||
            !types_unite(a->columns[i].type, b->columns[i].type, &columns[i].type))
            return NULL;
    }
    return schema_create(columns, a->column_count,
                         a->event_time == b->event_time ? a->event_time : -1);
}

static void take_input_traits(struct logical_node *node, const struct node_input *input)
{
    const struct logical_node *from = input->node;
    if (from == NULL)
        return;
    if (from->unbounded_source != NULL)
        node->unbounded_source = from->unbounded_source;
    if (!input->is_errors && (input->is_late ? from->late_has_changes : from->has_changes))
        node->has_changes = true;
    if (node->input_count == 1 && !input->is_errors) {
        node->output_keys = from->output_keys;
        node->output_key_count = from->output_key_count;
    }
}

static int64_t time_shift_of(const struct node_input *input)
{
    if (input->node == NULL || input->is_errors)
        return 0;
    return input->is_late ? input->node->late_shift_ms : input->node->time_shift_ms;
}

/* Event time means the same in all inputs of a union, or there is none. */
static struct schema *without_event_time(struct schema *schema)
{
    struct schema *plain = schema_create(schema->columns, schema->column_count, -1);
    schema_unref(schema);
    return plain;
}

/* The united schema of the inputs in analyzer->current; false if one is missing or differs. */
static bool analyze_inputs(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    struct schema *united = NULL;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const struct node_input *input = &node->inputs[i];
        take_input_traits(node, input);
        const struct schema *schema = schema_of_input(analyzer, input);
        if (schema == NULL) {
            schema_unref(united);
            return false;
        }
        if (united == NULL) {
            united = schema_ref(schema);
            node->time_shift_ms = time_shift_of(input);
            continue;
        }
        struct schema *next = unite(analyzer, united, schema);
        if (next == NULL) {
            union_error(analyzer, input, united, schema);
            schema_unref(united);
            return false;
        }
        schema_unref(united);
        united = next;
        if (united->event_time >= 0 && time_shift_of(input) != node->time_shift_ms)
            united = without_event_time(united);
    }
    schema_unref(analyzer->current);
    analyzer->current = united;
    return united != NULL;
}

/* ---- one node ---- */

/* Keys that the node passes on unchanged still distribute its rows. */
static void keep_output_keys(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    for (uint32_t i = 0; i < node->output_key_count; i++) {
        const char *key = node->output_keys[i];
        bool is_kept = schema_find(analyzer->current, key) >= 0;
        const struct expression_list *lists[] = {&node->set, &node->select};
        for (size_t l = 0; l < 2; l++) {
            for (uint32_t c = 0; c < lists[l]->count; c++) {
                if (strcmp(lists[l]->items[c].name, key) == 0 &&
                    strcmp(lists[l]->items[c].text, quote_name(analyzer->compiler, key)) != 0 &&
                    strcmp(lists[l]->items[c].text, key) != 0)
                    is_kept = false;
            }
        }
        if (!is_kept)
            node->output_key_count = 0;
    }
}

static void analyze_select_node(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    const bool has_rounds = node->aggregate.count > 0 || node->reduce.count > 0;
    if (node->unnest.count > 0)
        analyze_unnest(analyzer);
    if (!node->is_failed && node->set.count > 0)
        analyze_set(analyzer);
    if (!node->is_failed && node->where.count > 0)
        analyze_where(analyzer);
    if (node->is_failed)
        return;
    if (has_rounds)
        analyze_keyed(analyzer);
    if (!node->is_failed && node->select.count > 0)
        analyze_select(analyzer);
    if (node->is_failed)
        return;
    if (node->operator_count == 0)
        add_identity(analyzer, ROLE_CALC);
    keep_output_keys(analyzer);
}

/* Every operator that rows of other kinds than +I reach must take them. */
static void check_changes(struct analyzer *analyzer, bool has_changes)
{
    struct logical_node *node = analyzer->node;
    for (uint32_t i = 0; i < node->operator_count && has_changes && !node->is_failed; i++) {
        const struct plan_operator *stage = &analyzer->plan->operators[node->first_operator + i];
        const struct operator_ops *ops = operator_registry_find(stage->kind);
        if (stage->is_removed || ops == NULL)
            continue;
        if ((ops->traits & OPERATOR_TAKES_CHANGES) == 0) {
            compile_error(analyzer->compiler, node->line, node->column,
                          "node \"%s\": %s cannot take rows back, but \"%s\" gives a changelog "
                          "(-U, -D): use `emit: each` or `emit: batch` there",
                          node->name, stage->kind, node->inputs[0].text);
            node->is_failed = true;
        }
        if (stage->is_keyed_exchange)
            has_changes = node->has_changes;
    }
}

static void analyze_node(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    node->first_operator = analyzer->plan->count;
    if (node->kind != NODE_SOURCE && !analyze_inputs(analyzer))
        return;
    const bool takes_changes = node->has_changes;
    /* A wrong option does not hide what is wrong with the columns, here and in the nodes behind. */
    const bool was_failed = node->is_failed;
    if (was_failed && node->kind == NODE_SINK)
        return;
    node->is_failed = false;
    if (was_failed && node->kind == NODE_SOURCE) {
        analyze_failed_source(analyzer);
        return;
    }
    switch (node->kind) {
    case NODE_SOURCE:
        analyze_source(analyzer);
        break;
    case NODE_SELECT:
        analyze_select_node(analyzer);
        check_changes(analyzer, takes_changes);
        break;
    case NODE_SINK:
        analyze_sink(analyzer);
        break;
    }
    if (!node->is_failed && node->kind != NODE_SINK && analyzer->current != NULL)
        node->output = schema_ref(analyzer->current);
    node->is_failed |= was_failed;
}

void analyze(struct compiler *compiler, struct plan *plan)
{
    struct analyzer analyzer = {.compiler = compiler, .plan = plan, .errors = row_error_schema()};
    for (uint32_t i = 0; i < compiler->node_count; i++) {
        analyzer.node = compiler->order[i];
        analyze_node(&analyzer);
        schema_unref(analyzer.current);
        analyzer.current = NULL;
    }
    for (uint32_t i = 0; i < compiler->node_count; i++) {
        schema_unref(compiler->nodes[i].output);
        schema_unref(compiler->nodes[i].late);
        compiler->nodes[i].output = NULL;
        compiler->nodes[i].late = NULL;
    }
    for (size_t i = 0; i < analyzer.kept_count; i++)
        schema_unref(analyzer.kept[i]);
    free(analyzer.kept);
    schema_unref(analyzer.errors);
}
