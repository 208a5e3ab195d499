/*
 * compiler: golden plans, messages with their places, limits, damaged job files.
 *
 * The connectors here have tables of options and nothing behind them: what is compiled never runs.
 */
#include "compiler/compile.h"

#include "common/base/allocate.h"
#include "common/graph/job_graph_codec.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a registry ---- */

static bool is_bounded(const struct operator_spec *spec)
{
    const char *watch = operator_setting(spec, "connector.watch");
    return watch == NULL || strcmp(watch, "true") != 0;
}

static const struct option_spec file_source_options[] = {
    {.name = "path",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_MAIN,
     .help = "What is read."},
    {.name = "rate",
     .type = OPTION_INT,
     .fallback = "0",
     .min = 0,
     .max = 1000000,
     .help = "Lines a second."},
    {.name = "watch", .type = OPTION_BOOL, .fallback = "false", .help = "Goes on."},
    {.name = "poll",
     .type = OPTION_DURATION,
     .fallback = "1s",
     .alias = "scan.poll",
     .help = "How often."},
    {.name = "password", .type = OPTION_STRING, .flags = OPTION_SECRET, .help = "Secret."},
    {0},
};
static const struct option_spec file_sink_options[] = {
    {.name = "path",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_MAIN,
     .help = "Where to."},
    {0},
};
static const struct option_spec no_options[] = {{0}};

static enum status open_decoder(void *self, const struct operator_spec *spec,
                                const struct schema *schema, struct error *err)
{
    (void)self;
    (void)spec;
    (void)schema;
    return error_set(err, STATUS_UNSUPPORTED, "never opened");
}

static const struct format raw = {
    .name = "raw", .help = "Lines.", .options = no_options, .decoder.open = open_decoder};
static const struct format csv = {.name = "csv",
                                  .help = "CSV.",
                                  .options = no_options,
                                  .decoder.open = open_decoder,
                                  .encoder.open = open_decoder};
static const struct format json = {.name = "json",
                                   .help = "JSON.",
                                   .options = no_options,
                                   .decoder.open = open_decoder,
                                   .encoder.open = open_decoder};
static const struct source_metadata file_metadata[] = {
    {"file.path", "STRING", "Path."},
    {"file.offset", "BIGINT", "Byte."},
    {NULL, NULL, NULL},
};
static const struct source_connector file_source = {.name = "file",
                                                    .help = "Files.",
                                                    .options = file_source_options,
                                                    .is_replayable = true,
                                                    .needs_format = true,
                                                    .is_bounded = is_bounded,
                                                    .metadata = file_metadata};
static const struct sink_connector file_sink = {
    .name = "file", .help = "Files.", .options = file_sink_options, .needs_format = true};
static const struct sink_connector print = {
    .name = "print", .help = "Prints.", .options = no_options, .takes_changes = true};
static const struct source_connector *const sources[] = {&file_source, NULL};
static const struct sink_connector *const sinks[] = {&file_sink, &print, NULL};
static const struct format *const formats[] = {&raw, &csv, &json, NULL};
static const struct connector_registry registry = {sources, sinks, formats};

/* ---- compiling ---- */

static enum status compile(const char *text, size_t size, uint32_t parallelism,
                           const struct setting *parameters, uint32_t parameter_count,
                           struct job_graph **ret_graph, struct text *report_text)
{
    const struct compile_options options = {.registry = &registry,
                                            .parameters = parameters,
                                            .parameter_count = parameter_count,
                                            .parallelism = parallelism,
                                            .wall_ms = 1706695200123,
                                            .submitter = "me@here"};
    struct compile_report report;
    const enum status code = compile_job(text, size, &options, ret_graph, &report);
    compile_report_format(&report, "job", report_text);
    compile_report_done(&report);
    return code;
}

static void expect_plan(const char *text, uint32_t parallelism, const char *expected)
{
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, 100000);
    SCOPED(job_graph_destroy) struct job_graph *graph = NULL;
    const enum status code = compile(text, strlen(text), parallelism, NULL, 0, &graph, &out);
    ck_assert_msg(code == STATUS_OK, "%s", out.bytes);
    text_clear(&out);
    compiler_explain(graph, &out);
    ck_assert_str_eq(out.bytes, expected);
}

#define SOURCE                                                                                     \
    "name: t\nnodes:\n  lines:\n    source: {file: /in}\n    format: raw\n"                        \
    "    schema: {line: string}\n"

/* Lines 7 and on of a job whose source is `lines (line STRING)`. */
static void expect_error(const char *nodes, const char *expected)
{
    SCOPED_TEXT char *text = format_text("%s%s", SOURCE, nodes);
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, 100000);
    struct job_graph *graph = NULL;
    const enum status code = compile(text, strlen(text), 0, NULL, 0, &graph, &out);
    ck_assert_msg(code == STATUS_INVALID, "no error for:\n%s", text);
    ck_assert_msg(strstr(out.bytes, expected) != NULL, "expected:\n%s\ngot:\n%s", expected,
                  out.bytes);
}

#define COUNTS                                                                                     \
    "  counts:\n    from: lines\n    unnest: {word: split(line)}\n    where: word <> ''\n"         \
    "    key_by: word\n    aggregate: {count: count(*)}\n    ttl: 1h\n"
#define PRINT "  result: {from: counts, sink: print}\n"

START_TEST(golden_plans)
{
    expect_plan(SOURCE COUNTS PRINT, 1,
                "job t: 1 vertices, 5 operators, parallelism 1\n"
                "[1] lines -> counts -> result  (parallelism 1)\n"
                "    lines/source  source file as raw => line STRING\n"
                "    counts/unnest  unnest word: split(line) => word STRING NOT NULL\n"
                "    counts/where  calc word where word <> '' => word STRING NOT NULL\n"
                "    counts/aggregate  aggregate count: count(*) by word emit each => word STRING "
                "NOT NULL, count "
                "BIGINT NOT NULL\n"
                "    result/sink  sink print\n");
    expect_plan(
        SOURCE COUNTS "    emit: batch\n" PRINT, 2,
        "job t: 2 vertices, 6 operators, parallelism 2\n"
        "[1] lines -> counts  (parallelism 2)\n"
        "    lines/source  source file as raw => line STRING\n"
        "    counts/unnest  unnest word: split(line) => word STRING NOT NULL\n"
        "    counts/where  calc word where word <> '' => word STRING NOT NULL\n"
        "    counts/local_aggregate  local_aggregate count: count(*) by word => word STRING NOT "
        "NULL, "
        "`count/count` BIGINT NOT NULL\n"
        "      HASH(word) from counts/local_aggregate to counts/aggregate\n"
        "[2] counts -> result  (parallelism 2)\n"
        "    counts/aggregate  aggregate count: count(\"count/count\") by word emit batch => word "
        "STRING NOT NULL, count BIGINT NOT NULL\n"
        "    result/sink  sink print\n");
}
END_TEST

START_TEST(calcs_merge_and_columns_are_pruned)
{
    static const char job[] =
        "name: t\nnodes:\n  rows:\n    source: {file: /in}\n    format: csv\n"
        "    schema: {a: bigint, b: bigint, c: string, d: bigint as a + 1}\n"
        "  sums:\n    from: rows\n    set: {e: b * 2}\n    where: a > 0\n    key_by: c\n"
        "    aggregate: {total: sum(e)}\n    ttl: 1h\n"
        "    select: {c, twice: total * 2}\n"
        "  result: {from: sums, sink: print}\n";
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, 100000);
    SCOPED(job_graph_destroy) struct job_graph *graph = NULL;
    ck_assert_int_eq(compile(job, strlen(job), 1, NULL, 0, &graph, &out), STATUS_OK);
    text_clear(&out);
    compiler_explain(graph, &out);
    ck_assert_msg(
        strstr(out.bytes, "sums/calc  calc c, e: b * 2 where a > 0 => c STRING, e BIGINT") != NULL,
        "%s", out.bytes);
    ck_assert_ptr_null(strstr(out.bytes, "rows/calc"));
    ck_assert_ptr_nonnull(strstr(out.bytes, "sums/select  calc c, twice: total * 2"));
}
END_TEST

START_TEST(errors_have_places_and_ways_out)
{
    static const struct {
        const char *nodes;
        const char *expected;
    } cases[] = {
        {"  r: {form: lines, sink: print}\n",
         "job:7:7: error: node \"r\": unknown clause \"form\": did you mean \"from\"?"},
        {"  r: {from: line, sink: print}\n",
         "job:7:13: error: node \"r\": there is no node \"line\": did you mean \"lines\"?"},
        {"  r: {from: lines, sink: prnt}\n",
         "job:7:26: error: node \"r\": unknown sink \"prnt\": did you mean \"print\"?"},
        {"  r: {from: lines, sink: jdbc}\n", "the sink \"jdbc\" comes in a later version"},
        {"  r: {from: lines, sink: {file: {pth: /o}}, format: csv}\n",
         "job:7:34: error: node \"r\": file: unknown option \"pth\": did you mean \"path\"?"},
        {"  r: {from: lines, sink: {file: {}}, format: csv}\n",
         "file: option \"path\" is missing: Where to."},
        {"  r: {from: lines, sink: {file: /o}}\n", "file needs a format: add `format:` with one of "
                                                   "csv, json"},
        {"  r: {from: lines, sink: {file: /o}, format: raw}\n", "unknown format to write \"raw\""},
        {"  r: {sink: print}\n", "node \"r\" is a sink without input: add `from: NODE`"},
        {"  a: {from: b}\n  b: {from: a}\n  r: {from: b, sink: print}\n",
         "the nodes read each other in a cycle"},
        {"  c: {from: lines, key_by: line}\n  r: {from: c, sink: print}\n",
         "job:7:28: error: node \"c\": `key_by` alone does nothing"},
        {"  c: {from: lines, window: {tumbling: 1m}}\n  r: {from: c, sink: print}\n",
         "`window` needs `aggregate`"},
        {"  r: {from: lines.late, sink: print}\n", "\"lines\" has no `window`: only"},
        {"  r: {from: lines, sink: print, delivery: exactly-once}\n",
         "`delivery: exactly-once` comes in a later version"},
        {"  r: {from: lines.errors, sink: print}\n", "does not say `on_error: dead_letter`"},
        {"  c: {from: lines, where: line = 'x', on_error: dead_letter}\n"
         "  r: {from: c, sink: print}\n",
         "job:7:49: error: node \"c\" has `on_error: dead_letter`, but nobody reads `c.errors`"},
        {"  c: {from: lines, key_by: lin, aggregate: {n: count(*)}}\n"
         "  r: {from: c, sink: print}\n",
         "job:7:28: error: node \"c\": key_by: there is no column \"lin\": did you mean \"line\"?"},
        {"  c:\n    from: lines\n    where: lin = 'x'\n  r: {from: c, sink: print}\n",
         "job:9:12: error: node \"c\": where: "},
        {"  c: {from: lines, set: {n: coalesce(line, line), m: 1}}\n  r: {from: c, sink: print}\n",
         "write: c: {from: lines, set: {n: \"coalesce(line, line)\", m: 1}}"},
        {"  c: {from: lines, unnest: {x: line}}\n  r: {from: c, sink: print}\n",
         "an ARRAY is expected"},
        {"  c: {from: lines, key_by: line, aggregate: {n: count(*)}, ttl: 10}\n"
         "  r: {from: c, sink: print}\n",
         "expected a duration with its unit, such as \"10ms\" or \"10s\""},
        {"  r: {from: lines, sink: print, parallelism: 5000}\n",
         "`parallelism` must be a whole number from 1 to 1024"},
        {"  c: {from: lines, key_by: line, aggregate: {n: count(*)}, emit: changelog}\n"
         "  r: {from: c, sink: {file: /o}, format: csv}\n",
         "the sink file takes only new rows, but \"c\" gives a changelog"},
        {"  r: {from: lines, sink: print, partition: forward, parallelism: 3}\n",
         "`partition: forward` needs equal parallelism"},
        {"  w:\n    source: {file: {path: /i, watch: true}}\n    format: raw\n"
         "    schema: {line: string}\n"
         "  c: {from: w, key_by: line, aggregate: {n: count(*)}, emit: end}\n"
         "  r: {from: [c], sink: print}\n",
         "`emit: end` never comes, because the source \"w\" does not end"},
        {"  c: {from: lines, set: {n: line}}\n  r: {from: [lines, c], sink: print}\n",
         "\"c\" differs from \"lines\": 2 columns against 1"},
        {"  r: {from: lines, sink: {print: {a: '${secret:x}'}}}\n", "unknown option \"a\""},
        {"  R: {from: lines, sink: print}\n", "a node's name begins with a small letter"},
        {"config: {rest.port: 1}\n", "\"rest.port\" belongs to the cluster"},
        {"config: {execution.checkpointing.intervall: 1s}\n",
         "did you mean \"execution.checkpointing.interval\"?"},
        {"parallelsm: 2\n", "job:7:1: error: unknown key \"parallelsm\" of the job: did you mean "
                            "\"parallelism\"?"},
        {"  r: {from: lines, sink: print, description: \"${nope}\"}\n",
         "unknown parameter ${nope}"},
        {"  c:\n    from: lines\n    where: 'x' = line\n  r: {from: c, sink: print}\n",
         "; write: where: \"'x' = line\""},
        {"  s:\n    source: {file: {path: /i, password: '${secret:a}', rate: '${secret:b}'}}\n"
         "    format: raw\n    schema: {line: string}\n  r: {from: s, sink: print}\n",
         "option \"rate\" is not secret"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_error(cases[i].nodes, cases[i].expected);
}
END_TEST

START_TEST(metadata_columns_are_checked)
{
    static const struct {
        const char *nodes;
        const char *expected;
    } cases[] = {
        {"  s:\n    source: {file: /i}\n    format: raw\n"
         "    schema: {line: string, at: bigint metadata from 'file.ofset'}\n"
         "  r: {from: s, sink: print}\n",
         "job:10:32: error: node \"s\": schema at: the source file has no metadata 'file.ofset': "
         "did "
         "you mean 'file.offset'?"},
        {"  s:\n    source: {file: /i}\n    format: raw\n"
         "    schema: {line: string, at: bigint metadata from 'partition'}\n"
         "  r: {from: s, sink: print}\n",
         "it has 'file.path', 'file.offset'"},
        {"  s:\n    source: {file: /i}\n    format: raw\n"
         "    schema: {line: string, at: int metadata from 'file.offset'}\n"
         "  r: {from: s, sink: print}\n",
         "metadata 'file.offset' has the type BIGINT: write \"at: BIGINT metadata from"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_error(cases[i].nodes, cases[i].expected);
}
END_TEST

START_TEST(all_errors_come_at_once)
{
    const char *nodes = "  a: {from: nowhere, sink: print}\n  b: {from: lines, sink: prnt}\n"
                        "  c: {from: lines, where: x = 1}\n  d: {from: c, bad: 1}\n";
    expect_error(nodes, "job:7:13: error: ");
    expect_error(nodes, "job:8:26: error: ");
    expect_error(nodes, "job:9:27: error: ");
    expect_error(nodes, "job:10:16: error: ");
}
END_TEST

START_TEST(parameters_are_put_in)
{
    static const char job[] =
        "name: t-${date:yyyyMMdd}\nparameters: {input, rate: 7}\nnodes:\n  lines:\n    source:\n"
        "      file: {path: \"${input}/$${x}\", rate: \"${rate}\"}\n    format: raw\n"
        "    schema: {line: string}\n  r: {from: lines, sink: print}\n";
    struct setting parameters[] = {{"input", "/data"}, {"rat", "1"}};
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, 10000);
    SCOPED(job_graph_destroy) struct job_graph *graph = NULL;
    ck_assert_int_eq(compile(job, strlen(job), 0, parameters, 1, &graph, &out), STATUS_OK);
    ck_assert_str_eq(graph->name, "t-20240131");
    ck_assert_str_eq(operator_setting(&graph->operators[0], "connector.path"), "/data/${x}");
    ck_assert_str_eq(operator_setting(&graph->operators[0], "connector.rate"), "7");
    ck_assert_str_eq(graph->parameters[0].value, "/data");
    ck_assert_str_eq(graph->definition, job);
    struct job_graph *none = NULL;
    ck_assert_int_eq(compile(job, strlen(job), 0, parameters, 2, &none, &out), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(out.bytes, "--param rat: the job has no such parameter: did you "
                                            "mean \"rate\"?"));
    ck_assert_int_eq(compile(job, strlen(job), 0, NULL, 0, &none, &out), STATUS_INVALID);
    ck_assert_ptr_nonnull(
        strstr(out.bytes, "job:2:14: error: the parameter \"input\" is required"));
}
END_TEST

#define TIMED                                                                                      \
    "name: t\nnodes:\n  rows:\n    source: {file: /in}\n    format: csv\n"                         \
    "    schema: {k: string, n: bigint, ts: bigint, at: \"timestamp_ltz(3) as "                    \
    "to_timestamp_ltz(ts, 3)\"}\n"

/* The time column is read though nobody behind asks for it, and the source stays one task. */
START_TEST(event_time_is_made_in_the_task_of_the_source)
{
    expect_plan(TIMED "    watermark: {column: at, delay: 2s}\n"
                      "  ks: {from: rows, select: {k}, parallelism: 2}\n"
                      "  result: {from: ks, sink: print}\n"
                      "config: {pipeline.operator-chaining.enabled: false}\n",
                1,
                "job t: 3 vertices, 5 operators, parallelism 1\n"
                "[1] rows  (parallelism 1)\n"
                "    rows/source  source file as csv => k STRING, n BIGINT, ts BIGINT\n"
                "    rows/calc  calc k, at: cast((to_timestamp_ltz(ts, 3)) as TIMESTAMP_LTZ(3)) "
                "=> k STRING, at TIMESTAMP_LTZ(3)\n"
                "    rows/watermark  watermark column: at, delay: 2s => k STRING, at "
                "TIMESTAMP_LTZ(3)\n"
                "      REBALANCE from rows/watermark to ks/select\n"
                "[2] ks  (parallelism 2)\n"
                "    ks/select  calc k => k STRING\n"
                "      REBALANCE from ks/select to result/sink\n"
                "[3] result  (parallelism 1)\n"
                "    result/sink  sink print\n");
}
END_TEST

/* As long as the column is passed on as it is, under whatever name. */
START_TEST(event_time_follows_its_column)
{
    static const struct {
        const char *clauses;
        int event_time;
    } cases[] = {{"select: {n, at}", 1},
                 {"select: {t: at, n}", 0},
                 {"select: {k}", -1},
                 {"set: {at: \"cast(null as timestamp(3))\"}", -1},
                 {"set: {n: n + 1}", 3},
                 {"unnest: {w: split(k)}", 3},
                 {"where: n > 1, select: {at}", 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        SCOPED_TEXT char *job = format_text(TIMED "    watermark: at\n  x: {from: rows, %s}\n"
                                                  "  y: {from: rows, %s}\n"
                                                  "  r: {from: [x, y], sink: print}\n",
                                            cases[i].clauses, cases[i].clauses);
        struct text out SCOPED_TEXT_BUFFER;
        text_init(&out, 100000);
        SCOPED(job_graph_destroy) struct job_graph *graph = NULL;
        ck_assert_msg(compile(job, strlen(job), 1, NULL, 0, &graph, &out) == STATUS_OK, "%s",
                      out.bytes);
        const struct operator_spec *sink = &graph->operators[graph->operator_count - 1];
        ck_assert_str_eq(sink->kind, "sink");
        ck_assert_int_eq(sink->inputs[0]->event_time, cases[i].event_time);
    }
}
END_TEST

START_TEST(event_time_needs_a_time)
{
    static const struct {
        const char *options;
        const char *expected;
    } cases[] = {
        {"{column: ts}", "job:7:16: error: node \"rows\": watermark: column \"ts\" is BIGINT, but "
                         "event time is a TIMESTAMP or TIMESTAMP_LTZ: add a computed column"},
        {"{column: att}", "column \"att\" does not exist: did you mean \"at\"?"},
        {"{delay: 2s}", "watermark: option \"column\" is missing"},
        {"{column: at, dely: 2s}", "unknown option \"dely\": did you mean \"delay\"?"},
        {"{column: at, delay: 2}", "expected a duration with its unit, such as \"2ms\" or \"2s\""},
        {"{column: at, max_drift: 2s}", "`max_drift` belongs to an alignment group"},
        {"", "watermark: option \"column\" is missing"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        SCOPED_TEXT char *job = format_text(
            TIMED "    watermark: %s\n  r: {from: rows, sink: print}\n", cases[i].options);
        struct text out SCOPED_TEXT_BUFFER;
        text_init(&out, 100000);
        struct job_graph *graph = NULL;
        ck_assert_int_eq(compile(job, strlen(job), 1, NULL, 0, &graph, &out), STATUS_INVALID);
        ck_assert_msg(strstr(out.bytes, cases[i].expected) != NULL, "expected:\n%s\ngot:\n%s",
                      cases[i].expected, out.bytes);
    }
    expect_error("  r: {from: lines, sink: print, watermark: line}\n",
                 "`watermark` cannot stand in a sink");
}
END_TEST

#define WATERMARKED TIMED "    watermark: {column: at, delay: 2s}\n"

/* Late rows have the columns of the input, so that nothing is pruned before them. */
START_TEST(windows_of_windows_know_their_event_time)
{
    expect_plan(WATERMARKED "  tens:\n    from: rows\n    key_by: k\n    window: {tumbling: 10s}\n"
                            "    aggregate: {total: sum(n)}\n"
                            "  minutes:\n    from: tens\n    key_by: k\n"
                            "    window: {hopping: {size: 1m, slide: 30s, lateness: 1h}}\n"
                            "    aggregate: {total: sum(total)}\n    emit: changelog\n"
                            "  result: {from: minutes, sink: print}\n"
                            "  late: {from: minutes.late, sink: print}\n",
                1,
                "job t: 2 vertices, 7 operators, parallelism 1\n"
                "[1] rows -> tens -> minutes -> result  (parallelism 1)\n"
                "    rows/source  source file as csv => k STRING, n BIGINT, ts BIGINT\n"
                "    rows/calc  calc k, n, at: cast((to_timestamp_ltz(ts, 3)) as TIMESTAMP_LTZ(3)) "
                "=> k STRING, n BIGINT, at TIMESTAMP_LTZ(3)\n"
                "    rows/watermark  watermark column: at, delay: 2s => k STRING, n BIGINT, at "
                "TIMESTAMP_LTZ(3)\n"
                "    tens/window  window_aggregate total: sum(n) by k window: tumbling, "
                "window.size_ms: 10000, time_column: at emit final => k STRING, window_start "
                "TIMESTAMP_LTZ(3) NOT NULL, window_end TIMESTAMP_LTZ(3) NOT NULL, total BIGINT\n"
                "    minutes/window  window_aggregate total: sum(total) by k window: hopping, "
                "window.size_ms: 60000, window.step_ms: 30000, window.lateness_ms: 3600000, "
                "time_column: window_end, time_shift_ms: -1 emit changelog => k STRING, "
                "window_start TIMESTAMP_LTZ(3) NOT NULL, window_end TIMESTAMP_LTZ(3) NOT NULL, "
                "total BIGINT\n"
                "    result/sink  sink print\n"
                "      FORWARD from minutes/window.late to late/sink\n"
                "[2] late  (parallelism 1)\n"
                "    late/sink  sink print\n");
}
END_TEST

START_TEST(windows_need_what_they_need)
{
    static const struct {
        const char *node;
        const char *expected;
    } cases[] = {
        {"from: rows, window: {tumbling: 1m}, aggregate: {n: count(*)}, emit: end",
         "a window gives its result when it ends, which is `emit: final`"},
        {"from: rows, key_by: k, aggregate: {n: count(*)}, emit: final",
         "`emit: final` belongs to `window`"},
        {"from: rows, window: {tumbling: 1}, aggregate: {n: count(*)}",
         "expected a duration with its unit"},
        {"from: rows, window: {tumblin: 1m}, aggregate: {n: count(*)}",
         "unknown window \"tumblin\": did you mean \"tumbling\"?"},
        {"from: rows, window: {hopping: {size: 1m}}, aggregate: {n: count(*)}",
         "hopping: option \"slide\" is missing"},
        {"from: rows, window: {hopping: {size: 1m, slide: 2m}}, aggregate: {n: count(*)}",
         "`slide` is longer than `size`"},
        {"from: rows, window: {cumulating: {size: 1m, step: 7s}}, aggregate: {n: count(*)}",
         "`size` must be a whole number of `step`s"},
        {"from: rows, window: {tumbling: 1m}, aggregate: {window_end: count(*)}",
         "aggregate window_end: the result has a column of this name already"},
        {"from: rows, window: {tumbling: 1m}, aggregate: {n: count(*)}, ttl: 1h",
         "`ttl` has no place here: state goes with its window"},
        {"from: rows, window: {session: 1m}, aggregate: {n: count(distinct k)}",
         "DISTINCT is not known in session windows"},
        {"from: rows, window: {tumbling: {size: 1m, time: processing, lateness: 1s}}, aggregate: "
         "{n: count(*)}",
         "no row is late by the clock"},
        {"from: lost, window: {tumbling: 1m}, aggregate: {n: count(*)}",
         "job:10:28: error: node \"w\": window: the event time gets lost on the way from "
         "\"rows\": keep its column \"at\" as it is"},
        {"from: bare, window: {tumbling: 1m}, aggregate: {n: count(*)}",
         "its rows have no event time: say at the source \"bare\" which column it is"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        SCOPED_TEXT char *job = format_text(
            WATERMARKED "  lost: {from: rows, select: {n}}\n"
                        "  bare: {source: {file: /in}, format: csv, schema: {n: bigint}}\n"
                        "  w: {%s}\n  r: {from: w, sink: print}\n",
            cases[i].node);
        struct text out SCOPED_TEXT_BUFFER;
        text_init(&out, 100000);
        SCOPED(job_graph_destroy) struct job_graph *graph = NULL;
        const enum status status = compile(job, strlen(job), 1, NULL, 0, &graph, &out);
        ck_assert_int_eq(status, STATUS_INVALID);
        ck_assert_msg(strstr(out.bytes, cases[i].expected) != NULL, "expected:\n%s\ngot:\n%s",
                      cases[i].expected, out.bytes);
    }
}
END_TEST

START_TEST(bad_files_are_refused)
{
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, 10000);
    struct job_graph *graph = NULL;
    ck_assert_int_eq(compile("", 0, 0, NULL, 0, &graph, &out), STATUS_INVALID);
    ck_assert_str_eq(out.bytes, "job:1:1: error: the job file is empty\n");
    ck_assert_int_eq(compile("\x7f\x45LF\0\1\2", 7, 0, NULL, 0, &graph, &out), STATUS_INVALID);
    const size_t size = 100 * 1000 * 1000;
    SCOPED_TEXT char *large = allocate(size);
    ck_assert_int_eq(compile(large, size, 0, NULL, 0, &graph, &out), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(out.bytes, "100000000 bytes: the maximum is 4194304"));
    ck_assert_int_eq(compile("- a\n", 4, 0, NULL, 0, &graph, &out), STATUS_INVALID);
}
END_TEST

/* Damaged jobs give errors or a sound graph, never a crash (run under ASan). */
START_TEST(damaged_jobs_do_no_harm)
{
    static const char job[] = SOURCE COUNTS PRINT;
    static const char pieces[] = "{}[]:,-'\"&*!|>#${}\n  abc<>()0\xff";
    uint32_t state = 1;
    for (int round = 0; round < 3000; round++) {
        char text[sizeof(job)];
        memcpy(text, job, sizeof(job));
        for (int i = 0; i < 1 + round % 4; i++) {
            state = state * 1664525 + 1013904223;
            text[(state >> 8) % (sizeof(job) - 1)] = pieces[(state >> 20) % (sizeof(pieces) - 1)];
        }
        struct text out SCOPED_TEXT_BUFFER;
        text_init(&out, 100000);
        struct job_graph *graph = NULL;
        if (compile(text, sizeof(job) - 1, 1, NULL, 0, &graph, &out) == STATUS_OK) {
            struct text bytes SCOPED_TEXT_BUFFER;
            text_init(&bytes, JOB_GRAPH_BYTES_MAX);
            job_graph_encode(graph, &bytes);
            job_graph_destroy(graph);
            struct job_graph *copy = NULL;
            ck_assert_int_eq(job_graph_decode(bytes.bytes, bytes.size, &copy, NULL), STATUS_OK);
            job_graph_destroy(copy);
        } else {
            ck_assert_uint_gt(out.size, 0);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compiler/compile");
    TCase *tests = tcase_create("compile");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, golden_plans);
    tcase_add_test(tests, calcs_merge_and_columns_are_pruned);
    tcase_add_test(tests, errors_have_places_and_ways_out);
    tcase_add_test(tests, metadata_columns_are_checked);
    tcase_add_test(tests, all_errors_come_at_once);
    tcase_add_test(tests, parameters_are_put_in);
    tcase_add_test(tests, event_time_is_made_in_the_task_of_the_source);
    tcase_add_test(tests, event_time_follows_its_column);
    tcase_add_test(tests, event_time_needs_a_time);
    tcase_add_test(tests, windows_of_windows_know_their_event_time);
    tcase_add_test(tests, windows_need_what_they_need);
    tcase_add_test(tests, bad_files_are_refused);
    tcase_add_test(tests, damaged_jobs_do_no_harm);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
