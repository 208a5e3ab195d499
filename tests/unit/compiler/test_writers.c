/* compiler: the plan as Flink's JSON, the JSON schema of jobs and their reference, made from
 * tables. */
#include "compiler/compile.h"

#include "common/base/allocate.h"
#include "compiler/clauses.h"
#include "connectors/registry.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define JID "00112233445566778899aabbccddeeff"

static struct job_graph *compile(const char *text)
{
    const struct compile_options options = {
        .registry = connector_registry_builtin(), .submitter = "me@here", .parallelism = 2};
    struct compile_report report;
    struct job_graph *graph = NULL;
    struct text problems SCOPED_TEXT_BUFFER;
    text_init(&problems, 100000);
    const enum status code = compile_job(text, strlen(text), &options, &graph, &report);
    compile_report_format(&report, "job", &problems);
    compile_report_done(&report);
    ck_assert_msg(code == STATUS_OK, "%s", problems.bytes);
    return graph;
}

static json_t *parse(const struct text *text)
{
    json_error_t error;
    ck_assert(!text->overflowed);
    json_t *json = json_loadb(text->bytes, text->size, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(json != NULL, "line %d: %s", error.line, error.text);
    return json;
}

static json_t *plan_of(const char *job_text)
{
    SCOPED(job_graph_destroy) struct job_graph *graph = compile(job_text);
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, 1 << 20);
    compiler_plan_json(graph, JID, &out);
    return parse(&out);
}

static const char *string_of(const json_t *json, const char *key)
{
    const char *value = json_string_value(json_object_get(json, key));
    ck_assert_msg(value != NULL, "no string %s", key);
    return value;
}

/* ---- plans ---- */

START_TEST(a_plan_has_flinks_form)
{
    json_t *plan =
        plan_of("name: \"words \\\"quoted\\\" \\\\ \\u00e4\"\n"
                "nodes:\n"
                "  lines: {source: {file: /in}, format: raw, schema: {line: string}}\n"
                "  words: {from: lines, unnest: {word: split(line)}, where: word <> ''}\n"
                "  counts: {from: words, key_by: word, aggregate: {n: count(*)}}\n"
                "  out: {from: counts, sink: {file: /out}, format: csv}\n"
                "  all: {from: [lines, lines], sink: blackhole, parallelism: 1}\n");
    ck_assert_str_eq(string_of(plan, "jid"), JID);
    ck_assert_str_eq(string_of(plan, "name"), "words \"quoted\" \\ \xc3\xa4");
    ck_assert_str_eq(string_of(plan, "type"), "STREAMING");
    const json_t *nodes = json_object_get(plan, "nodes");
    ck_assert_uint_eq(json_array_size(nodes), 4);
    unsigned sources = 0;
    size_t at;
    json_t *node;
    json_array_foreach(nodes, at, node)
    {
        ck_assert_uint_eq(strlen(string_of(node, "id")), 32);
        ck_assert_str_eq(string_of(node, "operator"), "");
        ck_assert_str_eq(string_of(node, "operator_strategy"), "");
        ck_assert(json_is_object(json_object_get(node, "optimizer_properties")));
        const char *description = string_of(node, "description");
        ck_assert_ptr_nonnull(strstr(description, "<br/>"));
        const json_int_t parallelism = json_integer_value(json_object_get(node, "parallelism"));
        ck_assert_int_eq(parallelism, strstr(description, "blackhole") != NULL ? 1 : 2);
        const json_t *inputs = json_object_get(node, "inputs");
        sources += inputs == NULL;
        size_t i;
        json_t *input;
        json_array_foreach(inputs, i, input)
        {
            ck_assert_uint_eq((size_t)json_integer_value(json_object_get(input, "num")), i);
            ck_assert_str_eq(string_of(input, "exchange"), "pipelined_bounded");
            /* Consumers come first: what is read stands behind. */
            bool is_behind = false;
            for (size_t later = at + 1; later < json_array_size(nodes); later++)
                is_behind |= strcmp(string_of(json_array_get(nodes, later), "id"),
                                    string_of(input, "id")) == 0;
            ck_assert(is_behind);
        }
    }
    ck_assert_uint_eq(sources, 1);
    json_decref(plan);
}
END_TEST

START_TEST(a_plan_names_how_rows_are_shipped)
{
    json_t *plan =
        plan_of("name: t\nnodes:\n"
                "  lines: {source: {file: /in}, format: raw, schema: {line: string}}\n"
                "  counts: {from: lines, key_by: line, aggregate: {n: count(*)}}\n"
                "  out: {from: counts, sink: print, parallelism: 3}\n"
                "  copy: {from: [lines, lines], sink: blackhole, partition: broadcast}\n");
    char seen[200] = "";
    size_t at;
    json_t *node;
    json_array_foreach(json_object_get(plan, "nodes"), at, node)
    {
        size_t i;
        json_t *input;
        json_array_foreach(json_object_get(node, "inputs"), i, input)
        {
            (void)strncat(seen, string_of(input, "ship_strategy"), 20);
            (void)strncat(seen, " ", 2);
        }
    }
    ck_assert_str_eq(seen, "BROADCAST BROADCAST HASH HASH ");
    json_decref(plan);
}
END_TEST

/* ---- the schema ---- */

static json_t *schema(void)
{
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, 1 << 22);
    compiler_write_schema(connector_registry_builtin(), &out);
    return parse(&out);
}

/* The options of one choice: the properties of the map form. */
static const json_t *options_of(const json_t *node_schema, const char *clause, const char *choice)
{
    const json_t *forms = json_object_get(json_object_get(node_schema, clause), "anyOf");
    const json_t *names = json_object_get(json_array_get(forms, 0), "enum");
    bool is_named = false;
    for (size_t i = 0; i < json_array_size(names); i++)
        is_named |= strcmp(json_string_value(json_array_get(names, i)), choice) == 0;
    ck_assert_msg(is_named, "%s is no %s", choice, clause);
    const json_t *map =
        json_object_get(json_object_get(json_array_get(forms, 1), "properties"), choice);
    return json_object_get(json_array_get(json_object_get(map, "anyOf"), 0), "properties");
}

static void check_table(const json_t *node_schema, const char *clause, const char *choice,
                        const struct option_spec *table)
{
    const json_t *options = options_of(node_schema, clause, choice);
    for (const struct option_spec *spec = table; spec != NULL && spec->name != NULL; spec++) {
        if (spec->type == OPTION_MAP)
            continue;
        ck_assert_msg(json_object_get(options, spec->name) != NULL, "%s %s has no %s", clause,
                      choice, spec->name);
        if (spec->alias != NULL)
            ck_assert_msg(json_object_get(options, spec->alias) != NULL, "%s %s has no %s", clause,
                          choice, spec->alias);
    }
}

START_TEST(the_schema_holds_every_row_of_every_table)
{
    json_t *whole = schema();
    ck_assert_str_eq(string_of(whole, "$schema"), "http://json-schema.org/draft-07/schema#");
    const json_t *job = json_object_get(whole, "properties");
    for (int i = 0; i < JOB_KEY_COUNT; i++)
        ck_assert_ptr_nonnull(json_object_get(job, job_key_table[i].name));
    const json_t *node = json_object_get(
        json_object_get(json_object_get(whole, "definitions"), "node"), "properties");
    for (int i = 0; i < CLAUSE_COUNT; i++) {
        const json_t *clause = json_object_get(node, clause_table[i].name);
        /* What comes later is not offered. */
        ck_assert_int_eq(clause == NULL, clause_table[i].is_later);
        if (clause != NULL)
            ck_assert_str_eq(string_of(clause, "description"), clause_table[i].help);
    }
    const struct connector_registry *registry = connector_registry_builtin();
    for (size_t i = 0; registry->sources[i] != NULL; i++)
        check_table(node, "source", registry->sources[i]->name, registry->sources[i]->options);
    for (size_t i = 0; registry->sinks[i] != NULL; i++)
        check_table(node, "sink", registry->sinks[i]->name, registry->sinks[i]->options);
    for (size_t i = 0; registry->formats[i] != NULL; i++)
        check_table(node, "format", registry->formats[i]->name, registry->formats[i]->options);
    json_decref(whole);
}
END_TEST

/* ---- the reference ---- */

START_TEST(the_reference_names_every_clause)
{
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, 1 << 22);
    compiler_write_document(connector_registry_builtin(), &out);
    ck_assert(!out.overflowed);
    for (int i = 0; i < CLAUSE_COUNT; i++) {
        SCOPED_TEXT char *row = format_text("| `%s`", clause_table[i].name);
        ck_assert_msg(strstr(out.bytes, row) != NULL, "%s", row);
        ck_assert_msg(strstr(out.bytes, clause_table[i].help) != NULL, "%s", clause_table[i].help);
    }
    for (int i = 0; i < JOB_KEY_COUNT; i++) {
        SCOPED_TEXT char *row = format_text("| `%s`", job_key_table[i].name);
        ck_assert_msg(strstr(out.bytes, row) != NULL, "%s", row);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compiler/writers");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, a_plan_has_flinks_form);
    tcase_add_test(tests, a_plan_names_how_rows_are_shipped);
    tcase_add_test(tests, the_schema_holds_every_row_of_every_table);
    tcase_add_test(tests, the_reference_names_every_clause);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
