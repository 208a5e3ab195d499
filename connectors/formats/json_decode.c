/*
 * JSON objects to rows: a scanner that knows the schema. See json.c for the rules.
 *
 * Keys are expected in the order of the columns and found by comparing with the expected name; any
 * other order works and costs a search. Strings without escapes are views of the input; numbers are
 * read in place. Every function returns false with the error filled in.
 */
#include "connectors/formats/json_parse.h"
#include "connectors/formats/line_scan.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/cpu.h"
#include "common/data/value_text.h"

#include <stdio.h>

#define SCAN_LINES 64

static bool read_value(struct json_parse *p, uint32_t column, const struct type *type);

static bool append_string(struct json_parse *p, uint32_t column, const struct type *type,
                          const struct json_string *string, uint32_t first)
{
    if (type->kind == TYPE_BYTES) {
        text_clear(&p->decoder->bytes);
        if (!base64_decode(string->bytes, string->size, &p->decoder->bytes)) {
            p->at = first;
            return json_fail(p, "expected base64");
        }
        batch_builder_bytes(p->out, column, p->decoder->bytes.bytes, p->decoder->bytes.size);
        return true;
    }
    if (!scalar_length_fits(type, string->bytes, string->size))
        return json_fail_type(p, type, first);
    if (string->is_shared)
        batch_builder_shared(p->out, column, p->buffer, (uint32_t)(string->bytes - p->bytes),
                             string->size);
    else
        batch_builder_bytes(p->out, column, string->bytes, string->size);
    return true;
}

static bool read_integer_value(struct json_parse *p, uint32_t column, const struct type *type)
{
    const uint32_t first = p->at;
    int64_t integer = 0;
    if (!json_read_integer(p, &integer))
        return json_fail_type(p, type, first);
    if (type->kind == TYPE_BIGINT)
        batch_builder_int(p->out, column, integer);
    else if (!scalar_int_append(p->out, column, type, integer))
        return json_fail_type(p, type, first);
    return true;
}

/* FLOAT, DOUBLE, DECIMAL */
static bool read_number(struct json_parse *p, uint32_t column, const struct type *type)
{
    const uint32_t first = p->at;
    bool is_integer = false;
    return (json_skip_number(p, &is_integer) &&
            scalar_text_append(p->out, column, type, p->bytes + first, p->at - first,
                               TIMESTAMP_FORM_SQL)) ||
           json_fail_type(p, type, first);
}

/* STRING, CHAR, VARCHAR, BYTES */
static inline bool read_string_value(struct json_parse *p, uint32_t column, const struct type *type)
{
    const uint32_t first = p->at;
    struct json_string string;
    if (p->at >= p->end || p->bytes[p->at] != '"')
        return json_fail_type(p, type, first);
    if (!json_read_string(p, &string))
        return false;
    if (type->kind != TYPE_STRING || !string.is_shared)
        return append_string(p, column, type, &string, first);
    batch_builder_shared(p->out, column, p->buffer, first + 1, string.size);
    return true;
}

static bool read_boolean(struct json_parse *p, uint32_t column, const struct type *type)
{
    const bool is_true = p->at < p->end && p->bytes[p->at] == 't';
    if (!json_take_word(p, is_true ? "true" : "false", is_true ? 4 : 5))
        return json_fail_type(p, type, p->at);
    batch_builder_bool(p->out, column, is_true);
    return true;
}

/* DATE, TIME, timestamps */
static bool read_text_value(struct json_parse *p, uint32_t column, const struct type *type)
{
    const uint32_t first = p->at;
    int64_t ms = 0;
    if (type_is_timestamp(type->kind) && p->decoder->timestamps == TIMESTAMP_FORM_EPOCH_MS)
        return (json_read_integer(p, &ms) && scalar_epoch_ms_append(p->out, column, type, ms)) ||
               json_fail_type(p, type, first);
    struct json_string string;
    if (p->at >= p->end || p->bytes[p->at] != '"')
        return json_fail_type(p, type, first);
    if (!json_read_string(p, &string))
        return false;
    return scalar_text_append(p->out, column, type, string.bytes, string.size,
                              TIMESTAMP_FORM_SQL) ||
           json_fail_type(p, type, first);
}

static bool read_array(struct json_parse *p, uint32_t column, const struct type *type)
{
    const struct type *entry = &type->children[0].type;
    if (p->at >= p->end || p->bytes[p->at] != '[')
        return json_fail_type(p, type, p->at);
    p->at++;
    batch_builder_begin(p->out, column);
    if (!json_take_char(p, ']')) {
        do {
            if (!read_value(p, 0, entry))
                return false;
        } while (json_take_char(p, ','));
        if (!json_take_char(p, ']'))
            return json_fail(p, "expected ',' or ']'");
    }
    batch_builder_end(p->out);
    return true;
}

static bool read_map(struct json_parse *p, uint32_t column, const struct type *type)
{
    if (p->at >= p->end || p->bytes[p->at] != '{')
        return json_fail_type(p, type, p->at);
    p->at++;
    batch_builder_begin(p->out, column);
    if (!json_take_char(p, '}')) {
        do {
            json_skip_space(p);
            if (p->at >= p->end || p->bytes[p->at] != '"')
                return json_fail(p, "expected a key");
            if (!read_string_value(p, 0, &type->children[0].type))
                return false;
            if (!json_take_char(p, ':'))
                return json_fail(p, "expected ':'");
            if (!read_value(p, 1, &type->children[1].type))
                return false;
        } while (json_take_char(p, ','));
        if (!json_take_char(p, '}'))
            return json_fail(p, "expected ',' or '}'");
    }
    batch_builder_end(p->out);
    return true;
}

/* The field of that name; `expected` is tried first. UINT32_MAX: none. */
static inline uint32_t find_field(const struct type_field *fields, uint32_t count,
                                  const struct json_string *key, uint32_t expected)
{
    if (expected < count && strlen(fields[expected].name) == key->size &&
        memcmp(fields[expected].name, key->bytes, key->size) == 0)
        return expected;
    for (uint32_t i = 0; i < count; i++) {
        if (strlen(fields[i].name) == key->size &&
            memcmp(fields[i].name, key->bytes, key->size) == 0)
            return i;
    }
    return UINT32_MAX;
}

/* The value of a field whose key has been read. */
static inline bool read_column(struct json_parse *p, const struct type_field *fields,
                               uint32_t column)
{
    if (p->depth > 1)
        return read_value(p, column, &fields[column].type);
    p->column = fields[column].name;
    const bool is_good = read_value(p, column, &fields[column].type);
    if (is_good)
        p->column = NULL;
    return is_good;
}

/* Is the next key, written without spaces, that of the column expected? Then it is taken. */
static inline bool is_expected_key(struct json_parse *p, const struct type_field *fields,
                                   uint32_t expected)
{
    const struct json_decoder *decoder = p->decoder;
    if (fields != decoder->fields || expected >= decoder->schema->column_count)
        return false;
    const struct json_key *key = &decoder->keys[expected];
    if (p->end - p->at < key->size || memcmp(p->bytes + p->at, key->text, key->size) != 0)
        return false;
    p->at += key->size;
    return true;
}

/* How far an object of declared fields has been read. */
struct object_progress {
    uint32_t next;  /* the column expected */
    uint32_t found; /* declared fields, repeats included */
    bool in_order;
};

/* A field whose key is not the expected one. */
static __attribute__((noinline)) bool read_other_field(struct json_parse *p,
                                                       const struct type_field *fields,
                                                       uint32_t count,
                                                       struct object_progress *progress)
{
    struct json_string key;
    if (p->at >= p->end || p->bytes[p->at] != '"')
        return json_fail(p, "expected a key");
    if (!json_read_string(p, &key))
        return false;
    const uint32_t column = find_field(fields, count, &key, progress->next);
    if (!json_take_char(p, ':'))
        return json_fail(p, "expected ':'");
    if (column == UINT32_MAX)
        return json_skip_value(p);
    /* While columns only rise, none can have come before. */
    progress->in_order = progress->in_order && column >= progress->next;
    if (!progress->in_order && batch_builder_has(p->out, column))
        batch_builder_drop(p->out, column);
    progress->next = column + 1;
    progress->found++;
    return read_column(p, fields, column);
}

static bool fill_missing(struct json_parse *p, const struct type_field *fields, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (batch_builder_has(p->out, i))
            continue;
        if (!fields[i].type.nullable) {
            char what[200];
            (void)snprintf(what, sizeof(what), "field \"%.100s\" is NOT NULL and missing",
                           fields[i].name);
            return json_fail(p, what);
        }
        batch_builder_null(p->out, i);
    }
    return true;
}

/* An object of declared fields, at its brace. */
static bool read_object(struct json_parse *p, const struct type_field *fields, uint32_t count)
{
    struct object_progress progress = {.in_order = true};
    p->at++;
    p->depth++;
    if (!json_take_char(p, '}')) {
        do {
            json_skip_space(p);
            if (progress.in_order && is_expected_key(p, fields, progress.next)) {
                if (!read_column(p, fields, progress.next))
                    return false;
                progress.next++;
                progress.found++;
            } else if (!read_other_field(p, fields, count, &progress)) {
                return false;
            }
        } while (json_take_char(p, ','));
        if (!json_take_char(p, '}'))
            return json_fail(p, "expected ',' or '}'");
    }
    p->depth--;
    /* All in their order and as many as there are, the last one last: nothing is missing. */
    if (progress.in_order && progress.found == count && progress.next == count)
        return true;
    return fill_missing(p, fields, count);
}

static bool read_row(struct json_parse *p, uint32_t column, const struct type *type)
{
    if (p->at >= p->end || p->bytes[p->at] != '{')
        return json_fail_type(p, type, p->at);
    batch_builder_begin(p->out, column);
    if (!read_object(p, type->children, type->child_count))
        return false;
    batch_builder_end(p->out);
    return true;
}

static bool read_value(struct json_parse *p, uint32_t column, const struct type *type)
{
    json_skip_space(p);
    if (p->at < p->end && p->bytes[p->at] == 'n' && json_take_word(p, "null", 4)) {
        if (!type->nullable)
            return json_fail_type(p, type, p->at - 4);
        batch_builder_null(p->out, column);
        return true;
    }
    switch (type->kind) {
    case TYPE_TINYINT:
    case TYPE_SMALLINT:
    case TYPE_INT:
    case TYPE_BIGINT:
        return read_integer_value(p, column, type);
    case TYPE_CHAR:
    case TYPE_VARCHAR:
    case TYPE_STRING:
    case TYPE_BYTES:
        return read_string_value(p, column, type);
    case TYPE_BOOLEAN:
        return read_boolean(p, column, type);
    case TYPE_FLOAT:
    case TYPE_DOUBLE:
    case TYPE_DECIMAL:
        return read_number(p, column, type);
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_LTZ:
        return read_text_value(p, column, type);
    case TYPE_ARRAY:
        return read_array(p, column, type);
    case TYPE_MAP:
        return read_map(p, column, type);
    case TYPE_ROW:
        return read_row(p, column, type);
    case TYPE_NONE:
    case TYPE_INTERVAL_MONTH:
    case TYPE_INTERVAL_SECOND:
        break;
    }
    UNREACHABLE(); /* json_check_schema has refused it */
}

/* ---- records ---- */

/* One record in [start, end); blank ones give no row. */
static bool read_record(struct json_parse *p, bool is_ascii)
{
    const struct json_decoder *decoder = p->decoder;
    p->has_ended_early = false;
    if (!is_ascii && !utf8_is_valid(p->bytes + p->start, p->end - p->start)) {
        p->at = p->start + (uint32_t)utf8_first_bad_byte(p->bytes + p->start, p->end - p->start);
        return json_fail(p, "expected valid UTF-8");
    }
    p->at = p->start;
    p->depth = 0;
    p->column = NULL;
    json_skip_space(p);
    if (p->at == p->end)
        return true;
    if (p->bytes[p->at] != '{')
        return json_fail(p, "expected an object");
    if (!read_object(p, decoder->fields, decoder->schema->column_count))
        return false;
    json_skip_space(p);
    if (p->at != p->end)
        return json_fail(p, "expected the end of the line behind the object");
    batch_builder_end_row(p->out, ROW_INSERT);
    return true;
}

/* A line that is no record. A message of several lines may still be one as a whole. */
static enum decode after_bad_line(struct json_parse *p, uint32_t offset, uint32_t limit,
                                  bool is_end, uint32_t *ret_consumed)
{
    batch_builder_undo_row(p->out);
    if (!is_end || p->start != offset || p->end == limit || !p->has_ended_early)
        return DECODE_ERROR;
    struct json_parse whole = *p;
    struct decode_error ignored;
    whole.error = &ignored;
    whole.end = limit;
    if (!read_record(&whole, false)) {
        batch_builder_undo_row(p->out);
        return DECODE_ERROR;
    }
    *ret_consumed = limit - offset;
    return DECODE_DONE;
}

enum decode json_decode(void *self, struct buffer *buffer, uint32_t offset, uint32_t size,
                        bool is_end, struct batch_builder *out, uint32_t *ret_consumed,
                        struct decode_error *ret_error)
{
    const uint32_t limit = offset + size;
    struct json_parse p = {.decoder = self,
                           .buffer = buffer,
                           .bytes = buffer->bytes,
                           .start = offset,
                           .out = out,
                           .error = ret_error};
    struct line_end lines[SCAN_LINES + 1];
    struct line_scan scan = {.count = SCAN_LINES, .next = offset};
    while (scan.count == SCAN_LINES) {
        scan = line_scan(buffer->bytes, scan.next, limit, lines, SCAN_LINES);
        uint32_t count = scan.count;
        if (count < SCAN_LINES && is_end && scan.next < limit)
            lines[count++] = (struct line_end){.end = limit, .is_ascii = scan.is_ascii};
        for (uint32_t i = 0; i < count; i++) {
            *ret_consumed = p.start - offset;
            if (batch_builder_is_full(out))
                return DECODE_FULL;
            p.end = lines[i].end;
            const bool good = read_record(&p, lines[i].is_ascii != 0);
            *ret_consumed = (p.end < limit ? p.end + 1 : limit) - offset;
            if (!good)
                return after_bad_line(&p, offset, limit, is_end, ret_consumed);
            p.start = offset + *ret_consumed;
        }
    }
    *ret_consumed = p.start - offset;
    return DECODE_DONE;
}

enum status json_decoder_open(void *self, const struct operator_spec *spec,
                              const struct schema *schema, struct error *err)
{
    struct json_decoder *decoder = self;
    struct option_value values[JSON_OPTION_COUNT];
    TRY(options_from_settings(json_options, spec->settings, spec->setting_count, "format.", values,
                              err));
    TRY(json_check_schema(schema, true, err));
    decoder->schema = schema_ref(schema);
    decoder->timestamps = (enum timestamp_form)values[JSON_TIMESTAMPS].integer;
    decoder->uses_vectors = cpu_has(CPU_SSE42);
    decoder->fields = allocate_array(schema->column_count, sizeof(struct type_field));
    for (uint32_t i = 0; i < schema->column_count; i++)
        decoder->fields[i] = (struct type_field){schema->columns[i].name, schema->columns[i].type};
    decoder->keys = allocate_array(schema->column_count, sizeof(struct json_key));
    for (uint32_t i = 0; i < schema->column_count; i++) {
        struct text key;
        text_init(&key, 8 * SCHEMA_NAME_BYTES_MAX);
        text_append_json(&key, schema->columns[i].name, strlen(schema->columns[i].name));
        text_append_char(&key, ':');
        decoder->keys[i] = (struct json_key){.size = (uint32_t)key.size, .text = key.bytes};
    }
    text_init(&decoder->string, (size_t)UINT32_MAX / 4);
    text_init(&decoder->bytes, (size_t)UINT32_MAX / 4);
    return STATUS_OK;
}

void json_decoder_close(void *self)
{
    struct json_decoder *decoder = self;
    for (uint32_t i = 0; decoder->keys != NULL && i < decoder->schema->column_count; i++)
        free(decoder->keys[i].text);
    free(decoder->keys);
    schema_unref(decoder->schema);
    free(decoder->fields);
    text_done(&decoder->string);
    text_done(&decoder->bytes);
    *decoder = (struct json_decoder){0};
}
