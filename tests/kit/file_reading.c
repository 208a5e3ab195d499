/* Reading with the source "file" in tests. */
#include "tests/kit/file_reading.h"

#include "common/base/allocate.h"
#include "connectors/registry.h"

#include <check.h>

const struct source_connector *file_source(void)
{
    return source_connector_find(connector_registry_builtin(), "file");
}

enum status file_source_discover(struct connector_kit *kit, struct split_list *list, bool *is_last,
                                 struct error *err)
{
    const struct enumerator_ops *ops = &file_source()->enumerator;
    void *enumerator = allocate(ops->instance_size);
    enum status status = ops->open(enumerator, &kit->spec, err);
    if (status == STATUS_OK)
        status = ops->discover(enumerator, list, is_last, err);
    ops->close(enumerator);
    free(enumerator);
    return status;
}

void *file_reader_open(struct connector_kit *kit, const struct split_list *splits)
{
    struct error err;
    void *reader = allocate(file_source()->reader.instance_size);
    const struct format *format =
        format_find(connector_registry_builtin(), operator_setting(&kit->spec, "format"));
    ck_assert_msg(file_source()->reader.open(reader, &kit->env, format, &err) == STATUS_OK, "%s",
                  err.message);
    ck_assert_int_eq(file_source()->reader.add_splits(reader, splits, &err), STATUS_OK);
    return reader;
}

void file_reader_close(void *reader)
{
    file_source()->reader.close(reader);
    free(reader);
}

static void append_rows(const struct batch *batch, struct text *out)
{
    for (uint32_t i = 0; i < batch_selected(batch); i++) {
        column_format_value(batch->columns[0], batch_row(batch, i), out);
        text_append_char(out, '\n');
    }
}

enum poll file_reader_poll(struct connector_kit *kit, void *reader, struct text *out,
                           struct error *err)
{
    struct batch *batch = NULL;
    const enum poll poll = file_source()->reader.poll(reader, &kit->emitter, &batch, err);
    if (poll == POLL_BATCH) {
        append_rows(batch, out);
        batch_unref(batch);
    } else if (poll == POLL_IDLE) {
        connector_kit_wait(kit);
    }
    return poll;
}

enum poll file_reader_poll_all(struct connector_kit *kit, const struct split_list *splits,
                               bool restore_each, struct text *out, struct error *err)
{
    void *reader = file_reader_open(kit, splits);
    enum poll poll;
    while ((poll = file_reader_poll(kit, reader, out, err)) != POLL_NEED_SPLITS &&
           poll != POLL_FAILED) {
        if (restore_each && poll == POLL_BATCH) {
            struct split_list saved = {0};
            ck_assert_int_eq(file_source()->reader.snapshot(reader, &saved, err), STATUS_OK);
            file_reader_close(reader);
            reader = file_reader_open(kit, &saved);
            split_list_done(&saved);
        }
    }
    file_reader_close(reader);
    return poll;
}

void file_reader_read_all(struct connector_kit *kit, const struct split_list *splits,
                          bool restore_each, struct text *out)
{
    struct error err;
    ck_assert_msg(file_reader_poll_all(kit, splits, restore_each, out, &err) == POLL_NEED_SPLITS,
                  "%s", err.message);
}
