/* Adapts sink_writer_ops to operator_ops. */
#include "taskmanager/task/sink_driver.h"

#include "common/base/allocate.h"

enum status driver_find_format(const struct operator_spec *spec,
                               const struct connector_registry *registry, bool is_needed,
                               const struct format **ret_format, struct error *err)
{
    *ret_format = NULL;
    const char *name = operator_setting(spec, "format");
    if (name == NULL && is_needed)
        return error_set(err, STATUS_INVALID, "%s: its connector needs a format", spec->name);
    if (name == NULL)
        return STATUS_OK;
    *ret_format = format_find(registry, name);
    if (*ret_format == NULL)
        return error_set(err, STATUS_NOT_FOUND, "%s: this TaskManager knows no format '%s'",
                         spec->name, name);
    return STATUS_OK;
}

enum status sink_driver_init(struct sink_driver *driver, const struct operator_spec *spec,
                             const struct connector_registry *registry, struct error *err)
{
    const char *name = operator_setting(spec, "connector");
    if (name == NULL)
        return error_set(err, STATUS_INVALID, "%s: a sink without a connector", spec->name);
    driver->connector = sink_connector_find(registry, name);
    if (driver->connector == NULL)
        return error_set(err, STATUS_NOT_FOUND, "%s: this TaskManager knows no sink '%s'",
                         spec->name, name);
    TRY(driver_find_format(spec, registry, driver->connector->needs_format, &driver->format, err));
    driver->writer = allocate(driver->connector->writer.instance_size);
    return STATUS_OK;
}

static enum status sink_open(void *self, struct operator_env *env, struct error *err)
{
    struct sink_driver *driver = self;
    driver->is_open = true;
    return driver->connector->writer.open(driver->writer, env, driver->format, err);
}

enum step sink_driver_recover(struct sink_driver *driver, const struct snapshot_reader *pending,
                              struct error *err)
{
    if (driver->has_recovered)
        return STEP_DONE;
    enum step step = STEP_DONE;
    if (driver->connector->writer.recover != NULL)
        step = driver->connector->writer.recover(driver->writer, pending, err);
    driver->has_recovered = step == STEP_DONE;
    return step;
}

static enum step sink_process(void *self, uint16_t input, struct batch *in, struct emitter *out,
                              struct error *err)
{
    (void)input;
    struct sink_driver *driver = self;
    return driver->connector->writer.write(driver->writer, in, out, err);
}

static enum step sink_before_barrier(void *self, struct emitter *out, struct error *err)
{
    (void)out;
    struct sink_driver *driver = self;
    const struct sink_writer_ops *ops = &driver->connector->writer;
    return ops->before_barrier == NULL ? STEP_DONE : ops->before_barrier(driver->writer, err);
}

static enum status sink_snapshot(void *self, struct checkpoint_id id,
                                 struct snapshot_writer *writer, struct error *err)
{
    struct sink_driver *driver = self;
    const struct sink_writer_ops *ops = &driver->connector->writer;
    return ops->snapshot == NULL ? STATUS_OK : ops->snapshot(driver->writer, id, writer, err);
}

static enum step sink_completed(void *self, struct checkpoint_id id, struct error *err)
{
    struct sink_driver *driver = self;
    const struct sink_writer_ops *ops = &driver->connector->writer;
    return ops->checkpoint_completed == NULL ? STEP_DONE
                                             : ops->checkpoint_completed(driver->writer, id, err);
}

static enum step sink_flush(void *self, struct emitter *out, struct error *err)
{
    (void)out;
    struct sink_driver *driver = self;
    const struct sink_writer_ops *ops = &driver->connector->writer;
    return ops->flush == NULL ? STEP_DONE : ops->flush(driver->writer, err);
}

static enum step sink_finish(void *self, struct emitter *out, struct error *err)
{
    (void)out;
    struct sink_driver *driver = self;
    const struct sink_writer_ops *ops = &driver->connector->writer;
    return ops->finish == NULL ? STEP_DONE : ops->finish(driver->writer, err);
}

static void sink_close(void *self)
{
    struct sink_driver *driver = self;
    if (driver->is_open && driver->connector->writer.close != NULL)
        driver->connector->writer.close(driver->writer);
    free(driver->writer);
    *driver = (struct sink_driver){0};
}

const struct operator_ops sink_driver_ops = {
    .abi_size = sizeof(struct operator_ops),
    .kind = "sink",
    .instance_size = sizeof(struct sink_driver),
    .input_count = 1,
    .open = sink_open,
    .process = sink_process,
    .before_barrier = sink_before_barrier,
    .snapshot = sink_snapshot,
    .checkpoint_completed = sink_completed,
    .flush = sink_flush,
    .finish = sink_finish,
    .close = sink_close,
};
