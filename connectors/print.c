/*
 * The sink "print": rows on the process's standard output, "node/subtask> +I[apple, 3]".
 *
 * Rows are written by a thread of the sink's own, because a pipe that nobody reads blocks for ever;
 * meanwhile at most two buffers fill and then the task waits. Whole rows: no line of one subtask
 * lies within a line of another.
 */
#include "connectors/background.h"
#include "connectors/connectors.h"
#include "connectors/printed_lines.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <unistd.h>

#define BUFFER_BYTES (64 * 1024)
/* One row may be larger than the buffer. */
#define BUFFER_BYTES_MAX ((size_t)256 * 1024 * 1024)

struct print_output {
    struct text rows; /* being written */
    int error;        /* errno of the first failure; 0: none */
};

struct print {
    struct background *background;
    struct print_output *output; /* the background's memory */
    struct text rows;            /* being filled */
    struct text prefix;
    uint32_t next; /* of the selected rows of the batch being written */
};

/* One buffer at a time: lines of several sinks do not mix. */
static pthread_mutex_t standard_output = PTHREAD_MUTEX_INITIALIZER;

static void output_done(void *memory)
{
    text_done(&((struct print_output *)memory)->rows);
}

static void write_rows(void *memory)
{
    struct print_output *output = memory;
    pthread_mutex_lock(&standard_output);
    size_t done = 0;
    while (done < output->rows.size && output->error == 0) {
        const ssize_t count =
            write(STDOUT_FILENO, output->rows.bytes + done, output->rows.size - done);
        if (count >= 0)
            done += (size_t)count;
        else if (errno != EINTR)
            output->error = errno;
    }
    printed_lines_add(output->rows.bytes, done);
    pthread_mutex_unlock(&standard_output);
    text_clear(&output->rows);
}

static enum status print_open(void *self, struct operator_env *env, const struct format *format,
                              struct error *err)
{
    (void)format;
    (void)err;
    struct print *print = self;
    print->background =
        background_create(env, BACKGROUND_OWN_THREAD, sizeof(struct print_output), output_done);
    print->output = background_memory(print->background);
    text_init(&print->output->rows, BUFFER_BYTES_MAX);
    text_init(&print->rows, BUFFER_BYTES_MAX);
    text_init(&print->prefix, 1024);
    text_format(&print->prefix, "%s/%" PRIu32 "> ", env->spec->name, env->subtask_index);
    return STATUS_OK;
}

/* Hands the filled buffer to the thread. STEP_WAIT: it has not written the one before. */
static enum step hand_over(struct print *print, struct error *err)
{
    if (background_is_busy(print->background))
        return STEP_WAIT;
    if (print->output->error != 0) {
        (void)error_set_errno(err, print->output->error, "write to standard output");
        return STEP_FAILED;
    }
    if (print->rows.size == 0)
        return STEP_DONE;
    const struct text empty = print->output->rows;
    print->output->rows = print->rows;
    print->rows = empty;
    background_start(print->background, write_rows);
    return STEP_DONE;
}

static enum step print_write(void *self, struct batch *in, struct emitter *out, struct error *err)
{
    (void)out;
    struct print *print = self;
    for (; print->next < batch_selected(in); print->next++) {
        if (print->rows.size >= BUFFER_BYTES) {
            const enum step step = hand_over(print, err);
            if (step != STEP_DONE)
                return step;
        }
        text_append_bytes(&print->rows, print->prefix.bytes, print->prefix.size);
        batch_format_row(in, batch_row(in, print->next), &print->rows);
        text_append_char(&print->rows, '\n');
    }
    print->next = 0;
    return STEP_DONE;
}

/* Starts writing what is there; a thread that is busy takes it with the next call. */
static enum step print_flush(void *self, struct error *err)
{
    const enum step step = hand_over(self, err);
    return step == STEP_WAIT ? STEP_DONE : step;
}

/* Until everything has been written. */
static enum step print_drain(void *self, struct error *err)
{
    struct print *print = self;
    const enum step step = hand_over(print, err);
    if (step != STEP_DONE)
        return step;
    return background_is_busy(print->background) ? STEP_WAIT : STEP_DONE;
}

static void print_close(void *self)
{
    struct print *print = self;
    background_release(print->background);
    text_done(&print->rows);
    text_done(&print->prefix);
    *print = (struct print){0};
}

static const struct option_spec options[] = {{.name = NULL}};

const struct sink_connector sink_print = {
    .abi_size = sizeof(struct sink_connector),
    .name = "print",
    .help = "Writes each row as one line to the TaskManager's standard output (the client's with "
            "--local); the last 1,000 lines can be read at /taskmanagers/:id/stdout of the REST "
            "interface.",
    .options = options,
    .takes_changes = true,
    .guarantee = GUARANTEE_AT_LEAST_ONCE,
    .writer = {.instance_size = sizeof(struct print),
               .open = print_open,
               .write = print_write,
               .flush = print_flush,
               .before_barrier = print_drain,
               .finish = print_drain,
               .close = print_close},
};
