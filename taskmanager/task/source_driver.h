/*
 * A source's reader as the first operator of a chain. Batches come from source_driver_poll, which
 * the task calls while the chain is empty; splits are entries of its snapshot.
 *
 * An entry "splits" (LIST, one per split, version 2, little-endian): version u8, size of the id
 * u32, watermark i64, flags u8 (1: idle), the id, the state. Version 1 has no watermark and flags.
 */
#ifndef TASKMANAGER_TASK_SOURCE_DRIVER_H
#define TASKMANAGER_TASK_SOURCE_DRIVER_H

#include "taskmanager/task/source_time.h"

#define SOURCE_SPLITS_ENTRY "splits"

struct source_driver {
    const struct source_connector *connector;
    const struct format *format;
    void *reader;
    bool is_open;
    bool has_restored; /* a checkpoint was read: no pseudo split is made */
    bool has_last;     /* no more splits will come */
    bool has_asked;    /* SPLITS_WANTED was reported and not answered yet */
    bool is_finished;
    bool is_paused; /* the reader cannot pause splits: it is not polled instead */
    struct source_time time;
};

extern const struct operator_ops source_driver_ops;

/* How far the reader is behind; false if it cannot know. */
bool source_driver_lag(const struct source_driver *driver, uint64_t *ret_records);

enum status source_driver_init(struct source_driver *driver, const struct operator_spec *spec,
                               const struct connector_registry *registry,
                               struct error *err) MUST_CHECK;
/* After open and restore: gives a reader that makes its own splits the one of this subtask. */
enum status source_driver_start(struct source_driver *driver, const struct operator_env *env,
                                struct error *err) MUST_CHECK;
enum status source_driver_add(struct source_driver *driver, const struct split_list *splits,
                              bool is_last, struct error *err) MUST_CHECK;

enum source_poll {
    SOURCE_BATCH,
    SOURCE_IDLE,
    SOURCE_AGAIN,
    SOURCE_WANTS_SPLITS, /* tell the JobManager; idle until they come */
    SOURCE_FINISHED,
    SOURCE_FAILED,
};
enum source_poll source_driver_poll(struct source_driver *driver, struct emitter *out,
                                    struct batch **ret_batch, struct error *err);
/* Passes over the times of the splits; the change has to go out before the next
 * batch. held_us: see source_time.h. */
struct watermark_change source_driver_pass_time(struct source_driver *driver, int64_t now_us,
                                                int64_t held_us);
/* Splits wait beyond that event time, from the next pass on. */
void source_driver_align(struct source_driver *driver, int64_t limit_ms);
/* After SOURCE_IDLE: when to poll without a wake; INT64_MAX: never. */
int64_t source_driver_wake_us(const struct source_driver *driver);

#endif
