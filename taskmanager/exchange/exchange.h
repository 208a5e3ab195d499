/*
 * The exchange of a TaskManager: opens the ends of channels, as a ring when both are in this
 * process, else on the one connection to the other TaskManager.
 *
 * A channel is named by its edge and both attempts, so a consumer can only ever be joined with the
 * attempt that its deployment names. The ends may be opened in any order and minutes apart. Of two
 * TaskManagers the one with the smaller incarnation dials.
 *
 * The protocol between TaskManagers is described in remote.h.
 *
 * Threads: everything may be called from any thread; a channel end belongs to one task.
 */
#ifndef TASKMANAGER_EXCHANGE_EXCHANGE_H
#define TASKMANAGER_EXCHANGE_EXCHANGE_H

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/io/transport.h"
#include "taskmanager/exchange/channel.h"
#include "taskmanager/exchange/waker.h"

#define EXCHANGE_CLUSTER_ID_MAX 200

struct exchange_config {
    const char *cluster_id;         /* copied */
    struct id128 incarnation;       /* of this process */
    struct transport *transport;    /* borrowed; NULL: no other TaskManager can be reached */
    const char *listen_address;     /* "host:port"; used with a transport */
    struct memory_account *account; /* what all channels share */
    const struct clock *clock;
    uint32_t max_record_bytes; /* pipeline.max-record-size: bounds what is put together of frames */
};

struct exchange;

enum status exchange_create(const struct exchange_config *config, struct exchange **ret_exchange,
                            struct error *err) MUST_CHECK;
/* All channel ends have been closed. Closes listener and connections. */
void exchange_destroy(struct exchange *exchange);

/* What peers dial; NULL without a transport. */
const char *exchange_address(const struct exchange *exchange);

struct channel_identity {
    uint32_t edge;
    struct attempt_id producer;
    struct attempt_id consumer;
};

struct exchange_peer {
    struct id128 incarnation; /* of the TaskManager that runs the other end */
    const char *address;
};

/* Never fails: a peer that cannot be reached shows as a failed channel. schema: of the edge. */
struct channel_output *
exchange_open_output(struct exchange *exchange, const struct channel_identity *identity,
                     const struct exchange_peer *peer, struct waker *producer)
    __attribute__((returns_nonnull));
struct channel_input *exchange_open_input(struct exchange *exchange,
                                          const struct channel_identity *identity,
                                          const struct exchange_peer *peer,
                                          const struct schema *schema, struct waker *consumer)
    __attribute__((returns_nonnull));

#endif
