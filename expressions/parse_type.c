/* SQL types: INT, DECIMAL(12, 2), ROW<a INT, b ARRAY<STRING>> NOT NULL, ... */
#include "common/base/nearest.h"
#include "expressions/parser.h"

#include <string.h>
#include <strings.h>

static const struct type_word {
    const char *word;
    enum type_kind kind;
} type_words[] = {
    {"BOOLEAN", TYPE_BOOLEAN},   {"TINYINT", TYPE_TINYINT},
    {"SMALLINT", TYPE_SMALLINT}, {"INT", TYPE_INT},
    {"INTEGER", TYPE_INT},       {"BIGINT", TYPE_BIGINT},
    {"FLOAT", TYPE_FLOAT},       {"DOUBLE", TYPE_DOUBLE},
    {"DECIMAL", TYPE_DECIMAL},   {"DEC", TYPE_DECIMAL},
    {"NUMERIC", TYPE_DECIMAL},   {"CHAR", TYPE_CHAR},
    {"VARCHAR", TYPE_VARCHAR},   {"STRING", TYPE_STRING},
    {"BYTES", TYPE_BYTES},       {"DATE", TYPE_DATE},
    {"TIME", TYPE_TIME},         {"TIMESTAMP", TYPE_TIMESTAMP},
    {"ARRAY", TYPE_ARRAY},       {"TIMESTAMP_LTZ", TYPE_TIMESTAMP_LTZ},
    {"MAP", TYPE_MAP},           {"INTERVAL", TYPE_INTERVAL_SECOND},
    {"ROW", TYPE_ROW},
};
#define TYPE_WORD_COUNT (sizeof(type_words) / sizeof(type_words[0]))
#define CHARACTERS_MAX  2147483647

static bool parse_small_number(struct parser *parser, uint32_t low, uint32_t high, const char *what,
                               uint32_t *ret_value)
{
    const struct token token = parser->token;
    if (token.kind != TOKEN_NUMBER)
        return parser_expected(parser, what);
    uint64_t value = 0;
    for (uint32_t i = 0; i < token.size; i++) {
        const char c = parser->text[token.start + i];
        if (c < '0' || c > '9' || value > high)
            return parser_fail(parser, token.start, "%s must be a whole number from %u to %u", what,
                               low, high);
        value = value * 10 + (uint64_t)(c - '0');
    }
    if (value < low || value > high)
        return parser_fail(parser, token.start, "%s must be from %u to %u, not %llu", what, low,
                           high, (unsigned long long)value);
    *ret_value = (uint32_t)value;
    return parser_advance(parser);
}

static bool parse_decimal_parameters(struct parser *parser, struct type *type)
{
    if (!parser_take_symbol(parser, "("))
        return !parser->failed;
    const uint32_t start = parser->token.start;
    uint32_t precision = 0;
    uint32_t scale = 0;
    if (!parse_small_number(parser, 1, TYPE_DECIMAL_PRECISION_MAX, "the precision of DECIMAL",
                            &precision))
        return false;
    if (parser_take_symbol(parser, ",") &&
        !parse_small_number(parser, 0, TYPE_DECIMAL_PRECISION_MAX, "the scale of DECIMAL", &scale))
        return false;
    if (scale > precision)
        return parser_fail(parser, start, "DECIMAL(%u, %u): the scale is larger than the precision",
                           precision, scale);
    type->precision = (uint8_t)precision;
    type->scale = (uint8_t)scale;
    return parser_need_symbol(parser, ")");
}

static bool parse_precision(struct parser *parser, struct type *type, uint32_t max)
{
    if (!parser_take_symbol(parser, "("))
        return !parser->failed;
    uint32_t precision = 0;
    if (!parse_small_number(parser, 0, max, "the precision of a time type", &precision))
        return false;
    type->precision = (uint8_t)precision;
    return parser_need_symbol(parser, ")");
}

static bool parse_timestamp_type(struct parser *parser, struct type *type)
{
    if (!parse_precision(parser, type, 9))
        return false;
    if (type->kind == TYPE_TIMESTAMP && parser_take_word(parser, "WITH")) {
        if (!parser_need_word(parser, "LOCAL") || !parser_need_word(parser, "TIME"))
            return false;
        type->kind = TYPE_TIMESTAMP_LTZ;
        return parser_need_word(parser, "ZONE");
    }
    if (parser_take_word(parser, "WITHOUT"))
        return parser_need_word(parser, "TIME") && parser_need_word(parser, "ZONE");
    return !parser->failed;
}

static bool parse_length(struct parser *parser, struct type *type)
{
    type->length = type->kind == TYPE_CHAR ? 1 : CHARACTERS_MAX;
    if (!parser_take_symbol(parser, "(")) {
        /* VARCHAR without a length is STRING, as in Nexmark's tables. */
        if (type->kind == TYPE_VARCHAR)
            *type = type_of_kind(TYPE_STRING);
        return !parser->failed;
    }
    if (!parse_small_number(parser, 1, CHARACTERS_MAX, "the length", &type->length))
        return false;
    return parser_need_symbol(parser, ")");
}

/* INTERVAL YEAR [TO MONTH], INTERVAL DAY [TO SECOND], any unit alone. */
static bool parse_interval_type(struct parser *parser, struct type *type)
{
    static const char *const units[] = {"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"};
    size_t unit = 0;
    while (unit < 6 && !parser_take_word(parser, units[unit]))
        unit++;
    if (unit == 6)
        return parser_expected(parser, "YEAR, MONTH, DAY, HOUR, MINUTE or SECOND behind INTERVAL");
    struct type ignored;
    if (!parse_precision(parser, &ignored, 9))
        return false;
    if (parser_take_word(parser, "TO")) {
        size_t to = unit + 1;
        const size_t end = unit < 2 ? 2 : 6;
        while (to < end && !parser_take_word(parser, units[to]))
            to++;
        if (to >= end)
            return parser_expected(parser, "MONTH behind YEAR TO, or SECOND behind DAY TO");
        if (!parse_precision(parser, &ignored, 9))
            return false;
    }
    *type = type_of_kind(unit < 2 ? TYPE_INTERVAL_MONTH : TYPE_INTERVAL_SECOND);
    return !parser->failed;
}

static bool parse_row_fields(struct parser *parser, struct type *type)
{
    struct type_field *fields = NULL;
    uint32_t count = 0;
    uint32_t capacity = 0;
    const char *close = parser_at_symbol(parser, "(") ? ")" : ">";
    if (!parser_take_symbol(parser, "(") && !parser_need_symbol(parser, "<"))
        return false;
    do {
        if (count == capacity) {
            capacity = capacity == 0 ? 8 : capacity * 2;
            struct type_field *grown =
                node_arena_allocate(&parser->expression->arena, capacity * sizeof(*grown));
            if (count > 0)
                memcpy(grown, fields, count * sizeof(*grown));
            fields = grown;
        }
        const char *name = parser_name(parser, "the name of a field");
        if (name == NULL || !parse_type(parser, &fields[count].type))
            return false;
        fields[count++].name = name;
    } while (count < UINT16_MAX && parser_take_symbol(parser, ","));
    type->children = fields;
    type->child_count = (uint16_t)count;
    return parser_need_symbol(parser, close);
}

static bool parse_element_types(struct parser *parser, struct type *type, uint16_t count)
{
    struct type_field *fields =
        node_arena_allocate(&parser->expression->arena, count * sizeof(*fields));
    if (!parser_need_symbol(parser, "<"))
        return false;
    for (uint16_t i = 0; i < count; i++) {
        fields[i].name = "";
        if ((i > 0 && !parser_need_symbol(parser, ",")) || !parse_type(parser, &fields[i].type))
            return false;
    }
    type->children = fields;
    type->child_count = count;
    return parser_need_symbol(parser, ">");
}

static bool parse_type_parameters(struct parser *parser, struct type *type)
{
    switch (type->kind) {
    case TYPE_DECIMAL:
        return parse_decimal_parameters(parser, type);
    case TYPE_CHAR:
    case TYPE_VARCHAR:
        return parse_length(parser, type);
    case TYPE_TIME:
        return parse_precision(parser, type, 6);
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_LTZ:
        return parse_timestamp_type(parser, type);
    case TYPE_INTERVAL_MONTH:
    case TYPE_INTERVAL_SECOND:
        return parse_interval_type(parser, type);
    case TYPE_ARRAY:
        return parse_element_types(parser, type, 1);
    case TYPE_MAP:
        return parse_element_types(parser, type, 2);
    case TYPE_ROW:
        return parse_row_fields(parser, type);
    case TYPE_DOUBLE:
        (void)parser_take_word(parser, "PRECISION");
        return !parser->failed;
    case TYPE_NONE:
    case TYPE_BOOLEAN:
    case TYPE_TINYINT:
    case TYPE_SMALLINT:
    case TYPE_INT:
    case TYPE_BIGINT:
    case TYPE_FLOAT:
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_DATE:
        return true;
    }
    return true;
}

static bool fail_unknown_type(struct parser *parser)
{
    const struct token token = parser->token;
    if (token.kind != TOKEN_WORD)
        return parser_expected(parser, "a type");
    const char *names[TYPE_WORD_COUNT];
    for (size_t i = 0; i < TYPE_WORD_COUNT; i++)
        names[i] = type_words[i].word;
    const char *name =
        node_arena_copy_text(&parser->expression->arena, parser->text + token.start, token.size);
    const char *nearest = nearest_name(name, names, TYPE_WORD_COUNT);
    return parser_fail(parser, token.start, "unknown type \"%.60s\"%s%s%s", name,
                       nearest != NULL ? ": did you mean " : "", nearest != NULL ? nearest : "",
                       nearest != NULL ? "?" : "");
}

bool parse_type(struct parser *parser, struct type *ret_type)
{
    size_t i = 0;
    while (i < TYPE_WORD_COUNT && !parser_at_word(parser, type_words[i].word))
        i++;
    if (i == TYPE_WORD_COUNT)
        return fail_unknown_type(parser);
    if (++parser->type_depth > TYPE_DEPTH_MAX)
        return parser_fail(parser, parser->token.start,
                           "the type is nested more than %d levels deep", TYPE_DEPTH_MAX);
    struct type type = type_of_kind(type_words[i].kind);
    if (!parser_advance(parser) || !parse_type_parameters(parser, &type))
        return false;
    parser->type_depth--;
    if (parser_at_word(parser, "NOT") && token_is_word(parser, parser_peek(parser), "NULL")) {
        type.nullable = false;
        if (!parser_advance(parser) || !parser_advance(parser))
            return false;
    } else {
        (void)parser_take_word(parser, "NULL");
    }
    *ret_type = type;
    return !parser->failed;
}
