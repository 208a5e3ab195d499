/* Tables of a preview: see preview_table.h. */
#include "client/preview_table.h"

#include "common/api/row_error.h"
#include "common/base/allocate.h"
#include "common/data/value_text.h"

#include <inttypes.h>
#include <string.h>

/* A value is formatted no further than this before it is shortened. */
#define VALUE_BYTES_MAX 65536
#define TYPE_CHARACTERS 40

/* ---- texts ---- */

/* The size of the UTF-8 character at bytes, or 0 if there is none. */
static size_t character_at(const char *bytes, size_t left, uint32_t *ret_code)
{
    const uint8_t first = (uint8_t)bytes[0];
    const size_t size = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (size > left || !utf8_is_valid(bytes, size))
        return 0;
    uint32_t code = size == 1 ? first : first & (0xFFU >> (size + 1));
    for (size_t i = 1; i < size; i++)
        code = code << 6 | ((uint8_t)bytes[i] & 0x3FU);
    *ret_code = code;
    return size;
}

/* C1 controls steer terminals as C0 does; the others turn the direction of what follows. */
static bool is_control(uint32_t code)
{
    return (code >= 0x7F && code <= 0x9F) || code == 0x061C || code == 0x200E || code == 0x200F ||
           (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) ||
           code == 0xFEFF;
}

static void append_character(const char *bytes, size_t size, uint32_t code, bool is_binary,
                             struct text *out)
{
    if (size == 0)
        text_format(out, "\\x%02x", (unsigned)(uint8_t)bytes[0]);
    else if (code == '\n' || code == '\r' || code == '\t')
        text_append(out, code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t");
    else if (code == '\\' && is_binary)
        text_append(out, "\\\\");
    else if (code < 0x20 || code == 0x7F)
        text_format(out, "\\x%02x", code);
    else if (is_control(code))
        text_format(out, "\\u%04x", code);
    else
        text_append_bytes(out, bytes, size);
}

void preview_escape(const char *bytes, size_t size, size_t character_max, bool is_binary,
                    struct text *out)
{
    size_t shown = 0;
    size_t at = 0;
    size_t cut = out->size; /* behind the last character that leaves room for the dots */
    while (at < size) {
        if (shown == character_max) {
            out->size = cut;
            text_append(out, "...");
            return;
        }
        uint32_t code = 0;
        const size_t character = character_at(bytes + at, size - at, &code);
        append_character(bytes + at, character, code, is_binary, out);
        at += character > 0 ? character : 1;
        if (++shown + 3 <= character_max)
            cut = out->size;
    }
}

static size_t width_of(uint32_t code)
{
    static const struct {
        uint32_t first;
        uint32_t last;
        size_t width;
    } ranges[] = {
        {0x0300, 0x036F, 0},   {0x1100, 0x115F, 2},   {0x200B, 0x200D, 0}, {0x20D0, 0x20FF, 0},
        {0x2E80, 0xA4CF, 2},   {0xAC00, 0xD7A3, 2},   {0xF900, 0xFAFF, 2}, {0xFE00, 0xFE0F, 0},
        {0xFE30, 0xFE6F, 2},   {0xFF00, 0xFF60, 2},   {0xFFE0, 0xFFE6, 2}, {0x1F300, 0x1F64F, 2},
        {0x1F900, 0x1F9FF, 2}, {0x20000, 0x3FFFD, 2},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        if (code >= ranges[i].first && code <= ranges[i].last)
            return ranges[i].width;
    }
    return 1;
}

size_t preview_width(const char *text)
{
    size_t width = 0;
    for (size_t left = strlen(text); left > 0;) {
        uint32_t code = 0;
        const size_t size = character_at(text, left, &code);
        width += size > 0 ? width_of(code) : 1;
        text += size > 0 ? size : 1;
        left -= size > 0 ? size : 1;
    }
    return width;
}

/* ---- keeping ---- */

void preview_table_init(struct preview_table *table, const struct schema *schema, uint32_t row_max,
                        size_t character_max)
{
    *table = (struct preview_table){
        .schema = schema_ref(schema), .row_max = row_max, .character_max = character_max};
}

void preview_table_done(struct preview_table *table)
{
    for (size_t i = 0; i < table->row_count; i++) {
        for (uint32_t c = 0; c < table->schema->column_count; c++)
            free(table->rows[i].cells[c]);
        free(table->rows[i].cells);
    }
    free(table->rows);
    schema_unref(table->schema);
    *table = (struct preview_table){0};
}

static char *take_cell(const struct preview_table *table, const struct column *column, uint32_t row)
{
    if (column_is_null(column, row))
        return copy_text("NULL");
    struct text value;
    struct text shown;
    text_init(&value, VALUE_BYTES_MAX);
    text_init(&shown, VALUE_BYTES_MAX);
    column_format_value(column, row, &value);
    preview_escape(value.bytes, value.size, table->character_max, column->type.kind == TYPE_BYTES,
                   &shown);
    text_done(&value);
    char *cell = text_take(&shown);
    text_done(&shown);
    return cell;
}

void preview_table_add(struct preview_table *table, const struct batch *batch)
{
    const uint32_t selected = batch_selected(batch);
    for (uint32_t i = 0; i < selected && table->row_count < table->row_max; i++) {
        const uint32_t row = batch_row(batch, i);
        char **cells = allocate_array(table->schema->column_count + 1U, sizeof(*cells));
        for (uint32_t c = 0; c < table->schema->column_count; c++)
            cells[c] = take_cell(table, batch->columns[c], row);
        array_push(table->rows, table->row_count, table->row_capacity) =
            (struct preview_row){batch_row_kind(batch, row), cells};
    }
    table->total += selected;
}

/* ---- printing ---- */

static bool has_changes(const struct preview_table *table)
{
    for (size_t i = 0; i < table->row_count; i++) {
        if (table->rows[i].kind != ROW_INSERT)
            return true;
    }
    return false;
}

static bool is_number(enum type_kind kind)
{
    return (kind >= TYPE_TINYINT && kind <= TYPE_BIGINT) || kind == TYPE_FLOAT ||
           kind == TYPE_DOUBLE || kind == TYPE_DECIMAL;
}

static void print_cell(const char *text, size_t width, bool to_the_right, bool is_last, FILE *out)
{
    const int padding = (int)(width - preview_width(text));
    if (to_the_right)
        (void)fprintf(out, "%*s%s", padding, "", text);
    else
        (void)fprintf(out, "%s%*s", text, is_last ? 0 : padding, "");
    (void)fputs(is_last ? "\n" : "  ", out);
}

/* Three lines: names, types, a rule. Also finds the columns' widths. */
static void print_head(const struct preview_table *table, size_t *widths, const char *indent,
                       FILE *out)
{
    const uint32_t count = table->schema->column_count;
    char **types = allocate_array(count + 1U, sizeof(*types));
    char **names = allocate_array(count + 1U, sizeof(*names));
    for (uint32_t c = 0; c < count; c++) {
        const struct schema_column *column = &table->schema->columns[c];
        struct text type SCOPED_TEXT_BUFFER;
        struct text shown;
        text_init(&type, VALUE_BYTES_MAX);
        text_init(&shown, VALUE_BYTES_MAX);
        type_format(column->type, &type);
        preview_escape(type.bytes, type.size, TYPE_CHARACTERS, false, &shown);
        types[c] = text_take(&shown);
        preview_escape(column->name, strlen(column->name), TYPE_CHARACTERS, false, &shown);
        names[c] = text_take(&shown);
        text_done(&shown);
        widths[c] = preview_width(names[c]);
        if (preview_width(types[c]) > widths[c])
            widths[c] = preview_width(types[c]);
        for (size_t r = 0; r < table->row_count; r++) {
            if (preview_width(table->rows[r].cells[c]) > widths[c])
                widths[c] = preview_width(table->rows[r].cells[c]);
        }
    }
    for (int line = 0; line < 3; line++) {
        (void)fputs(indent, out);
        for (uint32_t c = 0; c < count; c++) {
            const bool right = is_number(table->schema->columns[c].type.kind);
            if (line < 2)
                print_cell(line == 0 ? names[c] : types[c], widths[c], right, c + 1 == count, out);
            for (size_t i = 0; line == 2 && i < widths[c]; i++)
                (void)fputc('-', out);
            if (line == 2)
                (void)fputs(c + 1 == count ? "\n" : "  ", out);
        }
    }
    for (uint32_t c = 0; c < count; c++) {
        free(names[c]);
        free(types[c]);
    }
    free(names);
    free(types);
}

void preview_table_print(const struct preview_table *table, FILE *out)
{
    static const char *const kinds[] = {"+I", "-U", "+U", "-D"};
    const uint32_t count = table->schema->column_count;
    const bool shows_kinds = has_changes(table);
    size_t *widths = allocate_array(count + 1U, sizeof(*widths));
    print_head(table, widths, shows_kinds ? "      " : "  ", out);
    for (size_t r = 0; r < table->row_count; r++) {
        (void)fputs("  ", out);
        if (shows_kinds)
            (void)fprintf(out, "%s  ", kinds[table->rows[r].kind]);
        for (uint32_t c = 0; c < count; c++)
            print_cell(table->rows[r].cells[c], widths[c],
                       is_number(table->schema->columns[c].type.kind), c + 1 == count, out);
    }
    if (table->total > table->row_count)
        (void)fprintf(out, "  and %" PRIu64 " more\n", table->total - table->row_count);
    free(widths);
}

void preview_table_print_errors(const struct preview_table *table, FILE *out)
{
    for (size_t r = 0; r < table->row_count; r++) {
        char **cells = table->rows[r].cells;
        const bool has_place = strcmp(cells[ROW_ERROR_SOURCE], "NULL") != 0;
        (void)fprintf(out, "  %s", cells[ROW_ERROR_CAUSE]);
        if (has_place)
            (void)fprintf(out, " at %s:%s", cells[ROW_ERROR_SOURCE], cells[ROW_ERROR_POSITION]);
        (void)fprintf(out, ": %s\n", cells[ROW_ERROR_MESSAGE]);
        if (strcmp(cells[ROW_ERROR_RAW], "NULL") != 0)
            (void)fprintf(out, "    bytes: %s\n", cells[ROW_ERROR_RAW]);
    }
    if (table->total > table->row_count)
        (void)fprintf(out, "  and %" PRIu64 " more\n", table->total - table->row_count);
}
