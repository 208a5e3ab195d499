/* common/graph: what every graph obeys, and graphs as bytes, whole and damaged. */
#include "common/graph/job_graph.h"

#include "common/base/allocate.h"
#include "common/base/text.h"
#include "common/graph/job_graph_codec.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct schema *some_schema(void)
{
    static const struct type_field fields[] = {
        {"a", {.kind = TYPE_DECIMAL, .precision = 12, .scale = 2, .nullable = true}},
        {"b", {.kind = TYPE_STRING, .nullable = true}},
    };
    static const struct type_field element[] = {
        {"", {.kind = TYPE_ROW, .child_count = 2, .children = fields, .nullable = true}}};
    const struct schema_column columns[] = {
        {.name = "word", .type = {.kind = TYPE_VARCHAR, .length = 10}},
        {.name = "list", .type = {.kind = TYPE_ARRAY, .child_count = 1, .children = element}},
        {.name = "at", .type = {.kind = TYPE_TIMESTAMP_LTZ, .precision = 3, .nullable = true}},
    };
    return schema_create(columns, 3, 2);
}

static void set_operator(struct operator_spec *spec, const char *uid, bool has_input,
                         bool has_output)
{
    spec->uid = copy_text(uid);
    spec->name = copy_text("node");
    spec->kind = copy_text("calc");
    spec->description = copy_text("calc");
    spec->parallelism = 2;
    spec->settings = allocate_array(1, sizeof(*spec->settings));
    spec->settings[spec->setting_count++] = (struct setting){copy_text("emit"), copy_text("batch")};
    spec->columns = allocate_array(1, sizeof(*spec->columns));
    spec->columns[spec->column_count++] =
        (struct named_expression){copy_text("x"), copy_text("1 + 1"), 3, 4};
    spec->inputs = allocate_array(1, sizeof(struct schema *));
    if (has_input)
        spec->inputs[spec->input_count++] = some_schema();
    spec->outputs = allocate_array(1, sizeof(*spec->outputs));
    if (has_output)
        spec->outputs[spec->output_count++] =
            (struct operator_output){copy_text(""), some_schema()};
}

static void set_vertex(struct job_vertex *vertex, uint8_t id, uint32_t first, uint32_t count)
{
    vertex->id.bytes[0] = id;
    vertex->name = copy_text("vertex");
    vertex->parallelism = 2;
    vertex->operators = allocate_array(count, sizeof(uint32_t));
    for (uint32_t i = 0; i < count; i++)
        vertex->operators[vertex->operator_count++] = first + i;
}

/* source -> calc (chained) -hash-> sink */
static struct job_graph *some_graph(void)
{
    struct job_graph *graph = allocate(sizeof(*graph));
    graph->name = copy_text("test");
    graph->parallelism = 2;
    graph->max_parallelism = 128;
    graph->time_zone = copy_text("UTC");
    graph->definition = copy_text("name: test\n");
    graph->definition_size = 11;
    graph->submitter = copy_text("me@here");
    graph->config = allocate_array(1, sizeof(*graph->config));
    graph->config[graph->config_count++] = (struct setting){copy_text("k"), copy_text("v")};
    graph->operators = allocate_array(3, sizeof(*graph->operators));
    graph->operator_count = 3;
    set_operator(&graph->operators[0], "a/source", false, true);
    set_operator(&graph->operators[1], "a/calc", true, true);
    set_operator(&graph->operators[2], "b/sink", true, false);
    graph->edges = allocate_array(2, sizeof(*graph->edges));
    graph->edge_count = 2;
    graph->edges[0] = (struct job_edge){.to_operator = 1, .is_chained = true};
    graph->edges[1] = (struct job_edge){
        .from_operator = 1, .to_operator = 2, .partitioning = PARTITION_HASH, .key_count = 1};
    graph->edges[1].keys = allocate_array(1, sizeof(char *));
    graph->edges[1].keys[0] = copy_text("word");
    graph->vertices = allocate_array(2, sizeof(*graph->vertices));
    graph->vertex_count = 2;
    set_vertex(&graph->vertices[0], 1, 0, 2);
    set_vertex(&graph->vertices[1], 2, 2, 1);
    return graph;
}

START_TEST(graph_survives_bytes)
{
    SCOPED(job_graph_destroy) struct job_graph *graph = some_graph();
    struct error err = {0};
    ck_assert_msg(job_graph_check(graph, &err) == STATUS_OK, "%s", err.message);
    struct text bytes SCOPED_TEXT_BUFFER;
    struct text again SCOPED_TEXT_BUFFER;
    text_init(&bytes, JOB_GRAPH_BYTES_MAX);
    text_init(&again, JOB_GRAPH_BYTES_MAX);
    job_graph_encode(graph, &bytes);
    SCOPED(job_graph_destroy) struct job_graph *copy = NULL;
    ck_assert_int_eq(job_graph_decode(bytes.bytes, bytes.size, &copy, &err), STATUS_OK);
    ck_assert(schema_equals(copy->operators[1].inputs[0], graph->operators[1].inputs[0], true));
    ck_assert_int_eq(copy->operators[1].inputs[0]->event_time, 2);
    ck_assert_str_eq(copy->operators[0].settings[0].value, "batch");
    ck_assert_uint_eq(copy->operators[0].columns[0].line, 3);
    ck_assert_str_eq(copy->edges[1].keys[0], "word");
    ck_assert_uint_eq(job_graph_vertex_of(copy, 2), 1);
    ck_assert_int_eq(job_graph_find_uid(copy, "b/sink"), 2);
    ck_assert_int_eq(job_graph_find_uid(copy, "c/sink"), -1);
    job_graph_encode(copy, &again);
    ck_assert_uint_eq(again.size, bytes.size);
    ck_assert_mem_eq(again.bytes, bytes.bytes, bytes.size);
}
END_TEST

/* Whatever bytes come: an error or a graph that passes the check, never a crash. */
START_TEST(damaged_bytes_are_refused)
{
    SCOPED(job_graph_destroy) struct job_graph *graph = some_graph();
    struct text bytes SCOPED_TEXT_BUFFER;
    text_init(&bytes, JOB_GRAPH_BYTES_MAX);
    job_graph_encode(graph, &bytes);
    uint32_t state = 12345;
    uint32_t refused = 0;
    for (int round = 0; round < 20000; round++) {
        SCOPED_TEXT char *damaged = copy_text_n(bytes.bytes, bytes.size);
        size_t size = bytes.size;
        for (int i = 0; i < 1 + round % 3; i++) {
            state = state * 1664525 + 1013904223;
            damaged[(state >> 8) % size] = (char)(state >> 24);
        }
        if (round % 4 == 0)
            size = (state >> 8) % size;
        struct error err;
        struct job_graph *read = NULL;
        if (job_graph_decode(damaged, size, &read, &err) == STATUS_OK)
            job_graph_destroy(read);
        else
            refused++;
    }
    ck_assert_uint_gt(refused, 5000);
}
END_TEST

static void expect_invalid(struct job_graph *graph, const char *expected)
{
    struct error err = {0};
    ck_assert_int_eq(job_graph_check(graph, &err), STATUS_INVALID);
    ck_assert_msg(strstr(err.message, expected) != NULL, "%s", err.message);
    job_graph_destroy(graph);
}

START_TEST(checks_find_what_is_wrong)
{
    struct job_graph *graph = some_graph();
    graph->edges[1].to_operator = 9;
    expect_invalid(graph, "joins unknown operators");
    graph = some_graph();
    graph->edges[1].keys[0][0] = 'x';
    expect_invalid(graph, "key \"xord\" is no column");
    graph = some_graph();
    graph->operators[1].parallelism = 1;
    expect_invalid(graph, "they must be equal");
    graph = some_graph();
    free(graph->operators[1].uid);
    graph->operators[1].uid = copy_text("a/source");
    expect_invalid(graph, "two operators have the uid \"a/source\"");
    graph = some_graph();
    graph->edges[0].is_chained = false;
    expect_invalid(graph, "against the order of the vertices");
    graph = some_graph();
    graph->edges[0].to_operator = 2;
    expect_invalid(graph, "an input of a/calc has no producer");
    graph = some_graph();
    graph->vertices[1].id.bytes[0] = 1;
    expect_invalid(graph, "two vertices have the same id");
    graph = some_graph();
    graph->vertices[1].operators[0] = 1;
    expect_invalid(graph, "unknown or taken operator 1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("common/graph/job_graph");
    TCase *tests = tcase_create("job_graph");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, graph_survives_bytes);
    tcase_add_test(tests, damaged_bytes_are_refused);
    tcase_add_test(tests, checks_find_what_is_wrong);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
