/*
 * A real state backend for the operator kit: with a cache so small that entries leave it, a
 * directory and a checkpoint storage of its own, and restores from that storage alone.
 */
#ifndef TESTS_KIT_REAL_STATE_H
#define TESTS_KIT_REAL_STATE_H

#include "taskmanager/state/backend.h"

struct real_state;

/* Fails the running test where anything fails. */
struct real_state *real_state_create(enum state_backend_kind kind, const struct clock *clock);
void real_state_destroy(struct real_state *real);
/* Of the one operator; a new one after each restore. */
struct keyed_state *real_state_keyed(struct real_state *real);
/* Takes a snapshot, drops the backend and makes a new one from what is in storage. Every second
 * snapshot refers to the one before. */
void real_state_restore(struct real_state *real);

#endif
