/*
 * One connection of the control plane: messages cut into frames and put together again.
 *
 * A message is encoded (message_codec.h) and sent as frames of kind FRAME_RPC, all but the last
 * with FRAME_FLAG_MORE. The first frame each way is FRAME_HELLO: magic, RPC_PROTOCOL_MAJOR and
 * MINOR, so that a stranger is closed before anything of his is decoded. More than
 * MESSAGE_BYTES_MAX for one message, a frame of another kind or bytes that are no message close the
 * connection. Decoding can take many times the memory of the bytes: until its peer is trusted, an
 * accepted link takes messages of RPC_STRANGER_BYTES_MAX only.
 *
 * Threads: callbacks run on the transport's threads, one at a time per link; rpc_link_send may be
 * called from any thread, and sends of one thread keep their order.
 */
#ifndef COMMON_RPC_RPC_LINK_H
#define COMMON_RPC_RPC_LINK_H

#include "common/io/transport.h"
#include "common/rpc/message.h"

#include <stdbool.h>

#define RPC_STRANGER_BYTES_MAX 65536

struct rpc_link;

struct rpc_link_handler {
    void *context;
    /* The greeting of the other side was accepted. */
    void (*on_open)(void *context, struct rpc_link *link, const char *local_host,
                    const char *remote_host);
    /* Takes the message. */
    void (*on_message)(void *context, struct rpc_link *link, struct message *message);
    /* Exactly once and last; also when a dial fails. The link may be released from here on. */
    void (*on_closed)(void *context, struct rpc_link *link, const char *reason);
};

/* Dials; failure comes as on_closed. The caller owns one reference. */
struct rpc_link *rpc_link_dial(struct transport *transport, const char *address,
                               const struct rpc_link_handler *handler)
    __attribute__((returns_nonnull, warn_unused_result));

/* Chooses the handler of a new incoming link (whose reference belongs to the caller of the accept:
 * keep it until on_closed, then unref). false refuses the connection. */
typedef bool (*rpc_accept)(void *context, struct rpc_link *link,
                           struct rpc_link_handler *ret_handler);

struct rpc_server;
/* address: "host:port". *ret_address: what peers dial; free it. */
enum status rpc_server_start(struct transport *transport, const char *address, rpc_accept accept,
                             void *context, struct rpc_server **ret_server, char **ret_address,
                             struct error *err) MUST_CHECK;
/* No accept is called afterwards; links live on. NULL is ignored. */
void rpc_server_stop(struct rpc_server *server);

/* Encodes and queues; the message stays the caller's. A closed link drops it: on_closed has been or
 * will be called. */
void rpc_link_send(struct rpc_link *link, const struct message *message);
/* "host" of the other side, "?" if it is not known (any more). */
void rpc_link_remote_host(struct rpc_link *link, char *out, size_t size);
/* The peer has shown who it is: from here on the full size counts. Any thread. */
void rpc_link_trust(struct rpc_link *link);
/* on_closed follows. Idempotent. */
void rpc_link_close(struct rpc_link *link, const char *reason);
struct rpc_link *rpc_link_ref(struct rpc_link *link);
void rpc_link_unref(struct rpc_link *link);

#endif
