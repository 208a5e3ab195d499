/*
 * What a TaskManager needs to run one attempt of one subtask. Made by the scheduler, carried by the
 * deploy message, read by the task runtime. Plain data, owned by whoever holds it.
 *
 * A channel connects one producing with one consuming attempt over one edge of the graph. Both ends
 * name both attempts; a consumer accepts data only from the attempt named here.
 */
#ifndef COMMON_GRAPH_DEPLOYMENT_H
#define COMMON_GRAPH_DEPLOYMENT_H

#include "common/graph/job_graph.h"
#include "common/graph/task_state.h"

struct channel_peer {
    uint32_t subtask_index;    /* of the peer */
    struct attempt_id attempt; /* of the peer */
    struct id128 task_manager; /* incarnation that runs the peer */
    char *data_address;        /* "host:port" of that TaskManager's exchange */
};

/* The channels of one edge at this subtask, ordered by the peer's subtask index. */
struct channel_group {
    uint32_t edge; /* index into job_graph.edges */
    struct channel_peer *peers;
    uint32_t peer_count;
};

struct task_deployment {
    struct job_id job;
    struct attempt_id attempt;
    uint32_t vertex; /* index into job_graph.vertices */
    uint32_t subtask_index;
    uint32_t slot; /* index of the TaskManager's slot */
    struct channel_group *inputs;
    uint32_t input_count;
    struct channel_group *outputs;
    uint32_t output_count;
    struct checkpoint_id restore; /* 0: start empty */
    struct task_state *state;     /* of this subtask in that checkpoint; NULL if none */
    struct checkpoint_id floor;   /* barriers below it are ignored */
};

void task_deployment_done(struct task_deployment *deployment);

#endif
