/* The lists of built-in connectors and formats: see registry.h. */
#include "connectors/registry.h"

#include "connectors/connectors.h"
#include "connectors/formats/formats.h"

static const struct source_connector *const sources[] = {&source_datagen, &source_file,
                                                         &source_kafka, &source_socket, NULL};
static const struct sink_connector *const sinks[] = {&sink_blackhole, &sink_file,   &sink_kafka,
                                                     &sink_print,     &sink_socket, NULL};
static const struct format *const formats[] = {&format_avro, &format_csv, &format_json, &format_raw,
                                               NULL};

static const struct connector_registry builtin = {
    .sources = sources,
    .sinks = sinks,
    .formats = formats,
};

const struct connector_registry *connector_registry_builtin(void)
{
    return &builtin;
}
