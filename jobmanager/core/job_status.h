/* Flink's states of a job and of a task, and which may follow which. */
#ifndef JOBMANAGER_CORE_JOB_STATUS_H
#define JOBMANAGER_CORE_JOB_STATUS_H

#include "common/rpc/message.h"

enum job_status {
    JOB_INITIALIZING, /* being stored, or read from the store */
    JOB_CREATED,      /* waits for its first slots */
    JOB_RUNNING,
    JOB_FAILING,
    JOB_FAILED,
    JOB_CANCELLING,
    JOB_CANCELED,
    JOB_FINISHED,
    JOB_RESTARTING, /* a part of it or all is to run again */
    JOB_STATUS_COUNT,
};

const char *job_status_name(enum job_status status); /* "RUNNING" */
bool job_status_is_terminal(enum job_status status);
bool job_status_may_follow(enum job_status from, enum job_status to);
bool task_status_may_follow(enum task_status from, enum task_status to);

#endif
