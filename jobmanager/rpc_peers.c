/* The connections of TaskManagers: see rpc_peers.h. */
#include "jobmanager/rpc_peers.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/log.h"

#include <pthread.h>

/* One connection. In the list from its accept to its on_closed. */
struct peer {
    struct peer *next;
    struct rpc_peers *peers;
    uint64_t connection;
    struct rpc_link *link; /* the reference that accept was given */
    bool is_open;          /* greeted and told to the handler; loop's thread */
    char remote[256];      /* host */
};

struct rpc_peers {
    struct event_loop *loop;
    struct rpc_peers_handler handler;
    struct rpc_server *server;
    pthread_mutex_t lock; /* of the list */
    pthread_cond_t gone;
    struct peer *first;
    size_t count;
    uint64_t last_connection;
};

/* What a transport's thread posts to the loop. */
struct peer_event {
    struct rpc_peers *peers;
    uint64_t connection;
    struct message *message;
    char *text; /* remote host or reason */
};

static void peer_event_done(struct peer_event *event)
{
    message_destroy(event->message);
    free(event->text);
    free(event);
}

/* A reference of the link of that connection, or NULL. */
static struct rpc_link *find_link(struct rpc_peers *peers, uint64_t connection)
{
    struct rpc_link *link = NULL;
    (void)pthread_mutex_lock(&peers->lock);
    for (struct peer *peer = peers->first; peer != NULL && link == NULL; peer = peer->next) {
        if (peer->connection == connection)
            link = rpc_link_ref(peer->link);
    }
    (void)pthread_mutex_unlock(&peers->lock);
    return link;
}

static void post(const struct peer *peer, struct rpc_link *link, event_loop_call call,
                 struct message *message, const char *text)
{
    struct peer_event *event = allocate(sizeof(*event));
    event->peers = peer->peers;
    event->connection = peer->connection;
    event->message = message;
    event->text = text != NULL ? copy_text(text) : NULL;
    if (!event_loop_post(peer->peers->loop, call, event)) {
        /* Ending, or flooded: a connection whose messages are lost is of no use. */
        rpc_link_close(link, "this JobManager is ending or overloaded");
        peer_event_done(event);
    }
}

static void handle_opened(void *argument)
{
    struct peer_event *event = argument;
    const struct rpc_peers_handler *handler = &event->peers->handler;
    handler->on_opened(handler->context, event->connection, event->text);
    peer_event_done(event);
}

static void handle_message(void *argument)
{
    struct peer_event *event = argument;
    const struct rpc_peers_handler *handler = &event->peers->handler;
    handler->on_message(handler->context, event->connection, take_pointer(&event->message));
    peer_event_done(event);
}

static void handle_closed(void *argument)
{
    struct peer_event *event = argument;
    const struct rpc_peers_handler *handler = &event->peers->handler;
    handler->on_closed(handler->context, event->connection, event->text);
    peer_event_done(event);
}

static void on_open(void *context, struct rpc_link *link, const char *local_host,
                    const char *remote_host)
{
    (void)local_host;
    struct peer *peer = context;
    peer->is_open = true;
    post(peer, link, handle_opened, NULL, remote_host);
}

static void on_message(void *context, struct rpc_link *link, struct message *message)
{
    post(context, link, handle_message, message, NULL);
}

static void on_closed(void *context, struct rpc_link *link, const char *reason)
{
    struct peer *peer = context;
    struct rpc_peers *peers = peer->peers;
    if (peer->is_open)
        post(peer, link, handle_closed, NULL, reason);
    else
        log_event(LOG_WARN, "rpc_connection_refused", "peer", peer->remote, "reason", reason, NULL);
    (void)pthread_mutex_lock(&peers->lock);
    struct peer **slot = &peers->first;
    while (*slot != peer)
        slot = &(*slot)->next;
    *slot = peer->next;
    peers->count--;
    rpc_link_unref(peer->link);
    free(peer);
    (void)pthread_cond_signal(&peers->gone);
    (void)pthread_mutex_unlock(&peers->lock);
}

static bool on_accept(void *context, struct rpc_link *link, struct rpc_link_handler *ret_handler)
{
    struct rpc_peers *peers = context;
    (void)pthread_mutex_lock(&peers->lock);
    const bool has_room = peers->count < RPC_PEERS_MAX;
    if (has_room) {
        struct peer *peer = allocate(sizeof(*peer));
        peer->peers = peers;
        peer->connection = ++peers->last_connection;
        peer->link = link;
        rpc_link_remote_host(link, peer->remote, sizeof(peer->remote));
        peer->next = peers->first;
        peers->first = peer;
        peers->count++;
        *ret_handler = (struct rpc_link_handler){
            .context = peer, .on_open = on_open, .on_message = on_message, .on_closed = on_closed};
    }
    (void)pthread_mutex_unlock(&peers->lock);
    return has_room;
}

enum status rpc_peers_listen(struct transport *transport, const char *address,
                             struct event_loop *loop, const struct rpc_peers_handler *handler,
                             struct rpc_peers **ret_peers, char **ret_address, struct error *err)
{
    struct rpc_peers *peers = allocate(sizeof(*peers));
    peers->loop = loop;
    peers->handler = *handler;
    CHECK(pthread_mutex_init(&peers->lock, NULL) == 0);
    CHECK(pthread_cond_init(&peers->gone, NULL) == 0);
    const enum status status =
        rpc_server_start(transport, address, on_accept, peers, &peers->server, ret_address, err);
    if (status != STATUS_OK) {
        rpc_peers_destroy(peers);
        return status;
    }
    *ret_peers = peers;
    return STATUS_OK;
}

void rpc_peers_send(struct rpc_peers *peers, uint64_t connection, const struct message *message)
{
    struct rpc_link *link = find_link(peers, connection);
    if (link != NULL)
        rpc_link_send(link, message);
    rpc_link_unref(link);
}

void rpc_peers_trust(struct rpc_peers *peers, uint64_t connection)
{
    struct rpc_link *link = find_link(peers, connection);
    if (link != NULL)
        rpc_link_trust(link);
    rpc_link_unref(link);
}

void rpc_peers_close(struct rpc_peers *peers, uint64_t connection, const char *reason)
{
    struct rpc_link *link = find_link(peers, connection);
    if (link != NULL)
        rpc_link_close(link, reason);
    rpc_link_unref(link);
}

/* Closed without the lock: on_closed takes it. */
static void close_all(struct rpc_peers *peers)
{
    (void)pthread_mutex_lock(&peers->lock);
    const size_t count = peers->count;
    struct rpc_link **links = allocate_array(count, sizeof(struct rpc_link *));
    size_t filled = 0;
    for (struct peer *peer = peers->first; peer != NULL; peer = peer->next)
        links[filled++] = rpc_link_ref(peer->link);
    (void)pthread_mutex_unlock(&peers->lock);
    for (size_t i = 0; i < filled; i++) {
        rpc_link_close(links[i], "the JobManager has ended");
        rpc_link_unref(links[i]);
    }
    free(links);
}

void rpc_peers_destroy(struct rpc_peers *peers)
{
    if (peers == NULL)
        return;
    rpc_server_stop(peers->server);
    close_all(peers);
    (void)pthread_mutex_lock(&peers->lock);
    while (peers->count > 0)
        (void)pthread_cond_wait(&peers->gone, &peers->lock);
    (void)pthread_mutex_unlock(&peers->lock);
    (void)pthread_cond_destroy(&peers->gone);
    (void)pthread_mutex_destroy(&peers->lock);
    free(peers);
}
