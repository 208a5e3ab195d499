/*
 * The sink "file": rows as files that become visible when the checkpoint that names them is
 * complete.
 *
 * Rows are encoded on the worker into a buffer; a job on the pool appends it to the open file. At a
 * barrier the file is closed and synced and becomes pending: the snapshot names it, the
 * checkpoint's completion commits it (file_commit.h). Without checkpoints the end of input does.
 * Every snapshot holds all pending files, and the number of the next one, as union state: a restore
 * finishes those of subtask i in subtask i mod parallelism.
 */
#include "connectors/background.h"
#include "connectors/compression/compression.h"
#include "connectors/connectors.h"
#include "connectors/file/file_commit.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER_BYTES (256 * 1024)
/* One row may be larger than the buffer. */
#define BUFFER_BYTES_MAX ((size_t)256 * 1024 * 1024)

enum sink_option { SINK_PATH, SINK_ROLL_SIZE, SINK_IF_EXISTS, SINK_COMPRESSION, SINK_OPTION_COUNT };

static const char *const if_exists_choices[] = {"append", "fail", "replace", NULL};

/* In the order of enum compression. */
static const char *const compression_choices[] = {"none", "gzip", "zstd", NULL};

static const struct option_spec options[] = {
    [SINK_PATH] = {.name = "path",
                   .type = OPTION_STRING,
                   .flags = OPTION_REQUIRED | OPTION_MAIN,
                   .help = "The directory; it is made if it is missing."},
    [SINK_ROLL_SIZE] = {.name = "roll_size",
                        .type = OPTION_SIZE,
                        .fallback = "128m",
                        .alias = "sink.rolling-policy.file-size",
                        .min = 1,
                        .max = INT64_C(1) << 50,
                        .help = "A new file begins at this size, and at every checkpoint."},
    [SINK_IF_EXISTS] = {.name = "if_exists",
                        .type = OPTION_ENUM,
                        .fallback = "append",
                        .choices = if_exists_choices,
                        .help = "At the job's first start: leave other files alone, refuse a "
                                "directory that holds any, or remove files of earlier jobs "
                                "(part-*)."},
    [SINK_COMPRESSION] = {.name = "compression",
                          .type = OPTION_ENUM,
                          .fallback = "none",
                          .choices = compression_choices,
                          .help = "Each file is a whole stream of this kind; its name ends in .gz "
                                  "or .zst. roll_size counts the bytes before compression."},
    {.name = NULL},
};

/* What the job on the pool works on. */
struct file_work {
    struct file_target target;
    struct text rows;              /* to be appended to the open file */
    struct compressor *compressor; /* NULL: rows are written as they are */
    struct text compressed;        /* what rows have become */
    int fd;                        /* -1: no file is open */
    uint64_t n;                    /* of the open file, or of the next one */
    uint64_t size;                 /* of the open file */
    bool must_seal;                /* close and sync it after appending */
    bool is_restored;
    bool is_sequence_free;
    struct pending_file *files; /* to recover or to commit; owned */
    size_t file_count;
    struct pending_file sealed; /* the file closed last */
    bool has_sealed;
    enum status status;
    struct error err;
    char *extension; /* owned: target's */
};

struct file_sink {
    struct background *background;
    struct file_work *work; /* the background's memory */
    const struct format *format;
    void *encoder;
    struct operator_env *env;
    struct text rows; /* being filled */
    uint64_t size;    /* of the file with what is being filled */
    uint64_t roll_size;
    uint32_t next_row; /* of the batch being written */
    bool is_committing;
    bool has_started; /* the call that is being resumed has started its job */
    struct pending_file *pending;
    size_t pending_count;
    size_t pending_capacity;
};

/* ---- jobs on the pool ---- */

static void work_done(void *memory)
{
    struct file_work *work = memory;
    if (work->fd >= 0)
        (void)close(work->fd); /* nobody will commit it */
    text_done(&work->rows);
    text_done(&work->compressed);
    compressor_destroy(work->compressor);
    free(work->files);
    free(work->target.directory);
    free(work->extension);
}

static enum status append(struct file_work *work, struct text *bytes, struct error *err)
{
    SCOPED_TEXT char *path =
        file_target_open_path(&work->target, work->target.subtask, work->target.attempt, work->n);
    if (work->fd < 0) {
        work->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (work->fd < 0)
            return error_set_errno(err, errno, "create %s", path);
        work->size = 0;
    }
    for (size_t done = 0; done < bytes->size;) {
        const ssize_t count = write(work->fd, bytes->bytes + done, bytes->size - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_set_errno(err, errno, "write %s at byte %" PRIu64 "%s", path, work->size,
                                   errno == ENOSPC || errno == EDQUOT
                                       ? " (make room; the job goes on from its last checkpoint)"
                                       : "");
        done += (size_t)count;
        work->size += (uint64_t)count;
    }
    text_clear(bytes);
    return STATUS_OK;
}

/* The file is opened with its first row, even while the compressor still keeps everything. */
static enum status append_rows(struct file_work *work, struct error *err)
{
    const bool is_begun = work->rows.size > 0 || work->fd >= 0;
    if (work->compressor == NULL || !is_begun)
        return work->rows.size > 0 ? append(work, &work->rows, err) : STATUS_OK;
    TRY(compressor_write(work->compressor, work->rows.bytes, work->rows.size, work->must_seal,
                         &work->compressed, err));
    text_clear(&work->rows);
    return append(work, &work->compressed, err);
}

/* After a failed sync the file counts as lost: the task fails and writes it again. */
static enum status seal(struct file_work *work, struct error *err)
{
    struct stat found;
    int reason = 0;
    if (fsync(work->fd) != 0 || fstat(work->fd, &found) != 0)
        reason = errno;
    if (close(work->fd) != 0 && reason == 0)
        reason = errno;
    work->fd = -1;
    if (reason != 0)
        return error_set_errno(err, reason, "sync file %" PRIu64 " in %s", work->n,
                               work->target.directory);
    work->sealed = (struct pending_file){
        .subtask = work->target.subtask,
        .attempt = work->target.attempt,
        .n = work->n++,
        .inode = (uint64_t)found.st_ino,
        .size = (uint64_t)found.st_size,
    };
    work->has_sealed = true;
    return file_target_sync_directory(&work->target, err);
}

static void write_run(void *memory)
{
    struct file_work *work = memory;
    work->status = append_rows(work, &work->err);
    if (work->status == STATUS_OK && work->must_seal && work->fd >= 0)
        work->status = seal(work, &work->err);
}

static void recover_run(void *memory)
{
    struct file_work *work = memory;
    work->status = file_target_recover(&work->target, work->files, work->file_count,
                                       work->is_restored, &work->err);
}

static void commit_run(void *memory)
{
    struct file_work *work = memory;
    work->status = STATUS_OK;
    for (size_t i = 0; i < work->file_count && work->status == STATUS_OK; i++)
        work->status =
            file_target_commit(&work->target, &work->files[i], work->is_sequence_free, &work->err);
    if (work->status == STATUS_OK)
        work->status = file_target_sync_directory(&work->target, &work->err);
}

/* ---- the worker ---- */

static enum status open_encoder(struct file_sink *sink, const struct format *format,
                                struct error *err)
{
    if (format->encoder.open == NULL)
        return error_set(err, STATUS_UNSUPPORTED, "format %s cannot be written", format->name);
    sink->format = format;
    sink->encoder = allocate(format->encoder.instance_size + 1);
    return format->encoder.open(sink->encoder, sink->env->spec, sink->env->spec->inputs[0], err);
}

/* Do checkpoints commit, or does the end of input? */
static bool has_checkpoints(const struct operator_env *env)
{
    const char *text =
        env->job != NULL ? job_graph_config(env->job, "execution.checkpointing.interval") : NULL;
    int64_t interval_ms = 0;
    return text != NULL &&
           parse_duration_ms(text, OPTION_UNITS_OPTIONAL, &interval_ms, NULL) == STATUS_OK &&
           interval_ms > 0;
}

static enum status sink_open(void *self, struct operator_env *env, const struct format *format,
                             struct error *err)
{
    struct file_sink *sink = self;
    sink->env = env;
    struct option_value values[SINK_OPTION_COUNT];
    TRY(options_from_settings(options, env->spec->settings, env->spec->setting_count, "connector.",
                              values, err));
    text_init(&sink->rows, BUFFER_BYTES_MAX);
    TRY(open_encoder(sink, format, err));
    sink->roll_size = (uint64_t)values[SINK_ROLL_SIZE].integer;
    sink->background = background_create(env, BACKGROUND_POOL, sizeof(struct file_work), work_done);
    struct file_work *work = sink->work = background_memory(sink->background);
    work->fd = -1;
    text_init(&work->rows, BUFFER_BYTES_MAX);
    text_init(&work->compressed, BUFFER_BYTES_MAX);
    const enum compression compression = (enum compression)values[SINK_COMPRESSION].integer;
    if (compression != COMPRESSION_NONE)
        work->compressor = compressor_create(compression);
    work->extension =
        format_text("%s%s", format->file_extension, compression_extension(compression));
    work->is_sequence_free = !has_checkpoints(env);
    work->target = (struct file_target){
        .directory = copy_text(values[SINK_PATH].text),
        .extension = work->extension,
        .subtask = env->subtask_index,
        .parallelism = env->parallelism,
        .attempt = env->attempt.value,
        .if_exists = (enum file_if_exists)values[SINK_IF_EXISTS].integer,
    };
    char job[ID_TEXT_SIZE];
    id128_format(env->job_id.value, job);
    memcpy(work->target.job, job, 8);
    return STATUS_OK;
}

static void sink_close(void *self)
{
    struct file_sink *sink = self;
    background_release(sink->background);
    if (sink->encoder != NULL) {
        sink->format->encoder.close(sink->encoder);
        free(sink->encoder);
    }
    text_done(&sink->rows);
    free(sink->pending);
    *sink = (struct file_sink){0};
}

/* What the last job has left: a failure, a sealed file. Not while busy. */
static enum step collect(struct file_sink *sink, struct error *err)
{
    struct file_work *work = sink->work;
    if (work->status != STATUS_OK) {
        (void)error_set(err, work->err.code, "%s", work->err.message);
        return STEP_FAILED;
    }
    if (work->has_sealed) {
        array_push(sink->pending, sink->pending_count, sink->pending_capacity) = work->sealed;
        work->has_sealed = false;
    }
    return STEP_DONE;
}

/* Runs one job: STEP_WAIT until it has ended, then DONE or FAILED. */
static enum step run_job(struct file_sink *sink, void (*run)(void *), struct error *err)
{
    if (background_is_busy(sink->background))
        return STEP_WAIT;
    if (!sink->has_started) {
        const enum step step = collect(sink, err);
        if (step != STEP_DONE)
            return step;
        sink->has_started = true;
        background_start(sink->background, run);
        if (background_is_busy(sink->background))
            return STEP_WAIT;
    }
    sink->has_started = false;
    return collect(sink, err);
}

/* ---- recovery ---- */

static enum status read_entry(struct file_sink *sink, const struct snapshot_entry *entry,
                              struct error *err)
{
    struct file_work *work = sink->work;
    struct pending_file file;
    TRY(pending_file_decode(entry->bytes, entry->size, &file, err));
    if (strcmp(entry->name, "pending") == 0) {
        work->files[work->file_count++] = file;
    } else if (file.n > work->n) {
        work->n = file.n; /* "next": only n counts */
    }
    return STATUS_OK;
}

static enum step sink_recover(void *self, const struct snapshot_reader *pending, struct error *err)
{
    struct file_sink *sink = self;
    struct file_work *work = sink->work;
    if (!sink->has_started && pending != NULL && pending->count > 0) {
        work->is_restored = true;
        free(work->files);
        work->file_count = 0;
        work->files = allocate_array(pending->count, sizeof(struct pending_file));
        for (size_t i = 0; i < pending->count; i++) {
            if (read_entry(sink, &pending->entries[i], err) != STATUS_OK)
                return STEP_FAILED;
        }
    }
    return run_job(sink, recover_run, err);
}

/* ---- writing ---- */

/* Hands the filled buffer to a job, with the end of the file if asked. Not while busy. */
static void start_writing(struct file_sink *sink, bool must_seal)
{
    const struct text empty = sink->work->rows;
    sink->work->rows = sink->rows;
    sink->rows = empty;
    sink->work->must_seal = must_seal;
    if (must_seal)
        sink->size = 0;
    background_start(sink->background, write_run);
}

static enum step make_room(struct file_sink *sink, struct error *err)
{
    const bool is_full = sink->size >= sink->roll_size;
    if (sink->rows.size < BUFFER_BYTES && !is_full)
        return STEP_DONE;
    if (background_is_busy(sink->background))
        return STEP_WAIT;
    const enum step step = collect(sink, err);
    if (step == STEP_DONE)
        start_writing(sink, is_full);
    return step;
}

static enum step encode_row(struct file_sink *sink, const struct batch *in, uint32_t row,
                            struct emitter *out, struct error *err)
{
    const size_t before = sink->rows.size;
    const enum status status =
        sink->format->encoder.encode(sink->encoder, in, row, &sink->rows, err);
    if (status == STATUS_OK && !sink->rows.overflowed) {
        sink->size += sink->rows.size - before;
        return STEP_DONE;
    }
    sink->rows.size = before;
    sink->rows.overflowed = false;
    if (status != STATUS_OK && status != STATUS_RECORD)
        return STEP_FAILED;
    const struct row_error error = {
        .cause = status == STATUS_RECORD ? "format" : "too_large",
        .message = status == STATUS_RECORD ? err->message : "the row is too large for a file",
        .origin = &in->origin,
        .position = -1,
    };
    struct error why;
    const enum step step = sink->env->ops->row_error(sink->env, &error, out, &why);
    if (step == STEP_FAILED)
        *err = why;
    return step;
}

static enum step sink_write(void *self, struct batch *in, struct emitter *out, struct error *err)
{
    struct file_sink *sink = self;
    for (; sink->next_row < batch_selected(in); sink->next_row++) {
        enum step step = make_room(sink, err);
        if (step == STEP_DONE)
            step = encode_row(sink, in, batch_row(in, sink->next_row), out, err);
        if (step != STEP_DONE)
            return step;
    }
    sink->next_row = 0;
    return STEP_DONE;
}

/* Until all rows so far are in a sealed file; nothing is done where there are none. */
static enum step seal_file(struct file_sink *sink, struct error *err)
{
    while (!background_is_busy(sink->background)) {
        const enum step step = collect(sink, err);
        if (step != STEP_DONE)
            return step;
        if (sink->rows.size == 0 && sink->work->fd < 0)
            return STEP_DONE;
        start_writing(sink, true);
    }
    return STEP_WAIT;
}

static enum step sink_before_barrier(void *self, struct error *err)
{
    return seal_file(self, err);
}

static enum status sink_snapshot(void *self, struct checkpoint_id id,
                                 struct snapshot_writer *writer, struct error *err)
{
    (void)err;
    struct file_sink *sink = self;
    unsigned char bytes[PENDING_FILE_BYTES];
    for (size_t i = 0; i < sink->pending_count; i++) {
        if (sink->pending[i].checkpoint == 0)
            sink->pending[i].checkpoint = id.value;
        pending_file_encode(&sink->pending[i], bytes);
        writer->put(writer, "pending", OPERATOR_STATE_UNION, bytes, sizeof(bytes));
    }
    const struct pending_file next = {.subtask = sink->env->subtask_index, .n = sink->work->n};
    pending_file_encode(&next, bytes);
    writer->put(writer, "next", OPERATOR_STATE_UNION, bytes, sizeof(bytes));
    return STATUS_OK;
}

/* ---- commit ---- */

/* Commits the pending files that checkpoints up to `up_to` name. */
static enum step commit(struct file_sink *sink, uint64_t up_to, struct error *err)
{
    struct file_work *work = sink->work;
    if (background_is_busy(sink->background))
        return STEP_WAIT;
    if (!sink->is_committing) {
        const enum step step = collect(sink, err);
        if (step != STEP_DONE)
            return step;
        size_t count = 0;
        while (count < sink->pending_count && sink->pending[count].checkpoint != 0 &&
               sink->pending[count].checkpoint <= up_to)
            count++;
        if (count == 0)
            return STEP_DONE;
        free(work->files);
        work->files = copy_memory(sink->pending, count * sizeof(*sink->pending));
        work->file_count = count;
        sink->is_committing = true;
    }
    const enum step step = run_job(sink, commit_run, err);
    if (step != STEP_DONE)
        return step;
    sink->is_committing = false;
    sink->pending_count -= work->file_count;
    memmove(sink->pending, sink->pending + work->file_count,
            sink->pending_count * sizeof(*sink->pending));
    return STEP_DONE;
}

static enum step sink_checkpoint_completed(void *self, struct checkpoint_id id, struct error *err)
{
    return commit(self, id.value, err);
}

static enum step sink_finish(void *self, struct error *err)
{
    struct file_sink *sink = self;
    enum step step = STEP_DONE;
    /* A commit that a checkpoint began, or this call did before it waited. */
    if (sink->is_committing)
        step = commit(sink, UINT64_MAX, err);
    if (step == STEP_DONE)
        step = seal_file(sink, err);
    if (step != STEP_DONE || !sink->work->is_sequence_free)
        return step;
    for (size_t i = 0; i < sink->pending_count; i++)
        sink->pending[i].checkpoint = 1;
    return commit(sink, UINT64_MAX, err);
}

const struct sink_connector sink_file = {
    .abi_size = sizeof(struct sink_connector),
    .name = "file",
    .help = "Writes files into a directory; a file becomes visible when the checkpoint that holds "
            "its name is complete, without checkpoints when the input has ended.",
    .options = options,
    .needs_format = true,
    .guarantee = GUARANTEE_EXACTLY_ONCE,
    .writer = {.instance_size = sizeof(struct file_sink),
               .open = sink_open,
               .recover = sink_recover,
               .write = sink_write,
               .before_barrier = sink_before_barrier,
               .snapshot = sink_snapshot,
               .checkpoint_completed = sink_checkpoint_completed,
               .finish = sink_finish,
               .close = sink_close},
};
