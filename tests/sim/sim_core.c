/* The JobManager's side: its core and its stores. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <string.h>

#define WALL_MS INT64_C(1700000000000)

/* ---- stores ---- */

static size_t place_of(const struct sim_store *store, const char *path, bool *ret_found)
{
    size_t place = 0;
    *ret_found = false;
    while (place < store->count) {
        const int order = strcmp(store->files[place].path, path);
        if (order >= 0) {
            *ret_found = order == 0;
            break;
        }
        place++;
    }
    return place;
}

const struct sim_file *sim_store_find(const struct sim_store *store, const char *path)
{
    bool found;
    const size_t place = place_of(store, path, &found);
    return found ? &store->files[place] : NULL;
}

static void remove_at(struct sim_store *store, size_t place)
{
    free(store->files[place].path);
    free(store->files[place].bytes);
    store->count--;
    memmove(store->files + place, store->files + place + 1,
            (store->count - place) * sizeof(*store->files));
}

void sim_store_put(struct sim_store *store, const char *path, const void *bytes, size_t size)
{
    bool found;
    const size_t place = place_of(store, path, &found);
    if (found)
        remove_at(store, place);
    (void)array_push(store->files, store->count, store->capacity);
    memmove(store->files + place + 1, store->files + place,
            (store->count - 1 - place) * sizeof(*store->files));
    store->files[place] =
        (struct sim_file){.path = copy_text(path), .bytes = copy_text_n(bytes, size), .size = size};
}

void sim_store_remove(struct sim_store *store, const char *path)
{
    bool found;
    const size_t place = place_of(store, path, &found);
    if (found)
        remove_at(store, place);
}

void sim_store_remove_prefix(struct sim_store *store, const char *prefix)
{
    for (size_t i = store->count; i-- > 0;)
        if (strncmp(store->files[i].path, prefix, strlen(prefix)) == 0)
            remove_at(store, i);
}

void sim_store_done(struct sim_store *store)
{
    sim_store_remove_prefix(store, "");
    free(store->files);
}

/* ---- storage ---- */

static bool is_kept(const struct storage_request *request, const char *path)
{
    for (size_t i = 0; i < request->path_count; i++) {
        const char *keep = request->paths[i];
        const size_t size = strlen(keep);
        if (keep[size - 1] == '/' ? strncmp(path, keep, size) == 0 : strcmp(path, keep) == 0)
            return true;
    }
    return false;
}

static void sweep(struct sim *sim, const struct storage_request *request)
{
    SCOPED_TEXT char *prefix = format_text("%s/", request->path);
    const size_t size = strlen(prefix);
    for (size_t i = sim->checkpoints.count; i-- > 0;) {
        const char *path = sim->checkpoints.files[i].path;
        unsigned long long number = 0;
        if (strncmp(path, prefix, size) != 0 || is_kept(request, path))
            continue;
        const bool is_dead =
            (sscanf(path + size, "chk-%llu/", &number) == 1 &&
             number < request->checkpoint_below) ||
            (sscanf(path + size, "shared/%llu/", &number) == 1 && number < request->attempt_below);
        if (is_dead)
            remove_at(&sim->checkpoints, i);
    }
}

/* paths: from, to, from, to. */
static enum status copy_files(struct sim *sim, const struct storage_request *request)
{
    for (size_t i = 0; i + 1 < request->path_count; i += 2) {
        const struct sim_file *from = sim_store_find(&sim->checkpoints, request->paths[i]);
        if (from == NULL)
            return STATUS_NOT_FOUND;
        SCOPED_TEXT char *bytes = copy_text_n(from->bytes, from->size);
        sim_store_put(&sim->checkpoints, request->paths[i + 1], bytes, from->size);
    }
    return STATUS_OK;
}

static enum status apply(struct sim *sim, const struct storage_request *request)
{
    SCOPED_TEXT char *below = format_text("%s/", request->path == NULL ? "" : request->path);
    switch (request->kind) {
    case STORAGE_PUT_RECORD:
        if (sim->plant == PLANT_IDS_FORGOTTEN && strcmp(request->path, "cluster") == 0 &&
            sim_store_find(&sim->job_store, "cluster") != NULL)
            break;
        sim_store_put(&sim->job_store, request->path, request->bytes, request->size);
        break;
    case STORAGE_REMOVE_RECORDS:
        sim_store_remove_prefix(&sim->job_store, below);
        break;
    case STORAGE_PUT_METADATA:
        sim_store_put(&sim->checkpoints, request->path, request->bytes, request->size);
        if (sim->plant == PLANT_DELETE_EARLY) {
            char *number = strstr(request->path, "chk-") + 4;
            SCOPED_TEXT char *older =
                format_text("%.*s%llu/", (int)(number - request->path), request->path,
                            (unsigned long long)strtoull(number, NULL, 10) - 1);
            sim_store_remove_prefix(&sim->checkpoints, older);
            sim_check_retained(sim, "put");
        }
        break;
    case STORAGE_DELETE:
        for (size_t i = 0; i < request->path_count; i++)
            sim_store_remove(&sim->checkpoints, request->paths[i]);
        sim_check_retained(sim, "delete");
        break;
    case STORAGE_DELETE_TREE:
        sim_store_remove_prefix(&sim->checkpoints, below);
        sim_check_retained(sim, "delete tree");
        break;
    case STORAGE_SWEEP:
        sweep(sim, request);
        sim_check_retained(sim, "sweep");
        break;
    case STORAGE_COPY:
        return copy_files(sim, request);
    case STORAGE_LOAD:
    case STORAGE_READ_METADATA:
        break;
    }
    return STATUS_OK;
}

static void request_destroy(struct storage_request *request)
{
    free(request->path);
    free(request->bytes);
    for (size_t i = 0; i < request->path_count; i++)
        free(request->paths[i]);
    free(request->paths);
    free(request);
}

static bool is_write(enum storage_kind kind)
{
    return kind != STORAGE_LOAD && kind != STORAGE_READ_METADATA;
}

static void start_storage(struct sim *sim, struct storage_request *from)
{
    struct storage_request *request = copy_memory(from, sizeof(*from));
    *from = (struct storage_request){0};
    size_t lane = 0;
    while (lane < sim->lane_count && sim->lanes[lane].lane != request->lane)
        lane++;
    if (lane == sim->lane_count && sim->lane_count < 64)
        sim->lanes[sim->lane_count++].lane = request->lane;
    lane = lane < 64 ? lane : 63;
    int64_t due = sim->now_ms + 1 + (int64_t)sim_below(sim, 5 + sim->slow_ms);
    if (due <= sim->lanes[lane].last_ms)
        due = sim->lanes[lane].last_ms + 1;
    sim->lanes[lane].last_ms = due;
    struct sim_event *event =
        sim_schedule(sim, due - sim->now_ms, SIM_STORAGE, request->lane, sim->core_generation);
    event->content = request;
}

static void answer(struct sim *sim, const struct storage_request *request, enum status code)
{
    struct core_object *objects = NULL;
    size_t count = 0;
    struct core_object one;
    if (code == STATUS_OK && request->kind == STORAGE_LOAD) {
        count = sim->job_store.count;
        objects = allocate_array(count + 1, sizeof(*objects));
        for (size_t i = 0; i < count; i++)
            objects[i] = (struct core_object){.path = sim->job_store.files[i].path,
                                              .bytes = sim->job_store.files[i].bytes,
                                              .size = sim->job_store.files[i].size};
    } else if (code == STATUS_OK && request->kind == STORAGE_READ_METADATA) {
        const struct sim_file *file = sim_store_find(&sim->checkpoints, request->path);
        if (file == NULL)
            code = STATUS_NOT_FOUND;
        else
            one =
                (struct core_object){.path = file->path, .bytes = file->bytes, .size = file->size};
        count = file == NULL ? 0 : 1;
    }
    struct core_event event = {.kind = CORE_EVENT_STORAGE_DONE};
    event.storage.request = request->id;
    event.storage.code = code;
    event.storage.message = code == STATUS_OK ? NULL : "simulated";
    event.storage.objects = objects != NULL ? objects : &one;
    event.storage.object_count = count;
    sim_core_step(sim, &event);
    free(objects);
}

void sim_core_on_storage(struct sim *sim, struct sim_event *event)
{
    struct storage_request *request = event->content;
    event->content = NULL;
    if (!sim->core_alive || event->generation != sim->core_generation) {
        request_destroy(request);
        return;
    }
    enum status code = STATUS_OK;
    bool is_applied = is_write(request->kind);
    if (sim_has_faults(sim) && sim_below(sim, 100) < sim->storage_fail_percent) {
        code = STATUS_TIMEOUT;
        is_applied = is_applied && sim_chance(sim, 500); /* result unknown */
    }
    if (is_applied && !(sim->plant == PLANT_STORE_LIES && sim_chance(sim, 300) &&
                        request->kind == STORAGE_PUT_RECORD)) {
        const enum status applied = apply(sim, request);
        code = code == STATUS_OK ? applied : code;
    }
    answer(sim, request, code);
    request_destroy(request);
}

/* ---- the process ---- */

void sim_core_start(struct sim *sim)
{
    if (sim->core_alive)
        return;
    sim->core_alive = true;
    sim->core_generation++;
    sim->leader_epoch++;
    sim->lane_count = 0;
    struct core_config config;
    core_config_init(&config);
    config.cluster_id = (char *)"sim";
    config.host = (char *)"jm";
    config.version = (char *)"sim";
    config.checkpoint_directory = (char *)"/chk";
    config.token = (char *)"token";
    config.leader_epoch = sim->leader_epoch;
    config.incarnation.bytes[0] = 1;
    config.incarnation.bytes[1] = (uint8_t)sim->leader_epoch;
    config.incarnation.bytes[2] = (uint8_t)(sim->leader_epoch >> 8);
    sim->core = core_create(&config, random_next(&sim->random));
    sim_trace(sim, "core starts, epoch %llu", (unsigned long long)sim->leader_epoch);
    struct core_event event = {.kind = CORE_EVENT_START};
    sim_core_step(sim, &event);
}

/* Requests under way: of each lane a part may still take effect. */
static void settle_storage(struct sim *sim)
{
    for (;;) {
        struct sim_event *first = NULL;
        for (size_t i = 0; i < sim->heap_count; i++) {
            struct sim_event *event = &sim->heap[i];
            if (event->kind == SIM_STORAGE && event->content != NULL &&
                event->generation == sim->core_generation &&
                (first == NULL || event->sequence < first->sequence))
                first = event;
        }
        if (first == NULL)
            return;
        struct storage_request *request = first->content;
        const uint64_t lane = first->number;
        const bool is_applied = sim_chance(sim, 500);
        first->content = NULL;
        if (is_applied)
            (void)apply(sim, request);
        request_destroy(request);
        for (size_t i = 0; !is_applied && i < sim->heap_count; i++) {
            struct sim_event *event = &sim->heap[i];
            if (event->kind != SIM_STORAGE || event->number != lane || event->content == NULL ||
                event->generation != sim->core_generation)
                continue;
            request_destroy(event->content);
            event->content = NULL;
        }
    }
}

void sim_core_kill(struct sim *sim)
{
    if (!sim->core_alive)
        return;
    sim_trace(sim, "core dies");
    sim->core_alive = false;
    settle_storage(sim);
    for (size_t i = 0; i < sim->link_count; i++)
        if (sim->links[i].is_open_at_core)
            sim_break_link(sim, &sim->links[i], false, true);
    core_destroy(sim->core);
    sim->core = NULL;
    (void)sim_schedule(sim, 100 + (int64_t)sim_below(sim, 3000), SIM_START_CORE, 0, 0);
}

static void act(struct sim *sim, struct core_action *action)
{
    struct sim_link *link;
    switch (action->kind) {
    case CORE_SEND:
        sim_check_sent(sim, action->message);
        link = sim_link_of(sim, action->connection);
        if (link != NULL && link->is_open_at_core)
            sim_send(sim, link, false, action->message);
        break;
    case CORE_CLOSE:
        sim_trace(sim, "core closes %llu: %s", (unsigned long long)action->connection,
                  action->close.reason);
        link = sim_link_of(sim, action->connection);
        if (link != NULL)
            sim_break_link(sim, link, false, true);
        break;
    case CORE_STORAGE:
        start_storage(sim, &action->storage);
        break;
    case CORE_DISCOVER_START: {
        struct sim_event *event = sim_schedule(sim, 1 + (int64_t)sim_below(sim, 100), SIM_DISCOVER,
                                               action->discover.enumerator, sim->core_generation);
        event->size = action->discover.operator_index;
        event->job = (uint32_t)(sim_find_job(sim, action->discover.job) - sim->jobs);
        break;
    }
    case CORE_REPLY:
        if (action->reply.code != STATUS_OK)
            sim_trace(sim, "core refuses: %s", action->reply.message);
        if (action->reply.kind == REPLY_SUBMIT && action->reply.code == STATUS_OK)
            sim_find_job(sim, action->reply.job)->is_submitted = true;
        break;
    case CORE_LOG:
        sim_trace(sim, "core: %s %s", action->log.event, action->log.text);
        break;
    case CORE_FATAL:
        sim_violate(sim, "the core gives up: %s", action->fatal.message);
        break;
    case CORE_DISCOVER_STOP:
        break;
    }
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001B3);
    return hash;
}

void sim_core_step(struct sim *sim, struct core_event *event)
{
    struct core_output output = {0};
    core_step(sim->core, event, sim->now_ms, WALL_MS + sim->now_ms, &output);
    uint64_t deployed = sim->newest_attempt;
    sim->step++;
    for (size_t i = 0; i < output.count && sim->core_alive; i++) {
        struct core_action *action = &output.actions[i];
        sim->trace_hash = (sim->trace_hash ^ (uint64_t)action->kind) * UINT64_C(0x100000001B3);
        if (action->kind == CORE_LOG)
            sim->trace_hash = hash_text(sim->trace_hash, action->log.text);
        act(sim, action);
        if (action->kind == CORE_SEND && action->message->kind == MESSAGE_DEPLOY)
            for (size_t t = 0; t < action->message->deploy.task_count; t++) {
                const uint64_t attempt = action->message->deploy.tasks[t].attempt.value;
                if (attempt <= sim->newest_attempt)
                    sim_violate(sim, "attempt %llu is used twice", (unsigned long long)attempt);
                deployed = attempt > deployed ? attempt : deployed;
            }
        if (sim_has_faults(sim) && sim_chance(sim, sim->crash_permille))
            sim_core_kill(sim);
    }
    sim->newest_attempt = deployed;
    if (sim->core_alive && output.next_tick_ms != CORE_NEVER) {
        const int64_t delay = output.next_tick_ms - sim->now_ms;
        (void)sim_schedule(sim, delay > 0 ? delay : 1, SIM_CORE_TICK, 0, sim->core_generation);
    }
    core_output_done(&output);
}

void sim_core_on_discover(struct sim *sim, const struct sim_event *from)
{
    if (!sim->core_alive || from->generation != sim->core_generation)
        return;
    struct core_event event = {.kind = CORE_EVENT_DISCOVERED};
    const struct sim_job *job = &sim->jobs[from->job];
    event.discovered.job = job->id;
    event.discovered.operator_index = (uint32_t)from->size;
    event.discovered.enumerator = from->number;
    event.discovered.is_last = sim_chance(sim, 500);
    for (uint32_t i = 0; i < job->split_count; i++) {
        char id[32];
        (void)snprintf(id, sizeof(id), "split-%u", i);
        if (event.discovered.is_last || sim_chance(sim, 700))
            source_split_list_add(&event.discovered.splits, id, "0", 1);
    }
    if (!event.discovered.is_last) {
        struct sim_event *again =
            sim_schedule(sim, 200, SIM_DISCOVER, from->number, sim->core_generation);
        again->size = from->size;
        again->job = from->job;
    }
    sim_core_step(sim, &event);
    source_split_list_done(&event.discovered.splits);
}

/* The newest retained checkpoint of the job that this one continues. false: not yet, or never. */
static bool find_restore(struct sim *sim, struct sim_job *job, struct core_event *event)
{
    const struct sim_job *before = &sim->jobs[job->from];
    if (!before->is_done)
        return false;
    const uint64_t number = before->keeps_files ? sim_newest_retained(sim, before) : 0;
    if (number == 0) {
        job->is_done = true; /* it finished before it was canceled, or had no checkpoint yet */
        return false;
    }
    char id[ID_TEXT_SIZE];
    id128_format(before->id.value, id);
    free(job->restore_path);
    job->restore_path = format_text("%s/chk-%llu", id, (unsigned long long)number);
    SCOPED_TEXT char *path = format_text("%s/_metadata", job->restore_path);
    const struct sim_file *file = sim_store_find(&sim->checkpoints, path);
    if (file == NULL)
        return false; /* told by sim_check_retained */
    event->submit.restore_path = job->restore_path;
    event->submit.restore_metadata = file->bytes;
    event->submit.restore_metadata_size = file->size;
    return true;
}

void sim_core_submit(struct sim *sim, uint32_t index)
{
    struct sim_job *job = &sim->jobs[index];
    if (job->is_done)
        return;
    sim_schedule(sim, 1000, SIM_SUBMIT, 0, 0)->job = index;
    if (!sim->core_alive)
        return;
    if (job->is_submitted) {
        if (core_is_ready(sim->core) && core_find_graph(sim->core, job->id) == NULL)
            sim_violate(sim, "an acknowledged job is lost");
        return;
    }
    struct core_event event = {.kind = CORE_EVENT_SUBMIT};
    event.submit.token = 1;
    event.submit.job = job->id;
    if (job->from >= 0 && !find_restore(sim, job, &event))
        return;
    event.submit.graph = sim_graph(job);
    sim_core_step(sim, &event);
}
