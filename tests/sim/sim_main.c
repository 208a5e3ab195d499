/*
 * sim --seeds N --first-seed S [--trace] [--plant K]
 *
 * Each seed is one cluster and one to three jobs (with and without checkpoints, with each restart
 * strategy, some canceled, some started from the checkpoint of a canceled one) under kills, broken
 * and partitioned links, lost and doubled messages, failing stores, frozen processes and tasks that
 * do not end when they are canceled; then the faults stop, and every job must end with exactly the
 * right sums. The same seed gives the same run, byte for byte (checked every 50 seeds).
 * A failing seed is run again with its trace by: sim --seeds 1 --first-seed S --trace.
 */
#include "tests/sim/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define FAULTS_MS 20000
#define HEAL_MS   600000

void sim_trace(struct sim *sim, const char *format, ...)
{
    if (!sim->trace)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)printf("%8lld ", (long long)sim->now_ms);
    (void)vprintf(format, arguments);
    (void)printf("\n");
    va_end(arguments);
}

void sim_violate(struct sim *sim, const char *format, ...)
{
    if (sim->violation_count++ > 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(sim->violation, sizeof(sim->violation), format, arguments);
    va_end(arguments);
    sim_trace(sim, "VIOLATION: %s", sim->violation);
}

uint64_t sim_below(struct sim *sim, uint64_t bound)
{
    return random_below(&sim->random, bound);
}

bool sim_chance(struct sim *sim, uint32_t permille)
{
    return permille > 0 && sim_below(sim, 1000) < permille;
}

bool sim_has_faults(const struct sim *sim)
{
    return sim->now_ms < sim->faults_until_ms;
}

/* ---- events: a binary heap by time, then order of scheduling ---- */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->time_ms != b->time_ms ? a->time_ms < b->time_ms : a->sequence < b->sequence;
}

static void swap(struct sim_event *a, struct sim_event *b)
{
    const struct sim_event kept = *a;
    *a = *b;
    *b = kept;
}

struct sim_event *sim_schedule(struct sim *sim, int64_t delay_ms, enum sim_event_kind kind,
                               uint64_t number, uint64_t generation)
{
    array_push(sim->heap, sim->heap_count, sim->heap_capacity) =
        (struct sim_event){.time_ms = sim->now_ms + delay_ms,
                           .sequence = sim->next_sequence++,
                           .kind = kind,
                           .number = number,
                           .generation = generation};
    size_t place = sim->heap_count - 1;
    while (place > 0 && is_before(&sim->heap[place], &sim->heap[(place - 1) / 2])) {
        swap(&sim->heap[place], &sim->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    return &sim->heap[place];
}

static struct sim_event take_first(struct sim *sim)
{
    const struct sim_event first = sim->heap[0];
    sim->heap[0] = sim->heap[--sim->heap_count];
    size_t place = 0;
    for (;;) {
        size_t least = place;
        for (size_t child = 2 * place + 1; child <= 2 * place + 2; child++)
            if (child < sim->heap_count && is_before(&sim->heap[child], &sim->heap[least]))
                least = child;
        if (least == place)
            return first;
        swap(&sim->heap[place], &sim->heap[least]);
        place = least;
    }
}

/* ---- faults ---- */

static void one_fault(struct sim *sim)
{
    const uint32_t index = (uint32_t)sim_below(sim, sim->task_manager_count);
    struct sim_link *link =
        sim->link_count == 0
            ? NULL
            : sim_link_of(sim, sim->link_count - sim_below(sim, 3) % sim->link_count);
    switch (sim_below(sim, 7)) {
    case 0:
    case 1:
        sim_task_manager_kill(sim, index);
        break;
    case 2:
        sim_core_kill(sim);
        break;
    case 3:
        if (link != NULL) {
            sim_trace(sim, "link %llu breaks", (unsigned long long)link->id);
            sim_break_link(sim, link, true, true);
        }
        break;
    case 4:
        if (link != NULL) {
            link->held_until_ms = sim->now_ms + (int64_t)sim_below(sim, 9000);
            sim_trace(sim, "link %llu is cut", (unsigned long long)link->id);
        }
        break;
    case 5:
        if (sim->task_managers[index].is_alive)
            sim_task_fail_one(sim, index);
        break;
    default:
        sim->task_managers[index].frozen_until_ms = sim->now_ms + (int64_t)sim_below(sim, 9000);
        sim_trace(sim, "tm-%u is stopped", index);
    }
}

static void on_fault(struct sim *sim)
{
    if (!sim_has_faults(sim))
        return;
    one_fault(sim);
    (void)sim_schedule(sim, 100 + (int64_t)sim_below(sim, 4000), SIM_FAULT, 0, 0);
}

/* ---- one event ---- */

static void on_control_tick(struct sim *sim, const struct sim_event *event)
{
    struct control_event tick = {.kind = CONTROL_EVENT_TICK};
    const struct sim_task_manager *task_manager = &sim->task_managers[event->number];
    if (task_manager->is_alive && task_manager->generation == event->generation)
        sim_control_step(sim, (uint32_t)event->number, &tick);
}

static void on_core_tick(struct sim *sim, const struct sim_event *event)
{
    struct core_event tick = {.kind = CORE_EVENT_TICK};
    if (sim->core_alive && sim->core_generation == event->generation)
        sim_core_step(sim, &tick);
}

static void on_cancel(struct sim *sim, uint32_t index)
{
    struct core_event event = {.kind = CORE_EVENT_CANCEL};
    event.cancel.job = sim->jobs[index].id;
    event.cancel.token = 2;
    if (sim->jobs[index].is_done)
        return;
    if (sim->core_alive)
        sim_core_step(sim, &event);
    sim_schedule(sim, 2000, SIM_CANCEL, 0, 0)->job = index;
}

/* Is the event for a TaskManager that is stopped? Then it waits. */
static bool is_frozen(struct sim *sim, const struct sim_event *event)
{
    uint64_t index = event->number;
    if (event->kind == SIM_TO_CONTROL || event->kind == SIM_CONTROL_CLOSED)
        index = sim->links[event->number - 1].task_manager;
    else if (event->kind != SIM_CONTROL_TICK && event->kind != SIM_TASKS &&
             event->kind != SIM_TASK_SENT)
        return false;
    const int64_t until_ms = sim->task_managers[index].frozen_until_ms;
    if (until_ms <= sim->now_ms)
        return false;
    struct sim_event *again =
        sim_schedule(sim, until_ms - sim->now_ms, event->kind, event->number, event->generation);
    again->content = event->content;
    again->size = event->size;
    return true;
}

static void dispatch(struct sim *sim, struct sim_event *event)
{
    switch (event->kind) {
    case SIM_TO_CORE:
    case SIM_TO_CONTROL:
    case SIM_OPEN:
    case SIM_CORE_CLOSED:
    case SIM_CONTROL_CLOSED:
        sim_network_on(sim, event);
        break;
    case SIM_STORAGE:
        if (event->content != NULL)
            sim_core_on_storage(sim, event);
        break;
    case SIM_CORE_TICK:
        on_core_tick(sim, event);
        break;
    case SIM_CONTROL_TICK:
        on_control_tick(sim, event);
        break;
    case SIM_DISCOVER:
        sim_core_on_discover(sim, event);
        break;
    case SIM_TASKS:
        if (sim->task_managers[event->number].is_alive &&
            sim->task_managers[event->number].generation == event->generation)
            sim_tasks_turn(sim, (uint32_t)event->number);
        break;
    case SIM_TASK_SENT:
        sim_task_on_sent(sim, event);
        break;
    case SIM_FAULT:
        on_fault(sim);
        break;
    case SIM_START_CORE:
        sim_core_start(sim);
        break;
    case SIM_START_TASK_MANAGER:
        sim_task_manager_start(sim, (uint32_t)event->number);
        break;
    case SIM_SUBMIT:
        sim_core_submit(sim, event->job);
        break;
    case SIM_CANCEL:
        on_cancel(sim, event->job);
        break;
    }
}

/* ---- one seed ---- */

static void choose(struct sim *sim)
{
    sim->task_manager_count = 1 + (uint32_t)sim_below(sim, SIM_TASK_MANAGER_MAX);
    sim->faults_until_ms = FAULTS_MS;
    static const uint32_t storage[] = {0, 0, 5, 30};
    static const uint32_t network[] = {0, 0, 2, 20};
    sim->storage_fail_percent = storage[sim_below(sim, 4)];
    sim->drop_permille = network[sim_below(sim, 4)];
    sim->duplicate_permille = network[sim_below(sim, 4)] * 5;
    sim->crash_permille = network[sim_below(sim, 4)] / 2;
    sim->slow_ms = (uint32_t)(sim_below(sim, 3) == 0 ? sim_below(sim, 500) : 0);
    sim->hang_permille = sim_chance(sim, 300) ? 100 : 0;
    sim_choose_jobs(sim);
}

static void start(struct sim *sim)
{
    choose(sim);
    sim_core_start(sim);
    for (uint32_t i = 0; i < sim->task_manager_count; i++)
        (void)sim_schedule(sim, (int64_t)sim_below(sim, 1000), SIM_START_TASK_MANAGER, i, 0);
    (void)sim_schedule(sim, 500, SIM_FAULT, 0, 0);
    for (uint32_t i = 0; i < sim->job_count; i++) {
        const int64_t begin_ms = i == 0 ? 10 : (int64_t)sim_below(sim, 10000);
        sim_schedule(sim, begin_ms, SIM_SUBMIT, 0, 0)->job = i;
        if (sim->jobs[i].is_cancel_wanted)
            sim_schedule(sim, begin_ms + 2000 + (int64_t)sim_below(sim, 20000), SIM_CANCEL, 0, 0)
                ->job = i;
    }
}

/* What the cluster has left behind when everything is over: only files of jobs that keep them, and
 * of those what is retained. */
static void check_orphans(struct sim *sim)
{
    for (size_t i = 0; i < sim->checkpoints.count; i++) {
        bool is_kept = false;
        for (uint32_t j = 0; j < sim->job_count; j++) {
            char id[ID_TEXT_SIZE];
            id128_format(sim->jobs[j].id.value, id);
            is_kept |= sim->jobs[j].keeps_files && sim->jobs[j].checkpoints_on &&
                       strncmp(sim->checkpoints.files[i].path, id, strlen(id)) == 0;
        }
        if (!is_kept)
            sim_violate(sim, "%zu files are left, one that nobody keeps: %s",
                        sim->checkpoints.count, sim->checkpoints.files[i].path);
    }
    sim_check_retained(sim, "at the end");
}

static void release_event(struct sim_event *event)
{
    if (event->content == NULL)
        return;
    if (event->kind == SIM_TASK_SENT) {
        struct control_event *sent = event->content;
        task_state_done(sent->acknowledge.state);
        free(sent->acknowledge.state);
    }
    if (event->kind == SIM_STORAGE) {
        struct storage_request *request = event->content;
        free(request->path);
        free(request->bytes);
        for (size_t i = 0; i < request->path_count; i++)
            free(request->paths[i]);
        free(request->paths);
    }
    free(event->content);
}

static void done(struct sim *sim)
{
    for (size_t i = 0; i < sim->heap_count; i++)
        release_event(&sim->heap[i]);
    for (uint32_t i = 0; i < sim->task_manager_count; i++) {
        control_destroy(sim->task_managers[i].control);
        sim_tasks_done(&sim->task_managers[i]);
    }
    for (size_t i = 0; i < sim->channel_count; i++) {
        free(sim->channels[i]->items);
        free(sim->channels[i]);
    }
    free(sim->channels);
    for (uint32_t i = 0; i < sim->job_count; i++)
        free(sim->jobs[i].restore_path);
    core_destroy(sim->core);
    sim_store_done(&sim->job_store);
    sim_store_done(&sim->checkpoints);
    free(sim->links);
    free(sim->heap);
}

static void run_until_done(struct sim *sim)
{
    int64_t check_ms = 0;
    while (!sim->is_done && sim->violation_count == 0) {
        struct sim_event event = take_first(sim);
        sim->now_ms = event.time_ms;
        if (sim->now_ms > FAULTS_MS + HEAL_MS) {
            sim_violate(sim, "a job has not ended %d s after the last fault", HEAL_MS / 1000);
            release_event(&event);
            return;
        }
        if (!is_frozen(sim, &event)) {
            dispatch(sim, &event);
            free(event.content);
        }
        if (sim->now_ms >= check_ms) {
            sim_check_end(sim);
            check_ms = sim->now_ms + 100;
        }
    }
}

/* The deletions that were asked for are carried out. */
static void settle(struct sim *sim)
{
    const int64_t until_ms = sim->now_ms + 30000;
    while (sim->violation_count == 0 && sim->heap_count > 0 && sim->heap[0].time_ms < until_ms) {
        struct sim_event event = take_first(sim);
        sim->now_ms = event.time_ms;
        if (!is_frozen(sim, &event)) {
            dispatch(sim, &event);
            free(event.content);
        }
    }
    if (sim->violation_count == 0)
        check_orphans(sim);
}

struct outcome {
    uint64_t violations;
    uint64_t hash;
    uint64_t completed;
    uint64_t restarts;
    uint64_t epochs;
    uint64_t jobs;
    uint64_t restored; /* jobs that started from a checkpoint of another */
};

static struct outcome run_seed(uint64_t seed, enum sim_plant plant, bool trace)
{
    struct sim *sim = allocate(sizeof(*sim));
    sim->seed = seed;
    sim->plant = plant;
    sim->trace = trace;
    random_init(&sim->random, seed * 2654435761U + 1);
    start(sim);
    run_until_done(sim);
    settle(sim);
    struct outcome outcome = {.violations = sim->violation_count,
                              .hash = sim->trace_hash,
                              .completed = sim->completed_count,
                              .epochs = sim->leader_epoch,
                              .jobs = sim->job_count};
    for (uint32_t i = 0; i < sim->job_count; i++) {
        outcome.restarts += sim->jobs[i].restart_count;
        outcome.restored += sim->jobs[i].restore_path != NULL;
    }
    if (sim->violation_count > 0 && plant == PLANT_NONE)
        (void)printf("seed %llu: %s\n", (unsigned long long)seed, sim->violation);
    done(sim);
    free(sim);
    return outcome;
}

/* Each planted bug must be found within the seeds. */
static int run_planted(uint64_t first, uint64_t count)
{
    static const char *const names[PLANT_COUNT] = {"",
                                                   "the store lies",
                                                   "no alignment",
                                                   "deleted too early",
                                                   "splits twice",
                                                   "attempt ids forgotten"};
    int missed = 0;
    for (int plant = 1; plant < PLANT_COUNT; plant++) {
        uint64_t seed = first;
        while (seed < first + count && run_seed(seed, (enum sim_plant)plant, false).violations == 0)
            seed++;
        const bool is_found = seed < first + count;
        missed += is_found ? 0 : 1;
        (void)printf("planted: %s: %s\n", names[plant], is_found ? "found" : "NOT FOUND");
    }
    (void)printf("sim-planted: bugs=%d missed=%d\n", PLANT_COUNT - 1, missed);
    return missed > 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    uint64_t first = 1;
    uint64_t count = 1000;
    bool trace = false;
    bool planted = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            trace = true;
        else if (strcmp(argv[i], "--planted") == 0)
            planted = true;
        else if (i + 1 < argc && strcmp(argv[i], "--seeds") == 0)
            count = strtoull(argv[++i], NULL, 10);
        else if (i + 1 < argc && strcmp(argv[i], "--first-seed") == 0)
            first = strtoull(argv[++i], NULL, 10);
    }
    if (planted)
        return run_planted(first, count);
    struct timespec begin;
    struct timespec end;
    struct outcome total = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t seed = first; seed < first + count; seed++) {
        const struct outcome outcome = run_seed(seed, PLANT_NONE, trace);
        total.violations += outcome.violations > 0 ? 1 : 0;
        total.completed += outcome.completed;
        total.restarts += outcome.restarts;
        total.epochs += outcome.epochs;
        total.jobs += outcome.jobs;
        total.restored += outcome.restored;
        if (seed % 50 == 0 && run_seed(seed, PLANT_NONE, false).hash != outcome.hash) {
            (void)printf("seed %llu: two runs differ\n", (unsigned long long)seed);
            total.violations++;
        }
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    const double seconds =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    (void)printf("jobs=%llu from_checkpoints=%llu checkpoint announcements=%llu restarts=%llu "
                 "leaders=%llu\n",
                 (unsigned long long)total.jobs, (unsigned long long)total.restored,
                 (unsigned long long)total.completed, (unsigned long long)total.restarts,
                 (unsigned long long)total.epochs);
    (void)printf("sim: seeds=%llu violations=%llu seeds_per_second=%.1f\n",
                 (unsigned long long)count, (unsigned long long)total.violations,
                 (double)count / (seconds > 0 ? seconds : 1));
    return total.violations > 0 ? 1 : 0;
}
