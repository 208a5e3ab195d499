/*
 * Format csv: RFC 4180, records of fields in the order of the schema's columns.
 *
 * Fields may be in double quotes, within which "" is a quote and delimiters and newlines are
 * ordinary. Records end in '\n' or "\r\n"; empty lines are skipped when there are several columns.
 * An unquoted empty field is NULL but for strings, where it is ''; with null_literal, an unquoted
 * field of that text is NULL for every type.
 */
#include "connectors/formats/formats.h"
#include "connectors/formats/scalar_text.h"

#include "common/base/allocate.h"
#include "common/data/value_text.h"

enum csv_option { CSV_HEADER, CSV_DELIMITER, CSV_NULL_LITERAL, CSV_TIMESTAMPS, CSV_OPTION_COUNT };

static const struct option_spec options[] = {
    [CSV_HEADER] = {.name = "header",
                    .type = OPTION_BOOL,
                    .fallback = "false",
                    .help = "The first record of each file holds the columns' names: reading skips "
                            "it."},
    [CSV_DELIMITER] = {.name = "delimiter",
                       .type = OPTION_STRING,
                       .fallback = ",",
                       .alias = "field-delimiter",
                       .help = "One ASCII character between fields; \\t is a tab."},
    [CSV_NULL_LITERAL] = {.name = "null_literal",
                          .type = OPTION_STRING,
                          .alias = "null-literal",
                          .help = "An unquoted field of this text is NULL, and NULL is written so; "
                                  "without it an empty field is NULL but for strings."},
    [CSV_TIMESTAMPS] = {.name = "timestamps",
                        .type = OPTION_ENUM,
                        .fallback = "sql",
                        .choices = timestamp_form_choices,
                        .help = "Timestamps as 2024-01-31 10:00:00.123 or as milliseconds since "
                                "1970."},
    {.name = NULL},
};

struct field {
    uint32_t offset;
    uint32_t size;
    bool is_quoted;
    bool has_escape; /* "" within it */
};

struct csv {
    struct schema *schema;
    char *null_literal; /* NULL: none */
    size_t null_size;
    enum timestamp_form timestamps;
    char delimiter;
    bool has_header;
    bool must_skip;       /* the next record is a header */
    struct field *fields; /* one per column */
    struct text scratch;  /* a field with its escapes taken out, or one about to be quoted */
};

static enum status check_schema(const struct schema *schema, bool is_source, struct error *err)
{
    (void)is_source;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (scalar_text_supports(schema->columns[i].type, false))
            continue;
        struct text type;
        text_init(&type, 200);
        type_format(schema->columns[i].type, &type);
        (void)error_set(err, STATUS_UNSUPPORTED,
                        "column \"%s\": format csv has no form for %s: cast it to a simple type or "
                        "use json",
                        schema->columns[i].name, type.bytes);
        text_done(&type);
        return STATUS_UNSUPPORTED;
    }
    return STATUS_OK;
}

static enum status parse_delimiter(const char *text, char *ret_delimiter, struct error *err)
{
    if (strcmp(text, "\\t") == 0)
        text = "\t";
    const unsigned char c = (unsigned char)text[0];
    if (c == 0 || text[1] != 0 || c >= 0x80 || c == '"' || c == '\n' || c == '\r')
        return error_set(err, STATUS_INVALID,
                         "delimiter: expected one ASCII character that is no quote and no line "
                         "end, got \"%s\"",
                         text);
    *ret_delimiter = (char)c;
    return STATUS_OK;
}

static enum status csv_open(void *self, const struct operator_spec *spec,
                            const struct schema *schema, struct error *err)
{
    struct csv *csv = self;
    struct option_value values[CSV_OPTION_COUNT];
    TRY(options_from_settings(options, spec->settings, spec->setting_count, "format.", values,
                              err));
    TRY(check_schema(schema, true, err));
    TRY(parse_delimiter(values[CSV_DELIMITER].text, &csv->delimiter, err));
    if (values[CSV_NULL_LITERAL].text != NULL) {
        csv->null_literal = copy_text(values[CSV_NULL_LITERAL].text);
        csv->null_size = strlen(csv->null_literal);
    }
    csv->timestamps = (enum timestamp_form)values[CSV_TIMESTAMPS].integer;
    csv->has_header = values[CSV_HEADER].boolean;
    csv->schema = schema_ref(schema);
    csv->fields = allocate_array(schema->column_count, sizeof(struct field));
    text_init(&csv->scratch, (size_t)UINT32_MAX / 4);
    return STATUS_OK;
}

static void csv_close(void *self)
{
    struct csv *csv = self;
    schema_unref(csv->schema);
    free(csv->null_literal);
    free(csv->fields);
    text_done(&csv->scratch);
    *csv = (struct csv){0};
}

static void csv_start(void *self, bool at_beginning)
{
    struct csv *csv = self;
    csv->must_skip = csv->has_header && at_beginning;
}

/* ---- decoding ---- */

enum scan { SCAN_RECORD, SCAN_INCOMPLETE, SCAN_BAD_QUOTE, SCAN_OPEN_QUOTE };

struct record {
    uint32_t field_count; /* all of them, also those beyond the columns */
    uint32_t end;         /* behind the record's terminator */
    uint32_t bad;         /* where it went wrong */
};

/* The field at `at`; *ret_at is its terminator: delimiter, newline or the limit. */
static enum scan scan_quoted(const char *bytes, uint32_t at, uint32_t limit, bool is_end,
                             struct field *field, uint32_t *ret_at)
{
    *field = (struct field){.offset = at + 1, .is_quoted = true};
    for (uint32_t i = at + 1;; i += 2) {
        const char *quote = i < limit ? memchr(bytes + i, '"', limit - i) : NULL;
        if (quote == NULL)
            return is_end ? SCAN_OPEN_QUOTE : SCAN_INCOMPLETE;
        i = (uint32_t)(quote - bytes);
        if (i + 1 == limit && !is_end)
            return SCAN_INCOMPLETE; /* the next byte decides */
        if (i + 1 == limit || bytes[i + 1] != '"') {
            field->size = i - field->offset;
            *ret_at = i + 1;
            return SCAN_RECORD;
        }
        field->has_escape = true;
    }
}

static enum scan scan_record(struct csv *csv, const char *bytes, uint32_t start, uint32_t limit,
                             bool is_end, struct record *ret_record)
{
    struct record record = {0};
    uint32_t at = start;
    for (;;) {
        struct field field = {.offset = at};
        if (at < limit && bytes[at] == '"') {
            ret_record->bad = at;
            const enum scan scan = scan_quoted(bytes, at, limit, is_end, &field, &at);
            if (scan != SCAN_RECORD)
                return scan;
            if (at + 1 < limit && bytes[at] == '\r' && bytes[at + 1] == '\n')
                at++;
            else if (at + 1 == limit && bytes[at] == '\r' && is_end)
                at = limit;
            else if (at + 1 == limit && bytes[at] == '\r')
                return SCAN_INCOMPLETE;
        } else {
            while (at < limit && bytes[at] != csv->delimiter && bytes[at] != '\n')
                at++;
            field.size = at - field.offset;
            const bool is_line_end = at == limit || bytes[at] == '\n';
            if (is_line_end && field.size > 0 && bytes[at - 1] == '\r')
                field.size--;
        }
        if (record.field_count < csv->schema->column_count)
            csv->fields[record.field_count] = field;
        record.field_count++;
        if (at == limit || bytes[at] == '\n') {
            if (at == limit && !is_end)
                return SCAN_INCOMPLETE;
            record.end = at == limit ? limit : at + 1;
            *ret_record = record;
            return SCAN_RECORD;
        }
        if (bytes[at] != csv->delimiter) {
            ret_record->bad = at;
            return SCAN_BAD_QUOTE;
        }
        at++;
    }
}

/* Appends one field; false: *ret_why says what was expected. */
static bool append_field(struct csv *csv, struct buffer *buffer, uint32_t column,
                         struct batch_builder *out, const char **ret_why)
{
    const struct field *field = &csv->fields[column];
    const struct type *type = &csv->schema->columns[column].type;
    const char *bytes = buffer->bytes + field->offset;
    size_t size = field->size;
    const bool is_null = !field->is_quoted && (csv->null_literal != NULL
                                                   ? size == csv->null_size &&
                                                         memcmp(bytes, csv->null_literal, size) == 0
                                                   : size == 0 && !type_is_view(type->kind));
    if (is_null) {
        *ret_why = "is NOT NULL";
        if (type->nullable)
            batch_builder_null(out, column);
        return type->nullable;
    }
    if (!type_is_view(type->kind)) {
        *ret_why = "expected";
        return scalar_text_append(out, column, type, bytes, size, csv->timestamps);
    }
    *ret_why = "is no valid UTF-8";
    if (type->kind != TYPE_BYTES && !utf8_is_valid(bytes, size))
        return false;
    if (field->has_escape) {
        text_clear(&csv->scratch);
        for (size_t i = 0; i < size; i++) {
            text_append_char(&csv->scratch, bytes[i]);
            i += bytes[i] == '"';
        }
        bytes = csv->scratch.bytes;
        size = csv->scratch.size;
    }
    *ret_why = "is longer than its type allows";
    if (!scalar_length_fits(type, bytes, size))
        return false;
    if (field->has_escape)
        batch_builder_bytes(out, column, bytes, size);
    else
        batch_builder_shared(out, column, buffer, field->offset, field->size);
    return true;
}

static enum decode bad_field(const struct csv *csv, const struct buffer *buffer, uint32_t start,
                             const struct record *record, uint32_t column, const char *why,
                             struct decode_error *ret_error)
{
    struct text message;
    text_init(&message, sizeof(ret_error->message) - 1);
    text_format(&message, "column %u \"%.100s\": ", column + 1, csv->schema->columns[column].name);
    text_append(&message, why);
    if (strcmp(why, "expected") == 0) {
        text_append_char(&message, ' ');
        type_format(csv->schema->columns[column].type, &message);
    }
    const struct field *field = &csv->fields[column];
    text_append(&message, ", got ");
    text_append_json(&message, buffer->bytes + field->offset, field->size < 60 ? field->size : 60);
    if (field->size > 60)
        text_append(&message, "...");
    (void)decode_failed(ret_error, start, record->end - start, "%s", message.bytes);
    text_done(&message);
    return DECODE_ERROR;
}

/* Appends the scanned record's fields as a row. */
static enum decode append_record(struct csv *csv, struct buffer *buffer, uint32_t start,
                                 const struct record *record, struct batch_builder *out,
                                 struct decode_error *ret_error)
{
    const uint32_t count = csv->schema->column_count;
    if (record->field_count != count)
        return decode_failed(ret_error, start, record->end - start,
                             "the record has %u field(s), the schema has %u column(s)",
                             record->field_count, count);
    for (uint32_t column = 0; column < count; column++) {
        const char *why = "";
        if (!append_field(csv, buffer, column, out, &why)) {
            batch_builder_undo_row(out);
            return bad_field(csv, buffer, start, record, column, why, ret_error);
        }
    }
    batch_builder_end_row(out, ROW_INSERT);
    return DECODE_DONE;
}

/* A record whose quotes are wrong: it is taken up to the next line end behind `from`. */
static enum decode bad_quotes(const struct buffer *buffer, uint32_t start, uint32_t from,
                              uint32_t limit, const char *what, uint32_t *ret_end,
                              struct decode_error *ret_error)
{
    const char *newline = memchr(buffer->bytes + from, '\n', limit - from);
    *ret_end = newline != NULL ? (uint32_t)(newline - buffer->bytes) + 1 : limit;
    return decode_failed(ret_error, start, *ret_end - start, "%s at position %u of the record",
                         what, from - start);
}

static bool is_empty_line(const struct csv *csv, const struct record *record)
{
    return record->field_count == 1 && csv->schema->column_count > 1 && csv->fields[0].size == 0 &&
           !csv->fields[0].is_quoted;
}

static enum decode csv_decode(void *self, struct buffer *buffer, uint32_t offset, uint32_t size,
                              bool is_end, struct batch_builder *out, uint32_t *ret_consumed,
                              struct decode_error *ret_error)
{
    struct csv *csv = self;
    const uint32_t limit = offset + size;
    for (uint32_t start = offset;;) {
        *ret_consumed = start - offset;
        if (start == limit)
            return DECODE_DONE;
        if (batch_builder_is_full(out))
            return DECODE_FULL;
        struct record record = {0};
        enum decode decode = DECODE_DONE;
        switch (scan_record(csv, buffer->bytes, start, limit, is_end, &record)) {
        case SCAN_INCOMPLETE:
            return DECODE_DONE;
        case SCAN_OPEN_QUOTE:
            decode = bad_quotes(buffer, start, record.bad, limit, "a quote is not closed",
                                &record.end, ret_error);
            break;
        case SCAN_BAD_QUOTE:
            /* The rest of the line belongs to it, wherever the bytes given end. */
            if (!is_end && memchr(buffer->bytes + record.bad, '\n', limit - record.bad) == NULL)
                return DECODE_DONE;
            decode = bad_quotes(buffer, start, record.bad, limit,
                                "expected a delimiter or the line's end behind a quoted field",
                                &record.end, ret_error);
            break;
        case SCAN_RECORD:
            if (!csv->must_skip && !is_empty_line(csv, &record))
                decode = append_record(csv, buffer, start, &record, out, ret_error);
            break;
        }
        csv->must_skip = false;
        start = record.end;
        *ret_consumed = start - offset;
        if (decode == DECODE_ERROR)
            return DECODE_ERROR;
    }
}

/* ---- encoding ---- */

static void append_quoted(const char *bytes, size_t size, struct text *out)
{
    text_append_char(out, '"');
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '"')
            text_append_char(out, '"');
        text_append_char(out, bytes[i]);
    }
    text_append_char(out, '"');
}

static bool needs_quotes(const struct csv *csv, const char *bytes, size_t size)
{
    if (csv->null_literal != NULL && size == csv->null_size &&
        memcmp(bytes, csv->null_literal, size) == 0)
        return true;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == csv->delimiter || bytes[i] == '"' || bytes[i] == '\n' || bytes[i] == '\r')
            return true;
    }
    return false;
}

static enum status csv_encode(void *self, const struct batch *batch, uint32_t row, struct text *out,
                              struct error *err)
{
    (void)err;
    struct csv *csv = self;
    for (uint32_t i = 0; i < batch->column_count; i++) {
        const struct column *column = batch->columns[i];
        if (i > 0)
            text_append_char(out, csv->delimiter);
        if (column_is_null(column, row)) {
            if (csv->null_literal != NULL)
                text_append_bytes(out, csv->null_literal, csv->null_size);
            continue;
        }
        const char *bytes = NULL;
        size_t size = 0;
        if (type_is_view(column->type.kind)) {
            const struct string_view *view = &column_views(column)[row];
            bytes = string_view_bytes(column, view);
            size = view->size;
        } else {
            text_clear(&csv->scratch);
            scalar_text_format(column, row, csv->timestamps, &csv->scratch);
            bytes = csv->scratch.bytes;
            size = csv->scratch.size;
        }
        if (needs_quotes(csv, bytes, size))
            append_quoted(bytes, size, out);
        else
            text_append_bytes(out, bytes, size);
    }
    text_append_char(out, '\n');
    return STATUS_OK;
}

const struct format format_csv = {
    .abi_size = sizeof(struct format),
    .name = "csv",
    .help = "Comma-separated fields as in RFC 4180, in the order of the columns, no header.",
    .options = options,
    .file_extension = "csv",
    .decoder = {sizeof(struct csv), csv_open, csv_decode, csv_close, csv_start, NULL},
    .encoder = {sizeof(struct csv), csv_open, csv_encode, csv_close},
    .check_schema = check_schema,
    .ends_rows_with_newline = true,
};
