/*
 * The order of timers: for each kind and key group a treap of the timers in memory, and over the
 * key groups a heap of what is earliest.
 *
 * A bounded head: timers in memory are entries of the cache like others. Where room is needed, the
 * latest ones of a key group go to the database; its horizon is then the earliest of them: each
 * timer before the horizon is in memory, those from the horizon on may be in the database only.
 * When the timers before it have fired, the next ones are read. What fires needs no tombstones:
 * each key group's fired timers are one range, from the first to the last since the last set was
 * launched, because nothing lies between them.
 *
 * Order: time, key (NULL first, then bytewise), namespace; storage bytes order the same way.
 * One thread: the worker.
 */
#ifndef TASKMANAGER_STATE_TIMER_QUEUE_H
#define TASKMANAGER_STATE_TIMER_QUEUE_H

#include "taskmanager/state/parts.h"

#define TIMER_HEAD_SIZE 9 /* of a subkey: 1 byte kind, 8 bytes time; then the namespace */

struct timer_group {
    uint32_t root; /* ref of an entry, 0: none in memory */
    uint32_t head; /* the earliest one */
    uint32_t count;
    uint32_t heap_at; /* UINT32_MAX: not in the heap */
    bool has_horizon;
    int64_t horizon_ms;
    struct text horizon;      /* storage bytes behind the key group */
    struct state_drop *fired; /* since the last set was launched; NULL: none */
};

struct timer_queue {
    struct state_table *table;
    struct key_group_range key_groups;
    struct timer_group *groups; /* of key_groups.first .. last */
    uint32_t *heap;             /* indices of groups, the earliest first */
    uint32_t heap_count;
    uint32_t evict_group; /* whose turn it is */
};

void timer_queue_init(struct timer_queue *queue, struct state_table *table);
void timer_queue_done(struct timer_queue *queue);

int64_t timer_time(const char *subkey);

/* A live entry that is in no queue. */
void timer_queue_add(struct timer_queue *queue, struct entry *entry);
void timer_queue_remove(struct timer_queue *queue, struct entry *entry);
/* Whether the database may hold a timer that is not in memory. */
bool timer_queue_may_be_stored(struct timer_queue *queue, const struct entry_key *key,
                               uint32_t key_group);
/* The timers from these storage bytes on may be in the database only. */
void timer_queue_lower_horizon(struct timer_queue *queue, uint32_t key_group, const char *bytes,
                               size_t size);
/* When the earliest timer is due, or its key group must be looked at; INT64_MAX: none. */
int64_t timer_queue_next_ms(const struct timer_queue *queue);
/* The earliest timer; NULL: the key group's next timers must be read first. */
struct entry *timer_queue_head(const struct timer_queue *queue, uint32_t *ret_key_group);
/* The head fires: it leaves queue and table. */
void timer_queue_fire(struct timer_queue *queue, struct entry *entry);

/* Reads the next timers of a key group, at most a bounded number. */
enum status timer_queue_refill(struct timer_queue *queue, uint32_t key_group, uint8_t kind,
                               struct state_iterator *iterator, struct error *err) MUST_CHECK;

#endif
