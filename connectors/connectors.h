/* The built-in connectors, one file or folder each. Static, any thread. */
#ifndef CONNECTORS_CONNECTORS_H
#define CONNECTORS_CONNECTORS_H

#include "common/api/connector.h"

extern const struct source_connector source_file;
extern const struct source_connector source_kafka;
extern const struct source_connector source_datagen;
extern const struct source_connector source_socket;
extern const struct sink_connector sink_file;
extern const struct sink_connector sink_kafka;
extern const struct sink_connector sink_socket;
extern const struct sink_connector sink_print;
extern const struct sink_connector sink_blackhole;

#endif
