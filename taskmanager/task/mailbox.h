/*
 * How other threads reach a task: a queue of commands, many producers, one consumer (the task's
 * worker), without locks. The sender wakes the task afterwards.
 */
#ifndef TASKMANAGER_TASK_MAILBOX_H
#define TASKMANAGER_TASK_MAILBOX_H

#include "common/api/connector.h"
#include "taskmanager/exchange/element.h"

#include <stdatomic.h>

enum mail_kind {
    MAIL_TRIGGER,      /* barrier: take this checkpoint */
    MAIL_ABORT,        /* id: give up this checkpoint and every earlier one */
    MAIL_COMPLETED,    /* id: durable everywhere; also every earlier one */
    MAIL_SPLITS,       /* splits, is_last: none will follow */
    MAIL_ALIGN,        /* limit_ms: a source waits beyond that event time */
    MAIL_FINISH,       /* a drained task may end */
    MAIL_CANCEL,       /* release everything */
    MAIL_FAIL,         /* error: something outside the task's own calls failed */
    MAIL_BACKEND_OPEN, /* status and error: keyed state is ready */
};

struct mail {
    struct mail *next; /* the mailbox's */
    enum mail_kind kind;
    struct barrier barrier;
    struct checkpoint_id id;
    struct split_list splits;
    bool is_last;
    int64_t limit_ms;
    enum status status;
    struct error error;
    void *pointer; /* what the kind says; owned by sender and receiver by agreement */
};

struct mailbox {
    _Atomic(struct mail *) newest;
};

struct mail *mail_create(enum mail_kind kind) __attribute__((returns_nonnull, warn_unused_result));
void mail_destroy(struct mail *mail);

/* Takes the mail. Any thread. */
void mailbox_put(struct mailbox *mailbox, struct mail *mail);
/* Everything that has come, oldest first, linked by next; NULL if nothing has. */
struct mail *mailbox_take(struct mailbox *mailbox);
/* Drops what was not taken. */
void mailbox_done(struct mailbox *mailbox);

#endif
