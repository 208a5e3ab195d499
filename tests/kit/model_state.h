/*
 * Keyed state for tests: every state a sorted array, the plainest thing that obeys state.h, and an
 * oracle for the real backends.
 *
 * A hesitant model handles short prefixes, returns STEP_AGAIN and STEP_WAIT at random (seeded), and
 * moves slots on every call, so that a sanitizer finds whoever keeps one too long.
 */
#ifndef TESTS_KIT_MODEL_STATE_H
#define TESTS_KIT_MODEL_STATE_H

#include "common/api/state.h"
#include "common/base/text.h"

#include <stdbool.h>

struct model_keyed;

/* from: NULL, or what to restore (copied). */
struct model_keyed *model_keyed_create(uint64_t seed, bool is_hesitant,
                                       const struct model_keyed *from);
void model_keyed_destroy(struct model_keyed *model);
struct keyed_state *model_keyed_state(struct model_keyed *model);
/* As state_timers_pop; *ret_timer is valid until the next call. */
void model_timers_pop(struct model_keyed *model, enum timer_kind kind, int64_t now_ms,
                      bool *ret_found, struct timer *ret_timer);
/* All states and entries as text, the same for equal content. */
void model_keyed_format(const struct model_keyed *model, struct text *out);

#endif
