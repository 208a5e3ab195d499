/*
 * Files that jobs left which had ended before this leader began: of attempts that died in the
 * middle of a checkpoint, of deletions that a crash cut short.
 *
 * What such a job keeps is known only from the _metadata of its retained checkpoints, so these are
 * read first, of one job at a time (they may be large), and forgotten again. One that cannot be
 * read stops the sweep of its job: nothing is deleted that it may refer to.
 */
#include "common/base/allocate.h"
#include "jobmanager/core/core_state.h"

/* The turn is over; what was read is forgotten. */
static void end_turn(struct core *core, struct job *job)
{
    for (size_t i = 0; i < job->stored_id_count; i++)
        completed_checkpoint_destroy(take_pointer(&job->read[i]));
    job->sweep_problem = false;
    core->sweeping = (struct job_id){0};
}

void ended_job_sweep(struct core *core, struct job *job)
{
    if (job->stored_id_count == 0) {
        storage_sweep_ended(core, job);
        return;
    }
    /* A job that was forgotten meanwhile holds up nobody. */
    const bool is_mine = id128_equals(core->sweeping.value, job->id.value);
    if (!is_mine && core_find_job(core, core->sweeping) != NULL) {
        job->sweep_ms = core->now_ms + SWEEP_TURN_MS;
        job->is_cleaned_up = false;
        return;
    }
    core->sweeping = job->id;
    if (job->reading_count == 0)
        recovery_read_missing(core, job);
}

void ended_job_on_read(struct core *core, struct job *job, enum status status, const char *message)
{
    if (status != STATUS_OK) {
        /* Not there: removed by hand, or its storage is not there at the moment. */
        core_log(core, status == STATUS_NOT_FOUND ? LOG_INFO : LOG_WARN, "files_not_swept", job,
                 "%s", message);
        job->sweep_problem = true;
        if (status_retry_class(status) != RETRY_CLASS_NEVER)
            job->sweep_ms = core->now_ms + CLEANUP_RETRY_MS;
    }
    if (job->reading_count > 0)
        return;
    if (!job->sweep_problem)
        storage_sweep_ended(core, job);
    end_turn(core, job);
}
