/* The keys of a job: name, parameters, configuration, nodes. See compiler.h. */
#include "common/base/allocate.h"
#include "common/base/nearest.h"
#include "compiler/compiler.h"

#include <stdlib.h>
#include <string.h>

#define PARAMETERS_MAX 250

bool is_node_name(const char *name)
{
    if (name[0] < 'a' || name[0] > 'z' || strlen(name) > NODE_NAME_BYTES_MAX)
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

static void on_yaml_problem(void *context, uint32_t line, uint32_t column, const char *message)
{
    struct compiler *compiler = context;
    struct text hint SCOPED_TEXT_BUFFER;
    text_init(&hint, 600);
    if (strncmp(message, "this is no valid YAML", 21) == 0 ||
        strncmp(message, "a YAML tag", 10) == 0)
        diagnose_yaml_error(compiler, line, &hint);
    compile_error(compiler, line, column, "%s%s", message, hint.bytes);
}

/* ---- parameters ---- */

static int compare_settings(const void *a, const void *b)
{
    return strcmp(((const struct setting *)a)->key, ((const struct setting *)b)->key);
}

static const char *default_of(struct compiler *compiler, const struct yaml_node *value)
{
    if (value->kind == YAML_SCALAR)
        return value->text;
    if (value->kind == YAML_MAP) {
        compile_error(compiler, value->line, value->column,
                      "a parameter's default is a text or a list of texts, not a map");
        return "";
    }
    struct text joined SCOPED_TEXT_BUFFER;
    text_init(&joined, 65536);
    for (uint32_t i = 0; i < value->count; i++) {
        if (value->items[i]->kind == YAML_SCALAR)
            text_format(&joined, "%s%s", i > 0 ? "," : "", value->items[i]->text);
    }
    return pool_text(&compiler->pool, joined.bytes);
}

static void read_parameter(struct compiler *compiler, const struct yaml_entry *entry)
{
    const struct compile_options *options = compiler->options;
    const char *name = entry->key->text;
    if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") !=
            strlen(name) ||
        name[0] == '\0') {
        compile_error(compiler, entry->key->line, entry->key->column,
                      "parameter \"%.80s\": a name is made of letters, digits, _ and -", name);
        return;
    }
    const char *value = setting_find(options->parameters, options->parameter_count, name);
    if (value == NULL && yaml_is_bare(entry->value)) {
        compile_error(compiler, entry->key->line, entry->key->column,
                      "the parameter \"%.80s\" is required: give it with --param %.80s=VALUE", name,
                      name);
        value = "";
    } else if (value == NULL) {
        value = default_of(compiler, substitute(compiler, entry->value));
    }
    compiler->parameters[compiler->parameter_count++] =
        (struct setting){(char *)(uintptr_t)name, (char *)(uintptr_t)value};
}

/* Names without defaults may also be written as a list. */
static void read_parameters(struct compiler *compiler, const struct yaml_node *node)
{
    const struct compile_options *options = compiler->options;
    const uint32_t count = node == NULL || node->kind == YAML_SCALAR ? 0 : node->count;
    struct setting *read = pool_take(&compiler->pool, count + 1, sizeof(*read));
    if (node != NULL && !yaml_is_bare(node) && node->kind != YAML_MAP)
        compile_error(compiler, node->line, node->column,
                      "`parameters` is a map, such as {input, rate: 0}: bare names are required");
    if (count > PARAMETERS_MAX)
        compile_error(compiler, node->line, node->column, "at most %d parameters", PARAMETERS_MAX);
    compiler->parameters = read;
    if (node != NULL && node->kind == YAML_MAP) {
        /* Defaults do not see other parameters: none is known while they are read. */
        for (uint32_t i = 0; i < node->count && i < PARAMETERS_MAX; i++) {
            const uint32_t known = compiler->parameter_count;
            compiler->parameters = read + known;
            compiler->parameter_count = 0;
            read_parameter(compiler, &node->entries[i]);
            compiler->parameter_count += known;
            compiler->parameters = read;
        }
    }
    qsort(read, compiler->parameter_count, sizeof(*read), compare_settings);
    const char *names[PARAMETERS_MAX];
    for (uint32_t i = 0; i < compiler->parameter_count; i++)
        names[i] = read[i].key;
    for (uint32_t i = 0; i < options->parameter_count; i++) {
        const char *name = options->parameters[i].key;
        if (setting_find(read, compiler->parameter_count, name) != NULL)
            continue;
        const char *nearest = nearest_name(name, names, compiler->parameter_count);
        if (nearest != NULL)
            compile_error(compiler, 0, 0,
                          "--param %.80s: the job has no such parameter: did you mean \"%s\"?",
                          name, nearest);
        else
            compile_error(compiler, 0, 0, "--param %.80s: the job has no such parameter", name);
    }
}

/* ---- configuration ---- */

static void set_config(struct compiler *compiler, const char *key, const char *value,
                       const char *origin, uint32_t line, uint32_t column)
{
    struct error err;
    const int index = config_find_key(key);
    if (index >= 0 && config_key_scope((enum config_key)index) == CONFIG_SCOPE_CLUSTER)
        compile_error(compiler, line, column,
                      "%s: \"%s\" belongs to the cluster: it cannot be set by a job, only in the "
                      "daemons' configuration",
                      origin, key);
    else if (config_set(compiler->config, key, value, origin, &err) != STATUS_OK)
        compile_error(compiler, line, column, "%s: %s", origin, err.message);
}

static void read_config_map(struct compiler *compiler, const char *prefix,
                            const struct yaml_node *map)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct yaml_entry *entry = &map->entries[i];
        SCOPED_TEXT char *key =
            format_text("%s%s%s", prefix, prefix[0] != '\0' ? "." : "", entry->key->text);
        if (entry->value->kind == YAML_MAP)
            read_config_map(compiler, key, entry->value);
        else if (entry->value->kind == YAML_LIST || yaml_is_bare(entry->value))
            compile_error(compiler, entry->key->line, entry->key->column,
                          "config: \"%.100s\" needs a value", key);
        else
            set_config(compiler, key, entry->value->text, "config", entry->value->line,
                       entry->value->column);
    }
}

static void read_config(struct compiler *compiler, const struct yaml_node *node)
{
    const struct compile_options *options = compiler->options;
    compiler->config =
        options->cluster_config != NULL ? config_copy(options->cluster_config) : config_create();
    if (node != NULL && node->kind == YAML_MAP)
        read_config_map(compiler, "", substitute(compiler, node));
    else if (node != NULL && !yaml_is_bare(node))
        compile_error(compiler, node->line, node->column,
                      "`config` is a map of keys and values, such as "
                      "{execution.checkpointing.interval: 10s}");
    for (uint32_t i = 0; i < options->override_count; i++)
        set_config(compiler, options->overrides[i].key, options->overrides[i].value, "-D", 0, 0);
}

/* ---- the other keys ---- */

static void read_name(struct compiler *compiler, const struct yaml_node *root)
{
    const struct yaml_node *node = yaml_find(root, "name");
    if (node != NULL)
        node = substitute(compiler, node);
    compiler->name = "job";
    if (node == NULL || node->kind != YAML_SCALAR || node->size == 0) {
        const struct yaml_node *where = node != NULL ? node : root;
        compile_error(compiler, where->line, where->column, "the job needs a name: `name: my-job`");
        return;
    }
    if (node->size > JOB_NAME_BYTES_MAX)
        compile_error(compiler, node->line, node->column,
                      "the job's name is longer than %d characters", JOB_NAME_BYTES_MAX);
    for (size_t i = 0; i < node->size; i++) {
        if ((unsigned char)node->text[i] < ' ') {
            compile_error(compiler, node->line, node->column,
                          "the job's name must not hold control characters");
            break;
        }
    }
    compiler->name = node->text;
}

static void read_parallelism(struct compiler *compiler, const struct yaml_node *root)
{
    const struct yaml_node *node = yaml_find(root, "parallelism");
    compiler->parallelism = (uint32_t)config_int(compiler->config, CONFIG_PARALLELISM);
    if (node != NULL) {
        node = substitute(compiler, node);
        char *end = NULL;
        const unsigned long value =
            node->kind == YAML_SCALAR && node->size > 0 ? strtoul(node->text, &end, 10) : 0;
        if (end == NULL || *end != '\0' || value < 1 || value > JOB_PARALLELISM_MAX)
            compile_error(compiler, node->line, node->column,
                          "`parallelism` must be a whole number from 1 to %d", JOB_PARALLELISM_MAX);
        else
            compiler->parallelism = (uint32_t)value;
    }
    if (compiler->options->parallelism > JOB_PARALLELISM_MAX)
        compile_error(compiler, 0, 0, "-p %u: parallelism is from 1 to %d",
                      compiler->options->parallelism, JOB_PARALLELISM_MAX);
    else if (compiler->options->parallelism > 0)
        compiler->parallelism = compiler->options->parallelism;
}

static void read_defaults(struct compiler *compiler, const struct yaml_node *root)
{
    read_parallelism(compiler, root);
    const struct yaml_node *node = yaml_find(root, "on_error");
    compiler->on_error = ON_ERROR_FAIL;
    if (node != NULL) {
        node = substitute(compiler, node);
        if (node->kind == YAML_SCALAR && strcmp(node->text, "skip") == 0)
            compiler->on_error = ON_ERROR_SKIP;
        else if (node->kind != YAML_SCALAR || strcmp(node->text, "fail") != 0)
            compile_error(compiler, node->line, node->column,
                          "`on_error` of a job is fail or skip; dead_letter is said by each node "
                          "whose `.errors` are read");
    }
    node = yaml_find(root, "version");
    if (node != NULL && (node->kind != YAML_SCALAR || strcmp(node->text, "1") != 0))
        compile_error(compiler, node->line, node->column,
                      "`version` must be 1: this program knows no other form of a job");
}

static void check_job_keys(struct compiler *compiler, const struct yaml_node *root)
{
    for (uint32_t i = 0; i < root->count; i++) {
        const struct yaml_node *key = root->entries[i].key;
        if (job_key_find(key->text) >= 0 || strncmp(key->text, "x-", 2) == 0)
            continue;
        const char *nearest = job_key_nearest(key->text);
        if (nearest != NULL)
            compile_error(compiler, key->line, key->column,
                          "unknown key \"%.80s\" of the job: did you mean \"%s\"?", key->text,
                          nearest);
        else
            compile_error(compiler, key->line, key->column,
                          "unknown key \"%.80s\" of the job; known are version, name, parameters, "
                          "config, parallelism, on_error, nodes and x-...",
                          key->text);
    }
}

/* ---- nodes ---- */

static void read_clauses(struct compiler *compiler, struct logical_node *node,
                         const struct yaml_node *map)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct yaml_entry *entry = &map->entries[i];
        const int clause = clause_find(entry->key->text);
        if (clause >= 0) {
            node->clauses[clause] = entry->value;
            continue;
        }
        const char *nearest = clause_nearest(entry->key->text);
        node->is_failed = true;
        if (nearest != NULL)
            compile_error(compiler, entry->key->line, entry->key->column,
                          "node \"%s\": unknown clause \"%.80s\": did you mean \"%s\"?", node->name,
                          entry->key->text, nearest);
        else
            compile_error(compiler, entry->key->line, entry->key->column,
                          "node \"%s\": unknown clause \"%.80s\" (docs/jobs.md lists all)",
                          node->name, entry->key->text);
    }
}

static void add_node(struct compiler *compiler, const struct yaml_entry *entry)
{
    const struct yaml_node *key = entry->key;
    struct logical_node *node = &compiler->nodes[compiler->node_count++];
    node->name = key->text;
    node->line = key->line;
    node->column = key->column;
    if (!is_node_name(key->text)) {
        compile_error(compiler, key->line, key->column,
                      "node \"%.100s\": a node's name begins with a small letter and is made of "
                      "small letters, digits and _",
                      key->text);
        node->is_failed = true;
    }
    if (entry->value->kind != YAML_MAP) {
        compile_error(compiler, key->line, key->column,
                      "node \"%.100s\": a map of clauses is expected, such as {from: lines, sink: "
                      "print}",
                      key->text);
        node->is_failed = true;
        node->kind = NODE_SELECT;
        return;
    }
    read_clauses(compiler, node, substitute(compiler, entry->value));
    read_node(compiler, node);
}

static void read_nodes(struct compiler *compiler, const struct yaml_node *root)
{
    const struct yaml_node *nodes = yaml_find(root, "nodes");
    if (nodes == NULL || nodes->kind != YAML_MAP || nodes->count == 0) {
        const struct yaml_node *where = nodes != NULL ? nodes : root;
        compile_error(compiler, where->line, where->column,
                      "the job needs `nodes`: a map of names and their clauses");
        return;
    }
    if (nodes->count > JOB_OPERATOR_MAX / 4) {
        compile_error(compiler, nodes->line, nodes->column, "%u nodes: at most %d are possible",
                      nodes->count, JOB_OPERATOR_MAX / 4);
        return;
    }
    compiler->nodes = pool_take(&compiler->pool, nodes->count, sizeof(*compiler->nodes));
    for (uint32_t i = 0; i < nodes->count; i++)
        add_node(compiler, &nodes->entries[i]);
}

void read_job(struct compiler *compiler)
{
    if (yaml_read(compiler->text, compiler->text_size, "job file", on_yaml_problem, compiler,
                  &compiler->document) != STATUS_OK)
        return;
    const struct yaml_node *root = yaml_root(compiler->document);
    if (root == NULL || yaml_is_bare(root)) {
        compile_error(compiler, 1, 1, "the job file is empty");
        return;
    }
    if (root->kind != YAML_MAP) {
        compile_error(compiler, root->line, root->column,
                      "a job is a map with `name` and `nodes` (docs/jobs.md)");
        return;
    }
    check_job_keys(compiler, root);
    read_parameters(compiler, yaml_find(root, "parameters"));
    read_config(compiler, yaml_find(root, "config"));
    read_name(compiler, root);
    read_defaults(compiler, root);
    read_nodes(compiler, root);
}
