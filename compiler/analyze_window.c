/* aggregate with a window: event time, bounds, what each kind can do. See analyze.h. */
#include "common/base/allocate.h"
#include "compiler/analyze.h"

#include <string.h>

#define START_NAME "window_start"
#define END_NAME   "window_end"

static void window_error(struct analyzer *analyzer, const char *message)
{
    const struct choice *choice = &analyzer->node->window;
    compile_error(analyzer->compiler, choice->line, choice->column, "node \"%s\": window: %s",
                  analyzer->node->name, message);
    analyzer->node->is_failed = true;
}

static const char *option_of(const struct logical_node *node, const char *name)
{
    return setting_find(node->window.options, node->window.option_count, name);
}

static bool is_processing_time(const struct logical_node *node)
{
    const char *time = option_of(node, "time");
    return time != NULL && strcmp(time, "processing") == 0;
}

/* Milliseconds of a duration that has been parsed before. */
static int64_t duration_of(const struct logical_node *node, const char *name)
{
    int64_t ms = 0;
    struct error err;
    const char *text = option_of(node, name);
    return text != NULL && parse_duration_ms(text, OPTION_UNITS_REQUIRED, &ms, &err) == STATUS_OK
               ? ms
               : 0;
}

/* ---- what may be ---- */

/* The nearest node before this one whose rows have an event time, and a source without. */
static void find_times(const struct logical_node *node, const struct logical_node **timed,
                       const struct logical_node **untimed)
{
    for (uint32_t i = 0; i < node->input_count; i++) {
        const struct logical_node *from = node->inputs[i].node;
        if (from == NULL || node->inputs[i].is_errors)
            continue;
        if (from->output != NULL && from->output->event_time >= 0) {
            if (*timed == NULL)
                *timed = from;
            continue;
        }
        if (from->kind == NODE_SOURCE && *untimed == NULL)
            *untimed = from;
        find_times(from, timed, untimed);
    }
}

static void no_event_time(struct analyzer *analyzer)
{
    const struct logical_node *timed = NULL;
    const struct logical_node *untimed = NULL;
    find_times(analyzer->node, &timed, &untimed);
    struct text message SCOPED_TEXT_BUFFER;
    text_init(&message, 1000);
    if (untimed != NULL)
        text_format(&message,
                    "its rows have no event time: say at the source \"%s\" which column it is and "
                    "how late rows may be, such as \"watermark: {column: at, delay: 2s}\"; or "
                    "count by the clock with \"time: processing\"",
                    untimed->name);
    else if (timed != NULL)
        text_format(&message,
                    "the event time gets lost on the way from \"%s\": keep its column \"%s\" as it "
                    "is (in `select`, and in all inputs of a union)",
                    timed->name, timed->output->columns[timed->output->event_time].name);
    else
        text_append(&message, "its rows have no event time");
    window_error(analyzer, message.bytes);
}

static void check_sizes(struct analyzer *analyzer)
{
    const struct logical_node *node = analyzer->node;
    const int64_t size = duration_of(node, "size");
    const int64_t slide = duration_of(node, "slide");
    const int64_t step = duration_of(node, "step");
    if (slide > size)
        window_error(analyzer, "hopping: `slide` is longer than `size`, so that rows between two "
                               "windows would be lost: make it at most the size");
    if (step > 0 && size % step != 0)
        window_error(analyzer, "cumulating: `size` must be a whole number of `step`s");
}

static void check_clauses(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    const bool is_global = strcmp(node->window.name, "global") == 0;
    if (node->ttl_ms > 0 && node->window_row->has_bounds)
        window_error(analyzer, "`ttl` has no place here: state goes with its window (and "
                               "`lateness` keeps it longer)");
    if (is_global && node->emit == EMIT_FINAL && node->unbounded_source != NULL) {
        struct text message SCOPED_TEXT_BUFFER;
        text_init(&message, 400);
        text_format(&message,
                    "global: the only window never ends, because the source \"%s\" does not end: "
                    "say `emit: each`, `batch` or `changelog`",
                    node->unbounded_source);
        window_error(analyzer, message.bytes);
    }
    if (is_processing_time(node) && duration_of(node, "lateness") > 0)
        window_error(analyzer, "no row is late by the clock: remove `lateness` or `time: "
                               "processing`");
    if (strcmp(node->window.name, "count") == 0 && node->emit != EMIT_FINAL &&
        node->emit != EMIT_EACH)
        window_error(analyzer, "count: these windows give a result when they are full (`emit: "
                               "final`) or after every row (`emit: each`)");
    if (strcmp(node->window.name, "session") == 0 && node->emit == EMIT_CHANGELOG &&
        duration_of(node, "lateness") > 0)
        window_error(analyzer,
                     "session: `emit: changelog` cannot take back sessions that late rows "
                     "put together: use `emit: final`, or no `lateness`");
    if (node->window_row->operator_kind[0] != 'w' && node->has_changes)
        window_error(analyzer, "these windows take no changelog (-U, -D), which `emit: changelog` "
                               "before this node gives: use `emit: each` or `final` there");
}

/* DISTINCT keeps a set of values per window, which sessions and counts do not have. */
static void check_distinct(struct analyzer *analyzer)
{
    const struct logical_node *node = analyzer->node;
    for (uint32_t i = 0; i < node->aggregate.count; i++) {
        const struct named_expression *column = &node->aggregate.items[i];
        struct aggregate_call call;
        if (!check_aggregate(analyzer->compiler, analyzer->node, column, analyzer->current, &call))
            continue;
        if (call.is_distinct) {
            compile_error(analyzer->compiler, column->line, column->column,
                          "node \"%s\": aggregate %s: DISTINCT is not known in %s windows",
                          node->name, column->name, node->window.name);
            analyzer->node->is_failed = true;
        }
        aggregate_call_done(&call);
    }
}

static void check_names(struct analyzer *analyzer)
{
    const struct logical_node *node = analyzer->node;
    const char *message = "the result has a column of this name already, the bound of the window: "
                          "choose another name";
    for (uint32_t i = 0; i < node->aggregate.count; i++) {
        const struct named_expression *column = &node->aggregate.items[i];
        if (strcmp(column->name, START_NAME) != 0 && strcmp(column->name, END_NAME) != 0)
            continue;
        compile_error(analyzer->compiler, column->line, column->column,
                      "node \"%s\": aggregate %s: %s", node->name, column->name, message);
        analyzer->node->is_failed = true;
    }
    for (uint32_t i = 0; i < node->key_count; i++) {
        if (strcmp(node->keys[i], START_NAME) != 0 && strcmp(node->keys[i], END_NAME) != 0)
            continue;
        const struct yaml_node *clause = node->clauses[CLAUSE_KEY_BY];
        compile_error(analyzer->compiler, clause->line, clause->column,
                      "node \"%s\": key_by %s: %s (with `set`)", node->name, node->keys[i],
                      message);
        analyzer->node->is_failed = true;
    }
}

/* ---- what the operator gets ---- */

static struct setting *settings_of(struct analyzer *analyzer, uint32_t *ret_count)
{
    const struct logical_node *node = analyzer->node;
    struct pool *pool = &analyzer->compiler->pool;
    static const char *const durations[][2] = {
        {"size", "window.size_ms"},     {"gap", "window.size_ms"},
        {"slide", "window.step_ms"},    {"step", "window.step_ms"},
        {"offset", "window.offset_ms"}, {"lateness", "window.lateness_ms"},
    };
    struct setting *settings = pool_take(pool, 16, sizeof(*settings));
    uint32_t count = 0;
    settings[count++] =
        (struct setting){pool_text(pool, "window"), pool_text(pool, node->window.name)};
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        if (option_of(node, durations[i][0]) == NULL)
            continue;
        SCOPED_TEXT char *text = format_text("%lld", (long long)duration_of(node, durations[i][0]));
        settings[count++] =
            (struct setting){pool_text(pool, durations[i][1]), pool_text(pool, text)};
    }
    if (option_of(node, "rows") != NULL)
        settings[count++] = (struct setting){pool_text(pool, "window.rows"),
                                             pool_text(pool, option_of(node, "rows"))};
    if (is_processing_time(node))
        settings[count++] =
            (struct setting){pool_text(pool, "window.time"), pool_text(pool, "processing")};
    if (node->has_changes)
        settings[count++] =
            (struct setting){pool_text(pool, "input_changes"), pool_text(pool, "true")};
    if (analyzer->current->event_time >= 0 && node->window_row->has_bounds &&
        !is_processing_time(node)) {
        const char *name = analyzer->current->columns[analyzer->current->event_time].name;
        settings[count++] = (struct setting){pool_text(pool, "time_column"), pool_text(pool, name)};
        if (node->time_shift_ms != 0)
            settings[count++] =
                (struct setting){pool_text(pool, "time_shift_ms"), pool_text(pool, "-1")};
    }
    *ret_count = count;
    return settings;
}

/* Of the kind of the time they bound. */
static void add_bounds(const struct analyzer *analyzer, bool is_event_time,
                       struct schema_column *ret_columns)
{
    struct type type = {.kind = TYPE_TIMESTAMP_LTZ, .precision = 3};
    if (is_event_time)
        type.kind = analyzer->current->columns[analyzer->current->event_time].type.kind;
    ret_columns[0] = (struct schema_column){.name = START_NAME, .type = type};
    ret_columns[1] = (struct schema_column){.name = END_NAME, .type = type};
}

void analyze_window(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    if (node->window_row == NULL)
        return;
    const bool has_bounds = node->window_row->has_bounds;
    const bool is_event_time = has_bounds && !is_processing_time(node);
    if (is_event_time && analyzer->current->event_time < 0)
        no_event_time(analyzer);
    check_sizes(analyzer);
    check_clauses(analyzer);
    if (node->window_row->operator_kind[0] != 'w')
        check_distinct(analyzer);
    if (has_bounds)
        check_names(analyzer);
    const uint32_t bound_count = has_bounds ? 2 : 0;
    const uint32_t most = node->key_count + bound_count + node->aggregate.count;
    struct schema_column *columns = pool_take(&analyzer->compiler->pool, most, sizeof(*columns));
    analyze_aggregate_columns(analyzer, columns, columns + node->key_count + bound_count);
    if (node->is_failed)
        return;
    if (has_bounds)
        add_bounds(analyzer, is_event_time, columns + node->key_count);
    node->late = schema_ref(analyzer->current);
    node->late_shift_ms = node->time_shift_ms;
    node->late_has_changes = node->has_changes;
    uint32_t setting_count;
    struct setting *settings = settings_of(analyzer, &setting_count);
    const int32_t time_column = is_event_time ? analyzer->current->event_time : -1;
    const int32_t event_time = is_event_time ? (int32_t)node->key_count + 1 : -1;
    struct plan_operator *stage =
        add_operator(analyzer, ROLE_WINDOW, node->window_row->operator_kind,
                     schema_create(columns, most, event_time));
    stage->columns = node->aggregate.items;
    stage->column_count = node->aggregate.count;
    stage->extra = settings;
    stage->extra_count = setting_count;
    stage->time_column = time_column;
    node->time_shift_ms = is_event_time ? -1 : 0;
}
