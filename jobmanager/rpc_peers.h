/*
 * The connections of TaskManagers: listens, numbers them, brings what comes in onto the event loop.
 *
 * Handlers and the functions below run on the loop's thread only, but for create and destroy.
 */
#ifndef JOBMANAGER_RPC_PEERS_H
#define JOBMANAGER_RPC_PEERS_H

#include "common/io/event_loop.h"
#include "common/rpc/rpc_link.h"

#define RPC_PEERS_MAX 4096

struct rpc_peers_handler {
    void *context;
    void (*on_opened)(void *context, uint64_t connection, const char *remote_host);
    void (*on_message)(void *context, uint64_t connection, struct message *message); /* taken */
    void (*on_closed)(void *context, uint64_t connection, const char *reason);
};

struct rpc_peers;

/* *ret_address: what peers dial, to be freed. */
enum status rpc_peers_listen(struct transport *transport, const char *address,
                             struct event_loop *loop, const struct rpc_peers_handler *handler,
                             struct rpc_peers **ret_peers, char **ret_address,
                             struct error *err) MUST_CHECK;
/* A connection that is gone meanwhile is ignored. */
void rpc_peers_send(struct rpc_peers *peers, uint64_t connection, const struct message *message);
/* Its registration was accepted: its messages may be large from here on. */
void rpc_peers_trust(struct rpc_peers *peers, uint64_t connection);
void rpc_peers_close(struct rpc_peers *peers, uint64_t connection, const char *reason);
/* After the loop has ended: closes all and waits until no callback can come. NULL is ignored. */
void rpc_peers_destroy(struct rpc_peers *peers);

#endif
