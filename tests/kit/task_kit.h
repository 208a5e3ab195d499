/*
 * What the tests of the task runtime run: small job graphs, a source of numbered rows, a sink that
 * counts and can be stalled, an operator that stops at every row, and a recorder of events.
 *
 * Rows are (key STRING, value BIGINT): value counts up from 0 in each subtask of the source, key is
 * "k<value mod keys>".
 */
#ifndef TESTS_KIT_TASK_KIT_H
#define TESTS_KIT_TASK_KIT_H

#include "common/api/connector.h"
#include "taskmanager/task_runtime.h"

#include <pthread.h>

/* ---- graphs ---- */

struct schema *kit_row_schema(void);
struct batch *kit_rows(int64_t first, uint32_t count, uint32_t keys);

/* All of them at that many subtasks; settings: pairs of key and value, ending in NULL. */
uint32_t kit_add_operator(struct job_graph *graph, const char *uid, const char *kind,
                          uint32_t parallelism, uint32_t input_count, bool has_output, ...)
    __attribute__((sentinel));
void kit_add_edge(struct job_graph *graph, uint32_t from, uint32_t to,
                  enum partitioning partitioning, bool is_chained);
/* A vertex of consecutive operators. */
void kit_add_vertex(struct job_graph *graph, uint32_t first, uint32_t count);
struct job_graph *kit_graph_create(void);
void kit_add_config(struct job_graph *graph, const char *key, const char *value);

/* The deployment of one subtask. Attempts are kit_attempt(vertex, subtask); peers of subtask i run
 * on nodes[i % node_count]. */
struct kit_node {
    struct id128 incarnation;
    const char *address;
};
extern uint64_t kit_generation; /* raised for a new start: attempts are never used twice */
struct attempt_id kit_attempt(uint32_t vertex, uint32_t subtask);
struct task_deployment *kit_deployment(const struct job_graph *graph, uint32_t vertex,
                                       uint32_t subtask, uint32_t slot_count,
                                       const struct kit_node *nodes, uint32_t node_count);

/* ---- connectors and operators ---- */

extern const struct connector_registry kit_connectors;
extern const struct operator_ops *const kit_operators[];
/* See alarm_operator.c. */
extern const struct operator_ops kit_alarm_operator;
extern int64_t kit_alarm_base_ms;
extern _Atomic uint64_t kit_alarm_fired;
extern _Atomic uint64_t kit_alarm_disorder; /* fired before an earlier one of the subtask */
extern _Atomic uint64_t kit_alarm_restored_rows;

#define KIT_KEYS_MAX     1024
#define KIT_SUBTASKS_MAX 16

/* What the sinks of one test share; found by the setting "connector.target" (an index). */
struct kit_collector {
    pthread_mutex_t mutex;
    uint64_t row_count;
    uint64_t counts[KIT_KEYS_MAX];
    int64_t sums[KIT_KEYS_MAX];
    int64_t last[KIT_KEYS_MAX][KIT_SUBTASKS_MAX]; /* last value of a key per sink subtask */
    int32_t owner[KIT_KEYS_MAX]; /* subtask that got the key, -1 none, -2 several */
    bool is_out_of_order;
    uint64_t written_at_barrier[64]; /* rows when checkpoint n passed, all subtasks */
    uint64_t committed;              /* newest id told to all calls */
    uint32_t finished_count;
    uint64_t flush_count;
    bool is_stalled; /* writers answer STEP_WAIT */
    struct operator_env *writers[KIT_SUBTASKS_MAX];
    uint32_t writer_count;
};

#define KIT_COLLECTORS 8
extern struct kit_collector kit_collectors[KIT_COLLECTORS];
void kit_collector_reset(uint32_t index);
void kit_collector_stall(uint32_t index, bool is_stalled);
uint64_t kit_collector_rows(uint32_t index);
uint64_t kit_collector_flushes(uint32_t index);

/* ---- events ---- */

struct kit_events {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t phases[8]; /* how many attempts reported that phase */
    uint32_t drained;
    uint32_t acknowledged[64]; /* by checkpoint id */
    uint32_t acknowledged_finished[64];
    uint32_t declined[64];
    uint32_t committed[64];
    struct error error; /* of the first failure */
    struct id128 lost_peer;
    struct task_state states[64]; /* acknowledged, oldest first */
    uint32_t state_count;
};
void kit_events_init(struct kit_events *events);
void kit_events_done(struct kit_events *events);
void kit_on_event(void *context, const struct task_event *event);
/* Waits until *counter (in events) is at least `count`; false after timeout_ms. */
bool kit_wait(struct kit_events *events, const uint32_t *counter, uint32_t count,
              int64_t timeout_ms);

#endif
