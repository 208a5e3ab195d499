/*
 * The sink "socket": encoded rows to a TCP server.
 *
 * A thread of its own sends; at most two buffers fill meanwhile. When the connection breaks, the
 * buffer being sent is sent again from its start over a new one: rows may arrive twice, and what
 * the server's host had taken but not read may be missing. At a barrier the task waits until
 * everything has been handed to the connection.
 */
#include "connectors/connectors.h"
#include "connectors/socket/connection.h"

#include "common/base/allocate.h"

#define BUFFER_BYTES     (64 * 1024)
#define BUFFER_BYTES_MAX ((size_t)256 * 1024 * 1024)

enum socket_option { SOCKET_ADDRESS, SOCKET_GREETING, SOCKET_OPTION_COUNT };

static const struct option_spec options[] = {
    [SOCKET_ADDRESS] = {.name = "address",
                        .type = OPTION_STRING,
                        .flags = OPTION_REQUIRED | OPTION_MAIN,
                        .help = "host:port of a server that takes lines."},
    [SOCKET_GREETING] = {.name = "greeting",
                         .type = OPTION_STRING,
                         .flags = OPTION_SECRET,
                         .help = "Line sent first over each connection, such as a password."},
    {.name = NULL},
};

struct socket_output {
    struct connection connection;
    struct text rows; /* being sent */
};

struct socket_sink {
    struct background *background;
    struct socket_output *output; /* the background's memory */
    struct operator_env *env;
    const struct format *format;
    void *encoder;
    struct text rows; /* being filled */
    uint32_t next;    /* of the batch being written */
};

static void output_done(void *memory)
{
    struct socket_output *output = memory;
    connection_done(&output->connection);
    text_done(&output->rows);
}

static void send_run(void *memory)
{
    struct socket_output *output = memory;
    for (;;) {
        if (output->connection.fd < 0 && !connection_open(&output->connection))
            return;
        if (connection_send(&output->connection, output->rows.bytes, output->rows.size))
            break;
        connection_close(&output->connection);
        if (background_is_closing(output->connection.background))
            return;
    }
    text_clear(&output->rows);
}

static enum status sink_open(void *self, struct operator_env *env, const struct format *format,
                             struct error *err)
{
    struct socket_sink *sink = self;
    sink->env = env;
    struct option_value values[SOCKET_OPTION_COUNT];
    TRY(options_from_settings(options, env->spec->settings, env->spec->setting_count, "connector.",
                              values, err));
    if (format->encoder.open == NULL)
        return error_set(err, STATUS_UNSUPPORTED, "format %s cannot be written", format->name);
    sink->background =
        background_create(env, BACKGROUND_OWN_THREAD, sizeof(struct socket_output), output_done);
    sink->output = background_memory(sink->background);
    text_init(&sink->output->rows, BUFFER_BYTES_MAX);
    text_init(&sink->rows, BUFFER_BYTES_MAX);
    TRY(connection_init(&sink->output->connection, sink->background, values[SOCKET_ADDRESS].text,
                        values[SOCKET_GREETING].text, err));
    sink->format = format;
    sink->encoder = allocate(format->encoder.instance_size + 1);
    return format->encoder.open(sink->encoder, env->spec, env->spec->inputs[0], err);
}

static void sink_close(void *self)
{
    struct socket_sink *sink = self;
    background_release(sink->background);
    if (sink->encoder != NULL) {
        sink->format->encoder.close(sink->encoder);
        free(sink->encoder);
    }
    text_done(&sink->rows);
    *sink = (struct socket_sink){0};
}

static enum step hand_over(struct socket_sink *sink)
{
    if (background_is_busy(sink->background))
        return STEP_WAIT;
    if (sink->rows.size == 0)
        return STEP_DONE;
    const struct text empty = sink->output->rows;
    sink->output->rows = sink->rows;
    sink->rows = empty;
    background_start(sink->background, send_run);
    return STEP_DONE;
}

static enum step encode_row(struct socket_sink *sink, const struct batch *in, uint32_t row,
                            struct emitter *out, struct error *err)
{
    const size_t before = sink->rows.size;
    const enum status status =
        sink->format->encoder.encode(sink->encoder, in, row, &sink->rows, err);
    if (status == STATUS_OK)
        return STEP_DONE;
    sink->rows.size = before;
    if (status != STATUS_RECORD)
        return STEP_FAILED;
    struct error why;
    const struct row_error error = {
        .cause = "format", .message = err->message, .origin = &in->origin, .position = -1};
    const enum step step = sink->env->ops->row_error(sink->env, &error, out, &why);
    if (step == STEP_FAILED)
        *err = why;
    return step;
}

static enum step sink_write(void *self, struct batch *in, struct emitter *out, struct error *err)
{
    struct socket_sink *sink = self;
    for (; sink->next < batch_selected(in); sink->next++) {
        enum step step = sink->rows.size >= BUFFER_BYTES ? hand_over(sink) : STEP_DONE;
        if (step == STEP_DONE)
            step = encode_row(sink, in, batch_row(in, sink->next), out, err);
        if (step != STEP_DONE)
            return step;
    }
    sink->next = 0;
    return STEP_DONE;
}

static enum step sink_flush(void *self, struct error *err)
{
    (void)err;
    (void)hand_over(self); /* a busy thread takes it with the next call */
    return STEP_DONE;
}

static enum step sink_drain(void *self, struct error *err)
{
    (void)err;
    struct socket_sink *sink = self;
    const enum step step = hand_over(sink);
    if (step != STEP_DONE)
        return step;
    return background_is_busy(sink->background) ? STEP_WAIT : STEP_DONE;
}

const struct sink_connector sink_socket = {
    .abi_size = sizeof(struct sink_connector),
    .name = "socket",
    .help = "Sends rows to a TCP server, one line each; when a connection breaks rows may arrive "
            "twice or be missing.",
    .options = options,
    .needs_format = true,
    .guarantee = GUARANTEE_AT_LEAST_ONCE,
    .writer = {.instance_size = sizeof(struct socket_sink),
               .open = sink_open,
               .write = sink_write,
               .flush = sink_flush,
               .before_barrier = sink_drain,
               .finish = sink_drain,
               .close = sink_close},
};
