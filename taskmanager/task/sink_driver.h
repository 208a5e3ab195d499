/* A sink's writer as the last operator of a chain. */
#ifndef TASKMANAGER_TASK_SINK_DRIVER_H
#define TASKMANAGER_TASK_SINK_DRIVER_H

#include "common/api/connector.h"

struct sink_driver {
    const struct sink_connector *connector;
    const struct format *format; /* NULL if it needs none */
    void *writer;
    bool is_open;
    bool has_recovered;
};

extern const struct operator_ops sink_driver_ops;

/* Finds connector and format of the spec; messages name what is known. */
enum status sink_driver_init(struct sink_driver *driver, const struct operator_spec *spec,
                             const struct connector_registry *registry,
                             struct error *err) MUST_CHECK;
/* Before the first write; resumable. */
enum step sink_driver_recover(struct sink_driver *driver, const struct snapshot_reader *pending,
                              struct error *err);

/* Format named by the setting "format", NULL if there is none; shared with sources. */
enum status driver_find_format(const struct operator_spec *spec,
                               const struct connector_registry *registry, bool is_needed,
                               const struct format **ret_format, struct error *err) MUST_CHECK;

#endif
