/* Sessions of a key in memory: see session_list.h. */
#include "operators/windows/session_list.h"

#include "common/base/allocate.h"

#include <string.h>

static void memory_set_bytes(struct state *state, void *slot, uint32_t field, const void *bytes,
                             uint32_t size)
{
    struct state_bytes *kept = slot_field(&state->layout, slot, field);
    char *copy = allocate(size + 1U); /* the source may be what is replaced */
    if (size > 0)
        memcpy(copy, bytes, size);
    free(kept->bytes);
    *kept = (struct state_bytes){.bytes = copy, .size = size, .capacity = size + 1U};
}

static const struct state_ops memory_ops = {.set_bytes = memory_set_bytes};

void session_list_open(struct session_list *list, struct aggregate_parts *parts,
                       const struct state *home)
{
    list->memory = (struct state){.ops = &memory_ops, .layout = home->layout};
    list->parts = parts;
    list->home = home;
}

static void free_slot(const struct session_list *list, void *slot)
{
    const struct schema *schema = list->memory.layout.schema;
    for (uint32_t f = 0; list->memory.layout.has_bytes && f < schema->column_count; f++) {
        const enum type_kind kind = schema->columns[f].type.kind;
        if (type_is_view(kind) || type_value_size(kind) == 0)
            free(((struct state_bytes *)slot_field(&list->memory.layout, slot, f))->bytes);
    }
    free(slot);
}

void session_list_clear(struct session_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free_slot(list, list->sessions[i].slot);
    list->count = 0;
}

void session_list_close(struct session_list *list)
{
    session_list_clear(list);
    free(list->sessions);
    *list = (struct session_list){0};
}

static void place_in_memory(struct session_list *list)
{
    aggregate_parts_place(list->parts, list->memory.layout.offsets, &list->memory);
}

static void place_at_home(struct session_list *list)
{
    aggregate_parts_place(list->parts, list->home->layout.offsets,
                          (struct state *)(uintptr_t)list->home);
}

void session_list_add(struct session_list *list, int64_t start, int64_t end, bool is_fired,
                      void *slot)
{
    const uint8_t fresh = 1;
    void *own = allocate(list->memory.layout.size);
    aggregate_parts_init_slots(list->parts, &own, &fresh, 1);
    if (slot != NULL) {
        place_in_memory(list);
        accumulators_merge(list->parts, &own, &slot, 1, 1);
        place_at_home(list);
    }
    array_push(list->sessions, list->count, list->capacity) =
        (struct session){.start = start, .end = end, .is_fired = is_fired, .slot = own};
}

static int compare_sessions(const void *a, const void *b)
{
    const int64_t a_start = ((const struct session *)a)->start;
    const int64_t b_start = ((const struct session *)b)->start;
    return (a_start > b_start) - (a_start < b_start);
}

void session_list_sort(struct session_list *list)
{
    if (list->count > 1)
        qsort(list->sessions, list->count, sizeof(*list->sessions), compare_sessions);
}

void session_list_remove(struct session_list *list, size_t index)
{
    free_slot(list, list->sessions[index].slot);
    list->count--;
    memmove(&list->sessions[index], &list->sessions[index + 1],
            (list->count - index) * sizeof(*list->sessions));
}

static bool touches(const struct session *session, int64_t time, int64_t gap)
{
    return time <= session->end && time + gap >= session->start;
}

int64_t session_list_end_with(const struct session_list *list, int64_t time, int64_t gap)
{
    int64_t end = time + gap;
    for (size_t i = 0; i < list->count; i++) {
        if (touches(&list->sessions[i], time, gap) && list->sessions[i].end > end)
            end = list->sessions[i].end;
    }
    return end;
}

size_t session_list_take(struct session_list *list, int64_t time, int64_t gap)
{
    size_t into = SIZE_MAX;
    for (size_t i = 0; i < list->count; i++) {
        struct session *session = &list->sessions[i];
        if (!touches(session, time, gap))
            continue;
        if (into == SIZE_MAX) {
            into = i;
            continue;
        }
        struct session *first = &list->sessions[into];
        place_in_memory(list);
        accumulators_merge(list->parts, &first->slot, &session->slot, 1, 1);
        place_at_home(list);
        first->end = session->end > first->end ? session->end : first->end;
        session_list_remove(list, i--);
    }
    if (into == SIZE_MAX) {
        session_list_add(list, time, time + gap, false, NULL);
        session_list_sort(list);
        for (into = 0; list->sessions[into].start != time; into++) {
        }
        return into;
    }
    struct session *session = &list->sessions[into];
    session->start = time < session->start ? time : session->start;
    session->end = time + gap > session->end ? time + gap : session->end;
    session->is_fired = false;
    return into;
}

void session_list_apply(struct session_list *list, size_t index, uint32_t row)
{
    void *slot = list->sessions[index].slot;
    place_in_memory(list);
    for (uint32_t p = 0; p < list->parts->count; p++)
        aggregate_part_apply(list->parts, &list->parts->parts[p], &slot, row, 1, NULL);
    place_at_home(list);
}
