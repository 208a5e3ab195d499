/* Connectors and formats of a node, with their options. See compiler.h. */
#include "common/base/allocate.h"
#include "common/base/nearest.h"
#include "compiler/compiler.h"

#include <stdio.h>
#include <string.h>

#define NAMES_MAX 64

struct names {
    const char *items[NAMES_MAX];
    size_t count;
};

static bool is_in(const char *const *names, const char *name)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

/* Splits `name` or {name: options} into the name and its argument (NULL: none). */
static bool read_choice(struct compiler *compiler, struct logical_node *node, enum clause clause,
                        struct choice *choice, const struct yaml_node **ret_argument)
{
    const struct yaml_node *value = node->clauses[clause];
    *ret_argument = NULL;
    if (value->kind == YAML_SCALAR && value->size > 0) {
        *choice =
            (struct choice){.name = value->text, .line = value->line, .column = value->column};
        return true;
    }
    if (value->kind == YAML_MAP && value->count == 1) {
        const struct yaml_entry *entry = &value->entries[0];
        *choice = (struct choice){
            .name = entry->key->text, .line = entry->key->line, .column = entry->key->column};
        *ret_argument = yaml_is_bare(entry->value) ? NULL : entry->value;
        return true;
    }
    compile_error(compiler, value->line, value->column,
                  "node \"%s\": `%s` is a name or a map with one name, such as \"%s\"%s",
                  node->name, clause_table[clause].name, clause_table[clause].example,
                  value->kind == YAML_MAP && value->count > 1
                      ? "; the options stand one level deeper, below the name"
                      : "");
    node->is_failed = true;
    return false;
}

static void unknown_choice(struct compiler *compiler, struct logical_node *node,
                           const struct choice *choice, const char *what, const char *const *later,
                           const struct names *names)
{
    node->is_failed = true;
    if (is_in(later, choice->name)) {
        compile_error(compiler, choice->line, choice->column,
                      "node \"%s\": the %s \"%s\" comes in a later version", node->name, what,
                      choice->name);
        return;
    }
    const char *nearest = nearest_name(choice->name, names->items, names->count);
    struct text known SCOPED_TEXT_BUFFER;
    text_init(&known, 500);
    for (size_t i = 0; i < names->count; i++)
        text_format(&known, "%s%s", i > 0 ? ", " : "", names->items[i]);
    if (nearest != NULL)
        compile_error(compiler, choice->line, choice->column,
                      "node \"%s\": unknown %s \"%.80s\": did you mean \"%s\"?", node->name, what,
                      choice->name, nearest);
    else
        compile_error(compiler, choice->line, choice->column,
                      "node \"%s\": unknown %s \"%.80s\"; known are: %s", node->name, what,
                      choice->name, known.bytes);
}

/* ---- options ---- */

struct option_reader {
    struct compiler *compiler;
    struct logical_node *node;
    const struct option_spec *table;
    struct choice *choice;
    size_t capacity;
};

static void option_error(struct option_reader *reader, const struct yaml_node *where,
                         const char *message)
{
    compile_error(reader->compiler, where->line, where->column, "node \"%s\": %s: %s",
                  reader->node->name, reader->choice->name, message);
    reader->node->is_failed = true;
}

static const char *join_list(struct option_reader *reader, const struct yaml_node *list)
{
    struct text joined SCOPED_TEXT_BUFFER;
    text_init(&joined, 256 * 1024);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct yaml_node *item = list->items[i];
        if (item->kind != YAML_SCALAR || item->size == 0) {
            option_error(reader, item, "a list of texts is expected");
            return NULL;
        }
        text_format(&joined, "%s%s", i > 0 ? "," : "", item->text);
    }
    return pool_text(&reader->compiler->pool, joined.bytes);
}

static void check_secret(struct option_reader *reader, const struct option_spec *spec,
                         const struct yaml_node *where, const char *value)
{
    const bool is_reference = strstr(value, "${secret:") != NULL;
    const bool is_secret = (spec->flags & OPTION_SECRET) != 0;
    char message[400];
    if (is_reference && !is_secret && spec->type != OPTION_MAP) {
        (void)snprintf(message, sizeof(message),
                       "option \"%s\" is not secret: ${secret:...} may stand only where the value "
                       "is never shown",
                       spec->name);
        option_error(reader, where, message);
    }
    if (is_secret && !is_reference)
        compile_warning(reader->compiler, where->line, where->column,
                        "node \"%s\": %s: the secret option \"%s\" is written in the job itself, "
                        "which is stored and shown: write ${secret:NAME}",
                        reader->node->name, reader->choice->name, spec->name);
}

static void add_option(struct option_reader *reader, const struct option_spec *spec,
                       const char *name, const struct yaml_node *where, const char *value)
{
    struct choice *choice = reader->choice;
    for (uint32_t i = 0; i < choice->option_count; i++) {
        if (strcmp(choice->options[i].key, name) == 0) {
            option_error(reader, where, "the same option twice, under its two names");
            return;
        }
    }
    check_secret(reader, spec, where, value);
    struct option_value parsed;
    struct error err;
    if (strstr(value, "${secret:") == NULL && spec->type != OPTION_MAP &&
        option_parse(spec, value, OPTION_UNITS_REQUIRED, &parsed, &err) != STATUS_OK) {
        option_error(reader, where, err.message);
        return;
    }
    choice->options[choice->option_count++] = (struct setting){
        pool_text(&reader->compiler->pool, name), pool_text(&reader->compiler->pool, value)};
}

static void read_option(struct option_reader *reader, const char *name, const struct yaml_node *key,
                        const struct yaml_node *value)
{
    const struct option_spec *spec = option_find(reader->table, name);
    char message[400];
    if (spec == NULL) {
        const char *nearest = option_nearest(reader->table, name);
        if (nearest != NULL)
            (void)snprintf(message, sizeof(message),
                           "unknown option \"%.100s\": did you mean \"%s\"?", name, nearest);
        else
            (void)snprintf(message, sizeof(message), "unknown option \"%.100s\"", name);
        option_error(reader, key, message);
        return;
    }
    if (value->kind == YAML_MAP || yaml_is_bare(value)) {
        (void)snprintf(message, sizeof(message), "option \"%.100s\" needs a value: %s", name,
                       spec->help);
        option_error(reader, value, message);
        return;
    }
    const char *text = value->kind == YAML_LIST ? join_list(reader, value) : value->text;
    if (text != NULL)
        add_option(reader, spec, spec->type == OPTION_MAP ? name : spec->name, value, text);
}

/* {properties: {acks: all}} is properties.acks: all. */
static void read_option_tree(struct option_reader *reader, const char *prefix,
                             const struct yaml_node *map)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct yaml_entry *entry = &map->entries[i];
        SCOPED_TEXT char *name =
            format_text("%s%s%s", prefix, prefix[0] != '\0' ? "." : "", entry->key->text);
        if (entry->value->kind == YAML_MAP && option_find(reader->table, name) == NULL)
            read_option_tree(reader, name, entry->value);
        else
            read_option(reader, name, entry->key, entry->value);
    }
}

static const struct option_spec *main_option(const struct option_spec *table)
{
    for (; table != NULL && table->name != NULL; table++) {
        if ((table->flags & OPTION_MAIN) != 0)
            return table;
    }
    return NULL;
}

static void check_required(struct option_reader *reader)
{
    const struct choice *choice = reader->choice;
    for (const struct option_spec *spec = reader->table; spec != NULL && spec->name != NULL;
         spec++) {
        if ((spec->flags & OPTION_REQUIRED) == 0 ||
            setting_find(choice->options, choice->option_count, spec->name) != NULL)
            continue;
        compile_error(reader->compiler, choice->line, choice->column,
                      "node \"%s\": %s: option \"%s\" is missing: %s", reader->node->name,
                      choice->name, spec->name, spec->help);
        reader->node->is_failed = true;
    }
}

static void add_job_name(struct option_reader *reader)
{
    struct choice *choice = reader->choice;
    for (const struct option_spec *spec = reader->table; spec != NULL && spec->name != NULL;
         spec++) {
        if (spec->fallback != NULL && strcmp(spec->fallback, OPTION_FALLBACK_JOB_NAME) == 0 &&
            setting_find(choice->options, choice->option_count, spec->name) == NULL) {
            choice->options[choice->option_count++] =
                (struct setting){pool_text(&reader->compiler->pool, spec->name),
                                 pool_text(&reader->compiler->pool, reader->compiler->name)};
            return; /* there is room for one */
        }
    }
}

static uint32_t count_scalars(const struct yaml_node *node)
{
    return node == NULL ? 1 : node->node_count + 1;
}

static void read_options(struct compiler *compiler, struct logical_node *node,
                         const struct option_spec *table, struct choice *choice,
                         const struct yaml_node *argument)
{
    struct option_reader reader = {
        .compiler = compiler, .node = node, .table = table, .choice = choice};
    const bool was_failed = node->is_failed;
    node->is_failed = false;
    choice->options =
        pool_take(&compiler->pool, count_scalars(argument) + 1, sizeof(*choice->options));
    if (argument != NULL && argument->kind == YAML_MAP) {
        read_option_tree(&reader, "", argument);
    } else if (argument != NULL) {
        const struct option_spec *spec = main_option(table);
        if (spec != NULL)
            read_option(&reader, spec->name, argument, argument);
        else
            option_error(&reader, argument, "a map of options is expected");
    }
    if (!node->is_failed)
        check_required(&reader);
    add_job_name(&reader);
    node->is_failed = node->is_failed || was_failed;
}

/* ---- connector and format ---- */

static void read_source(struct compiler *compiler, struct logical_node *node)
{
    const struct yaml_node *argument = NULL;
    if (!read_choice(compiler, node, CLAUSE_SOURCE, &node->connector, &argument))
        return;
    const struct connector_registry *registry = compiler->options->registry;
    node->source = source_connector_find(registry, node->connector.name);
    if (node->source != NULL) {
        read_options(compiler, node, node->source->options, &node->connector, argument);
        return;
    }
    struct names names = {.count = 0};
    for (size_t i = 0; registry->sources[i] != NULL && names.count < NAMES_MAX; i++)
        names.items[names.count++] = registry->sources[i]->name;
    const bool is_sink = sink_connector_find(registry, node->connector.name) != NULL;
    if (is_sink)
        compile_error(compiler, node->connector.line, node->connector.column,
                      "node \"%s\": the connector \"%s\" can only be a sink", node->name,
                      node->connector.name);
    else
        unknown_choice(compiler, node, &node->connector, "source", later_connectors, &names);
    node->is_failed = true;
}

static void read_sink(struct compiler *compiler, struct logical_node *node)
{
    const struct yaml_node *argument = NULL;
    if (!read_choice(compiler, node, CLAUSE_SINK, &node->connector, &argument))
        return;
    const struct connector_registry *registry = compiler->options->registry;
    node->sink = sink_connector_find(registry, node->connector.name);
    if (node->sink != NULL) {
        read_options(compiler, node, node->sink->options, &node->connector, argument);
        return;
    }
    struct names names = {.count = 0};
    for (size_t i = 0; registry->sinks[i] != NULL && names.count < NAMES_MAX; i++)
        names.items[names.count++] = registry->sinks[i]->name;
    const bool is_source = source_connector_find(registry, node->connector.name) != NULL;
    if (is_source)
        compile_error(compiler, node->connector.line, node->connector.column,
                      "node \"%s\": the connector \"%s\" can only be a source", node->name,
                      node->connector.name);
    else
        unknown_choice(compiler, node, &node->connector, "sink", later_connectors, &names);
    node->is_failed = true;
}

static bool format_fits(const struct format *format, bool is_source)
{
    return is_source ? format->decoder.open != NULL : format->encoder.open != NULL;
}

static void list_formats(struct compiler *compiler, bool is_source, struct names *names)
{
    const struct format *const *formats = compiler->options->registry->formats;
    for (size_t i = 0; formats[i] != NULL && names->count < NAMES_MAX; i++) {
        if (format_fits(formats[i], is_source))
            names->items[names->count++] = formats[i]->name;
    }
}

static void missing_format(struct compiler *compiler, struct logical_node *node, bool is_source)
{
    struct names names = {.count = 0};
    list_formats(compiler, is_source, &names);
    struct text known SCOPED_TEXT_BUFFER;
    text_init(&known, 300);
    for (size_t i = 0; i < names.count; i++)
        text_format(&known, "%s%s", i > 0 ? ", " : "", names.items[i]);
    compile_error(compiler, node->connector.line, node->connector.column,
                  "node \"%s\": %s needs a format: add `format:` with one of %s", node->name,
                  node->connector.name, known.bytes);
    node->is_failed = true;
}

static void read_format(struct compiler *compiler, struct logical_node *node, bool is_source)
{
    const bool is_known = is_source ? node->source != NULL : node->sink != NULL;
    const bool is_needed =
        is_known && (is_source ? node->source->needs_format : node->sink->needs_format);
    const struct yaml_node *value = node->clauses[CLAUSE_FORMAT];
    if (value == NULL && is_needed)
        missing_format(compiler, node, is_source);
    if (value == NULL)
        return;
    if (is_known && !is_needed) {
        compile_error(compiler, value->line, value->column,
                      "node \"%s\": %s takes no format: remove `format`", node->name,
                      node->connector.name);
        node->is_failed = true;
        return;
    }
    const struct yaml_node *argument = NULL;
    if (!read_choice(compiler, node, CLAUSE_FORMAT, &node->format, &argument))
        return;
    node->format_row = format_find(compiler->options->registry, node->format.name);
    if (node->format_row == NULL || !format_fits(node->format_row, is_source)) {
        struct names names = {.count = 0};
        list_formats(compiler, is_source, &names);
        unknown_choice(compiler, node, &node->format,
                       is_source ? "format to read" : "format to write", later_formats, &names);
        node->format_row = NULL;
        return;
    }
    read_options(compiler, node, node->format_row->options, &node->format, argument);
}

/* A clause that is a map of options. */
static void read_clause_options(struct compiler *compiler, struct logical_node *node,
                                enum clause clause, struct choice *choice)
{
    const struct yaml_node *value = node->clauses[clause];
    if (value == NULL)
        return;
    *choice = (struct choice){
        .name = clause_table[clause].name, .line = value->line, .column = value->column};
    read_options(compiler, node, clause_options(clause), choice,
                 yaml_is_bare(value) ? NULL : value);
}

void read_window(struct compiler *compiler, struct logical_node *node)
{
    static const char *const none[] = {NULL};
    const struct yaml_node *argument = NULL;
    if (node->clauses[CLAUSE_WINDOW] == NULL || node->kind != NODE_SELECT ||
        !read_choice(compiler, node, CLAUSE_WINDOW, &node->window, &argument))
        return;
    node->window_row = window_row_find(node->window.name);
    if (node->window_row != NULL) {
        read_options(compiler, node, node->window_row->options, &node->window, argument);
        return;
    }
    struct names names = {.count = 0};
    for (const struct window_row *row = window_table; row->name != NULL; row++)
        names.items[names.count++] = row->name;
    unknown_choice(compiler, node, &node->window, "window", none, &names);
}

void read_connector(struct compiler *compiler, struct logical_node *node)
{
    if (node->clauses[CLAUSE_SOURCE] != NULL) {
        read_source(compiler, node);
        read_format(compiler, node, true);
        read_clause_options(compiler, node, CLAUSE_WATERMARK, &node->watermark);
    } else if (node->clauses[CLAUSE_SINK] != NULL) {
        read_sink(compiler, node);
        read_format(compiler, node, false);
    }
}
