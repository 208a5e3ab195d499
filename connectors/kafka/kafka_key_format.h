/* The format of record keys, which source and sink choose alike. */
#ifndef CONNECTORS_KAFKA_KAFKA_KEY_FORMAT_H
#define CONNECTORS_KAFKA_KAFKA_KEY_FORMAT_H

#include "common/api/connector.h"

#define KAFKA_KEY_FORMAT_HELP                                                                      \
    "Format of the key: raw, json or csv; the default is raw for one STRING or BYTES column, "     \
    "else "                                                                                        \
    "json."

/* name: as given; NULL: by the columns. STATUS_INVALID: no such format, or the key's columns are
 * not for it. */
enum status kafka_key_format(const char *name, const struct schema *key, bool is_source,
                             const struct format **ret_format, struct error *err) MUST_CHECK;

#endif
