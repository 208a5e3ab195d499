/*
 * The source "socket": lines from a TCP server, for trying things out.
 *
 * A thread of its own reads blocks into a short queue; when that is full it stops reading, which
 * the server feels. A lost connection is opened again. Nothing can be read twice: after a failure,
 * lines that were read and not yet in a checkpoint's results are lost.
 */
#include "connectors/connectors.h"
#include "connectors/record_reader.h"
#include "connectors/socket/connection.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define QUEUE_BLOCKS 4
#define BLOCK_BYTES  (64 * 1024)

enum socket_option { SOCKET_ADDRESS, SOCKET_GREETING, SOCKET_RECONNECT, SOCKET_OPTION_COUNT };

static const struct option_spec options[] = {
    [SOCKET_ADDRESS] = {.name = "address",
                        .type = OPTION_STRING,
                        .flags = OPTION_REQUIRED | OPTION_MAIN,
                        .help = "host:port of a server that sends lines."},
    [SOCKET_GREETING] = {.name = "greeting",
                         .type = OPTION_STRING,
                         .flags = OPTION_SECRET,
                         .help = "Line sent first over each connection, such as a password or a "
                                 "subscription."},
    [SOCKET_RECONNECT] = {.name = "reconnect",
                          .type = OPTION_BOOL,
                          .fallback = "true",
                          .help = "Connect again when the server closes; false: the input ends "
                                  "then."},
    {.name = NULL},
};

struct socket_queue {
    struct connection connection;
    struct memory_account *memory;
    bool must_reconnect;
    int64_t position;
    /* under background_lock */
    struct record_block blocks[QUEUE_BLOCKS];
    unsigned first;
    unsigned count;
    bool is_connected;
};

struct socket_source {
    struct background *background;
    struct socket_queue *queue; /* the background's memory */
    struct operator_env *env;
    struct record_reader records;
    bool has_split;
    bool is_finished;
};

static void queue_done(void *memory)
{
    struct socket_queue *queue = memory;
    connection_done(&queue->connection);
    for (unsigned i = 0; i < queue->count; i++)
        buffer_unref(queue->blocks[(queue->first + i) % QUEUE_BLOCKS].buffer);
}

/* One block off the connection; empty when the server has closed. */
static struct record_block read_block(struct socket_queue *queue)
{
    struct buffer *buffer = buffer_create(queue->memory, RECORD_BLOCK_HEADROOM + BLOCK_BYTES);
    struct record_block block = {
        .buffer = buffer, .offset = RECORD_BLOCK_HEADROOM, .position = queue->position};
    ssize_t count = -1;
    while (count < 0 && connection_wait(&queue->connection, POLLIN)) {
        count = recv(queue->connection.fd, buffer->bytes + block.offset, BLOCK_BYTES, 0);
        if (count < 0 && errno != EINTR && errno != EAGAIN)
            count = 0; /* broken: as closed */
    }
    block.size = count > 0 ? (uint32_t)count : 0;
    buffer->size = block.offset + block.size;
    return block;
}

static void note_connection(struct socket_queue *queue, bool is_connected)
{
    background_lock(queue->connection.background);
    queue->is_connected = is_connected;
    background_unlock(queue->connection.background);
}

/* Reads until the queue is full or the input has ended. */
static void read_run(void *memory)
{
    struct socket_queue *queue = memory;
    struct background *background = queue->connection.background;
    while (!background_is_closing(background)) {
        background_lock(background);
        const bool is_full = queue->count == QUEUE_BLOCKS;
        background_unlock(background);
        if (is_full)
            return;
        if (queue->connection.fd < 0) {
            if (!connection_open(&queue->connection))
                return;
            note_connection(queue, true);
            background_wake(background);
        }
        struct record_block block = read_block(queue);
        if (block.size == 0) {
            connection_close(&queue->connection);
            note_connection(queue, false);
            /* A line that the server did not finish ends with its connection. */
            block.buffer->bytes[block.offset] = '\n';
            block.buffer->size++;
            block.size = 1;
            block.is_last = !queue->must_reconnect;
        }
        queue->position += block.size;
        background_lock(background);
        queue->blocks[(queue->first + queue->count++) % QUEUE_BLOCKS] = block;
        background_unlock(background);
        background_wake(background);
        if (block.is_last)
            return;
    }
}

static enum status source_open(void *self, struct operator_env *env, const struct format *format,
                               struct error *err)
{
    struct socket_source *source = self;
    source->env = env;
    struct option_value values[SOCKET_OPTION_COUNT];
    TRY(options_from_settings(options, env->spec->settings, env->spec->setting_count, "connector.",
                              values, err));
    source->background =
        background_create(env, BACKGROUND_OWN_THREAD, sizeof(struct socket_queue), queue_done);
    struct socket_queue *queue = source->queue = background_memory(source->background);
    queue->memory = env->memory;
    queue->must_reconnect = values[SOCKET_RECONNECT].boolean;
    TRY(connection_init(&queue->connection, source->background, values[SOCKET_ADDRESS].text,
                        values[SOCKET_GREETING].text, err));
    TRY(record_reader_init(&source->records, env, format, env->spec->outputs[0].schema, err));
    record_reader_start(&source->records, values[SOCKET_ADDRESS].text, 0, true);
    return STATUS_OK;
}

static void source_close(void *self)
{
    struct socket_source *source = self;
    background_release(source->background);
    record_reader_done(&source->records);
    *source = (struct socket_source){0};
}

/* Only the first subtask reads: a second connection would get the same lines again. */
static enum status source_add_splits(void *self, const struct split_list *splits, struct error *err)
{
    (void)err;
    struct socket_source *source = self;
    if (splits->count > 0 && !source->has_split && source->env->subtask_index == 0) {
        source->has_split = true;
        background_start(source->background, read_run);
    }
    return STATUS_OK;
}

static bool feed_block(struct socket_source *source)
{
    struct socket_queue *queue = source->queue;
    struct record_block block = {0};
    background_lock(source->background);
    const bool is_there = queue->count > 0;
    if (is_there) {
        block = queue->blocks[queue->first];
        queue->first = (queue->first + 1) % QUEUE_BLOCKS;
        queue->count--;
    }
    background_unlock(source->background);
    if (is_there)
        record_reader_feed(&source->records, &block);
    if (!source->records.is_last && !background_is_busy(source->background))
        background_start(source->background, read_run);
    return is_there;
}

static enum poll source_poll(void *self, struct emitter *out, struct batch **ret_batch,
                             struct error *err)
{
    struct socket_source *source = self;
    if (!source->has_split || source->is_finished)
        return POLL_NEED_SPLITS;
    enum poll instead = POLL_AGAIN;
    enum records records = RECORDS_NEED_BLOCK;
    do {
        records = record_reader_decode(&source->records, 0, out, err);
    } while (records == RECORDS_NEED_BLOCK && feed_block(source));
    switch (records) {
    case RECORDS_NEED_BLOCK:
        instead = POLL_IDLE;
        break;
    case RECORDS_END:
        source->is_finished = true;
        instead = POLL_NEED_SPLITS;
        break;
    case RECORDS_FULL:
    case RECORDS_NO_ROOM:
        break;
    case RECORDS_FAILED:
        return POLL_FAILED;
    }
    *ret_batch = record_reader_take(&source->records);
    return *ret_batch != NULL ? POLL_BATCH : instead;
}

/* A server that is silent may have nothing to say or be slow: only a lost connection is known. */
static enum split_status source_split_status(const void *self, uint32_t split)
{
    (void)split; /* the first subtask has one, the others none */
    const struct socket_source *source = self;
    if (!source->has_split || source->is_finished)
        return SPLIT_FINISHED;
    background_lock(source->background);
    const bool has_blocks = source->queue->count > 0;
    const bool is_connected = source->queue->is_connected;
    background_unlock(source->background);
    if (has_blocks)
        return SPLIT_HAS_MORE;
    return is_connected ? SPLIT_UNKNOWN : SPLIT_UNREACHABLE;
}

static enum status source_snapshot(void *self, struct split_list *ret_splits, struct error *err)
{
    (void)err;
    const struct socket_source *source = self;
    static const char version = 1;
    if (source->has_split && !source->is_finished)
        split_list_add(ret_splits, "0", &version, 1); /* its id, as it was given */
    return STATUS_OK;
}

static bool is_bounded(const struct operator_spec *spec)
{
    const char *text = operator_setting(spec, "connector.reconnect");
    return text != NULL && strcmp(text, "false") == 0;
}

const struct source_connector source_socket = {
    .abi_size = sizeof(struct source_connector),
    .name = "socket",
    .help = "Reads lines from a TCP server; not replayable: what was read before a failure and is "
            "not in a checkpoint is lost. One subtask reads, whatever the parallelism.",
    .options = options,
    .needs_format = true,
    .makes_splits = true,
    .is_bounded = is_bounded,
    .reader = {.instance_size = sizeof(struct socket_source),
               .open = source_open,
               .add_splits = source_add_splits,
               .poll = source_poll,
               .snapshot = source_snapshot,
               .close = source_close,
               .split_status = source_split_status},
    .idles_by_silence = true,
};
