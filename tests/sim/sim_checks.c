/* What must hold of the JobManager: of its stores, of what it sends, and of how jobs end. */
#include "jobmanager/checkpoint/metadata_codec.h"
#include "jobmanager/core/job_store_format.h"
#include "jobmanager/core/snapshot.h"
#include "tests/sim/sim.h"

/* ---- stores ---- */

static bool read_record(struct sim *sim, const struct sim_job *job, struct stored_job *ret_record)
{
    char id[ID_TEXT_SIZE];
    struct error err;
    id128_format(job->id.value, id);
    SCOPED_TEXT char *path = format_text("jobs/%s/state", id);
    const struct sim_file *file = sim_store_find(&sim->job_store, path);
    if (file == NULL)
        return false;
    if (stored_job_decode(file->bytes, file->size, path, ret_record, &err) == STATUS_OK)
        return true;
    sim_violate(sim, "job record: %s", err.message);
    return false;
}

static void check_checkpoint(struct sim *sim, const struct sim_job *job, uint64_t number,
                             const char *when)
{
    char id[ID_TEXT_SIZE];
    struct error err;
    struct checkpoint_metadata metadata = {0};
    id128_format(job->id.value, id);
    SCOPED_TEXT char *path = format_text("%s/chk-%llu/_metadata", id, (unsigned long long)number);
    const struct sim_file *file = sim_store_find(&sim->checkpoints, path);
    if (file == NULL) {
        sim_violate(sim, "%s: %s is missing", when, path);
        return;
    }
    if (checkpoint_metadata_decode(file->bytes, file->size, path, &metadata, &err) != STATUS_OK) {
        sim_violate(sim, "%s: %s", when, err.message);
        return;
    }
    for (size_t i = 0; i < metadata.checkpoint->task_count; i++) {
        const struct keyed_state_handle *keyed = &metadata.checkpoint->tasks[i].keyed;
        for (size_t j = 0; j < keyed->file_count; j++) {
            SCOPED_TEXT char *name = format_text("%s/%s", id, keyed->files[j].path);
            if (sim_store_find(&sim->checkpoints, name) == NULL)
                sim_violate(sim, "%s: checkpoint %llu refers to %s, which is gone", when,
                            (unsigned long long)number, name);
        }
    }
    checkpoint_metadata_done(&metadata);
}

/* What the store names can be restored. */
void sim_check_retained(struct sim *sim, const char *when)
{
    SCOPED(free) void *memory = allocate(sizeof(struct stored_job));
    struct stored_job *record = memory;
    for (uint32_t j = 0; j < sim->job_count; j++) {
        if (!read_record(sim, &sim->jobs[j], record))
            continue;
        for (size_t i = 0; i < record->retained_count; i++)
            check_checkpoint(sim, &sim->jobs[j], record->retained[i], when);
        stored_job_done(record);
    }
}

uint64_t sim_newest_retained(struct sim *sim, const struct sim_job *job)
{
    SCOPED(free) void *memory = allocate(sizeof(struct stored_job));
    struct stored_job *record = memory;
    uint64_t newest = 0;
    if (!read_record(sim, job, record))
        return 0;
    for (size_t i = 0; i < record->retained_count; i++)
        newest = record->retained[i] > newest ? record->retained[i] : newest;
    stored_job_done(record);
    return newest;
}

static void check_announced(struct sim *sim, const struct sim_job *job, uint64_t number)
{
    SCOPED(free) void *memory = allocate(sizeof(struct stored_job));
    struct stored_job *record = memory;
    bool is_named = false;
    if (read_record(sim, job, record)) {
        for (size_t i = 0; i < record->retained_count; i++)
            is_named |= record->retained[i] == number;
        stored_job_done(record);
    }
    if (!is_named)
        sim_violate(sim, "checkpoint %llu was announced, but the store does not name it",
                    (unsigned long long)number);
    check_checkpoint(sim, job, number, "announced");
}

void sim_check_sent(struct sim *sim, const struct message *message)
{
    if (message->kind != MESSAGE_TRIGGER && message->kind != MESSAGE_COMPLETED)
        return;
    struct sim_job *job = sim_find_job(sim, message->job);
    const uint64_t checkpoint = message->checkpoint.checkpoint.value;
    if (message->kind == MESSAGE_COMPLETED) {
        check_announced(sim, job, checkpoint);
        sim->completed_count++;
        return;
    }
    if (!job->checkpoints_on)
        sim_violate(sim, "checkpoint %llu of a job without checkpoints",
                    (unsigned long long)checkpoint);
    if (checkpoint < job->newest_checkpoint ||
        (checkpoint == job->newest_checkpoint && job->newest_checkpoint_step != sim->step))
        sim_violate(sim, "checkpoint id %llu is used twice", (unsigned long long)checkpoint);
    job->newest_checkpoint = checkpoint;
    job->newest_checkpoint_step = sim->step;
}

/* ---- the end ---- */

static void check_results(struct sim *sim, const struct sim_job *job)
{
    for (uint32_t key = 0; key < SIM_KEYS; key++) {
        int64_t sum = 0;
        for (uint32_t source = 0; source < job->source_count; source++)
            for (uint32_t subtask = 0; subtask < job->parallelism; subtask++)
                sum += job->results[source][subtask][key];
        if (sum != job->expected[key] * job->source_count)
            sim_violate(sim, "key %u is %lld, expected %lld", key, (long long)sum,
                        (long long)job->expected[key] * job->source_count);
    }
}

static void check_job(struct sim *sim, struct sim_job *job, const struct job_snapshot *shown)
{
    if (job->is_done || !job_status_is_terminal(shown->status))
        return;
    if (shown->status == JOB_FAILED && job->strategy != STRATEGY_NONE)
        sim_violate(sim, "the job has FAILED: %s",
                    shown->exception_count > 0 ? shown->exceptions[0].message : "");
    if (shown->status == JOB_CANCELED && !job->is_cancel_wanted)
        sim_violate(sim, "the job is CANCELED, and nobody asked for it");
    if (shown->status == JOB_FINISHED)
        check_results(sim, job);
    job->keeps_files = shown->status != JOB_FINISHED;
    job->restart_count = shown->restart_count;
    job->is_done = true;
}

void sim_check_end(struct sim *sim)
{
    if (!sim->core_alive || sim->now_ms < sim->faults_until_ms)
        return;
    struct cluster_snapshot snapshot;
    core_snapshot(sim->core, &snapshot);
    for (size_t i = 0; i < snapshot.job_count; i++)
        check_job(sim, sim_find_job(sim, snapshot.jobs[i].id), &snapshot.jobs[i]);
    sim->is_done = true;
    for (uint32_t i = 0; i < sim->job_count; i++)
        sim->is_done &= sim->jobs[i].is_done;
    if (sim->is_done && snapshot.free_slot_count != snapshot.slot_count)
        sim_violate(sim, "all jobs have ended, but %u of %u slots are free",
                    snapshot.free_slot_count, snapshot.slot_count);
    cluster_snapshot_done(&snapshot);
}
