/*
 * Format raw: one column, one line a row, the bytes of the line as they are.
 *
 * A line ends in '\n', the last one may lack it; with line_end: crlf a '\r' before it belongs to
 * the end too, and is written. So a row without '\n' is read as it was written, whatever it ends
 * in. A STRING must be valid UTF-8, which may hold NUL bytes; BYTES takes anything. Rows share the
 * bytes that were read.
 */
#include "connectors/formats/formats.h"
#include "connectors/formats/line_scan.h"

#include "common/data/value_text.h"

#define SCAN_LINES 256

enum raw_option { RAW_LINE_END, RAW_OPTION_COUNT };
enum raw_line_end { RAW_LF, RAW_CRLF };

static const char *const line_ends[] = {"lf", "crlf", NULL};

static const struct option_spec options[] = {
    [RAW_LINE_END] = {.name = "line_end",
                      .type = OPTION_ENUM,
                      .fallback = "lf",
                      .choices = line_ends,
                      .help =
                          "What ends a line: lf is \\n, and a \\r before it is part of the row; "
                          "crlf writes \\r\\n and takes both off when reading (also a \\n "
                          "alone)."},
    {.name = NULL},
};

struct raw {
    bool is_text;
    bool has_crlf;
};

static enum status check_schema(const struct schema *schema, bool is_source, struct error *err)
{
    (void)is_source;
    if (schema->column_count == 1 &&
        (schema->columns[0].type.kind == TYPE_STRING || schema->columns[0].type.kind == TYPE_BYTES))
        return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "format raw needs exactly one column of type STRING or BYTES, the schema has "
                     "%u column(s)%s: declare one, for example {line: string}, or use csv or json",
                     schema->column_count, schema->column_count == 1 ? " of another type" : "");
}

static enum status raw_open(void *self, const struct operator_spec *spec,
                            const struct schema *schema, struct error *err)
{
    struct raw *raw = self;
    struct option_value values[RAW_OPTION_COUNT];
    TRY(options_from_settings(options, spec->settings, spec->setting_count, "format.", values,
                              err));
    TRY(check_schema(schema, true, err));
    raw->is_text = schema->columns[0].type.kind == TYPE_STRING;
    raw->has_crlf = values[RAW_LINE_END].integer == RAW_CRLF;
    return STATUS_OK;
}

static void raw_close(void *self)
{
    (void)self;
}

/* ---- decoding ---- */

/* Appends the line [start, end), or says what is wrong with it. */
static inline bool append_line(const struct raw *raw, struct buffer *buffer, uint32_t start,
                               struct line_end line, bool has_end, struct batch_builder *out,
                               struct decode_error *ret_error)
{
    uint32_t size = line.end - start;
    if (raw->has_crlf && has_end && size > 0 && buffer->bytes[line.end - 1] == '\r')
        size--;
    if (line.is_ascii == 0 && raw->is_text && !utf8_is_valid(buffer->bytes + start, size)) {
        const size_t at = utf8_first_bad_byte(buffer->bytes + start, size);
        (void)decode_failed(ret_error, start, size,
                            "the line is no valid UTF-8: byte 0x%02X at position %zu of the line",
                            (unsigned char)buffer->bytes[start + at], at);
        return false;
    }
    batch_builder_shared(out, 0, buffer, start, size);
    batch_builder_end_row(out, ROW_INSERT);
    return true;
}

static enum decode raw_decode(void *self, struct buffer *buffer, uint32_t offset, uint32_t size,
                              bool is_end, struct batch_builder *out, uint32_t *ret_consumed,
                              struct decode_error *ret_error)
{
    const struct raw *raw = self;
    const uint32_t limit = offset + size;
    struct line_end lines[SCAN_LINES];
    struct line_scan scan = {.count = SCAN_LINES, .next = offset};
    uint32_t start = offset;
    while (scan.count == SCAN_LINES) {
        scan = line_scan(buffer->bytes, scan.next, limit, lines, SCAN_LINES);
        for (uint32_t i = 0; i < scan.count; i++) {
            *ret_consumed = start - offset;
            if (batch_builder_is_full(out))
                return DECODE_FULL;
            const bool good = append_line(raw, buffer, start, lines[i], true, out, ret_error);
            start = lines[i].end + 1;
            *ret_consumed = start - offset;
            if (!good)
                return DECODE_ERROR;
        }
    }
    *ret_consumed = start - offset;
    if (!is_end || start == limit)
        return DECODE_DONE;
    if (batch_builder_is_full(out))
        return DECODE_FULL;
    const struct line_end last = {.end = limit, .is_ascii = scan.is_ascii};
    *ret_consumed = size;
    return append_line(raw, buffer, start, last, false, out, ret_error) ? DECODE_DONE
                                                                        : DECODE_ERROR;
}

/* A message is one row with all its bytes, line ends included. */
static enum decode raw_decode_message(void *self, struct buffer *buffer, uint32_t offset,
                                      uint32_t size, struct batch_builder *out,
                                      struct decode_error *ret_error)
{
    const struct raw *raw = self;
    const char *bytes = buffer->bytes + offset;
    if (raw->is_text && !utf8_is_valid(bytes, size)) {
        const size_t at = utf8_first_bad_byte(bytes, size);
        (void)decode_failed(ret_error, offset, size,
                            "the message is no valid UTF-8: byte 0x%02X at position %zu",
                            (unsigned char)bytes[at], at);
        return DECODE_ERROR;
    }
    batch_builder_shared(out, 0, buffer, offset, size);
    batch_builder_end_row(out, ROW_INSERT);
    return DECODE_DONE;
}

/* ---- encoding ---- */

static enum status raw_encode(void *self, const struct batch *batch, uint32_t row, struct text *out,
                              struct error *err)
{
    const struct raw *raw = self;
    const struct column *column = batch->columns[0];
    if (column_is_null(column, row))
        return error_set(err, STATUS_RECORD,
                         "column \"%s\": format raw cannot write NULL: use coalesce(%s, '')",
                         batch->schema->columns[0].name, batch->schema->columns[0].name);
    const struct string_view *view = &column_views(column)[row];
    text_append_bytes(out, string_view_bytes(column, view), view->size);
    if (raw->has_crlf)
        text_append_char(out, '\r');
    text_append_char(out, '\n');
    return STATUS_OK;
}

const struct format format_raw = {
    .abi_size = sizeof(struct format),
    .name = "raw",
    .help = "One column of type STRING or BYTES: each line, or each message, is a row.",
    .options = options,
    .file_extension = "txt",
    .decoder = {sizeof(struct raw), raw_open, raw_decode, raw_close, NULL, raw_decode_message},
    .encoder = {sizeof(struct raw), raw_open, raw_encode, raw_close},
    .check_schema = check_schema,
    .ends_rows_with_newline = true,
};
