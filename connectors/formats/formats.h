/* The built-in formats, one file each. Static, any thread. */
#ifndef CONNECTORS_FORMATS_FORMATS_H
#define CONNECTORS_FORMATS_FORMATS_H

#include "common/api/connector.h"

extern const struct format format_raw;
extern const struct format format_csv;
extern const struct format format_json;
extern const struct format format_avro;

/* Fills a decode_error and returns DECODE_ERROR: return decode_failed(error, offset, size, ...). */
enum decode decode_failed(struct decode_error *error, uint32_t offset, uint32_t size,
                          const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The byte at which a text that is no valid UTF-8 goes wrong. */
size_t utf8_first_bad_byte(const char *bytes, size_t size);

#endif
