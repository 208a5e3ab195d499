/* The model's timers: see model_state.h. */
#include "common/base/allocate.h"
#include "tests/kit/model_parts.h"

#include <string.h>

static struct timer copy_timer(const struct timer *timer)
{
    struct timer copy = *timer;
    copy.key = model_copy_key(timer->key, timer->key_size);
    copy.name_space = model_copy_key(timer->name_space, timer->name_space_size);
    return copy;
}

static void free_timer(struct timer *timer)
{
    free((void *)(uintptr_t)timer->key);
    free((void *)(uintptr_t)timer->name_space);
    *timer = (struct timer){0};
}

static int compare_timers(const struct timer *a, const struct timer *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    const int by_key = model_compare_keys(a->key, a->key_size, b->key, b->key_size);
    return by_key != 0 ? by_key
                       : model_compare_keys(a->name_space, a->name_space_size, b->name_space,
                                            b->name_space_size);
}

/* The place of the first timer that is not before this one. */
static size_t find_timer(const struct model_keyed *keyed, const struct timer *timer,
                         bool *ret_found)
{
    size_t at = 0;
    while (at < keyed->timer_count && compare_timers(&keyed->timers[at], timer) < 0)
        at++;
    *ret_found = at < keyed->timer_count && compare_timers(&keyed->timers[at], timer) == 0;
    return at;
}

static void add_timer(struct model_keyed *keyed, size_t at, const struct timer *timer)
{
    (void)array_push(keyed->timers, keyed->timer_count, keyed->timer_capacity);
    memmove(&keyed->timers[at + 1], &keyed->timers[at],
            (keyed->timer_count - 1 - at) * sizeof(*keyed->timers));
    keyed->timers[at] = copy_timer(timer);
}

static void remove_timer(struct model_keyed *keyed, size_t at)
{
    memmove(&keyed->timers[at], &keyed->timers[at + 1],
            (keyed->timer_count - 1 - at) * sizeof(*keyed->timers));
    keyed->timer_count--;
}

enum step model_set_timer(struct keyed_state *keyed_state, const struct timer *timer,
                          struct error *err)
{
    struct model_keyed *keyed = (struct model_keyed *)keyed_state;
    bool found;
    (void)err;
    if (keyed->is_hesitant && random_below(&keyed->random, 4) == 0)
        return STEP_AGAIN;
    const size_t at = find_timer(keyed, timer, &found);
    if (!found)
        add_timer(keyed, at, timer);
    return STEP_DONE;
}

enum step model_delete_timer(struct keyed_state *keyed_state, const struct timer *timer,
                             struct error *err)
{
    struct model_keyed *keyed = (struct model_keyed *)keyed_state;
    bool found;
    (void)err;
    if (keyed->is_hesitant && random_below(&keyed->random, 4) == 0)
        return STEP_AGAIN;
    const size_t at = find_timer(keyed, timer, &found);
    if (found) {
        free_timer(&keyed->timers[at]);
        remove_timer(keyed, at);
    }
    return STEP_DONE;
}

void model_timers_pop(struct model_keyed *keyed, enum timer_kind kind, int64_t now_ms,
                      bool *ret_found, struct timer *ret_timer)
{
    size_t at = 0;
    while (at < keyed->timer_count && keyed->timers[at].kind != kind)
        at++;
    *ret_found = at < keyed->timer_count && keyed->timers[at].time_ms <= now_ms;
    if (!*ret_found)
        return;
    free_timer(&keyed->popped);
    keyed->popped = keyed->timers[at];
    remove_timer(keyed, at);
    *ret_timer = keyed->popped;
}

void model_timers_copy(struct model_keyed *keyed, const struct model_keyed *from)
{
    for (size_t i = 0; i < from->timer_count; i++)
        add_timer(keyed, i, &from->timers[i]);
}

void model_timers_done(struct model_keyed *keyed)
{
    for (size_t i = 0; i < keyed->timer_count; i++)
        free_timer(&keyed->timers[i]);
    free(keyed->timers);
    free_timer(&keyed->popped);
}

static void append_hex(struct text *out, const char *bytes, uint32_t size)
{
    for (uint32_t i = 0; size != KEY_NULL && i < size; i++)
        text_format(out, "%02x", (unsigned)(unsigned char)bytes[i]);
}

void model_timers_format(const struct model_keyed *keyed, struct text *out)
{
    for (size_t i = 0; i < keyed->timer_count; i++) {
        const struct timer *timer = &keyed->timers[i];
        text_format(out, "timer %d %lld ", (int)timer->kind, (long long)timer->time_ms);
        append_hex(out, timer->key, timer->key_size);
        text_append(out, "/");
        append_hex(out, timer->name_space, timer->name_space_size);
        text_append(out, "\n");
    }
}
