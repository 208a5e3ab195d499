/* docs/job.schema.json: the form of a job as JSON schema, from the tables. See compile.h. */
#include "compiler/clauses.h"
#include "compiler/compile.h"
#include "compiler/window_table.h"

#include <string.h>

#define SCALAR "{\"type\": [\"string\", \"number\", \"boolean\"]}"
/* A text may be a word that YAML takes for something else: `null_literal: NULL`. */
#define TEXT "{\"type\": [\"string\", \"number\", \"boolean\", \"null\"]}"
#define COLUMNS                                                                                    \
    "{\"type\": \"object\", \"minProperties\": 1, \"additionalProperties\": {\"type\": "           \
    "[\"string\", \"number\", \"boolean\", \"null\"]}"
#define NAMES                                                                                      \
    "{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"array\", \"minItems\": 1, \"items\": "      \
    "{\"type\": \"string\"}}]"

static void append_description(const char *help, struct text *out)
{
    text_append(out, ", \"description\": ");
    text_append_json(out, help, strlen(help));
}

/* A fixed word, or a text with a parameter in it. */
static void append_words(const char *const *choices, struct text *out)
{
    text_append(out, "{\"anyOf\": [{\"enum\": [");
    for (size_t i = 0; choices[i] != NULL; i++)
        text_format(out, "%s\"%s\"", i > 0 ? ", " : "", choices[i]);
    text_append(out, "]}, {\"type\": \"string\", \"pattern\": \"[$][{]\"}]");
}

static void append_option(const struct option_spec *spec, struct text *out)
{
    if (spec->type == OPTION_ENUM) {
        append_words(spec->choices, out);
    } else if (spec->type == OPTION_MAP) {
        text_append(out, "{\"type\": [\"string\", \"number\", \"boolean\", \"object\"]");
    } else {
        text_format(out, "{\"anyOf\": [%s, {\"type\": \"array\", \"items\": " SCALAR "}]",
                    spec->type == OPTION_STRING ? TEXT : SCALAR);
    }
    append_description(spec->help, out);
    text_append_char(out, '}');
}

static void append_options(const struct option_spec *options, struct text *out)
{
    struct text patterns SCOPED_TEXT_BUFFER;
    text_init(&patterns, 65536);
    text_append(out, "{\"type\": \"object\", \"properties\": {");
    const char *comma = "";
    for (const struct option_spec *spec = options; spec != NULL && spec->name != NULL; spec++) {
        const char *const names[] = {spec->name, spec->alias};
        for (size_t i = 0; i < 2 && names[i] != NULL; i++) {
            const size_t size = strlen(names[i]);
            if (spec->type == OPTION_MAP && size > 2 && names[i][size - 1] == '*') {
                text_format(&patterns, "%s\"^%.*s\": ", patterns.size > 0 ? ", " : "",
                            (int)size - 2, names[i]);
                append_option(spec, &patterns);
                continue;
            }
            text_format(out, "%s\n        ", comma);
            text_append_json(out, names[i], size);
            text_append(out, ": ");
            append_option(spec, out);
            comma = ",";
        }
    }
    text_format(out, "},\n        \"patternProperties\": {%s}, \"additionalProperties\": false}",
                patterns.bytes);
}

struct choices {
    struct text *out;
    struct text names;
    struct text options;
};

static void choices_init(struct choices *choices, struct text *out)
{
    choices->out = out;
    text_init(&choices->names, 65536);
    text_init(&choices->options, 1024 * 1024);
}

static void choices_add(struct choices *choices, const char *name, const char *help,
                        const struct option_spec *options)
{
    const bool is_first = choices->names.size == 0;
    text_format(&choices->names, "%s\"%s\"", is_first ? "" : ", ", name);
    text_format(&choices->options, "%s\n      \"%s\": {\"anyOf\": [", is_first ? "" : ",", name);
    append_options(options, &choices->options);
    text_append(&choices->options, ", " SCALAR ", {\"type\": \"null\"}]");
    append_description(help, &choices->options);
    text_append_char(&choices->options, '}');
}

static void choices_end(struct choices *choices)
{
    text_format(choices->out,
                "{\"anyOf\": [{\"enum\": [%s]}, {\"type\": \"object\", \"minProperties\": 1, "
                "\"maxProperties\": 1, \"additionalProperties\": false, \"properties\": {",
                choices->names.bytes);
    text_append(choices->out, choices->options.bytes);
    text_append(choices->out, "}}]");
    text_done(&choices->names);
    text_done(&choices->options);
}

static void append_choice(enum clause clause, const struct connector_registry *registry,
                          struct text *out)
{
    struct choices choices;
    choices_init(&choices, out);
    if (clause == CLAUSE_SOURCE) {
        for (size_t i = 0; registry->sources[i] != NULL; i++)
            choices_add(&choices, registry->sources[i]->name, registry->sources[i]->help,
                        registry->sources[i]->options);
    } else if (clause == CLAUSE_SINK) {
        for (size_t i = 0; registry->sinks[i] != NULL; i++)
            choices_add(&choices, registry->sinks[i]->name, registry->sinks[i]->help,
                        registry->sinks[i]->options);
    } else if (clause == CLAUSE_WINDOW) {
        for (const struct window_row *row = window_table; row->name != NULL; row++)
            choices_add(&choices, row->name, row->help, row->options);
    } else {
        for (size_t i = 0; registry->formats[i] != NULL; i++)
            choices_add(&choices, registry->formats[i]->name, registry->formats[i]->help,
                        registry->formats[i]->options);
    }
    choices_end(&choices);
}

/* A map of options, or the main one alone. clause: -1 for a key of the job. */
static void append_clause_options(int clause, struct text *out)
{
    const struct option_spec *options = clause < 0 ? NULL : clause_options((enum clause)clause);
    if (options == NULL) {
        text_append(out, "{\"type\": \"object\"");
        return;
    }
    text_append(out, "{\"anyOf\": [");
    append_options(options, out);
    text_append(out, ", " SCALAR "]");
}

/* Everything of a clause's schema but its description and the closing brace. */
static void append_shape(const struct clause_row *row, int clause,
                         const struct connector_registry *registry, struct text *out)
{
    switch (row->shape) {
    case CLAUSE_INPUTS:
    case CLAUSE_NAMES:
        text_append(out, NAMES);
        break;
    case CLAUSE_CHOICE:
        append_choice((enum clause)clause, registry, out);
        break;
    case CLAUSE_COLUMNS:
    case CLAUSE_SCHEMA:
        text_append(out, COLUMNS);
        break;
    case CLAUSE_EXPRESSION:
        text_append(out, "{\"type\": [\"string\", \"boolean\"]");
        break;
    case CLAUSE_ENUM:
        append_words(row->choices, out);
        break;
    case CLAUSE_NUMBER:
    case CLAUSE_DURATION:
    case CLAUSE_TEXT:
        text_append(out, "{\"type\": [\"string\", \"number\"]");
        break;
    case CLAUSE_OPTIONS:
        append_clause_options(clause, out);
        break;
    }
}

static void append_clauses(const struct connector_registry *registry, struct text *out)
{
    const char *comma = "";
    for (int i = 0; i < CLAUSE_COUNT; i++) {
        if (clause_table[i].is_later)
            continue;
        text_format(out, "%s\n    \"%s\": ", comma, clause_table[i].name);
        append_shape(&clause_table[i], i, registry, out);
        append_description(clause_table[i].help, out);
        text_append_char(out, '}');
        comma = ",";
    }
}

void compiler_write_schema(const struct connector_registry *registry, struct text *out)
{
    text_append(out, "{\n\"$schema\": \"http://json-schema.org/draft-07/schema#\",\n"
                     "\"title\": \"Millstream job\",\n\"type\": \"object\",\n"
                     "\"required\": [\"name\", \"nodes\"],\n"
                     "\"patternProperties\": {\"^x-\": {}},\n"
                     "\"additionalProperties\": false,\n\"properties\": {");
    for (int i = 0; i < JOB_KEY_COUNT; i++) {
        text_format(out, "%s\n  \"%s\": ", i > 0 ? "," : "", job_key_table[i].name);
        if (i == JOB_KEY_NODES)
            text_append(out, "{\"type\": \"object\", \"minProperties\": 1, \"propertyNames\": "
                             "{\"pattern\": \"^[a-z][a-z0-9_]*$\"}, \"additionalProperties\": "
                             "{\"$ref\": \"#/definitions/node\"}");
        else
            append_shape(&job_key_table[i], -1, registry, out);
        append_description(job_key_table[i].help, out);
        text_append_char(out, '}');
    }
    text_append(out, "\n},\n\"definitions\": {\n  \"node\": {\"type\": \"object\", "
                     "\"additionalProperties\": false, \"oneOf\": [{\"required\": [\"source\"]}, "
                     "{\"required\": [\"from\"]}], \"properties\": {");
    append_clauses(registry, out);
    text_append(out, "\n  }}\n}\n}\n");
}
