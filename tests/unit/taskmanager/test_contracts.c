/* What operators may use though no built-in one does yet: two inputs, named outputs, timers. */
#include "common/base/allocate.h"
#include "taskmanager/task_backend.h"
#include "taskmanager/task_runtime.h"
#include "tests/kit/task_kit.h"

#include <check.h>
#include <stdio.h>
#include <unistd.h>

#define WAIT_MS  20000
#define ROWS     "1000"
#define SUBTASKS 2
#define TASKS    (1 + 1 + SUBTASKS + SUBTASKS)

/* Wall time runs as the machine's, `ahead_ms` later. */
static _Atomic int64_t ahead_ms;

static int64_t now_us(const struct clock *clock)
{
    (void)clock;
    return clock_now_us(clock_system());
}

static int64_t wall_ms(const struct clock *clock)
{
    (void)clock;
    return clock_wall_ms(clock_system()) + ahead_ms;
}

static const struct clock shifted = {.now_us = now_us, .wall_ms = wall_ms};

/* Two sources, hashed into alarm; a sink chained to its first output, another behind its second. */
static struct job_graph *alarm_job(void)
{
    struct job_graph *graph = kit_graph_create();
    uint32_t sources[2];
    for (uint32_t i = 0; i < 2; i++)
        sources[i] =
            kit_add_operator(graph, i == 0 ? "left" : "right", "source", 1, 0, true, "connector",
                             "numbers", "connector.rows", ROWS, "connector.endless", "1", NULL);
    const uint32_t alarm = kit_add_operator(graph, "alarm", "alarm", SUBTASKS, 2, true, NULL);
    struct operator_spec *spec = &graph->operators[alarm];
    spec->keys = allocate_array(2, sizeof(char *));
    spec->keys[0] = copy_text("key");
    spec->key_count = 1;
    spec->outputs = reallocate_array(spec->outputs, 2, sizeof(*spec->outputs));
    spec->outputs[1] = (struct operator_output){copy_text("side"), kit_row_schema()};
    spec->output_count = 2;
    const uint32_t first = kit_add_operator(graph, "first", "sink", SUBTASKS, 1, false, "connector",
                                            "collect", "connector.target", "0", NULL);
    const uint32_t side = kit_add_operator(graph, "second", "sink", SUBTASKS, 1, false, "connector",
                                           "collect", "connector.target", "1", NULL);
    kit_add_edge(graph, sources[0], alarm, PARTITION_HASH, false);
    kit_add_edge(graph, sources[1], alarm, PARTITION_HASH, false);
    graph->edges[1].to_input = 1;
    kit_add_edge(graph, alarm, first, PARTITION_FORWARD, true);
    kit_add_edge(graph, alarm, side, PARTITION_HASH, false);
    graph->edges[3].from_output = 1;
    kit_add_vertex(graph, sources[0], 1);
    kit_add_vertex(graph, sources[1], 1);
    kit_add_vertex(graph, alarm, 2);
    kit_add_vertex(graph, side, 1);
    struct error err;
    ck_assert_msg(job_graph_check(graph, &err) == STATUS_OK, "%s", err.message);
    return graph;
}

static void deploy(struct task_runtime *runtime, struct shared_job_graph *shared,
                   const struct task_state *states, uint32_t state_count)
{
    const struct kit_node node = {.incarnation = {.bytes = {1}}};
    const struct job_graph *graph = shared->graph;
    for (uint32_t v = 0; v < graph->vertex_count; v++) {
        for (uint32_t i = 0; i < graph->vertices[v].parallelism; i++) {
            struct task_deployment *deployment = kit_deployment(graph, v, i, SUBTASKS, &node, 1);
            for (uint32_t j = 0; j < state_count; j++) {
                if (!id128_equals(states[j].vertex, graph->vertices[v].id) ||
                    states[j].subtask_index != i)
                    continue;
                deployment->restore.value = 1;
                deployment->state = allocate(sizeof(*deployment->state));
                task_state_copy(deployment->state, &states[j]);
            }
            struct error err;
            ck_assert_msg(task_runtime_deploy(runtime, deployment, shared, &err) == STATUS_OK, "%s",
                          err.message);
        }
    }
}

static void each_task(struct task_runtime *runtime, const struct job_graph *graph, bool is_cancel)
{
    const struct barrier barrier = {.id = {1}};
    for (uint32_t v = 0; v < graph->vertex_count; v++) {
        for (uint32_t i = 0; i < graph->vertices[v].parallelism; i++) {
            if (is_cancel)
                task_runtime_cancel(runtime, kit_attempt(v, i));
            else
                task_runtime_trigger(runtime, kit_attempt(v, i), &barrier);
        }
    }
}

static void wait_rows(uint32_t collector, uint64_t rows, const struct kit_events *events)
{
    for (unsigned i = 0; i < WAIT_MS && kit_collector_rows(collector) < rows; i++)
        (void)usleep(1000);
    ck_assert_msg(kit_collector_rows(collector) == rows, "%llu rows, expected %llu; %s",
                  (unsigned long long)kit_collector_rows(collector), (unsigned long long)rows,
                  events->error.message);
}

/* After the restore, an hour too late: 100 keys have four timers each, fired once and in order. */
static void check_fired(void)
{
    ck_assert_uint_eq(kit_alarm_fired, 400);
    ck_assert_uint_eq(kit_alarm_disorder, 0);
    ck_assert_uint_eq(kit_alarm_restored_rows, 2000);
    ck_assert_uint_eq(kit_collector_rows(0), 0);
    for (int64_t key = 0; key < 100; key++) {
        ck_assert_uint_eq(kit_collectors[1].counts[key], 4);
        ck_assert_int_eq(kit_collectors[1].sums[key], 0 + 2 + 3 + 4);
    }
}

static void remove_root(struct file_store *store, const char *root)
{
    struct error err;
    store->ops->destroy(store);
    ck_assert(file_store_local_create("/tmp", &store, &err) == STATUS_OK);
    ck_assert(store->ops->remove_tree(store, root + sizeof("/tmp/") - 1, &err) == STATUS_OK);
    store->ops->destroy(store);
}

START_TEST(timers_survive_and_fire_once_in_order)
{
    char root[] = "/tmp/contracts-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(root));
    struct error err = {0};
    SCOPED_TEXT char *storage = format_text("%s/storage", root);
    struct file_store *store = NULL;
    ck_assert(file_store_local_create(storage, &store, &err) == STATUS_OK);
    struct kit_events events;
    kit_events_init(&events);
    struct memory_account exchange;
    struct memory_account tasks;
    memory_account_init(&exchange, "exchange", NULL, 16 << 20);
    memory_account_init(&tasks, "tasks", NULL, 64 << 20);
    struct task_backend_config backends = {
        .kind = _i == 0 ? STATE_BACKEND_ROCKSDB : STATE_BACKEND_MEMORY,
        .directory = root,
        .cache_bytes = 1 << 20,
        .queue_bytes = 1 << 20,
        .store = store,
        .clock = &shifted,
    };
    const struct task_runtime_config config = {
        .slot_count = SUBTASKS,
        .blocking_thread_max = 4,
        .cluster_id = "test",
        .incarnation = {.bytes = {1}},
        .exchange = &exchange,
        .tasks = &tasks,
        .max_record_bytes = 16 << 20,
        .operators = kit_operators,
        .connectors = &kit_connectors,
        .clock = &shifted,
        .open_backend = task_backend_open,
        .backend_context = &backends,
        .on_event = kit_on_event,
        .event_context = &events,
    };
    struct task_runtime *runtime = NULL;
    ck_assert_msg(task_runtime_create(&config, &runtime, &err) == STATUS_OK, "%s", err.message);
    ahead_ms = 0;
    kit_alarm_base_ms = clock_wall_ms(clock_system()) + 3600 * 1000;
    kit_alarm_fired = kit_alarm_disorder = kit_alarm_restored_rows = 0;
    kit_collector_reset(0);
    kit_collector_reset(1);
    kit_generation++;
    struct shared_job_graph *graph = shared_job_graph_create(alarm_job());
    deploy(runtime, graph, NULL, 0);
    wait_rows(0, 1000, &events); /* input 0, on output 0 */
    wait_rows(1, 1000, &events); /* input 1, on output 1 */
    each_task(runtime, graph->graph, false);
    ck_assert_msg(kit_wait(&events, &events.acknowledged[1], TASKS, WAIT_MS), "%s",
                  events.error.message);
    each_task(runtime, graph->graph, true);
    ck_assert(kit_wait(&events, &events.phases[TASK_PHASE_CANCELED], TASKS, WAIT_MS));
    ck_assert_uint_eq(kit_alarm_fired, 0);
    kit_collector_reset(0);
    kit_collector_reset(1);
    kit_generation++;
    ahead_ms = 2 * 3600 * 1000;
    deploy(runtime, graph, events.states, events.state_count);
    wait_rows(1, 400, &events);
    (void)usleep(50000);
    check_fired();
    task_runtime_destroy(runtime);
    shared_job_graph_unref(graph);
    kit_events_done(&events);
    ck_assert_uint_eq(memory_used(&tasks), 0);
    remove_root(store, root);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contracts");
    TCase *tests = tcase_create("contracts");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, timers_survive_and_fire_once_in_order, 0, 2);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
