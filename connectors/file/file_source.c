/*
 * The source "file": reads splits of files, one after the other, in the order given.
 *
 * A split's snapshot is the position behind the last record of the last batch that poll returned:
 * poll never keeps decoded rows between two calls.
 */
#include "connectors/connectors.h"
#include "connectors/file/file.h"
#include "connectors/file/file_enumerator.h"
#include "connectors/file/file_fetcher.h"
#include "connectors/file/file_split.h"
#include "connectors/metadata.h"
#include "connectors/rate_limiter.h"
#include "connectors/record_reader.h"

#include "common/base/allocate.h"

enum file_metadata {
    FILE_METADATA_PATH,
    FILE_METADATA_NAME,
    FILE_METADATA_SIZE,
    FILE_METADATA_OFFSET,
    FILE_METADATA_COUNT,
};

static const struct source_metadata metadata[] = {
    [FILE_METADATA_PATH] = {"file.path", "STRING", "Path of the file, as it was found."},
    [FILE_METADATA_NAME] = {"file.name", "STRING", "The last part of the path."},
    [FILE_METADATA_SIZE] = {"file.size", "BIGINT", "Its bytes when it was found."},
    [FILE_METADATA_OFFSET] = {"file.offset", "BIGINT",
                              "Byte at which the record begins. Costs time: records are then "
                              "decoded one by one."},
    {NULL, NULL, NULL},
};

struct file_reader {
    struct operator_env *env;
    struct schema *schema; /* what the format decodes */
    struct record_reader records;
    struct rate_limiter limiter;
    struct file_fetcher *fetcher;
    struct file_split *splits; /* [split_first, split_count) are not finished */
    size_t split_first;
    size_t split_count;
    size_t split_capacity;
    uint32_t finished_count; /* the number of splits[split_first] */
    struct buffer *name;     /* last part of the first split's path, while it is being decoded */
    bool is_started;         /* the first split is being decoded */
    bool is_paced;           /* the last poll found nothing due */
};

static uint32_t block_bytes_of_new_readers = FETCH_BLOCK_BYTES;

void file_reader_set_block_bytes(uint32_t block_bytes)
{
    block_bytes_of_new_readers = block_bytes;
}

static enum status reader_open(void *self, struct operator_env *env, const struct format *format,
                               struct error *err)
{
    struct file_reader *reader = self;
    reader->env = env;
    struct option_value values[FILE_SOURCE_OPTION_COUNT];
    TRY(options_from_settings(file_source_options, env->spec->settings, env->spec->setting_count,
                              "connector.", values, err));
    TRY(metadata_physical_schema(env->spec, metadata, &reader->schema, err));
    TRY(record_reader_init(&reader->records, env, format, reader->schema, err));
    if (metadata_is_wanted(env->spec, metadata[FILE_METADATA_OFFSET].key))
        record_reader_keep_positions(&reader->records);
    rate_limiter_init(&reader->limiter,
                      (double)values[FILE_SOURCE_RATE].integer / (double)env->parallelism,
                      clock_now_us(env->clock));
    reader->fetcher = file_fetcher_create(env, block_bytes_of_new_readers);
    return STATUS_OK;
}

static void reader_close(void *self)
{
    struct file_reader *reader = self;
    file_fetcher_destroy(reader->fetcher);
    record_reader_done(&reader->records);
    for (size_t i = reader->split_first; i < reader->split_count; i++)
        file_split_done(&reader->splits[i]);
    free(reader->splits);
    schema_unref(reader->schema);
    buffer_unref(reader->name);
    *reader = (struct file_reader){0};
}

static enum status reader_add_splits(void *self, const struct split_list *splits, struct error *err)
{
    struct file_reader *reader = self;
    for (size_t i = 0; i < splits->count; i++) {
        struct file_split split;
        TRY(file_split_decode(splits->splits[i].id, splits->splits[i].state,
                              splits->splits[i].state_size, &split, err));
        array_push(reader->splits, reader->split_count, reader->split_capacity) = split;
        file_fetcher_add(reader->fetcher, &split);
    }
    return STATUS_OK;
}

static void finish_split(struct file_reader *reader)
{
    file_split_done(&reader->splits[reader->split_first++]);
    reader->finished_count++;
    if (reader->split_first == reader->split_count)
        reader->split_first = reader->split_count = 0;
    buffer_unref(take_pointer(&reader->name));
    reader->is_started = false;
}

/* The rows decoded so far as the result of a poll; instead if there are none. */
static enum poll return_rows(struct file_reader *reader, struct batch **ret_batch,
                             enum poll instead)
{
    struct batch *batch = record_reader_take(&reader->records);
    if (batch == NULL)
        return instead;
    rate_limiter_take(&reader->limiter, batch->row_count);
    batch->origin.split = reader->finished_count;
    const struct metadata_value values[FILE_METADATA_COUNT] = {
        [FILE_METADATA_PATH] = {.text = reader->records.name},
        [FILE_METADATA_NAME] = {.text = reader->name},
        [FILE_METADATA_SIZE] = {.integer = (int64_t)reader->splits[reader->split_first].file_size},
        [FILE_METADATA_OFFSET] = {.integers = record_reader_row_positions(&reader->records)},
    };
    *ret_batch = metadata_add(reader->env->spec, metadata, batch, values);
    return POLL_BATCH;
}

/* The next block into the decoder, or why not. */
static enum fetch feed_block(struct file_reader *reader, struct error *err)
{
    struct record_block block;
    const enum fetch fetch = file_fetcher_take(reader->fetcher, &block, err);
    if (fetch == FETCH_BLOCK) {
        record_reader_feed(&reader->records, &block);
        reader->splits[reader->split_first].must_skip = false;
    }
    return fetch;
}

static void start_split(struct file_reader *reader)
{
    const struct file_split *split = &reader->splits[reader->split_first];
    record_reader_start(&reader->records, split->path, (int64_t)split->next, split->next == 0);
    const char *slash = strrchr(split->path, '/');
    const char *name = slash != NULL ? slash + 1 : split->path;
    reader->name = buffer_create(NULL, (uint32_t)strlen(name));
    reader->name->size = (uint32_t)strlen(name);
    memcpy(reader->name->bytes, name, reader->name->size);
    reader->is_started = true;
}

/* Decodes until a batch is full, no block is there, or `due` rows are reached. */
static enum poll read_rows(struct file_reader *reader, uint32_t due, struct emitter *out,
                           struct batch **ret_batch, struct error *err)
{
    while (reader->split_first < reader->split_count) {
        if (!reader->is_started)
            start_split(reader);
        switch (record_reader_decode(&reader->records, due == UINT32_MAX ? 0 : due, out, err)) {
        case RECORDS_NEED_BLOCK: {
            const enum fetch fetch = feed_block(reader, err);
            if (fetch == FETCH_BLOCK)
                continue;
            /* Rows first: a failure is met again by the next poll. */
            return return_rows(reader, ret_batch, fetch == FETCH_FAILED ? POLL_FAILED : POLL_IDLE);
        }
        case RECORDS_FULL:
            return return_rows(reader, ret_batch, POLL_AGAIN);
        case RECORDS_END: {
            const enum poll poll = return_rows(reader, ret_batch, POLL_AGAIN);
            finish_split(reader);
            if (poll == POLL_BATCH)
                return poll;
            continue;
        }
        case RECORDS_NO_ROOM:
            return return_rows(reader, ret_batch, POLL_AGAIN);
        case RECORDS_FAILED:
            return POLL_FAILED;
        }
    }
    return POLL_NEED_SPLITS;
}

static enum poll reader_poll(void *self, struct emitter *out, struct batch **ret_batch,
                             struct error *err)
{
    struct file_reader *reader = self;
    reader->is_paced = false;
    if (reader->split_first == reader->split_count)
        return POLL_NEED_SPLITS;
    const uint32_t due = rate_limiter_due(&reader->limiter, clock_now_us(reader->env->clock));
    if (due == 0) {
        reader->is_paced = true;
        return POLL_IDLE;
    }
    return read_rows(reader, due, out, ret_batch, err);
}

static int64_t reader_next_wake_us(const void *self)
{
    const struct file_reader *reader = self;
    return reader->is_paced ? rate_limiter_next_us(&reader->limiter) : INT64_MAX;
}

/* Splits are read in the order of their numbers, and their end is known from the beginning. */
static enum split_status reader_split_status(const void *self, uint32_t split)
{
    const struct file_reader *reader = self;
    return split < reader->finished_count ? SPLIT_FINISHED : SPLIT_HAS_MORE;
}

static enum status reader_snapshot(void *self, struct split_list *ret_splits, struct error *err)
{
    (void)err;
    struct file_reader *reader = self;
    for (size_t i = reader->split_first; i < reader->split_count; i++) {
        struct file_split split = reader->splits[i];
        if (i == reader->split_first && reader->is_started)
            split.next = (uint64_t)record_reader_position(&reader->records);
        struct text state;
        text_init(&state, SPLIT_STATE_BYTES_MAX);
        file_split_encode(&split, &state);
        split_list_add(ret_splits, split.id, state.bytes, state.size);
        text_done(&state);
    }
    return STATUS_OK;
}

/* After "auto" in the order of enum compression. */
static const char *const compression_choices[] = {"auto", "none", "gzip", "zstd", NULL};
static const char *const on_missing_choices[] = {"wait", "fail", NULL};

const struct option_spec file_source_options[] = {
    [FILE_SOURCE_PATH] = {.name = "path",
                          .type = OPTION_STRING,
                          .flags = OPTION_REQUIRED | OPTION_MAIN,
                          .help =
                              "A file, a directory or a glob. Of directories and globs: regular "
                              "files by name order, no names that begin with . or _."},
    [FILE_SOURCE_SPLIT_SIZE] =
        {.name = "split_size",
         .type = OPTION_SIZE,
         .fallback = "256m",
         .min = 1,
         .max = INT64_C(1) << 50,
         .help = "Larger files are read in parts of this size, by several subtasks. CSV files are "
                 "cut only if it is given, which says that no quoted field holds a newline."},
    [FILE_SOURCE_WATCH] = {.name = "watch",
                           .type = OPTION_DURATION,
                           .alias = "source.monitor-interval",
                           .min = 1,
                           .max = INT64_C(86400000),
                           .help = "Look for new files this often, for ever; without it the input "
                                   "ends. A file is read as it was when it was first seen: give it "
                                   "its name (by rename) when it is complete."},
    [FILE_SOURCE_RATE] = {.name = "rate",
                          .type = OPTION_INT,
                          .fallback = "0",
                          .min = 0,
                          .max = INT64_C(1000000000000),
                          .help = "Lines a second over all subtasks; 0 is unlimited."},
    [FILE_SOURCE_ON_MISSING] = {.name = "on_missing",
                                .type = OPTION_ENUM,
                                .fallback = "wait",
                                .choices = on_missing_choices,
                                .help = "What to do while the path does not exist."},
    [FILE_SOURCE_COMPRESSION] =
        {.name = "compression",
         .type = OPTION_ENUM,
         .fallback = "auto",
         .choices = compression_choices,
         .help = "How the files are compressed; auto goes by the end of the name (.gz, .zst). A "
                 "compressed file is read by one subtask; positions count its decoded bytes."},
    {.name = NULL},
};

static bool is_bounded(const struct operator_spec *spec)
{
    return operator_setting(spec, "connector.watch") == NULL &&
           operator_setting(spec, "connector.source.monitor-interval") == NULL;
}

const struct source_connector source_file = {
    .abi_size = sizeof(struct source_connector),
    .name = "file",
    .help = "Reads files: one, a directory or a glob, bounded or watching for new ones.",
    .options = file_source_options,
    .is_replayable = true,
    .needs_format = true,
    .is_bounded = is_bounded,
    .enumerator = {.instance_size = sizeof(struct file_enumerator),
                   .open = file_enumerator_open,
                   .discover = file_enumerator_discover,
                   .interval_ms = file_enumerator_interval_ms,
                   .close = file_enumerator_close},
    .reader = {.instance_size = sizeof(struct file_reader),
               .open = reader_open,
               .add_splits = reader_add_splits,
               .poll = reader_poll,
               .snapshot = reader_snapshot,
               .close = reader_close,
               .next_wake_us = reader_next_wake_us,
               .split_status = reader_split_status},
    .metadata = metadata,
};
