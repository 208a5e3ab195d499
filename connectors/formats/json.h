/* What the two halves of format json share. */
#ifndef CONNECTORS_FORMATS_JSON_H
#define CONNECTORS_FORMATS_JSON_H

#include "connectors/formats/formats.h"
#include "connectors/formats/scalar_text.h"

/* Depth of what unknown fields may hold; declared types have TYPE_DEPTH_MAX. */
#define JSON_DEPTH_MAX 64

enum json_option { JSON_TIMESTAMPS, JSON_OPTION_COUNT };

extern const struct option_spec json_options[];

enum status json_check_schema(const struct schema *schema, bool is_source, struct error *err);

/* A column's key as it is usually written: "name": with quotes and colon. Owned. */
struct json_key {
    char *text;
    uint32_t size;
};

struct json_decoder {
    struct schema *schema;
    struct type_field *fields; /* the columns, as the fields of a ROW */
    struct json_key *keys;     /* one per column */
    enum timestamp_form timestamps;
    bool uses_vectors;  /* else the portable twin of the string scan */
    struct text string; /* a string with its escapes resolved */
    struct text bytes;  /* decoded base64 */
};

enum status json_decoder_open(void *self, const struct operator_spec *spec,
                              const struct schema *schema, struct error *err);
enum decode json_decode(void *self, struct buffer *buffer, uint32_t offset, uint32_t size,
                        bool is_end, struct batch_builder *out, uint32_t *ret_consumed,
                        struct decode_error *ret_error);
void json_decoder_close(void *self);

struct json_encoder {
    struct schema *schema;
    enum timestamp_form timestamps;
};

enum status json_encoder_open(void *self, const struct operator_spec *spec,
                              const struct schema *schema, struct error *err);
enum status json_encode(void *self, const struct batch *batch, uint32_t row, struct text *out,
                        struct error *err);
void json_encoder_close(void *self);

/* RFC 4648 section 4, with padding. decode: false if the text is no base64. */
void base64_encode(const char *bytes, size_t size, struct text *out);
bool base64_decode(const char *text, size_t size, struct text *out);

#endif
