/*
 * Connections that carry frames: the exchange between TaskManagers and the RPC to the JobManager.
 * Real: nng byte streams (transport_nng.c; "host:port", "ipc:///path") for the RPC, plain sockets
 * (transport_socket.c; "host:port") for data. Twin: in one process (transport_memory.c;
 * "memory://name"), for `run --local` and tests, which can hold, cut and drop.
 *
 * A frame on the wire (version 1, little-endian): length u32 (of what follows the header), kind u8,
 * flags u8, reserved u16 (0), channel u32, CRC-32C u32 over the other header bytes and the payload;
 * 16 bytes of header. Payload at most FRAME_PAYLOAD_MAX. The first frame each side sends is HELLO;
 * a wrong magic, CRC, length or version closes the connection with a reason in words.
 *
 * Threads: callbacks run on the transport's threads, never two at a time for one connection, and
 * must not block. connection_send may be called from any thread.
 */
#ifndef COMMON_IO_TRANSPORT_H
#define COMMON_IO_TRANSPORT_H

#include "common/base/buffer.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_BYTES         16
#define FRAME_PAYLOAD_MAX          (256 * 1024)
#define CONNECTION_QUEUE_BYTES_MAX (4 * 1024 * 1024)

struct frame {
    uint8_t kind;
    uint8_t flags;
    uint32_t channel;
    struct buffer *payload; /* may be NULL; payload->bytes[0, payload->size) */
};

struct connection;

struct connection_handler {
    void *context;
    /* The frame's payload is borrowed; buffer_ref keeps it. */
    void (*on_frame)(void *context, struct connection *connection, const struct frame *frame);
    /* Room again after connection_send had refused. */
    void (*on_writable)(void *context, struct connection *connection);
    /* Exactly once, the last callback; also when a dial fails. reason: for people. */
    void (*on_closed)(void *context, struct connection *connection, const char *reason);
};

/* A new incoming connection; fills *ret_handler. false refuses it. */
typedef bool (*accept_fn)(void *context, struct connection *connection,
                          struct connection_handler *ret_handler);

struct transport {
    const struct transport_ops *ops;
};

struct listener;

struct transport_ops {
    /* "host:port", port 0 for any; *ret_address: what peers dial, to be freed. */
    enum status (*listen)(struct transport *transport, const char *address, accept_fn accept,
                          void *context, struct listener **ret_listener, char **ret_address,
                          struct error *err);
    void (*close_listener)(struct listener *listener);
    /* Returns at once; failure comes as on_closed. Never NULL. The caller owns a reference. */
    struct connection *(*dial)(struct transport *transport, const char *address,
                               const struct connection_handler *handler);
    /* Queues the frame (takes a reference of the payload). false: CONNECTION_QUEUE_BYTES_MAX would
     * be exceeded (on_writable follows) or the connection is closed. Control frames (RPC, credit,
     * barriers) pass `urgent` and are refused only by a closed connection. */
    bool (*send)(struct connection *connection, const struct frame *frame, bool urgent);
    /* Closes after on_closed; idempotent, does not wait. */
    void (*close)(struct connection *connection, const char *reason);
    struct connection *(*ref)(struct connection *connection);
    void (*unref)(struct connection *connection);
    /* "host" of this end and of the other, for advertising and messages. */
    void (*addresses)(struct connection *connection, char *local, char *remote, size_t size);
    /* Waits for all callbacks to have ended; everything is closed. */
    void (*destroy)(struct transport *transport);
};

struct transport *transport_nng_create(void) __attribute__((returns_nonnull));
struct transport *transport_socket_create(void) __attribute__((returns_nonnull));
struct transport *transport_memory_create(void) __attribute__((returns_nonnull));

#endif
