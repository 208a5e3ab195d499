/*
 * The source and the sink that stand for those of a job under test. They find what they read and
 * where they write by the name of their node in the run under way, of which there is one at a time
 * in a process.
 *
 * The source gives each row in a batch of its own, in the first subtask; a step `watermark` says
 * that time has come so far. The sink keeps rows as text; in a run that fails on purpose only what
 * a completed checkpoint holds.
 */
#ifndef CLIENT_TEST_CONNECTORS_H
#define CLIENT_TEST_CONNECTORS_H

#include "common/api/connector.h"
#include "common/config/yaml.h"

#include <pthread.h>

#define TEST_NODE_MAX       64
#define TEST_CONNECTOR      "test"
#define TEST_ROWS_BYTES_MAX (64 * 1024 * 1024)

struct test_script {
    const char *node;
    const struct yaml_node *steps; /* a list */
};

/* What a sink got, a line each; in order of each subtask. */
struct test_output {
    const char *node;
    struct text rows;
};

struct test_run {
    const struct test_script *scripts;
    size_t script_count;
    struct test_output *outputs;
    size_t output_count;
    bool has_checkpoints; /* sources wait for some of them */
    bool must_fail;       /* once, half-way */
    /* Below: of the run itself. */
    pthread_mutex_t mutex;
    bool has_failed;
    uint64_t committed[TEST_NODE_MAX][256]; /* by output and subtask: the last checkpoint */
};

/* Before a run; run outlives it. */
void test_connectors_use(struct test_run *run);

extern const struct connector_registry test_connector_registry;

#endif
