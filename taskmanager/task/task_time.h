/*
 * Event time of a task: what its watermark operator asks for, and what of it is in a snapshot.
 *
 * An entry "event-time" (UNION, of the first operator of a task and of keyed ones, only where a
 * watermark was seen; version 1, little-endian): version u8, flags u8 (1: the task was idle),
 * subtask u32, parallelism u32, watermark i64 that the operator has dealt with. After a rescale the
 * least of all counts.
 */
#ifndef TASKMANAGER_TASK_TASK_TIME_H
#define TASKMANAGER_TASK_TASK_TIME_H

#include "common/api/operator.h"
#include "common/graph/task_state.h"

#define TASK_TIME_ENTRY "event-time"
#define TASK_TIME_BYTES 18

struct task;
struct chain_operator;

/* Before the operators open: restored watermarks, and the source's if it has event time. */
enum status task_time_build(struct task *task, struct error *err) MUST_CHECK;
/* The task runs: those behind it learn again what they had been told. */
void task_time_start(struct task *task);
/* The earliest processing-time timer of any operator; INT64_MAX: none. */
int64_t task_next_timer_ms(const struct task *task);
/* Puts the entry, if there is one to put. */
void task_time_snapshot(const struct task *task, const struct chain_operator *op,
                        struct snapshot_writer *writer);
/* What the entries of one operator say to a subtask; WATERMARK_NONE: nothing. */
enum status task_time_restored(const struct operator_state *state, uint32_t subtask_index,
                               uint32_t parallelism, int64_t *ret_watermark_ms,
                               struct error *err) MUST_CHECK;

#endif
