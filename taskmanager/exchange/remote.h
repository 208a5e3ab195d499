/*
 * Channels between TaskManagers: one connection per pair, all channels multiplexed on it.
 *
 * Frames (common/io/transport.h) by kind; numbers little-endian:
 *
 *   HELLO   first from each side: magic "MSDX", major u16, minor u16, incarnation 16 bytes, size of
 *           the cluster id u8, the cluster id. Equal majors and minors that differ by at most one
 *           work together; else, and for another cluster, the connection is closed in words.
 *   OPEN    role u8 (0 producer, 1 consumer), edge u32, producer u64, consumer u64 (attempts),
 *           number u32 (how the peer is to address this end), credit u32 (of a consumer)
 *   DATA    to a consumer's number: encoded batch, or a piece: flags FIRST and LAST; a FIRST that
 *           is not LAST begins with the total size u32
 *   CONTROL to a consumer's number: control element (element.h)
 *   CREDIT  to a producer's number: further bytes u32
 *   CLOSE   number u32 of the sender's end, which is gone
 *
 * Both ends open a channel, in any order. Credit counts payload bytes of DATA: a consumer always
 * grants one frame beyond what it has drained (the floor); what exceeds the floor follows what was
 * drained in the last 100 ms, is booked in the exchange's account, and is refused with it.
 *
 * A frame that breaks the protocol closes the connection; the tasks with channels on it fail with a
 * reason that names the peer. Frames for channels that are gone are dropped.
 */
#ifndef TASKMANAGER_EXCHANGE_REMOTE_H
#define TASKMANAGER_EXCHANGE_REMOTE_H

#include "taskmanager/exchange/exchange.h"

#include <pthread.h>

#define REMOTE_PROTOCOL_MAJOR   1
#define REMOTE_PROTOCOL_MINOR   0
#define REMOTE_FLOOR_BYTES      (FRAME_PAYLOAD_MAX + FRAME_HEADER_BYTES)
#define REMOTE_FLOAT_BYTES_MAX  (2 * 1024 * 1024)
#define REMOTE_RATE_PERIOD_US   100000
#define REMOTE_CHANNELS_MAX     65536
#define REMOTE_CONTROLS_MAX     8 /* reserved room of a producer behind a batch without credit */
#define REMOTE_OPENS_MAX        65536
#define REMOTE_HELLO_TIMEOUT_US 10000000
#define REMOTE_STRANGERS_MAX    64 /* accepted connections that have not said HELLO */

enum remote_frame_kind {
    REMOTE_HELLO = 1,
    REMOTE_OPEN = 2,
    REMOTE_DATA = 3,
    REMOTE_CONTROL = 4,
    REMOTE_CREDIT = 5,
    REMOTE_CLOSE = 6,
};

#define REMOTE_FLAG_FIRST 1U
#define REMOTE_FLAG_LAST  2U

struct remote_open {
    bool is_consumer; /* the sender's role */
    struct channel_identity identity;
    uint32_t number;
    uint32_t credit;
};

/* A received frame that waits for its task. */
struct remote_item {
    struct remote_item *next;
    uint8_t kind;
    uint8_t flags;
    struct buffer *payload;
};

struct link;

/* One end of a channel. `link->mutex` guards what both the task and the connection touch. */
struct remote_channel {
    struct channel_output output;
    struct channel_input input;
    struct link *link;
    struct channel_identity identity;
    bool is_consumer;
    uint32_t number;
    struct waker *waker;
    struct schema *schema; /* consumer */

    /* guarded */
    bool is_open; /* the peer's end is known */
    bool is_failed;
    uint32_t peer_number;
    char *reason;              /* of is_failed */
    int64_t credit;            /* producer: bytes that may be sent */
    bool wants_credit;         /* producer: the task waits for more */
    struct remote_item *first; /* consumer: received, in order */
    struct remote_item **last;
    uint64_t queued_bytes;      /* consumer */
    uint64_t outstanding_bytes; /* consumer: granted, not yet drained */
    uint64_t floating_bytes;    /* consumer: booked beyond the floor */
    uint64_t drained_bytes;     /* consumer: in this period */
    int64_t period_us;

    /* the task's own */
    struct buffer *sending; /* producer: encoded batch, part of which waits for credit */
    uint32_t sent_bytes;
    struct element controls[REMOTE_CONTROLS_MAX]; /* behind it */
    uint32_t control_count;
    struct buffer *assembly; /* consumer: a batch of several frames */
    uint32_t assembly_size;  /* its total */
};

/* A pair of TaskManagers. */
struct link {
    struct link *next;
    struct exchange *exchange;
    struct id128 peer;
    char *address;
    pthread_mutex_t mutex;
    struct session *session; /* the connection in use or being made; NULL: none */
    bool is_ready;           /* HELLO was exchanged */
    struct remote_channel **channels;
    uint16_t *generations;
    uint32_t slot_count;
    struct remote_open *opens; /* of the peer, for which there is no end here yet */
    size_t open_count;
    size_t open_capacity;
};

/* A connection. Freed by its last callback. */
struct session {
    struct session *next;
    struct exchange *exchange;
    struct link *link;             /* NULL: accepted, no HELLO yet */
    struct connection *connection; /* NULL while it is being dialled */
    struct id128 expected;         /* dialled: who must answer */
    bool is_dialled;
    bool has_hello;
    int64_t started_us;
};

struct exchange {
    struct exchange_config config;
    char *cluster_id;
    char *address;
    struct listener *listener;
    pthread_mutex_t mutex; /* after any link's; guards links, sessions, rings */
    pthread_cond_t no_session;
    struct link *links;
    struct session *sessions;
    uint32_t session_count;
    bool is_closing;
    struct pending_ring **rings; /* buckets */
};

/* exchange.c: finds or makes the link. */
struct link *exchange_link(struct exchange *exchange, const struct id128 *peer,
                           const char *address);

/* link.c: connections and frames. */
void link_connect(struct link *link); /* the link's mutex is held; dials if that is our part */
bool session_accept(void *context, struct connection *connection,
                    struct connection_handler *ret_handler);
void link_add(struct link *link, struct remote_channel *channel); /* takes the mutex */
void link_remove(struct link *link, struct remote_channel *channel);
/* The link's connection, a reference, or NULL while there is none; its mutex is held. */
struct connection *link_connection(struct link *link);
/* Sends on such a connection and drops the reference; without the mutex, so that neither checksum
 * nor socket keeps others waiting. A channel's frames stay in order: one task sends them. false: no
 * room, or the connection is closed. */
bool link_transmit(struct link *link, struct connection *connection, const struct frame *frame,
                   bool urgent);
/* Sends a few bytes, copied and urgent, on the link's connection; its mutex is held. */
void link_send_bytes(struct link *link, uint8_t kind, uint32_t number, const void *bytes,
                     size_t size);
void link_destroy(struct link *link);

/* remote.c: the two ends. */
struct channel_output *remote_open_output(struct link *link,
                                          const struct channel_identity *identity,
                                          struct waker *producer);
struct channel_input *remote_open_input(struct link *link, const struct channel_identity *identity,
                                        const struct schema *schema, struct waker *consumer);
/* A frame for this end; the mutex is held. A failure closes the connection. */
enum status remote_on_frame(struct remote_channel *channel, const struct frame *frame,
                            struct error *err) MUST_CHECK;
/* The peer's end is known; the mutex is held. */
void remote_on_open(struct remote_channel *channel, const struct remote_open *open);
void remote_fail(struct remote_channel *channel, const char *reason);
/* What a consumer grants when it opens. */
uint32_t remote_first_credit(const struct remote_channel *channel);

static inline void put_u32(uint8_t *to, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static inline uint32_t get_u32(const void *from)
{
    const uint8_t *bytes = from;
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

#endif
