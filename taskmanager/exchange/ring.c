/* Single-producer single-consumer ring on C11 atomics. */
#include "taskmanager/exchange/ring.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <stddef.h>

_Static_assert((RING_SLOTS & (RING_SLOTS - 1)) == 0, "a power of two");

#define CACHE_LINE 64

struct ring {
    struct channel_output output;
    struct channel_input input;
    _Atomic uint32_t references;
    struct memory_account *account;
    _Atomic(struct waker *) producer;
    _Atomic(struct waker *) consumer;
    _Alignas(CACHE_LINE) _Atomic uint32_t pushed; /* elements ever pushed: the producer's */
    _Alignas(CACHE_LINE) _Atomic uint32_t taken;  /* elements ever taken: the consumer's */
    _Atomic uint32_t batches;                     /* that wait */
    _Atomic uint64_t bytes;                       /* that wait */
    _Atomic bool producer_waits;
    struct element slots[RING_SLOTS];
    uint64_t sizes[RING_SLOTS]; /* booked bytes of each */
};

static void ring_unref(struct ring *ring)
{
    if (atomic_fetch_sub_explicit(&ring->references, 1, memory_order_acq_rel) != 1)
        return;
    const uint32_t end = atomic_load(&ring->pushed);
    for (uint32_t i = atomic_load(&ring->taken); i != end; i++) {
        element_release(&ring->slots[i % RING_SLOTS]);
        if (ring->account != NULL)
            memory_release(ring->account, ring->sizes[i % RING_SLOTS]);
    }
    waker_unref(atomic_load(&ring->producer));
    waker_unref(atomic_load(&ring->consumer));
    free(ring);
}

static bool has_room_now(const struct ring *ring, enum element_kind kind)
{
    const uint32_t used = atomic_load(&ring->pushed) - atomic_load(&ring->taken);
    if (used >= RING_SLOTS)
        return false;
    if (kind != ELEMENT_BATCH)
        return true;
    const uint32_t batches = atomic_load(&ring->batches);
    if (batches == 0)
        return true;
    if (batches >= RING_BATCHES_MAX || atomic_load(&ring->bytes) >= RING_BYTES_MAX)
        return false;
    return ring->account == NULL || memory_used(ring->account) < ring->account->limit_bytes;
}

static bool ring_has_room(struct channel_output *output, enum element_kind kind)
{
    struct ring *ring = (struct ring *)((char *)output - offsetof(struct ring, output));
    if (has_room_now(ring, kind))
        return true;
    atomic_store(&ring->producer_waits, true);
    if (!has_room_now(ring, kind))
        return false;
    atomic_store(&ring->producer_waits, false);
    return true;
}

static void ring_push(struct channel_output *output, struct element element)
{
    struct ring *ring = (struct ring *)((char *)output - offsetof(struct ring, output));
    const uint32_t position = atomic_load_explicit(&ring->pushed, memory_order_relaxed);
    uint64_t size = 0;
    if (element.kind == ELEMENT_BATCH) {
        size = batch_byte_size(element.batch);
        /* Room was granted for a batch of whatever size: the account may pass its limit by one
         * batch per channel, which is the floor it was given. */
        if (ring->account != NULL)
            memory_force(ring->account, size);
        atomic_fetch_add(&ring->batches, 1);
        atomic_fetch_add(&ring->bytes, size);
    }
    ring->slots[position % RING_SLOTS] = element;
    ring->sizes[position % RING_SLOTS] = size;
    atomic_store(&ring->pushed, position + 1);
    struct waker *consumer = atomic_load(&ring->consumer);
    if (consumer != NULL)
        waker_wake(consumer);
}

static enum status ring_pump(struct channel_output *output, struct error *err)
{
    (void)output;
    (void)err;
    return STATUS_OK;
}

static bool ring_is_drained(const struct channel_output *output)
{
    (void)output; /* the ring outlives its producer */
    return true;
}

static void ring_close_output(struct channel_output *output)
{
    ring_unref((struct ring *)((char *)output - offsetof(struct ring, output)));
}

static enum take ring_take(struct channel_input *input, struct element *ret_element,
                           struct error *err)
{
    (void)err;
    struct ring *ring = (struct ring *)((char *)input - offsetof(struct ring, input));
    const uint32_t position = atomic_load_explicit(&ring->taken, memory_order_relaxed);
    if (position == atomic_load(&ring->pushed))
        return TAKE_EMPTY;
    *ret_element = ring->slots[position % RING_SLOTS];
    const uint64_t size = ring->sizes[position % RING_SLOTS];
    if (ret_element->kind == ELEMENT_BATCH) {
        if (ring->account != NULL)
            memory_release(ring->account, size);
        atomic_fetch_sub(&ring->batches, 1);
        atomic_fetch_sub(&ring->bytes, size);
    }
    atomic_store(&ring->taken, position + 1);
    if (atomic_load(&ring->producer_waits) && atomic_exchange(&ring->producer_waits, false)) {
        struct waker *producer = atomic_load(&ring->producer);
        if (producer != NULL)
            waker_wake(producer);
    }
    return TAKE_ELEMENT;
}

static void ring_close_input(struct channel_input *input)
{
    ring_unref((struct ring *)((char *)input - offsetof(struct ring, input)));
}

static const struct channel_output_ops output_ops = {
    .has_room = ring_has_room,
    .push = ring_push,
    .pump = ring_pump,
    .is_drained = ring_is_drained,
    .close = ring_close_output,
};

static const struct channel_input_ops input_ops = {
    .take = ring_take,
    .close = ring_close_input,
};

struct ring *ring_create(struct memory_account *account)
{
    /* Its size is a multiple of its alignment, as aligned_alloc wants. */
    struct ring *ring = aligned_alloc(CACHE_LINE, sizeof(*ring));
    CHECK(ring != NULL);
    memset(ring, 0, sizeof(*ring));
    ring->output.ops = &output_ops;
    ring->input.ops = &input_ops;
    ring->account = account;
    atomic_init(&ring->references, 2);
    return ring;
}

struct channel_output *ring_open_output(struct ring *ring, struct waker *producer)
{
    CHECK(atomic_exchange(&ring->producer, waker_ref(producer)) == NULL);
    return &ring->output;
}

struct channel_input *ring_open_input(struct ring *ring, struct waker *consumer)
{
    CHECK(atomic_exchange(&ring->consumer, waker_ref(consumer)) == NULL);
    return &ring->input;
}

bool ring_is_abandoned(const struct ring *ring)
{
    return atomic_load(&ring->references) == 1;
}

void ring_release(struct ring *ring)
{
    ring_unref(ring);
}

uint64_t ring_bytes(const struct ring *ring)
{
    return atomic_load(&ring->bytes);
}
