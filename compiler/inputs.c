/* Who reads whom: names of `from`, readers, cycles, the order of the nodes. See compiler.h. */
#include "common/base/nearest.h"
#include "compiler/compiler.h"

#include <string.h>

static struct logical_node *find_node(struct compiler *compiler, const char *name, size_t size)
{
    for (uint32_t i = 0; i < compiler->node_count; i++) {
        if (strlen(compiler->nodes[i].name) == size &&
            memcmp(compiler->nodes[i].name, name, size) == 0)
            return &compiler->nodes[i];
    }
    return NULL;
}

static void unknown_input(struct compiler *compiler, const struct logical_node *node,
                          const struct node_input *input, const char *name)
{
    const char *names[1000];
    size_t count = 0;
    for (uint32_t i = 0; i < compiler->node_count && count < 1000; i++) {
        if (&compiler->nodes[i] != node)
            names[count++] = compiler->nodes[i].name;
    }
    const char *nearest = nearest_name(name, names, count);
    if (nearest != NULL)
        compile_error(compiler, input->line, input->column,
                      "node \"%s\": there is no node \"%.100s\": did you mean \"%s\"?", node->name,
                      name, nearest);
    else
        compile_error(compiler, input->line, input->column,
                      "node \"%s\": there is no node \"%.100s\"", node->name, name);
}

static bool resolve_output(struct compiler *compiler, struct logical_node *node,
                           struct node_input *input, const char *output)
{
    if (strcmp(output, OUTPUT_ERRORS) == 0) {
        input->is_errors = true;
        return true;
    }
    if (strcmp(output, OUTPUT_LATE) == 0) {
        input->is_late = true;
        return true;
    }
    compile_error(compiler, input->line, input->column,
                  "node \"%s\": a node has no output \"%.80s\"; known are `.errors` and `.late`",
                  node->name, output);
    return false;
}

static void resolve_input(struct compiler *compiler, struct logical_node *node,
                          struct node_input *input)
{
    const char *dot = strchr(input->text, '.');
    const size_t size = dot != NULL ? (size_t)(dot - input->text) : strlen(input->text);
    if (dot != NULL && !resolve_output(compiler, node, input, dot + 1)) {
        node->is_failed = true;
        return;
    }
    input->node = find_node(compiler, input->text, size);
    if (input->node == NULL) {
        unknown_input(compiler, node, input, pool_text_n(&compiler->pool, input->text, size));
        node->is_failed = true;
        return;
    }
    if (input->is_late && input->node->clauses[CLAUSE_WINDOW] == NULL) {
        compile_error(
            compiler, input->line, input->column,
            "node \"%s\" reads \"%s\", but \"%s\" has no `window`: only windows have late "
            "rows",
            node->name, input->text, input->node->name);
        node->is_failed = true;
        return;
    }
    if (input->node->kind == NODE_SINK && !input->is_errors) {
        compile_error(compiler, input->line, input->column,
                      "node \"%s\" reads the sink \"%s\": a sink gives no rows", node->name,
                      input->node->name);
        node->is_failed = true;
        return;
    }
    if (input->is_errors)
        input->node->errors_are_read = true;
    else if (input->is_late)
        input->node->late_is_read = true;
    else
        input->node->is_read = true;
}

/* ---- dead letters ---- */

static void check_dead_letters(struct compiler *compiler, struct logical_node *node)
{
    uint32_t errors_read = 0;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const struct node_input *input = &node->inputs[i];
        errors_read += input->is_errors;
        if (input->is_errors && input->node != NULL &&
            input->node->on_error != ON_ERROR_DEAD_LETTER)
            compile_error(compiler, input->line, input->column,
                          "node \"%s\" reads \"%s\", but \"%s\" does not say `on_error: "
                          "dead_letter`",
                          node->name, input->text, input->node->name);
    }
    node->reads_only_errors = errors_read > 0 && errors_read == node->input_count;
    if (node->on_error != ON_ERROR_DEAD_LETTER)
        return;
    const struct yaml_node *value = node->clauses[CLAUSE_ON_ERROR];
    const uint32_t line = value != NULL ? value->line : node->line;
    const uint32_t column = value != NULL ? value->column : node->column;
    if (node->reads_only_errors)
        compile_error(
            compiler, line, column,
            "node \"%s\" reads only dead letters: its own `on_error` must be fail or skip",
            node->name);
    else if (!node->errors_are_read)
        compile_error(compiler, line, column,
                      "node \"%s\" has `on_error: dead_letter`, but nobody reads `%s.errors`: add "
                      "a sink with `from: %s.errors`",
                      node->name, node->name, node->name);
}

/* ---- order and cycles ---- */

struct visitor {
    struct compiler *compiler;
    struct logical_node *path[JOB_OPERATOR_MAX / 4 + 1];
    uint32_t depth;
    uint32_t count;
};

static void report_cycle(struct visitor *visitor, const struct logical_node *back)
{
    struct text names SCOPED_TEXT_BUFFER;
    text_init(&names, 800);
    uint32_t start = 0;
    while (visitor->path[start] != back)
        start++;
    for (uint32_t i = start; i < visitor->depth; i++) {
        text_format(&names, "%s <- ", visitor->path[i]->name);
        visitor->path[i]->is_failed = true;
    }
    compile_error(visitor->compiler, back->line, back->column,
                  "the nodes read each other in a cycle: %s%s", names.bytes, back->name);
}

static void visit(struct visitor *visitor, struct logical_node *node)
{
    if (node->visit == 2)
        return;
    if (node->visit == 1) {
        report_cycle(visitor, node);
        return;
    }
    node->visit = 1;
    visitor->path[visitor->depth++] = node;
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i].node != NULL)
            visit(visitor, node->inputs[i].node);
    }
    visitor->depth--;
    node->visit = 2;
    visitor->compiler->order[visitor->count++] = node;
}

static void check_readers(struct compiler *compiler)
{
    bool has_sink = false;
    for (uint32_t i = 0; i < compiler->node_count; i++) {
        struct logical_node *node = &compiler->nodes[i];
        has_sink = has_sink || node->kind == NODE_SINK;
        if (node->kind != NODE_SINK && !node->is_read)
            compile_warning(compiler, node->line, node->column,
                            "nobody reads node \"%s\": what it gives is thrown away", node->name);
        check_dead_letters(compiler, node);
    }
    if (!has_sink && compiler->node_count > 0)
        compile_error(compiler, compiler->nodes[0].line, compiler->nodes[0].column,
                      "the job has no sink: add a node such as result: {from: %s, sink: print}",
                      compiler->nodes[compiler->node_count - 1].name);
}

void resolve_inputs(struct compiler *compiler)
{
    for (uint32_t i = 0; i < compiler->node_count; i++) {
        struct logical_node *node = &compiler->nodes[i];
        for (uint32_t j = 0; j < node->input_count; j++)
            resolve_input(compiler, node, &node->inputs[j]);
    }
    check_readers(compiler);
    compiler->order =
        pool_take(&compiler->pool, compiler->node_count + 1, sizeof(*compiler->order));
    struct visitor *visitor = pool_take(&compiler->pool, 1, sizeof(*visitor));
    visitor->compiler = compiler;
    for (uint32_t i = 0; i < compiler->node_count; i++)
        visit(visitor, &compiler->nodes[i]);
}
