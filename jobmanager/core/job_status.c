/* The states of jobs and tasks as tables. */
#include "jobmanager/core/job_status.h"

#include "common/base/check.h"

#define NEXT(status) (1U << (status))

struct state_rule {
    const char *name;
    unsigned next; /* bits of the states that may follow */
};

static const struct state_rule job_rules[JOB_STATUS_COUNT] = {
    [JOB_INITIALIZING] = {"INITIALIZING", NEXT(JOB_CREATED) | NEXT(JOB_FAILED) |
                                              NEXT(JOB_CANCELLING) | NEXT(JOB_FAILING)},
    [JOB_CREATED] = {"CREATED", NEXT(JOB_RUNNING) | NEXT(JOB_CANCELLING) | NEXT(JOB_FAILING)},
    [JOB_RUNNING] = {"RUNNING", NEXT(JOB_RESTARTING) | NEXT(JOB_FAILING) | NEXT(JOB_CANCELLING) |
                                    NEXT(JOB_FINISHED)},
    [JOB_FAILING] = {"FAILING", NEXT(JOB_FAILED) | NEXT(JOB_CANCELLING)},
    [JOB_FAILED] = {"FAILED", 0},
    [JOB_CANCELLING] = {"CANCELLING", NEXT(JOB_CANCELED)},
    [JOB_CANCELED] = {"CANCELED", 0},
    [JOB_FINISHED] = {"FINISHED", 0},
    [JOB_RESTARTING] = {"RESTARTING", NEXT(JOB_RUNNING) | NEXT(JOB_FAILING) | NEXT(JOB_CANCELLING)},
};

/* Inside one attempt. A TaskManager's loss ends any of its attempts as FAILED. */
static const unsigned task_next[TASK_STATUS_COUNT] = {
    [TASK_CREATED] = NEXT(TASK_SCHEDULED) | NEXT(TASK_CANCELED),
    [TASK_SCHEDULED] = NEXT(TASK_DEPLOYING) | NEXT(TASK_CANCELED),
    [TASK_DEPLOYING] =
        NEXT(TASK_INITIALIZING) | NEXT(TASK_RUNNING) | NEXT(TASK_CANCELING) | NEXT(TASK_FAILED),
    [TASK_INITIALIZING] = NEXT(TASK_RUNNING) | NEXT(TASK_CANCELING) | NEXT(TASK_FAILED),
    [TASK_RUNNING] = NEXT(TASK_FINISHED) | NEXT(TASK_CANCELING) | NEXT(TASK_FAILED),
    [TASK_CANCELING] = NEXT(TASK_CANCELED) | NEXT(TASK_FAILED) | NEXT(TASK_FINISHED),
    [TASK_FINISHED] = 0,
    [TASK_CANCELED] = 0,
    [TASK_FAILED] = 0,
};

const char *job_status_name(enum job_status status)
{
    CHECK((unsigned)status < JOB_STATUS_COUNT);
    return job_rules[status].name;
}

bool job_status_is_terminal(enum job_status status)
{
    CHECK((unsigned)status < JOB_STATUS_COUNT);
    return job_rules[status].next == 0;
}

bool job_status_may_follow(enum job_status from, enum job_status to)
{
    return (job_rules[from].next & NEXT(to)) != 0;
}

bool task_status_may_follow(enum task_status from, enum task_status to)
{
    return (task_next[from] & NEXT(to)) != 0;
}
