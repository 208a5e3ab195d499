/* Schemas and rows written as text: see row_text.h. */
#include "tests/kit/row_text.h"

#include "common/base/allocate.h"
#include "common/data/value_text.h"
#include "tests/kit/operator_kit.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* "DECIMAL(10; 2) NOT NULL": simple kinds only. */
static struct type type_of_text(char *text)
{
    static const struct {
        const char *name;
        enum type_kind kind;
    } kinds[] = {
#define X(kind, number, name) {name, TYPE_##kind},
        TYPE_KIND_TABLE(X)
#undef X
    };
    char *not_null = strstr(text, " NOT NULL");
    if (not_null != NULL)
        *not_null = '\0';
    char *open = strchr(text, '(');
    if (open != NULL)
        *open = '\0';
    struct type type = {.kind = TYPE_NONE};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kinds[i].name, text) == 0)
            type = type_of_kind(kinds[i].kind);
    }
    ck_assert_msg(type.kind != TYPE_NONE, "the kit knows no type %s", text);
    if (open != NULL) {
        const unsigned precision = (unsigned)strtoul(open + 1, &open, 10);
        if (type.kind == TYPE_DECIMAL)
            type = type_decimal(precision, (unsigned)strtoul(open + 1, NULL, 10));
        else
            type.precision = (uint8_t)precision;
    }
    type.nullable = not_null == NULL;
    return type;
}

struct schema *operator_kit_schema(const char *text)
{
    struct schema_column columns[32];
    uint32_t count = 0;
    SCOPED_TEXT char *copy = copy_text(text);
    char *rest = copy;
    for (char *part = strsep(&rest, ","); part != NULL; part = strsep(&rest, ",")) {
        while (*part == ' ')
            part++;
        char *type = strchr(part, ' ');
        ck_assert_ptr_nonnull(type);
        *type++ = '\0';
        columns[count++] = (struct schema_column){.name = part, .type = type_of_text(type)};
    }
    return schema_create(columns, count, -1);
}

static void append_value(struct batch_builder *builder, uint32_t column, const struct type *type,
                         const char *text)
{
    const size_t size = strlen(text);
    int64_t integer = 0;
    bool is_good = true;
    if (strcmp(text, "null") == 0) {
        batch_builder_null(builder, column);
    } else if (type_is_view(type->kind)) {
        batch_builder_bytes(builder, column, text, size);
    } else if (type->kind == TYPE_FLOAT || type->kind == TYPE_DOUBLE) {
        double real = 0;
        is_good = parse_double(text, size, &real);
        batch_builder_double(builder, column, real);
    } else if (type->kind == TYPE_DECIMAL) {
        __int128 decimal = 0;
        is_good = parse_decimal(text, size, type->precision, type->scale, &decimal);
        batch_builder_decimal(builder, column, decimal);
    } else if (type->kind == TYPE_BOOLEAN) {
        bool boolean = false;
        is_good = parse_bool(text, size, &boolean);
        batch_builder_bool(builder, column, boolean);
    } else if (type->kind == TYPE_DATE) {
        int32_t days = 0;
        is_good = parse_date(text, size, &days);
        batch_builder_int(builder, column, days);
    } else if (type_is_timestamp(type->kind)) {
        is_good = parse_timestamp(text, size, type->precision, &integer, NULL, NULL);
        batch_builder_int(builder, column, integer);
    } else {
        ck_assert_msg(type_is_integer(type->kind), "the kit cannot read type %d", type->kind);
        is_good = parse_int64(text, size, &integer);
        batch_builder_int(builder, column, integer);
    }
    ck_assert_msg(is_good, "\"%s\" is no value of its column", text);
}

enum row_kind row_text_kind(const char *line)
{
    return line[0] == '+' ? (line[1] == 'I' ? ROW_INSERT : ROW_UPDATE_AFTER)
                          : (line[1] == 'U' ? ROW_UPDATE_BEFORE : ROW_DELETE);
}

void row_text_append(struct batch_builder *builder, const char *line, size_t size)
{
    ck_assert_msg(size >= 4 && line[2] == '[' && line[size - 1] == ']', "no row: \"%.*s\"",
                  (int)size, line);
    SCOPED_TEXT char *copy = copy_text_n(line + 3, size - 4);
    char *rest = copy;
    for (uint32_t c = 0; c < builder->schema->column_count; c++) {
        char *end = strstr(rest, ", ");
        if (end != NULL)
            *end = '\0';
        append_value(builder, c, &builder->schema->columns[c].type, rest);
        rest = end != NULL ? end + 2 : rest + strlen(rest);
    }
    batch_builder_end_row(builder, row_text_kind(line));
}
