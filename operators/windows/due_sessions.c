/* Sessions that have ended: see due_sessions.h. */
#include "operators/windows/due_sessions.h"

#include "common/base/allocate.h"

#define KEY_PADDING 16

void due_sessions_open(struct due_sessions *due, struct operator_env *env,
                       const struct window_spec *window, struct session_store *store,
                       const struct window_output *output)
{
    *due = (struct due_sessions){.env = env, .window = window, .store = store, .output = output};
    due->gives_rows = window->emit == WINDOW_EMIT_FINAL || window->emit == WINDOW_EMIT_CHANGELOG;
    text_init(&due->bytes, SIZE_MAX / 4);
    struct key_batch *const batches[] = {&due->keys, &due->gone, &due->later};
    for (int i = 0; i < 3; i++) {
        key_batch_init(batches[i]);
        batches[i]->capacity = DUE_SESSIONS_MAX;
        batches[i]->bytes = allocate_array(DUE_SESSIONS_MAX, sizeof(char *));
        batches[i]->sizes = allocate_array(DUE_SESSIONS_MAX, sizeof(uint32_t));
        batches[i]->hashes = allocate_array(DUE_SESSIONS_MAX, sizeof(uint64_t));
    }
    due->table = allocate_array(DUE_TABLE_SIZE, sizeof(*due->table));
    due->offsets = allocate_array(DUE_SESSIONS_MAX, sizeof(*due->offsets));
    due->later_ms = allocate_array(DUE_SESSIONS_MAX, sizeof(*due->later_ms));
    due->many = allocate_array(DUE_SESSIONS_MAX, sizeof(*due->many));
}

void due_sessions_close(struct due_sessions *due)
{
    text_done(&due->bytes);
    key_batch_done(&due->keys);
    key_batch_done(&due->gone);
    key_batch_done(&due->later);
    free(due->table);
    free(due->offsets);
    free(due->later_ms);
    free(due->many);
    *due = (struct due_sessions){0};
}

enum step session_timer_set(struct operator_env *env, const struct window_spec *window,
                            const struct key_batch *keys, uint32_t index, int64_t time_ms,
                            struct error *err)
{
    const struct timer timer = {
        .kind = window->is_processing_time ? TIMER_PROCESSING_TIME : TIMER_EVENT_TIME,
        /* The clock has to be past the last millisecond, a watermark says that it is. */
        .time_ms = time_ms + (window->is_processing_time ? 1 : 0),
        .key = keys->bytes[index],
        .key_size = keys->sizes[index],
        .hash = keys->hashes[index],
        .name_space = "",
    };
    return env->keyed->ops->set_timer(env->keyed, &timer, err);
}

static bool is_key(const struct due_sessions *due, uint32_t index, const struct timer *timer)
{
    const uint32_t size = timer->key_size;
    return due->keys.hashes[index] == timer->hash && due->keys.sizes[index] == size &&
           (size == KEY_NULL || size == 0 ||
            memcmp(due->bytes.bytes + due->offsets[index], timer->key, size) == 0);
}

bool due_sessions_add(struct due_sessions *due, const struct timer *timer)
{
    static const char padding[KEY_PADDING];
    if (due->stage != DUE_GATHER || due->keys.count == DUE_SESSIONS_MAX)
        return false;
    uint32_t at = (uint32_t)key_table_hash(timer->hash) & (DUE_TABLE_SIZE - 1);
    for (; due->table[at] != 0; at = (at + 1) & (DUE_TABLE_SIZE - 1)) {
        if (is_key(due, due->table[at] - 1U, timer))
            return true;
    }
    const uint32_t i = due->keys.count++;
    due->table[at] = (uint16_t)(i + 1);
    due->offsets[i] = due->bytes.size;
    due->keys.sizes[i] = timer->key_size;
    due->keys.hashes[i] = timer->hash;
    if (timer->key_size != KEY_NULL)
        text_append_bytes(&due->bytes, timer->key, timer->key_size);
    text_append_bytes(&due->bytes, padding, sizeof(padding));
    return true;
}

static void push(struct key_batch *to, const struct key_batch *from, uint32_t index)
{
    to->bytes[to->count] = from->bytes[index];
    to->sizes[to->count] = from->sizes[index];
    to->hashes[to->count] = from->hashes[index];
    to->count++;
}

static void later(struct due_sessions *due, uint32_t index, int64_t time_ms)
{
    due->later_ms[due->later.count] = time_ms;
    push(&due->later, &due->keys, index);
}

/* What was read of the keys [next, next + count): rows to give, what to remove, new timers. */
static void sort_out(struct due_sessions *due, void *const *slots, uint32_t count,
                     struct emitter *out)
{
    const struct session_store *store = due->store;
    struct state_entry entries[DUE_SESSIONS_MAX];
    int64_t starts[DUE_SESSIONS_MAX];
    int64_t ends[DUE_SESSIONS_MAX];
    uint32_t given = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t index = due->next + i;
        if (slots[i] == NULL)
            continue;
        const int64_t end = session_value(store, slots[i], SESSION_END);
        if (session_value(store, slots[i], SESSION_MORE) > 0 || due->window->lateness_ms > 0) {
            due->many[due->many_count++] = index;
        } else if (end - 1 > due->watermark_ms) {
            later(due, index, end - 1);
        } else {
            push(&due->gone, &due->keys, index);
            entries[given] = (struct state_entry){.key = due->keys.bytes[index],
                                                  .key_size = due->keys.sizes[index],
                                                  .slot = slots[i]};
            starts[given] = session_value(store, slots[i], SESSION_START);
            ends[given++] = end;
        }
    }
    if (given > 0 && due->gives_rows)
        emitter_emit(out, 0, window_output_batch(due->output, entries, starts, ends, given, NULL));
}

static enum step read_keys(struct due_sessions *due, struct emitter *out, struct error *err)
{
    void *slots[DUE_SESSIONS_MAX];
    while (due->next < due->keys.count) {
        uint32_t count = 0;
        if (!emitter_has_room(out, 0))
            return STEP_AGAIN;
        const enum step step =
            state_read(due->store->first, &due->keys, NULL, due->next, &count, slots, err);
        if (step != STEP_DONE)
            return step;
        sort_out(due, slots, count, out);
        due->next += count;
    }
    return STEP_DONE;
}

static enum step remove_keys(struct due_sessions *due, struct error *err)
{
    while (due->next < due->gone.count) {
        uint32_t count = 0;
        const enum step step =
            state_remove(due->store->first, &due->gone, NULL, due->next, &count, err);
        if (step != STEP_DONE)
            return step;
        due->next += count;
    }
    return STEP_DONE;
}

static enum step set_timers(struct due_sessions *due, struct error *err)
{
    for (; due->next < due->later.count; due->next++) {
        const enum step step = session_timer_set(due->env, due->window, &due->later, due->next,
                                                 due->later_ms[due->next], err);
        if (step != STEP_DONE)
            return step;
    }
    return STEP_DONE;
}

/* ---- keys with several sessions, or with fired ones that are kept ---- */

/* Gives what has ended and drops what is over. */
static void give_list(struct due_sessions *due, uint32_t index, struct emitter *out)
{
    struct session_list *list = &due->store->list;
    const int64_t watermark_ms = due->watermark_ms;
    for (size_t i = 0; i < list->count; i++) {
        struct session *session = &list->sessions[i];
        if (session->end - 1 > watermark_ms)
            continue;
        if (!session->is_fired && due->gives_rows) {
            const struct state_entry entry = {.key = due->keys.bytes[index],
                                              .key_size = due->keys.sizes[index],
                                              .slot = session->slot};
            emitter_emit(
                out, 0,
                window_output_batch(due->output, &entry, &session->start, &session->end, 1, NULL));
        }
        session->is_fired = true;
        if (session->end - 1 + due->window->lateness_ms <= watermark_ms)
            session_list_remove(list, i--);
        if (!emitter_has_room(out, 0))
            return; /* the rest comes with the next look */
    }
    due->has_given = true;
}

static enum step set_list_timers(struct due_sessions *due, uint32_t index, struct error *err)
{
    const struct session_list *list = &due->store->list;
    for (; due->next_timer < list->count; due->next_timer++) {
        const struct session *session = &list->sessions[due->next_timer];
        const int64_t time_ms =
            session->end - 1 + (session->is_fired ? due->window->lateness_ms : 0);
        const enum step step =
            session_timer_set(due->env, due->window, &due->keys, index, time_ms, err);
        if (step != STEP_DONE)
            return step;
    }
    return STEP_DONE;
}

static enum step look_at(struct due_sessions *due, uint32_t index, struct emitter *out,
                         struct error *err)
{
    enum step step = STEP_DONE;
    if (due->store->stage < STORE_LOADED)
        step = session_store_load(due->store, &due->keys, index, err);
    if (step != STEP_DONE)
        return step;
    while (!due->has_given) {
        if (!emitter_has_room(out, 0))
            return STEP_AGAIN;
        give_list(due, index, out);
    }
    step = set_list_timers(due, index, err);
    if (step == STEP_DONE)
        step = session_store_put(due->store, err);
    if (step == STEP_DONE) {
        due->has_given = false;
        due->next_timer = 0;
    }
    return step;
}

static enum step run_stage(struct due_sessions *due, struct emitter *out, struct error *err)
{
    switch (due->stage) {
    case DUE_GATHER:
        for (uint32_t i = 0; i < due->keys.count; i++)
            due->keys.bytes[i] = due->bytes.bytes + due->offsets[i];
        return STEP_DONE;
    case DUE_READ:
        return read_keys(due, out, err);
    case DUE_REMOVE:
        return remove_keys(due, err);
    case DUE_TIMERS:
        return set_timers(due, err);
    case DUE_ONE_BY_ONE:
        for (; due->next < due->many_count; due->next++) {
            const enum step step = look_at(due, due->many[due->next], out, err);
            if (step != STEP_DONE)
                return step;
        }
        return STEP_DONE;
    }
    return STEP_DONE;
}

enum step due_sessions_run(struct due_sessions *due, int64_t watermark_ms, struct emitter *out,
                           struct error *err)
{
    if (due->keys.count == 0)
        return STEP_DONE;
    due->watermark_ms = watermark_ms;
    for (;;) {
        const enum step step = run_stage(due, out, err);
        if (step != STEP_DONE)
            return step;
        due->next = 0;
        if (due->stage == DUE_ONE_BY_ONE)
            break;
        due->stage++;
    }
    due->stage = DUE_GATHER;
    memset(due->table, 0, DUE_TABLE_SIZE * sizeof(*due->table));
    due->keys.count = due->gone.count = due->later.count = due->many_count = 0;
    text_clear(&due->bytes);
    return STEP_DONE;
}
