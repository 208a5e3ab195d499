/* Formats of keys: see kafka_key_format.h. */
#include "connectors/kafka/kafka_key_format.h"

#include "connectors/formats/formats.h"

#include <string.h>

static const struct format *const formats[] = {&format_raw, &format_json, &format_csv};

static const struct format *choose(const char *name, const struct schema *key)
{
    if (name == NULL) {
        const enum type_kind kind = key->columns[0].type.kind;
        const bool is_one_text =
            key->column_count == 1 && (kind == TYPE_STRING || kind == TYPE_BYTES);
        return is_one_text ? &format_raw : &format_json;
    }
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i]->name, name) == 0)
            return formats[i];
    }
    return NULL;
}

enum status kafka_key_format(const char *name, const struct schema *key, bool is_source,
                             const struct format **ret_format, struct error *err)
{
    const struct format *format = choose(name, key);
    if (format == NULL)
        return error_set(err, STATUS_INVALID, "key_format \"%.50s\": known are raw, json, csv",
                         name);
    if (format->check_schema(key, is_source, err) != STATUS_OK)
        return error_wrap(err, STATUS_INVALID, "key_format %s", format->name);
    *ret_format = format;
    return STATUS_OK;
}
