/* Adapts reader_ops to a chain. */
#include "taskmanager/task/source_driver.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "taskmanager/task/sink_driver.h"

#include <stdio.h>

#define SPLIT_ENTRY_VERSION      2
#define SPLIT_ENTRY_HEAD         14
#define SPLIT_ENTRY_HEAD_1       5 /* of version 1 */
#define SPLIT_ENTRY_FLAGS_AT     13
#define SPLIT_ENTRY_FLAG_IDLE    1
#define SPLIT_ENTRY_WATERMARK_AT 5

enum status source_driver_init(struct source_driver *driver, const struct operator_spec *spec,
                               const struct connector_registry *registry, struct error *err)
{
    const char *name = operator_setting(spec, "connector");
    if (name == NULL)
        return error_set(err, STATUS_INVALID, "%s: a source without a connector", spec->name);
    driver->connector = source_connector_find(registry, name);
    if (driver->connector == NULL)
        return error_set(err, STATUS_NOT_FOUND, "%s: this TaskManager knows no source '%s'",
                         spec->name, name);
    TRY(driver_find_format(spec, registry, driver->connector->needs_format, &driver->format, err));
    driver->reader = allocate(driver->connector->reader.instance_size);
    return STATUS_OK;
}

static enum status source_open(void *self, struct operator_env *env, struct error *err)
{
    struct source_driver *driver = self;
    driver->is_open = true;
    return driver->connector->reader.open(driver->reader, env, driver->format, err);
}

static enum status add_splits(struct source_driver *driver, const struct split_list *splits,
                              struct error *err)
{
    for (size_t i = 0; i < splits->count; i++)
        source_time_add_split(&driver->time, splits->splits[i].id, WATERMARK_NONE, false);
    return driver->connector->reader.add_splits(driver->reader, splits, err);
}

enum status source_driver_start(struct source_driver *driver, const struct operator_env *env,
                                struct error *err)
{
    if (!driver->connector->makes_splits)
        return STATUS_OK;
    driver->has_last = true;
    if (driver->has_restored)
        return STATUS_OK;
    char id[16];
    (void)snprintf(id, sizeof(id), "%u", env->subtask_index);
    struct split_list own = {0};
    split_list_add(&own, id, NULL, 0);
    const enum status status = add_splits(driver, &own, err);
    split_list_done(&own);
    return status;
}

enum status source_driver_add(struct source_driver *driver, const struct split_list *splits,
                              bool is_last, struct error *err)
{
    driver->has_last |= is_last;
    if (splits->count == 0 && !is_last) {
        /* None for now: the answer to the question follows when there is one. */
        source_time_no_split(&driver->time);
        return STATUS_OK;
    }
    driver->has_asked = false;
    if (splits->count == 0)
        return STATUS_OK;
    if (driver->is_finished)
        return error_set(err, STATUS_INVALID, "%zu splits came after the last one", splits->count);
    return add_splits(driver, splits, err);
}

/* A reader that cannot pause single splits reads them one after the other: it stops as a whole, by
 * the time that its task has reached, so that a split it has not come to cannot stop it. */
static void pause_splits(struct source_driver *driver)
{
    struct source_time *time = &driver->time;
    if (time->options.max_drift_ms == 0)
        return;
    const struct reader_ops *ops = &driver->connector->reader;
    driver->is_paused = ops->pause_split == NULL && time->combined_ms > time->limit_ms;
    for (size_t i = time->first_live; i < time->count; i++) {
        struct split_time *split = &time->splits[i];
        const bool must_pause =
            ops->pause_split == NULL ? driver->is_paused : source_time_must_pause(time, i);
        if (must_pause != split->is_paused && ops->pause_split != NULL)
            ops->pause_split(driver->reader, (uint32_t)i, must_pause);
        split->is_paused = must_pause;
    }
}

struct watermark_change source_driver_pass_time(struct source_driver *driver, int64_t now_us,
                                                int64_t held_us)
{
    const struct source_time_view view = {driver->reader, driver->connector->reader.split_status};
    const struct watermark_change change = source_time_pass(&driver->time, now_us, held_us, &view);
    pause_splits(driver);
    return change;
}

void source_driver_align(struct source_driver *driver, int64_t limit_ms)
{
    if (driver->time.is_on)
        source_time_set_limit(&driver->time, limit_ms);
}

enum source_poll source_driver_poll(struct source_driver *driver, struct emitter *out,
                                    struct batch **ret_batch, struct error *err)
{
    if (driver->is_paused)
        return SOURCE_IDLE;
    switch (driver->connector->reader.poll(driver->reader, out, ret_batch, err)) {
    case POLL_BATCH:
        return SOURCE_BATCH;
    case POLL_IDLE:
        return SOURCE_IDLE;
    case POLL_AGAIN:
        return SOURCE_AGAIN;
    case POLL_FAILED:
        return SOURCE_FAILED;
    case POLL_NEED_SPLITS:
        if (driver->has_last) {
            driver->is_finished = true;
            return SOURCE_FINISHED;
        }
        if (driver->has_asked)
            return SOURCE_IDLE;
        driver->has_asked = true;
        return SOURCE_WANTS_SPLITS;
    }
    UNREACHABLE();
}

bool source_driver_lag(const struct source_driver *driver, uint64_t *ret_records)
{
    const struct reader_ops *ops = &driver->connector->reader;
    if (!driver->is_open || ops->records_lag_max == NULL)
        return false;
    *ret_records = ops->records_lag_max(driver->reader);
    return true;
}

int64_t source_driver_wake_us(const struct source_driver *driver)
{
    const struct reader_ops *ops = &driver->connector->reader;
    return ops->next_wake_us == NULL || driver->is_paused ? INT64_MAX
                                                          : ops->next_wake_us(driver->reader);
}

static uint64_t read_le(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static void write_le(uint8_t *bytes, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static enum status decode_split(struct source_driver *driver, const struct snapshot_entry *entry,
                                struct split_list *splits, struct error *err)
{
    const uint8_t *bytes = entry->bytes;
    const uint8_t version = entry->size > 0 ? bytes[0] : 0;
    const size_t head = version == 1 ? SPLIT_ENTRY_HEAD_1 : SPLIT_ENTRY_HEAD;
    const uint64_t id_size = entry->size >= head ? read_le(bytes + 1, 4) : 0;
    if (version < 1 || version > SPLIT_ENTRY_VERSION || entry->size < head ||
        id_size > SPLIT_ID_BYTES_MAX || id_size > entry->size - head)
        return error_set(err, STATUS_CORRUPT, "restore splits: entry of %zu bytes, version %u",
                         entry->size, version);
    int64_t watermark_ms = WATERMARK_NONE;
    bool was_idle = false;
    if (version > 1) {
        watermark_ms = (int64_t)read_le(bytes + SPLIT_ENTRY_WATERMARK_AT, 8);
        was_idle = (bytes[SPLIT_ENTRY_FLAGS_AT] & SPLIT_ENTRY_FLAG_IDLE) != 0;
    }
    char *id = copy_text_n((const char *)bytes + head, id_size);
    split_list_add(splits, id, bytes + head + id_size, entry->size - head - id_size);
    source_time_add_split(&driver->time, id, watermark_ms, was_idle);
    free(id);
    return STATUS_OK;
}

static enum status source_restore(void *self, const struct snapshot_reader *reader,
                                  struct error *err)
{
    struct source_driver *driver = self;
    driver->has_restored = true;
    struct split_list splits = {0};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < reader->count && status == STATUS_OK; i++) {
        if (strcmp(reader->entries[i].name, SOURCE_SPLITS_ENTRY) == 0)
            status = decode_split(driver, &reader->entries[i], &splits, err);
    }
    if (status == STATUS_OK && splits.count > 0)
        status = driver->connector->reader.add_splits(driver->reader, &splits, err);
    split_list_done(&splits);
    return status;
}

static void put_split(const struct source_driver *driver, const struct split *split,
                      struct snapshot_writer *writer)
{
    const struct split_time *time = source_time_find(&driver->time, split->id);
    const size_t id_size = strlen(split->id);
    const size_t size = SPLIT_ENTRY_HEAD + id_size + split->state_size;
    uint8_t *bytes = allocate(size);
    bytes[0] = SPLIT_ENTRY_VERSION;
    write_le(bytes + 1, id_size, 4);
    write_le(bytes + SPLIT_ENTRY_WATERMARK_AT,
             (uint64_t)(time != NULL ? time->watermark_ms : WATERMARK_NONE), 8);
    if (time != NULL && time->activity == SPLIT_IDLE)
        bytes[SPLIT_ENTRY_FLAGS_AT] = SPLIT_ENTRY_FLAG_IDLE;
    memcpy(bytes + SPLIT_ENTRY_HEAD, split->id, id_size);
    if (split->state_size > 0)
        memcpy(bytes + SPLIT_ENTRY_HEAD + id_size, split->state, split->state_size);
    writer->put(writer, SOURCE_SPLITS_ENTRY, OPERATOR_STATE_LIST, bytes, size);
    free(bytes);
}

static enum status source_snapshot(void *self, struct checkpoint_id id,
                                   struct snapshot_writer *writer, struct error *err)
{
    (void)id;
    struct source_driver *driver = self;
    struct split_list splits = {0};
    const enum status status = driver->connector->reader.snapshot(driver->reader, &splits, err);
    for (size_t i = 0; i < splits.count && status == STATUS_OK; i++)
        put_split(driver, &splits.splits[i], writer);
    split_list_done(&splits);
    return status;
}

static enum step source_completed(void *self, struct checkpoint_id id, struct error *err)
{
    (void)err;
    struct source_driver *driver = self;
    if (driver->connector->reader.checkpoint_completed != NULL)
        driver->connector->reader.checkpoint_completed(driver->reader, id);
    return STEP_DONE;
}

static void source_close(void *self)
{
    struct source_driver *driver = self;
    if (driver->is_open && driver->connector->reader.close != NULL)
        driver->connector->reader.close(driver->reader);
    source_time_done(&driver->time);
    free(driver->reader);
    *driver = (struct source_driver){0};
}

/* It has no input: process is never called. */
const struct operator_ops source_driver_ops = {
    .abi_size = sizeof(struct operator_ops),
    .kind = "source",
    .instance_size = sizeof(struct source_driver),
    .input_count = 0,
    .open = source_open,
    .restore = source_restore,
    .snapshot = source_snapshot,
    .checkpoint_completed = source_completed,
    .close = source_close,
};
