/* Links, and the TaskManagers' side. */
#include "common/rpc/message_codec.h"
#include "tests/sim/sim.h"

#include <string.h>

struct sim_link *sim_link_of(struct sim *sim, uint64_t id)
{
    return id >= 1 && id <= sim->link_count ? &sim->links[id - 1] : NULL;
}

static struct sim_link *link_of_control(struct sim *sim, uint32_t index, uint64_t connection)
{
    const uint64_t generation = sim->task_managers[index].generation;
    for (size_t i = sim->link_count; i-- > 0;)
        if (sim->links[i].task_manager == index &&
            sim->links[i].task_manager_generation == generation &&
            sim->links[i].control_connection == connection)
            return &sim->links[i];
    return NULL;
}

/* Keeps the order of one direction; a partition holds everything back. */
static int64_t delivery_delay(struct sim *sim, struct sim_link *link, bool to_core)
{
    int64_t *last_ms = to_core ? &link->to_core_ms : &link->to_control_ms;
    int64_t due = sim->now_ms + (int64_t)sim_below(sim, 3 + sim->slow_ms);
    if (due < link->held_until_ms)
        due = link->held_until_ms;
    if (due < *last_ms)
        due = *last_ms;
    *last_ms = due;
    return due - sim->now_ms;
}

static void deliver(struct sim *sim, struct sim_link *link, bool to_core, const struct text *text)
{
    struct sim_event *event = sim_schedule(
        sim, delivery_delay(sim, link, to_core), to_core ? SIM_TO_CORE : SIM_TO_CONTROL, link->id,
        to_core ? link->core_generation : link->task_manager_generation);
    event->content = copy_memory(text->bytes, text->size + 1);
    event->size = text->size;
}

void sim_send(struct sim *sim, struct sim_link *link, bool to_core, const struct message *message)
{
    if (sim_has_faults(sim) && sim_chance(sim, sim->drop_permille)) {
        sim_trace(sim, "drop %s", message_kind_name(message->kind));
        return;
    }
    struct text text;
    text_init(&text, MESSAGE_BYTES_MAX);
    message_encode(message, &text);
    deliver(sim, link, to_core, &text);
    if (sim_has_faults(sim) && sim_chance(sim, sim->duplicate_permille))
        deliver(sim, link, to_core, &text);
    text_done(&text);
}

void sim_break_link(struct sim *sim, struct sim_link *link, bool tell_core, bool tell_control)
{
    if (tell_core && link->is_open_at_core)
        (void)sim_schedule(sim, delivery_delay(sim, link, true), SIM_CORE_CLOSED, link->id,
                           link->core_generation);
    if (tell_control && link->is_open_at_control)
        (void)sim_schedule(sim, delivery_delay(sim, link, false), SIM_CONTROL_CLOSED, link->id,
                           link->task_manager_generation);
    if (!tell_core)
        link->is_open_at_core = false;
    if (!tell_control)
        link->is_open_at_control = false;
}

/* ---- TaskManagers ---- */

void sim_task_manager_start(struct sim *sim, uint32_t index)
{
    struct sim_task_manager *task_manager = &sim->task_managers[index];
    if (task_manager->is_alive)
        return;
    task_manager->is_alive = true;
    task_manager->generation++;
    task_manager->frozen_until_ms = 0;
    task_manager->incarnation = (struct id128){.bytes = {2, (uint8_t)index}};
    for (int i = 0; i < 8; i++)
        task_manager->incarnation.bytes[2 + i] = (uint8_t)(task_manager->generation >> (8 * i));
    SCOPED_TEXT char *name = format_text("tm-%u", index);
    SCOPED_TEXT char *address = format_text("host-%u:6121", index);
    const struct control_config config = {.incarnation = task_manager->incarnation,
                                          .registration = {.version = (char *)"sim",
                                                           .cluster_id = (char *)"sim",
                                                           .name = name,
                                                           .host = name,
                                                           .data_address = address,
                                                           .slot_count = 2,
                                                           .checkpoint_directory = (char *)"/chk",
                                                           .token = (char *)"token",
                                                           .token_error = (char *)""}};
    task_manager->control = control_create(&config, random_next(&sim->random));
    sim_trace(sim, "tm-%u starts", index);
    struct control_event event = {.kind = CONTROL_EVENT_START};
    sim_control_step(sim, index, &event);
    (void)sim_schedule(sim, 5, SIM_TASKS, index, task_manager->generation);
}

void sim_task_manager_kill(struct sim *sim, uint32_t index)
{
    struct sim_task_manager *task_manager = &sim->task_managers[index];
    if (!task_manager->is_alive)
        return;
    sim_trace(sim, "tm-%u dies", index);
    task_manager->is_alive = false;
    for (size_t i = 0; i < sim->link_count; i++)
        if (sim->links[i].task_manager == index && sim->links[i].is_open_at_control &&
            sim->links[i].task_manager_generation == task_manager->generation)
            sim_break_link(sim, &sim->links[i], true, false);
    control_destroy(task_manager->control);
    task_manager->control = NULL;
    sim_tasks_done(task_manager);
    (void)sim_schedule(sim, 50 + (int64_t)sim_below(sim, 3000), SIM_START_TASK_MANAGER, index, 0);
}

static void dial(struct sim *sim, uint32_t index, uint64_t connection)
{
    const struct sim_task_manager *task_manager = &sim->task_managers[index];
    struct sim_link *link = &array_push(sim->links, sim->link_count, sim->link_capacity);
    *link = (struct sim_link){.id = sim->link_count,
                              .task_manager = index,
                              .task_manager_generation = task_manager->generation,
                              .control_connection = connection,
                              .is_open_at_control = true};
    (void)sim_schedule(sim, 1 + (int64_t)sim_below(sim, 5), SIM_OPEN, link->id, 0);
}

static void act(struct sim *sim, uint32_t index, struct control_action *action)
{
    struct sim_link *link;
    switch (action->kind) {
    case CONTROL_CONNECT:
        dial(sim, index, action->connection);
        break;
    case CONTROL_CLOSE:
        link = link_of_control(sim, index, action->connection);
        if (link != NULL)
            sim_break_link(sim, link, true, false);
        break;
    case CONTROL_SEND:
        link = link_of_control(sim, index, action->connection);
        if (link != NULL && link->is_open_at_control)
            sim_send(sim, link, true, action->message);
        break;
    case CONTROL_DEPLOY:
        sim_task_deploy(sim, index, action);
        break;
    case CONTROL_CANCEL:
    case CONTROL_TRIGGER:
    case CONTROL_ABORT:
    case CONTROL_COMPLETED:
    case CONTROL_SPLITS:
    case CONTROL_ALIGN:
    case CONTROL_FINISH:
        sim_task_command(sim, index, action);
        break;
    case CONTROL_LOG:
        sim_trace(sim, "tm-%u: %s %s", index, action->log.event, action->log.text);
        break;
    }
}

void sim_control_step(struct sim *sim, uint32_t index, struct control_event *event)
{
    struct sim_task_manager *task_manager = &sim->task_managers[index];
    struct control_output output = {0};
    control_step(task_manager->control, event, sim->now_ms, &output);
    for (size_t i = 0; i < output.count; i++) {
        sim->trace_hash =
            (sim->trace_hash ^ (uint64_t)output.actions[i].kind) * UINT64_C(0x100000001B3);
        act(sim, index, &output.actions[i]);
    }
    if (output.next_tick_ms != CONTROL_NEVER) {
        const int64_t delay = output.next_tick_ms - sim->now_ms;
        (void)sim_schedule(sim, delay > 0 ? delay : 1, SIM_CONTROL_TICK, index,
                           task_manager->generation);
    }
    control_output_done(&output);
}

/* ---- events ---- */

static void on_open(struct sim *sim, struct sim_link *link)
{
    struct sim_task_manager *task_manager = &sim->task_managers[link->task_manager];
    if (!link->is_open_at_control || !task_manager->is_alive ||
        task_manager->generation != link->task_manager_generation)
        return;
    struct control_event event = {.connection = link->control_connection};
    event.connection_change.reason = "connection refused";
    event.connection_change.local_host = "host";
    if (!sim->core_alive) {
        link->is_open_at_control = false;
        event.kind = CONTROL_EVENT_DISCONNECTED;
        sim_control_step(sim, link->task_manager, &event);
        return;
    }
    link->core_generation = sim->core_generation;
    link->is_open_at_core = true;
    struct core_event opened = {.kind = CORE_EVENT_OPENED, .connection = link->id};
    opened.opened.remote_host = "host";
    const uint64_t id = link->id;
    const uint32_t index = link->task_manager;
    sim_core_step(sim, &opened);
    const struct sim_link *opened_link = sim_link_of(sim, id);
    if (opened_link == NULL || !opened_link->is_open_at_control)
        return;
    event.kind = CONTROL_EVENT_CONNECTED;
    sim_control_step(sim, index, &event);
}

static void on_to_core(struct sim *sim, const struct sim_link *link, const struct sim_event *from)
{
    struct error err;
    if (!sim->core_alive || link->core_generation != sim->core_generation || !link->is_open_at_core)
        return;
    struct core_event event = {.kind = CORE_EVENT_MESSAGE, .connection = link->id};
    if (message_decode(from->content, from->size, &event.message, &err) != STATUS_OK) {
        sim_violate(sim, "%s", err.message);
        return;
    }
    sim_core_step(sim, &event);
}

static void on_to_control(struct sim *sim, const struct sim_link *link,
                          const struct sim_event *from)
{
    struct error err;
    const struct sim_task_manager *task_manager = &sim->task_managers[link->task_manager];
    if (!task_manager->is_alive || task_manager->generation != from->generation ||
        !link->is_open_at_control)
        return;
    struct control_event event = {.kind = CONTROL_EVENT_MESSAGE,
                                  .connection = link->control_connection};
    if (message_decode(from->content, from->size, &event.message, &err) != STATUS_OK) {
        sim_violate(sim, "%s", err.message);
        return;
    }
    sim_control_step(sim, link->task_manager, &event);
}

static void on_closed(struct sim *sim, struct sim_link *link, bool at_core)
{
    if (at_core && sim->core_alive && link->core_generation == sim->core_generation &&
        link->is_open_at_core) {
        link->is_open_at_core = false;
        struct core_event event = {.kind = CORE_EVENT_CLOSED, .connection = link->id};
        event.closed.reason = "connection reset";
        sim_core_step(sim, &event);
    }
    const struct sim_task_manager *task_manager = &sim->task_managers[link->task_manager];
    if (!at_core && task_manager->is_alive && link->is_open_at_control &&
        task_manager->generation == link->task_manager_generation) {
        link->is_open_at_control = false;
        struct control_event event = {.kind = CONTROL_EVENT_DISCONNECTED,
                                      .connection = link->control_connection};
        event.connection_change.reason = "connection reset";
        sim_control_step(sim, link->task_manager, &event);
    }
}

void sim_network_on(struct sim *sim, struct sim_event *event)
{
    struct sim_link *link = sim_link_of(sim, event->number);
    if (event->kind == SIM_OPEN)
        on_open(sim, link);
    else if (event->kind == SIM_TO_CORE)
        on_to_core(sim, link, event);
    else if (event->kind == SIM_TO_CONTROL)
        on_to_control(sim, link, event);
    else
        on_closed(sim, link, event->kind == SIM_CORE_CLOSED);
}
