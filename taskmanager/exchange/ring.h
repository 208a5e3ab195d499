/*
 * A channel within one process: a bounded single-producer single-consumer ring.
 *
 * Bounded three ways: RING_BATCHES_MAX batches, RING_BYTES_MAX bytes (one batch always fits) and
 * the exchange's account, of which an empty ring needs nothing: the first batch is booked by
 * force. The slots beyond those of the batches are reserved for control elements.
 *
 * Wake-ups: a push wakes the consumer. A producer that found no room says so in the ring and looks
 * again; a take that sees the mark clears it and wakes the producer. Marks and positions are
 * sequentially consistent, hence no wake is lost.
 *
 * The ring lives until both ends are closed. An end that is closed early leaves the other alone:
 * whoever decides about the job ends both.
 */
#ifndef TASKMANAGER_EXCHANGE_RING_H
#define TASKMANAGER_EXCHANGE_RING_H

#include "common/base/memory.h"
#include "taskmanager/exchange/channel.h"
#include "taskmanager/exchange/waker.h"

#define RING_SLOTS       64 /* a power of two */
#define RING_BATCHES_MAX 8
#define RING_BYTES_MAX   (1024 * 1024)

struct ring;

/* Both ends exist; neither has a task yet. account may be NULL. */
struct ring *ring_create(struct memory_account *account)
    __attribute__((returns_nonnull, warn_unused_result));

/* Gives an end its task, once each, in any order and on any thread; takes a reference of the
 * waker. Closing the end releases its half of the ring. */
struct channel_output *ring_open_output(struct ring *ring, struct waker *producer)
    __attribute__((returns_nonnull));
struct channel_input *ring_open_input(struct ring *ring, struct waker *consumer)
    __attribute__((returns_nonnull));

/* One end is closed, the other was never opened (its half is held by whoever created the ring). */
bool ring_is_abandoned(const struct ring *ring);
/* Closes an end that was never opened. */
void ring_release(struct ring *ring);

/* Bytes that wait, for metrics and tests. Any thread that owns an end. */
uint64_t ring_bytes(const struct ring *ring);

#endif
