/* The operator test kit: see operator_kit.h. */
#include "tests/kit/operator_kit.h"

#include "common/base/allocate.h"
#include "common/base/random.h"
#include "common/data/batch_builder.h"
#include "operators/registry.h"
#include "tests/kit/model_state.h"
#include "tests/kit/real_state.h"
#include "tests/kit/row_text.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define KIT_TEXT_MAX  (64U * 1024 * 1024)
#define KIT_CALLS_MAX 1000000
/* Longer inputs are not restored after each batch on real backends. */
#define REAL_RESTORES_MAX 400

/* ---- one run ---- */

struct kit_run {
    struct emitter emitter; /* first */
    struct operator_env env;
    const struct kit_case *test;
    const struct operator_ops *ops;
    struct operator_spec spec;
    struct setting settings[10];
    struct named_expression columns[8];
    struct named_expression filters[4];
    char *keys[4];
    struct schema *inputs[1];
    struct operator_output outputs[2];
    struct model_keyed *model; /* NULL: real */
    struct real_state *real;
    struct random random;
    struct manual_clock clock;
    void *self;
    struct text rows; /* emitted, a line each */
    uint32_t room;
    uint32_t errors;
    int64_t watermark_ms;  /* as the operator is told of it */
    int64_t event_time_ms; /* the largest that it reported */
    bool is_hesitant;
    bool is_narrow;
    bool restores;
    uint32_t rows_per_batch; /* 0: random */
    bool has_failed;
    struct error err;
};

static bool kit_has_room(const struct emitter *emitter, uint32_t output)
{
    (void)output;
    return ((const struct kit_run *)emitter)->room > 0;
}

static void kit_emit(struct emitter *emitter, uint32_t output, struct batch *batch)
{
    struct kit_run *run = (struct kit_run *)emitter;
    ck_assert_uint_gt(run->room, 0);
    ck_assert_uint_lt(output, run->spec.output_count);
    ck_assert_uint_le(batch->row_count, BATCH_ROWS_MAX);
    ck_assert(schema_equals(batch->schema, run->outputs[output].schema, false));
    for (uint32_t c = 0; c < batch->column_count; c++) {
        ck_assert_ptr_nonnull(batch->columns[c]);
        ck_assert_uint_eq(batch->columns[c]->row_count, batch->row_count);
        ck_assert_int_eq(batch->columns[c]->type.kind, batch->schema->columns[c].type.kind);
    }
    if (run->is_narrow)
        run->room--;
    for (uint32_t i = 0; i < batch_selected(batch); i++) {
        ck_assert(i == 0 || batch_row(batch, i) > batch_row(batch, i - 1));
        if (output > 0)
            text_append(&run->rows, "late ");
        batch_format_row(batch, batch_row(batch, i), &run->rows);
        text_append_char(&run->rows, '\n');
    }
    batch_unref(batch);
}

static void kit_wake(struct operator_env *env)
{
    (void)env;
}

static void kit_run_blocking(struct operator_env *env, void (*run)(void *), void *argument)
{
    (void)env;
    run(argument);
}

static enum step kit_row_error(struct operator_env *env, const struct row_error *error,
                               struct emitter *out, struct error *err)
{
    struct kit_run *run = (struct kit_run *)out;
    ck_assert_ptr_eq(env, &run->env);
    if (run->test->on_error == ON_ERROR_FAIL) {
        (void)error_set(err, STATUS_RECORD, "%s", error->message);
        return STEP_FAILED;
    }
    if (run->test->on_error == ON_ERROR_DEAD_LETTER && run->is_narrow &&
        random_below(&run->random, 2) == 0)
        return STEP_AGAIN;
    run->errors++;
    return STEP_DONE;
}

static void kit_event_time(struct operator_env *env, const struct batch_origin *origin,
                           int64_t max_ms)
{
    (void)origin;
    struct kit_run *run = (struct kit_run *)((char *)env - offsetof(struct kit_run, env));
    if (max_ms > run->event_time_ms)
        run->event_time_ms = max_ms;
}

static int64_t kit_watermark_ms(const struct operator_env *env)
{
    return ((const struct kit_run *)((const char *)env - offsetof(struct kit_run, env)))
        ->watermark_ms;
}

static void kit_waits_for(struct operator_env *env, const char *reason)
{
    (void)env;
    (void)reason;
}

static const struct operator_env_ops kit_env_ops = {
    .wake = kit_wake,
    .run_blocking = kit_run_blocking,
    .row_error = kit_row_error,
    .event_time = kit_event_time,
    .watermark_ms = kit_watermark_ms,
    .waits_for = kit_waits_for,
};

static void make_spec(struct kit_run *run)
{
    const struct kit_case *test = run->test;
    struct operator_spec *spec = &run->spec;
    *spec = (struct operator_spec){
        .uid = (char *)(uintptr_t) "tested/operator",
        .name = (char *)(uintptr_t) "tested",
        .kind = (char *)(uintptr_t)test->kind,
        .parallelism = 1,
        .on_error = test->on_error,
        .settings = run->settings,
        .columns = run->columns,
        .filters = run->filters,
        .keys = run->keys,
        .inputs = run->inputs,
        .input_count = 1,
        .outputs = run->outputs,
        .output_count = test->has_late ? 2 : 1,
    };
    for (; spec->setting_count < 10 && test->settings[spec->setting_count].name != NULL;
         spec->setting_count++)
        run->settings[spec->setting_count] =
            (struct setting){(char *)(uintptr_t)test->settings[spec->setting_count].name,
                             (char *)(uintptr_t)test->settings[spec->setting_count].text};
    for (; spec->column_count < 8 && test->columns[spec->column_count].name != NULL;
         spec->column_count++)
        run->columns[spec->column_count] = (struct named_expression){
            .name = (char *)(uintptr_t)test->columns[spec->column_count].name,
            .text = (char *)(uintptr_t)test->columns[spec->column_count].text};
    for (; spec->filter_count < 4 && test->filters[spec->filter_count] != NULL;
         spec->filter_count++)
        run->filters[spec->filter_count] =
            (struct named_expression){.text = (char *)(uintptr_t)test->filters[spec->filter_count]};
    for (; spec->key_count < 4 && test->keys[spec->key_count] != NULL; spec->key_count++)
        run->keys[spec->key_count] = (char *)(uintptr_t)test->keys[spec->key_count];
    run->inputs[0] = operator_kit_schema(test->input_schema);
    run->outputs[0] =
        (struct operator_output){(char *)(uintptr_t) "", operator_kit_schema(test->output_schema)};
    if (test->has_late)
        run->outputs[1] =
            (struct operator_output){(char *)(uintptr_t)OUTPUT_LATE, schema_ref(run->inputs[0])};
}

/* The step of a call, and the error of a failed one. false: call again. */
static bool is_over(struct kit_run *run, enum step step)
{
    run->has_failed |= step == STEP_FAILED;
    if (step == STEP_WAIT && run->real != NULL)
        (void)usleep(100);
    return step == STEP_DONE || step == STEP_FAILED;
}

static void give_room(struct kit_run *run)
{
    run->room = run->is_narrow ? (uint32_t)(random_below(&run->random, 3) > 0) : 1000;
}

/* Repeats a resumable call until it is complete. */
#define REPEAT(run, call)                                                                          \
    do {                                                                                           \
        uint32_t calls_ = 0;                                                                       \
        do {                                                                                       \
            ck_assert_uint_lt(calls_++, KIT_CALLS_MAX);                                            \
            give_room(run);                                                                        \
        } while (!is_over(run, call));                                                             \
    } while (0)

static void open_instance(struct kit_run *run)
{
    run->self = allocate(run->ops->instance_size);
    run->env.keyed = NULL;
    if ((run->ops->traits & OPERATOR_KEYED) != 0)
        run->env.keyed =
            run->real != NULL ? real_state_keyed(run->real) : model_keyed_state(run->model);
    if (run->ops->open(run->self, &run->env, &run->err) != STATUS_OK)
        run->has_failed = true;
}

static void close_instance(struct kit_run *run)
{
    run->ops->close(run->self);
    free(run->self);
    run->self = NULL;
}

/* ---- snapshot and restore ---- */

struct kit_writer {
    struct snapshot_writer writer; /* first */
    struct snapshot_entry *entries;
    size_t count;
    size_t capacity;
};

static void kit_put(struct snapshot_writer *writer, const char *name, enum operator_state_kind kind,
                    const void *bytes, size_t size)
{
    struct kit_writer *kit = (struct kit_writer *)writer;
    (void)kind;
    array_push(kit->entries, kit->count, kit->capacity) = (struct snapshot_entry){
        .name = copy_text(name), .bytes = copy_memory(bytes, size), .size = size};
}

static void snapshot_and_restore(struct kit_run *run, uint64_t id)
{
    struct kit_writer kit = {.writer = {.put = kit_put}};
    if (run->ops->before_barrier != NULL)
        REPEAT(run, run->ops->before_barrier(run->self, &run->emitter, &run->err));
    run->room = 0;
    (void)id;
    if (run->ops->snapshot != NULL && run->ops->snapshot(run->self, (struct checkpoint_id){0},
                                                         &kit.writer, &run->err) != STATUS_OK)
        run->has_failed = true;
    close_instance(run);
    if (run->real != NULL) {
        real_state_restore(run->real);
    } else {
        struct model_keyed *restored =
            model_keyed_create(random_next(&run->random), run->is_hesitant, run->model);
        model_keyed_destroy(run->model);
        run->model = restored;
    }
    open_instance(run);
    const struct snapshot_reader reader = {.entries = kit.entries, .count = kit.count};
    if (!run->has_failed && kit.count > 0 &&
        run->ops->restore(run->self, &reader, &run->err) != STATUS_OK)
        run->has_failed = true;
    for (size_t i = 0; i < kit.count; i++) {
        free((void *)(uintptr_t)kit.entries[i].name);
        free((void *)(uintptr_t)kit.entries[i].bytes);
    }
    free(kit.entries);
}

/* ---- what came out ---- */

struct kit_lines {
    char *text;
    char **lines;
    size_t count;
    size_t capacity;
};

static void split_lines(struct kit_lines *lines, const char *text)
{
    *lines = (struct kit_lines){.text = copy_text(text)};
    for (char *line = strtok(lines->text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        array_push(lines->lines, lines->count, lines->capacity) = line;
}

static void lines_done(struct kit_lines *lines)
{
    free(lines->text);
    free(lines->lines);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void remove_line(struct kit_lines *lines, size_t at)
{
    memmove(&lines->lines[at], &lines->lines[at + 1], (lines->count - 1 - at) * sizeof(char *));
    lines->count--;
}

static void keep_latest(struct kit_lines *lines)
{
    for (size_t i = lines->count; i-- > 0;) {
        const size_t key = strcspn(lines->lines[i] + 3, ",]") + 3;
        for (size_t j = i; j-- > 0;) {
            if (strcspn(lines->lines[j] + 3, ",]") + 3 == key &&
                strncmp(lines->lines[i], lines->lines[j], key) == 0) {
                remove_line(lines, j);
                i--;
            }
        }
    }
}

/* emit: batch gives one row per key (the first column) for each batch. */
static void check_one_row_per_key(const struct kit_run *run, size_t from)
{
    const char *emit = operator_setting(&run->spec, "emit");
    if (emit == NULL || strcmp(emit, "batch") != 0 ||
        operator_setting(&run->spec, "window") != NULL)
        return; /* or one for each window of the key */
    struct kit_lines lines;
    split_lines(&lines, run->rows.bytes + from);
    const size_t count = lines.count;
    keep_latest(&lines);
    ck_assert_msg(lines.count == count, "a key has two rows in one batch: %s",
                  run->rows.bytes + from);
    lines_done(&lines);
}

static void process_batch(struct kit_run *run, struct batch *batch)
{
    if (batch == NULL)
        return;
    const size_t from = run->rows.size;
    if (!run->has_failed)
        REPEAT(run, run->ops->process(run->self, 0, batch, &run->emitter, &run->err));
    if (!run->has_failed && run->rows.size > from)
        check_one_row_per_key(run, from);
    batch_unref(batch);
    run->clock.us += run->test->advance_ms * 1000;
    if (run->restores && !run->has_failed)
        snapshot_and_restore(run, 1);
}

/* ---- time ---- */

static void fire_timers(struct kit_run *run, enum timer_kind kind, int64_t now_ms)
{
    bool is_found = true;
    while (is_found && !run->has_failed) {
        struct timer timer;
        if (run->model != NULL)
            model_timers_pop(run->model, kind, now_ms, &is_found, &timer);
        else if (run->real != NULL)
            REPEAT(run,
                   state_timers_pop(run->env.keyed, kind, now_ms, &is_found, &timer, &run->err));
        else
            return;
        if (is_found && !run->has_failed)
            REPEAT(run, run->ops->on_timer(run->self, &timer, &run->emitter, &run->err));
    }
    if (run->ops->timers_done != NULL && !run->has_failed)
        REPEAT(run, run->ops->timers_done(run->self, &run->emitter, &run->err));
}

static void pass_time(struct kit_run *run, const char *line)
{
    const bool is_last = strncmp(line, "@max", 4) == 0;
    const int64_t time_ms = is_last ? INT64_MAX : strtoll(line + 1, NULL, 10);
    if (run->has_failed)
        return;
    if (line[0] == '!') {
        run->clock.us = time_ms * 1000;
        fire_timers(run, TIMER_PROCESSING_TIME, time_ms);
    } else {
        if (run->ops->before_watermark != NULL)
            REPEAT(run, run->ops->before_watermark(run->self, time_ms, &run->emitter, &run->err));
        if (!run->has_failed)
            fire_timers(run, TIMER_EVENT_TIME, time_ms);
        run->watermark_ms = time_ms;
    }
    if (run->restores && !run->has_failed)
        snapshot_and_restore(run, 1);
}

static void feed(struct kit_run *run)
{
    struct batch_builder builder;
    batch_builder_init(&builder, run->inputs[0], NULL);
    uint32_t wanted = run->rows_per_batch;
    for (const char *line = run->test->input; *line != '\0' && !run->has_failed;) {
        if (builder.row_count == 0 && run->rows_per_batch == 0)
            wanted = 1 + (uint32_t)random_below(&run->random, run->test->is_large ? 4000 : 6);
        const size_t size = strcspn(line, "\n");
        const char *this_line = line;
        line += size + (line[size] == '\n');
        if (this_line[0] == '@' || this_line[0] == '!') {
            process_batch(run, batch_builder_take(&builder));
            pass_time(run, this_line);
            continue;
        }
        row_text_append(&builder, this_line, size);
        if (builder.row_count >= wanted || batch_builder_is_full(&builder))
            process_batch(run, batch_builder_take(&builder));
    }
    process_batch(run, batch_builder_take(&builder));
    batch_builder_done(&builder);
    if (run->ops->finish != NULL && !run->has_failed)
        REPEAT(run, run->ops->finish(run->self, &run->emitter, &run->err));
}

/* ---- whether it is right ---- */

static void apply_changes(struct kit_lines *lines)
{
    size_t kept = 0;
    for (size_t i = 0; i < lines->count; i++) {
        char *line = lines->lines[i];
        if (strncmp(line, "late ", 5) == 0) {
            lines->lines[kept++] = line;
            continue;
        }
        const enum row_kind kind = row_text_kind(line);
        if (kind == ROW_INSERT || kind == ROW_UPDATE_AFTER) {
            line[1] = 'I';
            lines->lines[kept++] = line;
            continue;
        }
        size_t at = kept;
        while (at > 0 && strcmp(lines->lines[at - 1] + 2, line + 2) != 0)
            at--;
        ck_assert_msg(at > 0, "%s takes back a row that was not there", line);
        memmove(&lines->lines[at - 1], &lines->lines[at], (kept - at) * sizeof(char *));
        kept--;
    }
    lines->count = kept;
}

static void check_rows(const struct kit_run *run, const char *what)
{
    struct kit_lines got;
    struct kit_lines expected;
    split_lines(&got, run->rows.bytes);
    split_lines(&expected, run->test->expected != NULL ? run->test->expected : "");
    if (run->test->compare == KIT_LATEST)
        keep_latest(&got);
    if (run->test->compare == KIT_MATERIALIZED)
        apply_changes(&got);
    if (run->test->compare != KIT_ORDERED) {
        qsort(got.lines, got.count, sizeof(char *), compare_lines);
        qsort(expected.lines, expected.count, sizeof(char *), compare_lines);
    }
    for (size_t i = 0; i < got.count || i < expected.count; i++) {
        const char *a = i < got.count ? got.lines[i] : "nothing";
        const char *b = i < expected.count ? expected.lines[i] : "nothing";
        ck_assert_msg(strcmp(a, b) == 0, "%s: row %zu is %s, expected %s", what, i + 1, a, b);
    }
    lines_done(&got);
    lines_done(&expected);
}

enum kit_backend { KIT_MODEL, KIT_MEMORY, KIT_ROCKSDB };

static void run_once(struct kit_run *run, enum kit_backend backend, const char *what,
                     struct text *state)
{
    const struct kit_case *test = run->test;
    run->emitter = (struct emitter){.has_room = kit_has_room, .emit = kit_emit};
    run->ops = operator_registry_find(test->kind);
    ck_assert_ptr_nonnull(run->ops);
    make_spec(run);
    text_init(&run->rows, KIT_TEXT_MAX);
    struct memory_account memory;
    memory_account_init(&memory, "kit", NULL, UINT64_C(1) << 40);
    run->watermark_ms = run->event_time_ms = EVENT_TIME_NONE;
    run->env = (struct operator_env){
        .ops = &kit_env_ops,
        .spec = &run->spec,
        .parallelism = 1,
        .max_parallelism = 128,
        .key_groups = {0, 127},
        .memory = &memory,
        .clock = test->advance_ms > 0 || test->has_clock ? &run->clock.clock : clock_system(),
    };
    manual_clock_init(&run->clock, test->has_clock ? 0 : 1000000);
    if (backend == KIT_MODEL)
        run->model = model_keyed_create(random_next(&run->random), run->is_hesitant, NULL);
    else
        run->real = real_state_create(
            backend == KIT_ROCKSDB ? STATE_BACKEND_ROCKSDB : STATE_BACKEND_MEMORY, run->env.clock);
    open_instance(run);
    if (!run->has_failed)
        feed(run);
    close_instance(run);
    if (test->failure != NULL) {
        ck_assert_msg(run->has_failed, "%s: it should have failed", what);
        ck_assert_msg(strstr(run->err.message, test->failure) != NULL, "%s: the error is \"%s\"",
                      what, run->err.message);
    } else {
        ck_assert_msg(!run->has_failed, "%s: %s", what, run->err.message);
        check_rows(run, what);
        ck_assert_msg(run->errors == test->expected_errors, "%s: %u row errors, expected %u", what,
                      run->errors, test->expected_errors);
        if (test->expected_event_time_ms != 0)
            ck_assert_int_eq(run->event_time_ms, test->expected_event_time_ms);
        if (run->model != NULL)
            model_keyed_format(run->model, state);
    }
    ck_assert_msg(memory_used(&memory) == 0, "%s: memory is still booked", what);
    if (run->model != NULL)
        model_keyed_destroy(run->model);
    if (run->real != NULL)
        real_state_destroy(run->real);
    text_done(&run->rows);
    schema_unref(run->inputs[0]);
    schema_unref(run->outputs[0].schema);
    schema_unref(run->outputs[1].schema);
}

/* The same rows on what runs in production, restored through checkpoint storage. */
static void verify_real(const struct kit_case *test)
{
    static const struct {
        enum kit_backend backend;
        uint32_t rows_per_batch;
        bool restores;
    } modes[] = {
        {KIT_MEMORY, BATCH_ROWS_MAX, true},
        {KIT_ROCKSDB, BATCH_ROWS_MAX, false},
        {KIT_ROCKSDB, 0, true},
    };
    if ((operator_registry_find(test->kind)->traits & OPERATOR_KEYED) == 0)
        return;

    for (unsigned mode = 0; mode < sizeof(modes) / sizeof(modes[0]); mode++) {
        const enum kit_backend backend = modes[mode].backend;
        struct kit_run run = {
            .test = test,
            .rows_per_batch = test->advance_ms > 0 ? 1 : modes[mode].rows_per_batch,
            .is_narrow = mode == 2,
            /* Restores take milliseconds. */
            .restores = modes[mode].restores && strlen(test->input) < REAL_RESTORES_MAX,
        };
        if (test->runs_without_restore && run.restores)
            continue;
        random_init(&run.random, mode);
        char what[128];
        (void)snprintf(what, sizeof(what), "%s on %s, batches of %u%s", test->kind,
                       backend == KIT_ROCKSDB ? "rocksdb" : "memory", run.rows_per_batch,
                       run.restores ? ", restored" : "");
        run_once(&run, backend, what, NULL);
    }
}

void kit_verify(const struct kit_case *test)
{
    static const uint32_t sizes[] = {BATCH_ROWS_MAX, 1, 0};
    if (test->advance_ms > 0) {
        verify_real(test);
        return;
    }
    struct text first;
    text_init(&first, KIT_TEXT_MAX);
    for (unsigned mode = 0; mode < 24; mode++) {
        struct kit_run run = {
            .test = test,
            .rows_per_batch = sizes[mode % 3],
            .is_narrow = (mode / 3 & 1) != 0,
            .is_hesitant = (mode / 6 & 1) != 0,
            .restores = (mode / 12 & 1) != 0,
        };
        if (test->runs_without_restore && run.restores)
            continue;
        if (test->is_large && run.rows_per_batch == 1 && (run.restores || run.is_hesitant))
            continue;
        random_init(&run.random, mode);
        char what[128];
        (void)snprintf(what, sizeof(what), "%s, batches of %u, %s emitter, %s state%s", test->kind,
                       run.rows_per_batch, run.is_narrow ? "narrow" : "wide",
                       run.is_hesitant ? "hesitant" : "plain", run.restores ? ", restored" : "");
        struct text state;
        text_init(&state, KIT_TEXT_MAX);
        run_once(&run, KIT_MODEL, what, &state);
        if (mode == 0)
            text_append_bytes(&first, state.bytes, state.size);
        ck_assert_msg(strcmp(first.bytes, state.bytes) == 0, "%s: the state is\n%s, expected\n%s",
                      what, state.bytes, first.bytes);
        text_done(&state);
    }
    text_done(&first);
    verify_real(test);
}
