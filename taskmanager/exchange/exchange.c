/* Opens channel ends: rings within the process, links to other processes. */
#include "taskmanager/exchange/exchange.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "taskmanager/exchange/remote.h"
#include "taskmanager/exchange/ring.h"

#include <string.h>

#define RING_BUCKETS 4096

/* A ring of which one end is open and the other awaited. */
struct pending_ring {
    struct pending_ring *next;
    struct channel_identity identity;
    struct ring *ring;
    bool has_output; /* the open end */
};

enum status exchange_create(const struct exchange_config *config, struct exchange **ret_exchange,
                            struct error *err)
{
    if (strlen(config->cluster_id) > EXCHANGE_CLUSTER_ID_MAX)
        return error_set(err, STATUS_INVALID, "cluster id of %zu bytes, at most %d",
                         strlen(config->cluster_id), EXCHANGE_CLUSTER_ID_MAX);
    struct exchange *exchange = allocate(sizeof(*exchange));
    exchange->config = *config;
    exchange->cluster_id = copy_text(config->cluster_id);
    exchange->rings = allocate_array(RING_BUCKETS, sizeof(struct pending_ring *));
    pthread_mutex_init(&exchange->mutex, NULL);
    pthread_cond_init(&exchange->no_session, NULL);
    if (config->transport != NULL) {
        const enum status status = config->transport->ops->listen(
            config->transport, config->listen_address, session_accept, exchange,
            &exchange->listener, &exchange->address, err);
        if (status != STATUS_OK) {
            exchange_destroy(exchange);
            return error_wrap(err, status, "data port");
        }
    }
    *ret_exchange = exchange;
    return STATUS_OK;
}

static void drop_rings(struct exchange *exchange)
{
    for (uint32_t i = 0; i < RING_BUCKETS; i++) {
        struct pending_ring *pending = exchange->rings[i];
        while (pending != NULL) {
            struct pending_ring *next = pending->next;
            ring_release(pending->ring);
            free(pending);
            pending = next;
        }
    }
    free(exchange->rings);
}

static void close_sessions(struct exchange *exchange)
{
    const struct transport_ops *ops = exchange->config.transport->ops;
    pthread_mutex_lock(&exchange->mutex);
    exchange->is_closing = true;
    for (struct session *session = exchange->sessions; session != NULL; session = session->next) {
        if (session->connection != NULL)
            ops->close(session->connection, "this TaskManager ends");
    }
    while (exchange->session_count > 0)
        pthread_cond_wait(&exchange->no_session, &exchange->mutex);
    pthread_mutex_unlock(&exchange->mutex);
}

void exchange_destroy(struct exchange *exchange)
{
    if (exchange == NULL)
        return;
    if (exchange->listener != NULL)
        exchange->config.transport->ops->close_listener(exchange->listener);
    if (exchange->config.transport != NULL)
        close_sessions(exchange);
    while (exchange->links != NULL) {
        struct link *next = exchange->links->next;
        link_destroy(exchange->links);
        exchange->links = next;
    }
    drop_rings(exchange);
    pthread_cond_destroy(&exchange->no_session);
    pthread_mutex_destroy(&exchange->mutex);
    free(exchange->cluster_id);
    free(exchange->address);
    free(exchange);
}

const char *exchange_address(const struct exchange *exchange)
{
    return exchange->address;
}

static bool same_identity(const struct channel_identity *a, const struct channel_identity *b)
{
    return a->edge == b->edge && a->producer.value == b->producer.value &&
           a->consumer.value == b->consumer.value;
}

/* The ring of the channel: the one whose other end waits, or a new one. */
static struct ring *match_ring(struct exchange *exchange, const struct channel_identity *identity,
                               bool is_output)
{
    const uint64_t mixed =
        (identity->producer.value * UINT64_C(0x9E3779B97F4A7C15) + identity->consumer.value) *
            UINT64_C(0xBF58476D1CE4E5B9) +
        identity->edge;
    struct pending_ring **at = &exchange->rings[mixed >> 32 & (RING_BUCKETS - 1)];
    pthread_mutex_lock(&exchange->mutex);
    struct ring *ring = NULL;
    while (*at != NULL && ring == NULL) {
        struct pending_ring *pending = *at;
        const bool is_match = same_identity(&pending->identity, identity);
        CHECK(!is_match || pending->has_output != is_output);
        if (is_match)
            ring = pending->ring;
        else if (ring_is_abandoned(pending->ring))
            ring_release(pending->ring);
        else {
            at = &pending->next;
            continue;
        }
        *at = pending->next;
        free(pending);
    }
    if (ring == NULL) {
        ring = ring_create(exchange->config.account);
        struct pending_ring *pending = allocate(sizeof(*pending));
        *pending = (struct pending_ring){NULL, *identity, ring, is_output};
        *at = pending;
    }
    pthread_mutex_unlock(&exchange->mutex);
    return ring;
}

struct link *exchange_link(struct exchange *exchange, const struct id128 *peer, const char *address)
{
    pthread_mutex_lock(&exchange->mutex);
    struct link *link = exchange->links;
    while (link != NULL && !id128_equals(link->peer, *peer))
        link = link->next;
    if (link == NULL) {
        link = allocate(sizeof(*link));
        link->exchange = exchange;
        link->peer = *peer;
        pthread_mutex_init(&link->mutex, NULL);
        link->next = exchange->links;
        exchange->links = link;
    }
    pthread_mutex_unlock(&exchange->mutex);
    pthread_mutex_lock(&link->mutex);
    if (link->address == NULL && address != NULL)
        link->address = copy_text(address);
    pthread_mutex_unlock(&link->mutex);
    return link;
}

static bool is_local(const struct exchange *exchange, const struct exchange_peer *peer)
{
    return exchange->config.transport == NULL ||
           id128_equals(peer->incarnation, exchange->config.incarnation);
}

struct channel_output *exchange_open_output(struct exchange *exchange,
                                            const struct channel_identity *identity,
                                            const struct exchange_peer *peer,
                                            struct waker *producer)
{
    if (is_local(exchange, peer))
        return ring_open_output(match_ring(exchange, identity, true), producer);
    return remote_open_output(exchange_link(exchange, &peer->incarnation, peer->address), identity,
                              producer);
}

struct channel_input *exchange_open_input(struct exchange *exchange,
                                          const struct channel_identity *identity,
                                          const struct exchange_peer *peer,
                                          const struct schema *schema, struct waker *consumer)
{
    if (is_local(exchange, peer))
        return ring_open_input(match_ring(exchange, identity, false), consumer);
    return remote_open_input(exchange_link(exchange, &peer->incarnation, peer->address), identity,
                             schema, consumer);
}
