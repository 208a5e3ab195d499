/*
 * The two ends of a channel as tasks see them: a ring within a process, a numbered stream of a
 * connection between processes. Each end belongs to one task and is used by its worker only.
 */
#ifndef TASKMANAGER_EXCHANGE_CHANNEL_H
#define TASKMANAGER_EXCHANGE_CHANNEL_H

#include "taskmanager/exchange/element.h"

struct channel_output {
    const struct channel_output_ops *ops;
    struct id128 failed_peer; /* after a failure of pump: the TaskManager that was lost */
};

struct channel_output_ops {
    /* May an element of that kind be pushed now? After false the task is woken when it may. */
    bool (*has_room)(struct channel_output *output, enum element_kind kind);
    /* Takes the element; requires room. */
    void (*push)(struct channel_output *output, struct element element);
    /* Sends what waited for credit. A failure names the peer; the channel is dead. */
    enum status (*pump)(struct channel_output *output, struct error *err);
    /* Nothing pushed waits on this side any more. */
    bool (*is_drained)(const struct channel_output *output);
    /* Ends this side, also before the end of input; releases the object. */
    void (*close)(struct channel_output *output);
};

enum take {
    TAKE_ELEMENT,
    TAKE_EMPTY,  /* the task is woken when there is something */
    TAKE_FAILED, /* err names the peer; the channel is dead */
};

struct channel_input {
    const struct channel_input_ops *ops;
    struct id128 failed_peer; /* after TAKE_FAILED: the TaskManager that was lost */
};

struct channel_input_ops {
    enum take (*take)(struct channel_input *input, struct element *ret_element, struct error *err);
    void (*close)(struct channel_input *input);
};

#endif
