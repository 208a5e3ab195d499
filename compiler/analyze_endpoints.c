/* Sources and sinks: declared columns, formats, what a sink takes. See analyze.h. */
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/nearest.h"
#include "common/config/watermark_options.h"
#include "compiler/analyze.h"

#include <string.h>

#define METADATA_NAMES_MAX 64

/* The settings as the connector will see them, to ask it about itself. */
static struct operator_spec spec_of(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    const uint32_t count = node->connector.option_count + node->format.option_count;
    struct setting *settings = pool_take(&analyzer->compiler->pool, count + 1, sizeof(*settings));
    struct operator_spec spec = {.settings = settings, .name = (char *)(uintptr_t)node->name};
    struct pool *pool = &analyzer->compiler->pool;
    settings[spec.setting_count++] =
        (struct setting){pool_text(pool, "connector"), pool_text(pool, node->connector.name)};
    for (uint32_t i = 0; i < node->connector.option_count; i++) {
        SCOPED_TEXT char *key = format_text("connector.%s", node->connector.options[i].key);
        settings[spec.setting_count++] =
            (struct setting){pool_text(pool, key), node->connector.options[i].value};
    }
    for (uint32_t i = 0; i < node->format.option_count; i++) {
        SCOPED_TEXT char *key = format_text("format.%s", node->format.options[i].key);
        settings[spec.setting_count++] =
            (struct setting){pool_text(pool, key), node->format.options[i].value};
    }
    return spec;
}

/* ---- declared columns ---- */

struct declared {
    struct schema_column *stored; /* what the connector gives: all but computed ones */
    uint32_t stored_count;
    struct schema_column *decoded; /* without metadata: what the format sees */
    uint32_t decoded_count;
    struct named_expression *columns; /* of the calc, in the declared order */
    bool has_computed;
    struct setting *metadata;
    uint32_t metadata_count;
};

static void definition_error(struct analyzer *analyzer, const struct named_expression *column,
                             const struct expression_problem *problem)
{
    uint32_t line = column->line;
    uint32_t place = column->column;
    position_in_source(analyzer->compiler, column->text, problem->line, problem->column, &line,
                       &place);
    struct text hint SCOPED_TEXT_BUFFER;
    text_init(&hint, 600);
    diagnose_expression(analyzer->compiler, column->text, column->line, column->column, &hint);
    compile_error(analyzer->compiler, line, place, "node \"%s\": schema %s: %s%s",
                  analyzer->node->name, column->name, problem->message, hint.bytes);
    analyzer->node->is_failed = true;
}

/* The type that a connector's table gives; its parts live as long as the analyzer. */
static struct type type_of_text(struct analyzer *analyzer, const char *text)
{
    struct column_definition definition;
    struct expression_problem problem;
    CHECK(column_definition_parse(text, &definition, &problem) == STATUS_OK);
    const struct schema_column column = {.name = "metadata", .type = definition.type};
    struct schema *keeper = schema_create(&column, 1, -1);
    keep_schema(analyzer, keeper);
    column_definition_done(&definition);
    return keeper->columns[0].type;
}

/* Is it the type, or one of those, separated by '|', that the table gives? */
static bool is_metadata_type(struct analyzer *analyzer, struct type type, const char *texts)
{
    while (true) {
        const size_t size = strcspn(texts, "|");
        SCOPED_TEXT char *text = copy_text_n(texts, size);
        if (type_equals(type, type_of_text(analyzer, text), false))
            return true;
        if (texts[size] == '\0')
            return false;
        texts += size + 1;
    }
}

static const struct source_metadata *find_metadata(const struct source_metadata *table,
                                                   const char *key)
{
    for (; table != NULL && table->key != NULL; table++) {
        if (strcmp(table->key, key) == 0)
            return table;
    }
    return NULL;
}

static void unknown_metadata(struct analyzer *analyzer, const struct named_expression *column,
                             const char *key)
{
    const struct logical_node *node = analyzer->node;
    struct text known SCOPED_TEXT_BUFFER;
    text_init(&known, 600);
    const char *names[METADATA_NAMES_MAX];
    size_t count = 0;
    for (const struct source_metadata *at = node->source->metadata;
         at != NULL && at->key != NULL && count < METADATA_NAMES_MAX; at++) {
        text_format(&known, "%s'%s'", count > 0 ? ", " : "", at->key);
        names[count++] = at->key;
    }
    const char *nearest = nearest_name(key, names, count);
    if (nearest != NULL) {
        text_clear(&known);
        text_format(&known, "did you mean '%s'?", nearest);
    } else if (count == 0) {
        text_append(&known, "it has none");
    }
    compile_error(analyzer->compiler, column->line, column->column,
                  "node \"%s\": schema %s: the source %s has no metadata '%.100s': %s%s",
                  node->name, column->name, node->connector.name, key,
                  nearest == NULL && count > 0 ? "it has " : "", known.bytes);
}

static void check_metadata(struct analyzer *analyzer, const struct named_expression *column,
                           const char *key, struct type type)
{
    struct logical_node *node = analyzer->node;
    if (node->source == NULL)
        return; /* an unknown connector, reported already */
    const struct source_metadata *metadata = find_metadata(node->source->metadata, key);
    if (metadata == NULL) {
        unknown_metadata(analyzer, column, key);
        node->is_failed = true;
    } else if (!is_metadata_type(analyzer, type, metadata->type)) {
        compile_error(analyzer->compiler, column->line, column->column,
                      "node \"%s\": schema %s: metadata '%s' has the type %s: write \"%s: %.*s "
                      "metadata from '%s'\"",
                      node->name, column->name, key, metadata->type, column->name,
                      (int)strcspn(metadata->type, "|"), metadata->type, key);
        node->is_failed = true;
    }
}

static void read_definition(struct analyzer *analyzer, const struct named_expression *column,
                            uint32_t index, struct declared *declared)
{
    struct pool *pool = &analyzer->compiler->pool;
    struct expression_problem problem = {.line = 1, .column = 1};
    struct column_definition definition;
    memset(&definition, 0, sizeof(definition));
    if (column_definition_parse(column->text, &definition, &problem) != STATUS_OK) {
        definition_error(analyzer, column, &problem);
        return;
    }
    struct schema_column stored = {.name = column->name, .type = definition.type};
    struct schema *keeper = schema_create(&stored, 1, -1);
    keep_schema(analyzer, keeper);
    stored.type = keeper->columns[0].type;
    struct named_expression *out = &declared->columns[index];
    *out = *column;
    out->text = (char *)(uintptr_t)quote_name(analyzer->compiler, column->name);
    if (definition.computed != NULL) {
        struct text cast SCOPED_TEXT_BUFFER;
        text_init(&cast, EXPRESSION_BYTES_MAX);
        struct type nullable = stored.type;
        nullable.nullable = true;
        text_format(&cast, "cast((%s) as ", definition.computed);
        type_format(nullable, &cast);
        text_append_char(&cast, ')');
        out->text = pool_text(pool, cast.bytes);
        declared->has_computed = true;
    } else {
        declared->stored[declared->stored_count++] = stored;
        if (definition.metadata_key == NULL) {
            declared->decoded[declared->decoded_count++] = stored;
        } else {
            check_metadata(analyzer, column, definition.metadata_key, stored.type);
            SCOPED_TEXT char *key = format_text("metadata.%s", column->name);
            declared->metadata[declared->metadata_count++] =
                (struct setting){pool_text(pool, key), pool_text(pool, definition.metadata_key)};
        }
    }
    column_definition_done(&definition);
}

static enum status format_suits(struct analyzer *analyzer, const struct schema *schema,
                                bool is_source, struct error *err)
{
    const struct logical_node *node = analyzer->node;
    const struct format *format = node->format_row;
    const bool has_messages = is_source ? node->source == NULL || node->source->gives_messages
                                        : node->sink == NULL || node->sink->takes_messages;
    if (format->needs_messages && !has_messages)
        return error_set(err, STATUS_INVALID,
                         "its records need messages of their own, as kafka has them; %s has a "
                         "stream of bytes: use json or csv",
                         node->connector.name);
    if (format->check_settings != NULL) {
        const struct operator_spec spec = spec_of(analyzer);
        return format->check_settings(&spec, schema, is_source, err);
    }
    return format->check_schema != NULL ? format->check_schema(schema, is_source, err) : STATUS_OK;
}

static void check_format(struct analyzer *analyzer, const struct schema *schema, bool is_source)
{
    struct logical_node *node = analyzer->node;
    struct error err;
    if (node->format_row == NULL || format_suits(analyzer, schema, is_source, &err) == STATUS_OK)
        return;
    const struct yaml_node *where =
        node->clauses[is_source ? CLAUSE_SCHEMA_COLUMNS : CLAUSE_FORMAT];
    compile_error(analyzer->compiler, where->line, where->column, "node \"%s\": format %s: %s",
                  node->name, node->format.name, err.message);
    node->is_failed = true;
}

static struct schema *declared_schema(struct analyzer *analyzer, struct declared *declared)
{
    const struct expression_list *list = &analyzer->node->schema;
    struct pool *pool = &analyzer->compiler->pool;
    declared->stored = pool_take(pool, list->count, sizeof(*declared->stored));
    declared->decoded = pool_take(pool, list->count, sizeof(*declared->decoded));
    declared->columns = pool_take(pool, list->count, sizeof(*declared->columns));
    declared->metadata = pool_take(pool, list->count, sizeof(*declared->metadata));
    for (uint32_t i = 0; i < list->count; i++)
        read_definition(analyzer, &list->items[i], i, declared);
    if (analyzer->node->is_failed)
        return NULL;
    if (declared->decoded_count == 0) {
        compile_error(analyzer->compiler, analyzer->node->line, analyzer->node->column,
                      "node \"%s\": `schema` needs at least one column that is read",
                      analyzer->node->name);
        analyzer->node->is_failed = true;
        return NULL;
    }
    SCOPED(schema_unref)
    struct schema *decoded = schema_create(declared->decoded, declared->decoded_count, -1);
    check_format(analyzer, decoded, true);
    return analyzer->node->is_failed ? NULL
                                     : schema_create(declared->stored, declared->stored_count, -1);
}

/* ---- nodes ---- */

static void add_computed(struct analyzer *analyzer, const struct declared *declared)
{
    const uint32_t count = analyzer->node->schema.count;
    struct schema_column *types = pool_take(&analyzer->compiler->pool, count, sizeof(*types));
    if (!check_columns(analyzer, "schema", declared->columns, count, types))
        return;
    struct plan_operator *stage =
        add_operator(analyzer, ROLE_CALC, "calc", schema_create(types, count, -1));
    stage->columns = declared->columns;
    stage->column_count = count;
}

static void watermark_error(struct analyzer *analyzer, const char *column, const char *what)
{
    const struct choice *choice = &analyzer->node->watermark;
    compile_error(analyzer->compiler, choice->line, choice->column,
                  "node \"%s\": watermark: column \"%.80s\" %s", analyzer->node->name, column,
                  what);
    analyzer->node->is_failed = true;
}

static void check_event_time(struct analyzer *analyzer, const char *name)
{
    const struct schema *schema = analyzer->current;
    const int32_t column = schema_find(schema, name);
    struct text what SCOPED_TEXT_BUFFER;
    text_init(&what, 1000);
    if (column < 0) {
        const char *names[SCHEMA_COLUMN_MAX];
        for (uint32_t i = 0; i < schema->column_count; i++)
            names[i] = schema->columns[i].name;
        const char *nearest = nearest_name(name, names, schema->column_count);
        text_append(&what, "does not exist");
        if (nearest != NULL)
            text_format(&what, ": did you mean \"%.80s\"?", nearest);
        watermark_error(analyzer, name, what.bytes);
    } else if (!type_is_timestamp(schema->columns[column].type.kind)) {
        text_append(&what, "is ");
        type_format(schema->columns[column].type, &what);
        text_format(&what,
                    ", but event time is a TIMESTAMP or TIMESTAMP_LTZ: add a computed column to "
                    "the schema, such as \"at: timestamp_ltz(3) as to_timestamp_ltz(%.80s, 3)\"",
                    name);
        watermark_error(analyzer, name, what.bytes);
    }
}

/* Settings of the operator: the clause's, under their prefix. */
static struct setting *watermark_settings(struct analyzer *analyzer)
{
    struct pool *pool = &analyzer->compiler->pool;
    const struct choice *choice = &analyzer->node->watermark;
    struct setting *settings = pool_take(pool, choice->option_count + 1, sizeof(*settings));
    for (uint32_t i = 0; i < choice->option_count; i++) {
        SCOPED_TEXT char *key = format_text(WATERMARK_SETTING_PREFIX "%s", choice->options[i].key);
        settings[i] = (struct setting){pool_text(pool, key), choice->options[i].value};
    }
    return settings;
}

static void add_watermark(struct analyzer *analyzer)
{
    const struct choice *choice = &analyzer->node->watermark;
    const char *name = setting_find(choice->options, choice->option_count, "column");
    if (analyzer->node->is_failed || name == NULL)
        return;
    check_event_time(analyzer, name);
    if (setting_find(choice->options, choice->option_count, "max_drift") != NULL &&
        setting_find(choice->options, choice->option_count, "align") == NULL) {
        compile_error(analyzer->compiler, choice->line, choice->column,
                      "node \"%s\": watermark: `max_drift` belongs to an alignment group: add "
                      "`align: NAME`",
                      analyzer->node->name);
        analyzer->node->is_failed = true;
    }
    if (analyzer->node->is_failed)
        return;
    const struct schema *schema = analyzer->current;
    struct plan_operator *stage = add_operator(
        analyzer, ROLE_WATERMARK, WATERMARK_OPERATOR,
        schema_create(schema->columns, schema->column_count, schema_find(schema, name)));
    stage->extra = watermark_settings(analyzer);
    stage->extra_count = choice->option_count;
}

static struct schema *source_schema(struct analyzer *analyzer, const struct operator_spec *spec,
                                    struct declared *declared)
{
    struct logical_node *node = analyzer->node;
    const struct schema *own = node->source->schema != NULL ? node->source->schema(spec) : NULL;
    if (node->schema.count > 0)
        return declared_schema(analyzer, declared);
    if (own != NULL)
        return schema_ref(own);
    compile_error(analyzer->compiler, node->line, node->column,
                  "node \"%s\": a source needs its columns: add `schema`, such as \"%s\"",
                  node->name,
                  node->format.name != NULL && strcmp(node->format.name, "raw") == 0
                      ? "schema: {line: string}"
                      : clause_table[CLAUSE_SCHEMA_COLUMNS].example);
    node->is_failed = true;
    return NULL;
}

/* What the connector itself has to say about settings and schema together. Values that hold
 * ${secret:} are references still. */
static void check_source(struct analyzer *analyzer, const struct operator_spec *base,
                         const struct declared *declared, struct schema *schema)
{
    struct logical_node *node = analyzer->node;
    if (node->source->check == NULL)
        return;
    struct operator_spec spec = *base;
    spec.settings =
        pool_take(&analyzer->compiler->pool, base->setting_count + declared->metadata_count + 1,
                  sizeof(*spec.settings));
    for (uint32_t i = 0; i < base->setting_count; i++)
        spec.settings[i] = base->settings[i];
    for (uint32_t i = 0; i < declared->metadata_count; i++)
        spec.settings[spec.setting_count++] = declared->metadata[i];
    struct operator_output output = {.schema = schema};
    spec.outputs = &output;
    spec.output_count = 1;
    struct error err;
    if (node->source->check(&spec, &err) == STATUS_OK)
        return;
    compile_error(analyzer->compiler, node->connector.line, node->connector.column,
                  "node \"%s\": %s: %s", node->name, node->connector.name, err.message);
    node->is_failed = true;
}

static void add_extra(struct analyzer *analyzer, struct plan_operator *stage,
                      const struct declared *declared)
{
    struct pool *pool = &analyzer->compiler->pool;
    stage->extra = pool_take(pool, declared->metadata_count + 1, sizeof(*stage->extra));
    for (uint32_t i = 0; i < declared->metadata_count; i++)
        stage->extra[stage->extra_count++] = declared->metadata[i];
    if (analyzer->node->source->spreads_splits)
        stage->extra[stage->extra_count++] =
            (struct setting){pool_text(pool, SETTING_SPLITS_SPREAD), pool_text(pool, "true")};
}

void analyze_source(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    const struct operator_spec spec = spec_of(analyzer);
    if (node->source->is_bounded == NULL || !node->source->is_bounded(&spec))
        node->unbounded_source = node->name;
    struct declared declared = {0};
    struct schema *schema = source_schema(analyzer, &spec, &declared);
    if (schema == NULL)
        return;
    check_source(analyzer, &spec, &declared, schema);
    struct plan_operator *stage = add_operator(analyzer, ROLE_SOURCE, "source", schema);
    add_extra(analyzer, stage, &declared);
    if (declared.has_computed)
        add_computed(analyzer, &declared);
    if (node->watermark.name != NULL)
        add_watermark(analyzer);
}

void analyze_failed_source(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    struct declared declared = {0};
    struct schema *schema = node->schema.count > 0 ? declared_schema(analyzer, &declared) : NULL;
    if (schema != NULL && !declared.has_computed)
        node->output = schema_ref(schema);
    schema_unref(schema);
    node->is_failed = true;
}

/* The columns that the sink's format writes: all, or what the sink makes of its settings. */
static void check_written(struct analyzer *analyzer, const struct operator_spec *spec)
{
    struct logical_node *node = analyzer->node;
    if (node->sink->written_schema == NULL) {
        check_format(analyzer, analyzer->current, false);
        return;
    }
    struct error err;
    SCOPED(schema_unref)
    struct schema *written = node->sink->written_schema(spec, analyzer->current, &err);
    if (written != NULL) {
        check_format(analyzer, written, false);
        return;
    }
    compile_error(analyzer->compiler, node->connector.line, node->connector.column,
                  "node \"%s\": sink %s: %s", node->name, node->connector.name, err.message);
    node->is_failed = true;
}

void analyze_sink(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    const struct operator_spec spec = spec_of(analyzer);
    if (node->has_changes && !sink_takes_changes(node->sink, &spec)) {
        compile_error(analyzer->compiler, node->connector.line, node->connector.column,
                      "node \"%s\": the sink %s takes only new rows, but \"%s\" gives a changelog "
                      "(-U, -D): say `emit: each` or `emit: batch` there, or use a sink that takes "
                      "changes",
                      node->name, node->connector.name, node->inputs[0].text);
        node->is_failed = true;
        return;
    }
    check_written(analyzer, &spec);
    if (!node->is_failed)
        (void)add_operator(analyzer, ROLE_SINK, "sink", NULL);
}
