/*
 * Runs the enumerators of sources: one thread for each that is active, which opens it, calls
 * discover now and again every interval, and ends after the last splits. What is not there yet is
 * reported and tried again with a growing pause.
 */
#ifndef JOBMANAGER_DISCOVERY_H
#define JOBMANAGER_DISCOVERY_H

#include "common/api/connector.h"
#include "common/config/secrets.h"
#include "common/graph/source_split.h"

#define DISCOVERY_PAUSE_FIRST_MS 100
#define DISCOVERY_PAUSE_MAX_MS   10000

/* One answer of an enumerator. Owned by the receiver: discovery_result_destroy. */
struct discovery_result {
    struct job_id job;
    uint32_t operator_index;
    uint64_t enumerator;
    enum status code;
    struct error err;
    struct source_split_list splits;
    bool is_last;
};
void discovery_result_destroy(struct discovery_result *result);

/* On an enumerator's thread; takes the result. */
typedef void (*discovery_done)(void *context, struct discovery_result *result);

struct discovery;

/* secrets: where ${secret:NAME} is looked up; its directory outlives this. */
struct discovery *discovery_create(const struct connector_registry *registry,
                                   const struct secret_places *secrets, discovery_done done,
                                   void *context)
    __attribute__((returns_nonnull, warn_unused_result));
/* graph: taken; the enumerator reads its operator's spec until it is stopped. is_resumed: a
 * checkpoint knows splits that were found before. */
void discovery_start(struct discovery *discovery, struct job_id job, uint32_t operator_index,
                     uint64_t enumerator, bool is_resumed, struct job_graph *graph);
/* Does not wait; a result on its way may still arrive (the core ignores ids it has stopped). */
void discovery_stop(struct discovery *discovery, uint64_t enumerator);
/* Waits for all threads. */
void discovery_destroy(struct discovery *discovery);

#endif
