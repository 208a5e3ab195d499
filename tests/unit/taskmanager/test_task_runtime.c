/* Whole jobs through the task runtime: in one process, and in two over both transports. */
#include "common/base/allocate.h"
#include "common/base/random.h"
#include "common/io/frame.h"
#include "common/io/transport_memory.h"
#include "taskmanager/task_runtime.h"
#include "tests/kit/task_kit.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NODES_MAX 2
#define WAIT_MS   20000

/* One or two TaskManagers and a job on them. */
struct cluster {
    uint32_t node_count;
    uint32_t slot_count;
    struct transport *transports[NODES_MAX];
    struct memory_account exchange[NODES_MAX];
    struct memory_account tasks;
    struct task_runtime *runtimes[NODES_MAX];
    struct kit_node nodes[NODES_MAX];
    struct kit_events events;
    struct shared_job_graph *graph;
    uint32_t task_count;
};

static void start_cluster(struct cluster *cluster, uint32_t node_count,
                          struct transport *const *transports, const char *address)
{
    *cluster = (struct cluster){.node_count = node_count, .slot_count = 2};
    kit_events_init(&cluster->events);
    memory_account_init(&cluster->tasks, "tasks", NULL, 64 << 20);
    for (uint32_t i = 0; i < node_count; i++) {
        memory_account_init(&cluster->exchange[i], "exchange", NULL, 16 << 20);
        cluster->nodes[i].incarnation.bytes[0] = (uint8_t)(i + 1);
        cluster->transports[i] = transports[i];
        const struct task_runtime_config config = {
            .slot_count = cluster->slot_count,
            .blocking_thread_max = 4,
            .cluster_id = "test",
            .incarnation = cluster->nodes[i].incarnation,
            .transport = transports[i],
            .data_address = address,
            .exchange = &cluster->exchange[i],
            .tasks = &cluster->tasks,
            .max_record_bytes = 16 << 20,
            .operators = kit_operators,
            .connectors = &kit_connectors,
            .clock = clock_system(),
            .on_event = kit_on_event,
            .event_context = &cluster->events,
        };
        struct error err;
        ck_assert_msg(task_runtime_create(&config, &cluster->runtimes[i], &err) == STATUS_OK, "%s",
                      err.message);
        cluster->nodes[i].address = task_runtime_data_address(cluster->runtimes[i]);
    }
    kit_collector_reset(0);
}

static struct task_runtime *runtime_of(struct cluster *cluster, uint32_t subtask)
{
    return cluster->runtimes[subtask % cluster->node_count];
}

static void deploy_vertex(struct cluster *cluster, uint32_t vertex, const struct task_state *states)
{
    const struct job_graph *graph = cluster->graph->graph;
    for (uint32_t i = 0; i < graph->vertices[vertex].parallelism; i++) {
        struct task_deployment *deployment = kit_deployment(graph, vertex, i, cluster->slot_count,
                                                            cluster->nodes, cluster->node_count);
        for (uint32_t j = 0; states != NULL && j < 64; j++) {
            if (!id128_equals(states[j].vertex, graph->vertices[vertex].id) ||
                states[j].subtask_index != i)
                continue;
            deployment->restore.value = 1;
            deployment->state = allocate(sizeof(*deployment->state));
            task_state_copy(deployment->state, &states[j]);
        }
        struct error err;
        ck_assert_msg(task_runtime_deploy(runtime_of(cluster, i), deployment, cluster->graph,
                                          &err) == STATUS_OK,
                      "%s", err.message);
        cluster->task_count++;
    }
}

static void deploy(struct cluster *cluster, struct job_graph *graph)
{
    cluster->graph = shared_job_graph_create(graph);
    for (uint32_t vertex = 0; vertex < graph->vertex_count; vertex++)
        deploy_vertex(cluster, vertex, NULL);
}

typedef void (*command_fn)(struct task_runtime *runtime, struct attempt_id attempt, uint64_t id);

static void send_all(struct cluster *cluster, command_fn command, uint64_t id)
{
    const struct job_graph *graph = cluster->graph->graph;
    for (uint32_t vertex = 0; vertex < graph->vertex_count; vertex++) {
        for (uint32_t i = 0; i < graph->vertices[vertex].parallelism; i++)
            command(runtime_of(cluster, i), kit_attempt(vertex, i), id);
    }
}

static void trigger(struct task_runtime *runtime, struct attempt_id attempt, uint64_t id)
{
    const struct barrier barrier = {.id = {id}};
    task_runtime_trigger(runtime, attempt, &barrier);
}

static void abort_checkpoint(struct task_runtime *runtime, struct attempt_id attempt, uint64_t id)
{
    task_runtime_abort(runtime, attempt, (struct checkpoint_id){id});
}

static void completed(struct task_runtime *runtime, struct attempt_id attempt, uint64_t id)
{
    task_runtime_completed(runtime, attempt, (struct checkpoint_id){id});
}

static void finish(struct task_runtime *runtime, struct attempt_id attempt, uint64_t id)
{
    (void)id;
    task_runtime_finish(runtime, attempt);
}

static void cancel(struct task_runtime *runtime, struct attempt_id attempt, uint64_t id)
{
    (void)id;
    task_runtime_cancel(runtime, attempt);
}

static void stop_cluster(struct cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->node_count; i++)
        task_runtime_destroy(cluster->runtimes[i]);
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        ck_assert_uint_eq(memory_used(&cluster->exchange[i]), 0);
        /* Several nodes may share one. */
        if (cluster->transports[i] != NULL &&
            (i == 0 || cluster->transports[i] != cluster->transports[0]))
            cluster->transports[i]->ops->destroy(cluster->transports[i]);
    }
    ck_assert_uint_eq(memory_used(&cluster->tasks), 0);
    shared_job_graph_unref(cluster->graph);
    kit_events_done(&cluster->events);
}

/* source(p) - hash -> halting -> sink(q): two vertices, the second a chain. */
static struct job_graph *count_job(uint32_t sources, uint32_t sinks, const char *rows)
{
    struct job_graph *graph = kit_graph_create();
    const uint32_t source = kit_add_operator(graph, "numbers", "source", sources, 0, true,
                                             "connector", "numbers", "connector.rows", rows, NULL);
    const uint32_t halting = kit_add_operator(graph, "halting", "halting", sinks, 1, true, NULL);
    const uint32_t sink =
        kit_add_operator(graph, "collect", "sink", sinks, 1, false, "connector", "collect", NULL);
    kit_add_edge(graph, source, halting, PARTITION_HASH, false);
    kit_add_edge(graph, halting, sink, PARTITION_FORWARD, true);
    kit_add_vertex(graph, source, 1);
    kit_add_vertex(graph, halting, 2);
    struct error err;
    ck_assert_msg(job_graph_check(graph, &err) == STATUS_OK, "%s", err.message);
    return graph;
}

static void check_counts(uint32_t sources, int64_t rows)
{
    const struct kit_collector *collector = &kit_collectors[0];
    ck_assert_uint_eq(collector->row_count, (uint64_t)rows * sources);
    for (int64_t key = 0; key < 100; key++) {
        ck_assert_uint_eq(collector->counts[key], (uint64_t)(rows / 100) * sources);
        const int64_t n = rows / 100;
        ck_assert_int_eq(collector->sums[key], (n * key + 100 * (n * (n - 1) / 2)) * sources);
        ck_assert_int_ge(collector->owner[key], 0);
    }
    ck_assert(sources > 1 || !collector->is_out_of_order);
}

static void run_to_the_end(struct cluster *cluster, uint32_t sources, uint32_t sinks)
{
    deploy(cluster, count_job(sources, sinks, "20000"));
    struct kit_events *events = &cluster->events;
    ck_assert_msg(kit_wait(events, &events->drained, cluster->task_count, WAIT_MS), "%s",
                  events->error.message);
    send_all(cluster, trigger, 1);
    ck_assert(kit_wait(events, &events->acknowledged[1], cluster->task_count, WAIT_MS));
    ck_assert_uint_eq(events->acknowledged_finished[1], cluster->task_count);
    send_all(cluster, completed, 1);
    send_all(cluster, finish, 0);
    ck_assert(kit_wait(events, &events->phases[TASK_PHASE_FINISHED], cluster->task_count, WAIT_MS));
    ck_assert_uint_eq(events->committed[1], cluster->task_count);
    ck_assert_uint_eq(kit_collectors[0].finished_count, sinks);
    ck_assert_uint_eq(kit_collectors[0].committed, 1);
    check_counts(sources, 20000);
}

START_TEST(one_process)
{
    struct cluster cluster;
    struct transport *none[] = {NULL};
    start_cluster(&cluster, 1, none, NULL);
    run_to_the_end(&cluster, 2, 3);
    stop_cluster(&cluster);
}
END_TEST

static void start_two(struct cluster *cluster, bool is_memory)
{
    struct transport *first = is_memory ? transport_memory_create() : transport_socket_create();
    struct transport *both[] = {first, is_memory ? first : transport_socket_create()};
    start_cluster(cluster, 2, both, is_memory ? "memory://tm:0" : "127.0.0.1:0");
}

/* _i: 0 memory, 1 sockets. */
START_TEST(two_processes)
{
    struct cluster cluster;
    start_two(&cluster, _i == 0);
    run_to_the_end(&cluster, 2, 4);
    stop_cluster(&cluster);
}
END_TEST

/* Rows that the tasks have read; what they hold meanwhile is bounded. */
static uint64_t read_rows(struct cluster *cluster)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 2; i++) {
        struct task_status_line lines[8];
        const uint32_t count = task_runtime_read(cluster->runtimes[i], lines, 8);
        for (uint32_t j = 0; j < count; j++)
            sum += lines[j].counters.rows_in;
        ck_assert_uint_lt(memory_used(&cluster->exchange[i]), 8 << 20);
    }
    return sum;
}

START_TEST(stalled_consumer_slows_the_source)
{
    struct cluster cluster;
    start_two(&cluster, _i == 0);
    kit_collector_stall(0, true);
    deploy(&cluster, count_job(2, 2, "4000000"));
    struct kit_events *events = &cluster.events;
    ck_assert(kit_wait(events, &events->phases[TASK_PHASE_RUNNING], cluster.task_count, WAIT_MS));
    /* However slow the machine, everybody waits in the end, and long before the last row. */
    uint64_t before = 0;
    for (uint64_t now = 0; now == 0 || now != before; now = read_rows(&cluster)) {
        ck_assert_uint_lt(now, 4000000);
        before = now;
        usleep(200000);
    }
    ck_assert_uint_eq(kit_collector_rows(0), 0);
    kit_collector_stall(0, false);
    for (int i = 0; i < 200 && kit_collector_rows(0) < 50000; i++)
        usleep(20000);
    ck_assert_uint_ge(kit_collector_rows(0), 50000);
    send_all(&cluster, cancel, 0);
    ck_assert(kit_wait(events, &events->phases[TASK_PHASE_CANCELED], cluster.task_count, WAIT_MS));
    stop_cluster(&cluster);
}
END_TEST

START_TEST(checkpoint_and_restore)
{
    struct cluster cluster;
    start_two(&cluster, _i == 0);
    deploy(&cluster, count_job(2, 2, "4000000"));
    struct kit_events *events = &cluster.events;
    ck_assert(kit_wait(events, &events->phases[TASK_PHASE_RUNNING], cluster.task_count, WAIT_MS));
    for (uint64_t id = 1; id <= 5; id++) {
        send_all(&cluster, trigger, id);
        ck_assert_msg(kit_wait(events, &events->acknowledged[id], cluster.task_count, WAIT_MS),
                      "%u of checkpoint %u: %s", events->acknowledged[id], (unsigned)id,
                      events->error.message);
        send_all(&cluster, completed, id);
        ck_assert(kit_wait(events, &events->committed[id], cluster.task_count, WAIT_MS));
        usleep(10000);
    }
    ck_assert_uint_eq(events->acknowledged_finished[5], 0);
    /* The sources' positions: exactly what lies before the barrier. */
    int64_t next = 0;
    const uint32_t first = events->state_count - cluster.task_count;
    for (uint32_t i = first; i < events->state_count; i++) {
        const struct task_state *state = &events->states[i];
        if (strcmp(state->operators[0].uid, "numbers") != 0)
            continue;
        ck_assert_uint_eq(state->operators[0].entry_count, 1);
        const struct operator_state_entry *entry = &state->operators[0].entries[0];
        int64_t position;
        memcpy(&position, entry->bytes + entry->size - sizeof(position), sizeof(position));
        next += position;
    }
    ck_assert_int_gt(next, 0);
    send_all(&cluster, cancel, 0);
    ck_assert(kit_wait(events, &events->phases[TASK_PHASE_CANCELED], cluster.task_count, WAIT_MS));
    /* A new start from there: the rows of the rest and no others. */
    struct task_state states[64] = {0};
    memcpy(states, events->states + first, cluster.task_count * sizeof(struct task_state));
    kit_collector_reset(0);
    kit_generation++;
    cluster.task_count = 0;
    events->phases[TASK_PHASE_RUNNING] = 0;
    events->phases[TASK_PHASE_CANCELED] = 0;
    struct setting *rows = &cluster.graph->graph->operators[0].settings[1];
    free(rows->value);
    rows->value = format_text("%lld", (long long)next); /* beyond each position */
    for (uint32_t vertex = 0; vertex < 2; vertex++)
        deploy_vertex(&cluster, vertex, states);
    ck_assert_msg(kit_wait(events, &events->drained, cluster.task_count, WAIT_MS), "%s",
                  events->error.message);
    ck_assert_uint_eq(kit_collector_rows(0), (uint64_t)(2 * next - next));
    send_all(&cluster, finish, 0);
    ck_assert(kit_wait(events, &events->phases[TASK_PHASE_FINISHED], cluster.task_count, WAIT_MS));
    stop_cluster(&cluster);
}
END_TEST

START_TEST(broken_connection_fails_the_tasks)
{
    struct cluster cluster;
    start_two(&cluster, true);
    deploy(&cluster, count_job(2, 2, "4000000"));
    struct kit_events *events = &cluster.events;
    ck_assert(kit_wait(events, &events->phases[TASK_PHASE_RUNNING], cluster.task_count, WAIT_MS));
    /* A checkpoint has been through every channel: all of them are open. */
    send_all(&cluster, trigger, 1);
    ck_assert(kit_wait(events, &events->acknowledged[1], cluster.task_count, WAIT_MS));
    transport_memory_cut(cluster.transports[0], "cut by the test");
    ck_assert(kit_wait(events, &events->phases[TASK_PHASE_FAILED], cluster.task_count, WAIT_MS));
    ck_assert_int_eq(events->error.code, STATUS_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(events->error.message, "data connection with TaskManager 0"));
    ck_assert_ptr_nonnull(strstr(events->error.message, "cut by the test"));
    ck_assert(!id128_is_none(events->lost_peer));
    stop_cluster(&cluster);
}
END_TEST

START_TEST(bad_deployments_are_refused)
{
    struct cluster cluster;
    struct transport *none[] = {NULL};
    start_cluster(&cluster, 1, none, NULL);
    struct job_graph *graph = count_job(1, 1, "10");
    free(graph->operators[0].settings[0].value);
    graph->operators[0].settings[0].value = copy_text("nothing");
    cluster.graph = shared_job_graph_create(graph);
    struct error err;
    struct task_deployment *deployment = kit_deployment(graph, 0, 0, 1, cluster.nodes, 1);
    deployment->slot = 7;
    ck_assert_int_eq(task_runtime_deploy(cluster.runtimes[0], deployment, cluster.graph, &err),
                     STATUS_INVALID);
    deployment = kit_deployment(graph, 0, 0, 1, cluster.nodes, 1);
    ck_assert_int_eq(task_runtime_deploy(cluster.runtimes[0], deployment, cluster.graph, &err),
                     STATUS_OK);
    struct kit_events *events = &cluster.events;
    ck_assert(kit_wait(events, &events->phases[TASK_PHASE_FAILED], 1, WAIT_MS));
    ck_assert_ptr_nonnull(strstr(events->error.message, "knows no source 'nothing'"));
    task_runtime_cancel(cluster.runtimes[0], (struct attempt_id){99}); /* nobody: nothing */
    stop_cluster(&cluster);
}
END_TEST

/* Rows that a subtask of the first vertex has read. */
static uint64_t rows_read(struct cluster *cluster, uint32_t subtask)
{
    struct task_status_line lines[8];
    const uint32_t count = task_runtime_read(runtime_of(cluster, subtask), lines, 8);
    for (uint32_t i = 0; i < count; i++) {
        if (lines[i].attempt.value == kit_attempt(0, subtask).value)
            return lines[i].counters.rows_in;
    }
    return 0;
}

/* Waits until the subtask has read that many; true: it has. */
static bool wait_rows(struct cluster *cluster, uint32_t subtask, uint64_t rows)
{
    for (int i = 0; i < WAIT_MS / 5 && rows_read(cluster, subtask) < rows; i++)
        usleep(5000);
    return rows_read(cluster, subtask) >= rows;
}

/* The first row through an idle job waits at no hop, whatever the buffer timeout. */
START_TEST(a_row_leaves_an_idle_job_at_once)
{
    struct cluster cluster;
    start_two(&cluster, _i == 0);
    struct job_graph *graph = kit_graph_create();
    const uint32_t source =
        kit_add_operator(graph, "numbers", "source", 2, 0, true, "connector", "numbers",
                         "connector.rows", "1", "connector.endless", "1", NULL);
    const uint32_t sink =
        kit_add_operator(graph, "collect", "sink", 2, 1, false, "connector", "collect", NULL);
    kit_add_edge(graph, source, sink, PARTITION_HASH, false);
    kit_add_vertex(graph, source, 1);
    kit_add_vertex(graph, sink, 1);
    kit_add_config(graph, "execution.buffer-timeout.interval", "1 h");
    deploy(&cluster, graph);
    for (int i = 0; i < WAIT_MS && kit_collector_rows(0) < 2; i++)
        usleep(1000);
    ck_assert_uint_eq(kit_collector_rows(0), 2);
    for (int i = 0; i < WAIT_MS && kit_collector_flushes(0) == 0; i++)
        usleep(1000);
    ck_assert_uint_ge(kit_collector_flushes(0), 1);
    send_all(&cluster, cancel, 0);
    struct kit_events *events = &cluster.events;
    ck_assert(kit_wait(events, &events->phases[TASK_PHASE_CANCELED], cluster.task_count, WAIT_MS));
    stop_cluster(&cluster);
}
END_TEST

/* One source's barrier is withheld: nothing behind the other's is read, and an abort releases. */
START_TEST(alignment_holds_and_abort_releases)
{
    struct cluster cluster;
    start_two(&cluster, true);
    deploy(&cluster, count_job(2, 2, "100000000"));
    struct kit_events *events = &cluster.events;
    ck_assert(kit_wait(events, &events->phases[TASK_PHASE_RUNNING], cluster.task_count, WAIT_MS));
    const struct barrier barrier = {.id = {1}};
    task_runtime_trigger(cluster.runtimes[0], kit_attempt(0, 0), &barrier);
    ck_assert(kit_wait(events, &events->acknowledged[1], 1, WAIT_MS));
    /* Source 0 is soon stuck behind its barrier, source 1 runs on, memory stays as it is. */
    uint64_t stuck = 0;
    bool is_stuck = false;
    for (int look = 0; look < 100 && !is_stuck; look++) {
        stuck = rows_read(&cluster, 0);
        ck_assert(wait_rows(&cluster, 1, rows_read(&cluster, 1) + 10000));
        is_stuck = rows_read(&cluster, 0) == stuck;
        for (uint32_t node = 0; node < 2; node++)
            ck_assert_uint_lt(memory_used(&cluster.exchange[node]), 10 << 20);
    }
    ck_assert(is_stuck);
    ck_assert_uint_eq(events->acknowledged[1], 1);
    send_all(&cluster, abort_checkpoint, 1);
    ck_assert(wait_rows(&cluster, 0, stuck + 10000));
    send_all(&cluster, trigger, 2);
    ck_assert(kit_wait(events, &events->acknowledged[2], cluster.task_count, WAIT_MS));
    ck_assert_uint_eq(events->acknowledged[1], 1);
    send_all(&cluster, cancel, 0);
    ck_assert(kit_wait(events, &events->phases[TASK_PHASE_CANCELED], cluster.task_count, WAIT_MS));
    stop_cluster(&cluster);
}
END_TEST

/* Strangers at the data port: random bytes, wrong frames; the job, stalled meanwhile so that it
 * lasts, does not notice. */
START_TEST(strangers_harm_nobody)
{
    struct cluster cluster;
    start_two(&cluster, false);
    kit_collector_stall(0, true);
    deploy(&cluster, count_job(2, 2, "40000"));
    ck_assert(kit_wait(&cluster.events, &cluster.events.phases[TASK_PHASE_RUNNING],
                       cluster.task_count, WAIT_MS));
    struct random random;
    random_init(&random, 1);
    for (int i = 0; i < 60; i++) {
        const char *address = cluster.nodes[i % 2].address;
        struct sockaddr_in to = {
            .sin_family = AF_INET,
            .sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1)),
            .sin_addr = {htonl(INADDR_LOOPBACK)},
        };
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
        char bytes[2000];
        const size_t size = random_below(&random, sizeof(bytes));
        for (size_t j = 0; j < size; j++)
            bytes[j] = (char)random_next(&random);
        if (i % 3 == 0) { /* a right frame of the wrong kind, or a HELLO of another version */
            struct buffer *payload = buffer_create(NULL, 64);
            payload->size = 64;
            memset(payload->bytes, 9, 64);
            memcpy(payload->bytes, "MSDX", 4);
            const struct frame frame = {.kind = i % 2 == 0 ? 1 : 3, .payload = payload};
            frame_encode_header(&frame, (uint8_t *)bytes);
            memcpy(bytes + FRAME_HEADER_BYTES, payload->bytes, 64);
            buffer_unref(payload);
        }
        (void)!write(fd, bytes, size < 80 ? 80 : size);
        (void)shutdown(fd, SHUT_WR);
        while (read(fd, bytes, sizeof(bytes)) > 0) /* until it is thrown out */
            ;
        close(fd);
    }
    kit_collector_stall(0, false);
    struct kit_events *events = &cluster.events;
    ck_assert_msg(kit_wait(events, &events->drained, cluster.task_count, WAIT_MS), "%s",
                  events->error.message);
    check_counts(2, 40000);
    send_all(&cluster, finish, 0);
    ck_assert(kit_wait(events, &events->phases[TASK_PHASE_FINISHED], cluster.task_count, WAIT_MS));
    stop_cluster(&cluster);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("task_runtime");
    TCase *jobs = tcase_create("jobs");
    tcase_set_timeout(jobs, 60);
    tcase_add_test(jobs, one_process);
    tcase_add_test(jobs, bad_deployments_are_refused);
    tcase_add_loop_test(jobs, two_processes, 0, 2);
    tcase_add_loop_test(jobs, stalled_consumer_slows_the_source, 0, 2);
    tcase_add_loop_test(jobs, checkpoint_and_restore, 0, 2);
    tcase_add_test(jobs, broken_connection_fails_the_tasks);
    tcase_add_loop_test(jobs, a_row_leaves_an_idle_job_at_once, 0, 2);
    tcase_add_test(jobs, alignment_holds_and_abort_releases);
    tcase_add_test(jobs, strangers_harm_nobody);
    suite_add_tcase(suite, jobs);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
