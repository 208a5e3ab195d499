/* The clauses of one node: shapes and plain values. See compiler.h. */
#include "common/base/nearest.h"
#include "compiler/compiler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values by shape ---- */

static void shape_error(struct compiler *compiler, struct logical_node *node, enum clause clause,
                        const char *expected)
{
    const struct yaml_node *value = node->clauses[clause];
    compile_error(compiler, value->line, value->column, "node \"%s\": `%s` %s, such as \"%s\"",
                  node->name, clause_table[clause].name, expected, clause_table[clause].example);
    node->is_failed = true;
}

const char *quote_name(struct compiler *compiler, const char *name)
{
    struct text quoted SCOPED_TEXT_BUFFER;
    text_init(&quoted, 2 * SCHEMA_NAME_BYTES_MAX + 2);
    text_append_char(&quoted, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"')
            text_append_char(&quoted, '"');
        text_append_char(&quoted, *name);
    }
    text_append_char(&quoted, '"');
    return pool_text(&compiler->pool, quoted.bytes);
}

static bool is_plain_name(const char *name)
{
    const bool starts = (name[0] >= 'a' && name[0] <= 'z') || (name[0] >= 'A' && name[0] <= 'Z') ||
                        name[0] == '_' || (unsigned char)name[0] >= 0x80;
    return starts && strpbrk(name, "()+*/=<>'\"`,;:{}[]&|!%@^~ ") == NULL;
}

static void read_column(struct compiler *compiler, struct logical_node *node, enum clause clause,
                        const struct yaml_entry *entry, struct named_expression *column)
{
    const char *name = entry->key->text;
    *column = (struct named_expression){.name = (char *)(uintptr_t)name,
                                        .line = entry->value->line,
                                        .column = entry->value->column};
    if (name[0] == '\0' || strlen(name) > SCHEMA_NAME_BYTES_MAX) {
        compile_error(compiler, entry->key->line, entry->key->column,
                      "node \"%s\": the name of a column has 1 to %d bytes", node->name,
                      SCHEMA_NAME_BYTES_MAX);
        node->is_failed = true;
    }
    if (entry->value->kind != YAML_SCALAR) {
        compile_error(compiler, entry->value->line, entry->value->column,
                      "node \"%s\": `%s`: column \"%.80s\" needs %s, not a map or a list; a text "
                      "that begins with { or [ needs double quotes",
                      node->name, clause_table[clause].name, name,
                      clause == CLAUSE_SCHEMA_COLUMNS ? "a type" : "an expression");
        node->is_failed = true;
        column->text = pool_text(&compiler->pool, "");
    } else if (!yaml_is_bare(entry->value)) {
        column->text = (char *)(uintptr_t)entry->value->text;
    } else if (clause == CLAUSE_SCHEMA_COLUMNS) {
        compile_error(compiler, entry->key->line, entry->key->column,
                      "node \"%s\": column \"%.80s\" needs a type, such as \"string\"", node->name,
                      name);
        node->is_failed = true;
        column->text = pool_text(&compiler->pool, "");
    } else {
        column->line = entry->key->line;
        column->column = entry->key->column;
        if (!is_plain_name(name)) {
            struct text hint SCOPED_TEXT_BUFFER;
            text_init(&hint, 600);
            /* What a comma cut in two: the first half is the entry before. */
            const struct yaml_entry *cut =
                entry > node->clauses[clause]->entries ? entry - 1 : entry;
            if (cut->value->kind == YAML_SCALAR)
                diagnose_expression(compiler, cut->value->text, cut->value->line,
                                    cut->value->column, &hint);
            compile_error(compiler, column->line, column->column,
                          "node \"%s\": `%s`: \"%.80s\" stands alone but is no name of a column: "
                          "write `name: expression`, with the expression in double quotes if it "
                          "holds , [ ] { }%s",
                          node->name, clause_table[clause].name, name, hint.bytes);
            node->is_failed = true;
        }
        column->text = (char *)(uintptr_t)quote_name(compiler, name);
    }
}

static void read_columns(struct compiler *compiler, struct logical_node *node, enum clause clause,
                         struct expression_list *list)
{
    const struct yaml_node *value = node->clauses[clause];
    if (value == NULL)
        return;
    if (value->kind != YAML_MAP || value->count == 0) {
        shape_error(compiler, node, clause, "is a map name: expression");
        return;
    }
    if (value->count > SCHEMA_COLUMN_MAX) {
        shape_error(compiler, node, clause, "holds too many columns");
        return;
    }
    list->items = pool_take(&compiler->pool, value->count, sizeof(*list->items));
    for (uint32_t i = 0; i < value->count; i++)
        read_column(compiler, node, clause, &value->entries[i], &list->items[list->count++]);
}

static void read_where(struct compiler *compiler, struct logical_node *node)
{
    const struct yaml_node *value = node->clauses[CLAUSE_WHERE];
    if (value == NULL)
        return;
    if (value->kind != YAML_SCALAR || value->size == 0) {
        shape_error(compiler, node, CLAUSE_WHERE, "is a condition");
        return;
    }
    node->where.items = pool_take(&compiler->pool, 1, sizeof(*node->where.items));
    node->where.items[0] = (struct named_expression){.name = pool_text(&compiler->pool, ""),
                                                     .text = (char *)(uintptr_t)value->text,
                                                     .line = value->line,
                                                     .column = value->column};
    node->where.count = 1;
}

static void read_keys(struct compiler *compiler, struct logical_node *node)
{
    const struct yaml_node *value = node->clauses[CLAUSE_KEY_BY];
    if (value == NULL)
        return;
    const uint32_t count = value->kind == YAML_LIST ? value->count : 1;
    node->keys = pool_take(&compiler->pool, count, sizeof(char *));
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *item = value->kind == YAML_LIST ? value->items[i] : value;
        if (item->kind != YAML_SCALAR || item->size == 0) {
            shape_error(compiler, node, CLAUSE_KEY_BY, "is a name or a list of names");
            return;
        }
        node->keys[node->key_count++] = (char *)(uintptr_t)item->text;
    }
    if (node->key_count == 0)
        shape_error(compiler, node, CLAUSE_KEY_BY, "is a name or a list of names");
}

/* The index of the choice; fallback if the clause is absent or wrong. */
static int read_enum(struct compiler *compiler, struct logical_node *node, enum clause clause,
                     int fallback)
{
    const struct yaml_node *value = node->clauses[clause];
    if (value == NULL)
        return fallback;
    const struct option_spec spec = {.name = clause_table[clause].name,
                                     .type = OPTION_ENUM,
                                     .choices = clause_table[clause].choices};
    struct option_value parsed;
    struct error err;
    if (value->kind != YAML_SCALAR) {
        shape_error(compiler, node, clause, "is one word");
        return fallback;
    }
    if (option_parse(&spec, value->text, OPTION_UNITS_REQUIRED, &parsed, &err) != STATUS_OK) {
        compile_error(compiler, value->line, value->column, "node \"%s\": %s", node->name,
                      err.message);
        node->is_failed = true;
        return fallback;
    }
    return (int)parsed.integer;
}

static void read_ttl(struct compiler *compiler, struct logical_node *node)
{
    const struct yaml_node *value = node->clauses[CLAUSE_TTL];
    if (value == NULL)
        return;
    struct error err;
    if (value->kind != YAML_SCALAR) {
        shape_error(compiler, node, CLAUSE_TTL, "is a duration");
    } else if (parse_duration_ms(value->text, OPTION_UNITS_REQUIRED, &node->ttl_ms, &err) !=
               STATUS_OK) {
        compile_error(compiler, value->line, value->column, "node \"%s\": `ttl`: %s", node->name,
                      err.message);
        node->is_failed = true;
    } else if (node->ttl_ms == 0) {
        compile_error(compiler, value->line, value->column,
                      "node \"%s\": `ttl` must be longer than 0; without `ttl` state is kept for "
                      "ever",
                      node->name);
        node->is_failed = true;
    }
}

static void read_parallelism(struct compiler *compiler, struct logical_node *node)
{
    const struct yaml_node *value = node->clauses[CLAUSE_PARALLELISM];
    const int64_t most = config_int(compiler->config, CONFIG_MAX_PARALLELISM);
    node->parallelism = compiler->parallelism;
    const struct yaml_node here = {.line = node->line, .column = node->column};
    if (value != NULL) {
        char *end = NULL;
        const long number =
            value->kind == YAML_SCALAR && value->size > 0 ? strtol(value->text, &end, 10) : 0;
        if (end == NULL || *end != '\0' || number < 1 || number > JOB_PARALLELISM_MAX) {
            compile_error(compiler, value->line, value->column,
                          "node \"%s\": `parallelism` must be a whole number from 1 to %d",
                          node->name, JOB_PARALLELISM_MAX);
            node->is_failed = true;
            return;
        }
        node->parallelism = (uint32_t)number;
    } else {
        value = &here;
    }
    if (node->parallelism > most) {
        compile_error(compiler, value->line, value->column,
                      "node \"%s\": parallelism %u is above pipeline.max-parallelism (%lld)",
                      node->name, node->parallelism, (long long)most);
        node->is_failed = true;
    }
}

static void read_inputs(struct compiler *compiler, struct logical_node *node)
{
    const struct yaml_node *value = node->clauses[CLAUSE_FROM];
    if (value == NULL)
        return;
    if (value->kind == YAML_MAP) {
        compile_error(compiler, value->line, value->column,
                      "node \"%s\": `from` with aliases belongs to `join`, which comes in a later "
                      "version; a list of nodes is their union",
                      node->name);
        node->is_failed = true;
        return;
    }
    const uint32_t count = value->kind == YAML_LIST ? value->count : 1;
    if (count == 0 || count > NODE_INPUTS_MAX) {
        shape_error(compiler, node, CLAUSE_FROM, "names 1 to 64 nodes");
        return;
    }
    node->inputs = pool_take(&compiler->pool, count, sizeof(*node->inputs));
    for (uint32_t i = 0; i < count; i++) {
        const struct yaml_node *item = value->kind == YAML_LIST ? value->items[i] : value;
        if (item->kind != YAML_SCALAR || item->size == 0) {
            shape_error(compiler, node, CLAUSE_FROM, "is a node or a list of nodes");
            return;
        }
        node->inputs[node->input_count++] =
            (struct node_input){.text = item->text, .line = item->line, .column = item->column};
    }
}

/* ---- what may stand together ---- */

static void check_kind(struct compiler *compiler, struct logical_node *node)
{
    const bool has_source = node->clauses[CLAUSE_SOURCE] != NULL;
    const bool has_sink = node->clauses[CLAUSE_SINK] != NULL;
    const bool has_from = node->clauses[CLAUSE_FROM] != NULL;
    node->kind = has_source ? NODE_SOURCE : has_sink ? NODE_SINK : NODE_SELECT;
    if (has_source && has_sink)
        compile_error(compiler, node->line, node->column,
                      "node \"%s\" has both `source` and `sink`: make two nodes of it", node->name);
    else if (!has_source && !has_from)
        compile_error(compiler, node->line, node->column,
                      has_sink ? "node \"%s\" is a sink without input: add `from: NODE`"
                               : "node \"%s\" has no input: it needs `source` or `from`",
                      node->name);
    else
        return;
    node->is_failed = true;
}

static const char *kind_name(enum node_kind kind)
{
    return kind == NODE_SOURCE ? "source" : kind == NODE_SINK ? "sink" : "node with `from`";
}

static void check_places(struct compiler *compiler, struct logical_node *node)
{
    for (int i = 0; i < CLAUSE_COUNT; i++) {
        const struct yaml_node *value = node->clauses[i];
        if (value == NULL)
            continue;
        if (clause_table[i].is_later)
            compile_error(compiler, value->line, value->column,
                          "node \"%s\": `%s` comes in a later version", node->name,
                          clause_table[i].name);
        else if ((clause_table[i].kinds & (unsigned)node->kind) == 0)
            compile_error(
                compiler, value->line, value->column, "node \"%s\": `%s` cannot stand in a %s%s",
                node->name, clause_table[i].name, kind_name(node->kind),
                clause_table[i].kinds == NODE_SELECT ? ": put it into a node between, `from` it"
                                                     : "");
        else
            continue;
        node->is_failed = true;
    }
}

static void pair_error(struct compiler *compiler, struct logical_node *node, enum clause clause,
                       const char *message)
{
    const struct yaml_node *value = node->clauses[clause];
    compile_error(compiler, value->line, value->column, "node \"%s\": %s", node->name, message);
    node->is_failed = true;
}

static bool has(const struct logical_node *node, enum clause clause)
{
    return node->clauses[clause] != NULL;
}

static void check_pairs(struct compiler *compiler, struct logical_node *node)
{
    const bool is_keyed_later = has(node, CLAUSE_WINDOW) || has(node, CLAUSE_PROCESS);
    const bool has_rounds = has(node, CLAUSE_AGGREGATE) || has(node, CLAUSE_REDUCE);
    if (has(node, CLAUSE_KEY_BY) && !has_rounds && !is_keyed_later)
        pair_error(compiler, node, CLAUSE_KEY_BY,
                   "`key_by` alone does nothing: add `aggregate` or `reduce`, or use `partition: "
                   "hash` to distribute rows");
    if (has(node, CLAUSE_AGGREGATE) && has(node, CLAUSE_REDUCE))
        pair_error(compiler, node, CLAUSE_REDUCE,
                   "`aggregate` and `reduce` cannot stand in one node: make two nodes of it");
    if (has(node, CLAUSE_REDUCE) && !has(node, CLAUSE_KEY_BY))
        pair_error(compiler, node, CLAUSE_REDUCE, "`reduce` needs `key_by`");
    if (has(node, CLAUSE_EMIT) && !has_rounds && !is_keyed_later)
        pair_error(compiler, node, CLAUSE_EMIT, "`emit` belongs to `aggregate` or `reduce`");
    if (has(node, CLAUSE_TTL) && !has_rounds && !is_keyed_later)
        pair_error(compiler, node, CLAUSE_TTL, "`ttl` belongs to `aggregate` or `reduce`");
    if (has(node, CLAUSE_AGGREGATE) && !has(node, CLAUSE_KEY_BY) && has(node, CLAUSE_PARALLELISM) &&
        node->parallelism > 1)
        pair_error(compiler, node, CLAUSE_PARALLELISM,
                   "`aggregate` without `key_by` is one group: its parallelism is 1");
    if (has(node, CLAUSE_AGGREGATE) && !has(node, CLAUSE_KEY_BY))
        node->parallelism = 1;
    if (node->unnest.count > 1)
        pair_error(compiler, node, CLAUSE_UNNEST,
                   "`unnest` takes one list: use another node for the next");
    if (has(node, CLAUSE_KEY_BY) && has(node, CLAUSE_PARTITION) &&
        node->partition != PARTITION_HASH)
        pair_error(compiler, node, CLAUSE_PARTITION,
                   "before `key_by` rows are always distributed by hash: remove `partition`");
}

static void check_window_pairs(struct compiler *compiler, struct logical_node *node)
{
    if (!has(node, CLAUSE_WINDOW)) {
        if (node->emit == EMIT_FINAL && has(node, CLAUSE_EMIT))
            pair_error(compiler, node, CLAUSE_EMIT,
                       "`emit: final` belongs to `window`: without windows a result is never "
                       "final; `emit: end` gives the last one of a bounded input");
        return;
    }
    if (!has(node, CLAUSE_AGGREGATE))
        pair_error(compiler, node, CLAUSE_WINDOW,
                   "`window` needs `aggregate`: what is to be known of the rows of a window");
    if (node->emit == EMIT_END)
        pair_error(compiler, node, CLAUSE_EMIT,
                   "`emit: end` has no place beside `window`: a window gives its result when it "
                   "ends, which is `emit: final` (the default)");
}

void read_node(struct compiler *compiler, struct logical_node *node)
{
    check_kind(compiler, node);
    check_places(compiler, node);
    read_inputs(compiler, node);
    read_columns(compiler, node, CLAUSE_SCHEMA_COLUMNS, &node->schema);
    read_columns(compiler, node, CLAUSE_UNNEST, &node->unnest);
    read_columns(compiler, node, CLAUSE_SET, &node->set);
    read_columns(compiler, node, CLAUSE_AGGREGATE, &node->aggregate);
    read_columns(compiler, node, CLAUSE_REDUCE, &node->reduce);
    read_columns(compiler, node, CLAUSE_SELECT, &node->select);
    read_where(compiler, node);
    read_keys(compiler, node);
    read_ttl(compiler, node);
    read_parallelism(compiler, node);
    node->has_emit = node->clauses[CLAUSE_EMIT] != NULL;
    node->emit = (enum emit)read_enum(compiler, node, CLAUSE_EMIT,
                                      has(node, CLAUSE_WINDOW) ? EMIT_FINAL : EMIT_EACH);
    node->partition = read_enum(compiler, node, CLAUSE_PARTITION, -1);
    node->on_error =
        (enum on_error)read_enum(compiler, node, CLAUSE_ON_ERROR, (int)compiler->on_error);
    if (read_enum(compiler, node, CLAUSE_DELIVERY, 0) != 0)
        pair_error(compiler, node, CLAUSE_DELIVERY,
                   "`delivery: exactly-once` comes in a later version: leave it out for "
                   "at-least-once; file sinks become visible with completed checkpoints");
    const struct yaml_node *description = node->clauses[CLAUSE_DESCRIPTION];
    if (description != NULL && description->kind == YAML_SCALAR)
        node->description = description->text;
    check_pairs(compiler, node);
    check_window_pairs(compiler, node);
    read_window(compiler, node);
    read_connector(compiler, node);
}
