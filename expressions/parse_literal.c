/* Numbers, and DATE, TIME, TIMESTAMP and INTERVAL literals. */
#include "expressions/parser.h"

#include "common/data/value_text.h"

#include <string.h>

static struct node *finish(struct parser *parser, struct node *node)
{
    if (!parser_advance(parser))
        return NULL;
    node->end = parser->last_end;
    return node;
}

static struct type not_null(struct type type)
{
    type.nullable = false;
    return type;
}

/* Digits with one point: DECIMAL(p, s) where p counts digits without leading zeros. */
static struct node *make_decimal(struct parser *parser, const char *digits, uint32_t size)
{
    unsigned scale = 0;
    unsigned precision = 0;
    bool behind_point = false;
    for (uint32_t i = 0; i < size; i++) {
        if (digits[i] == '.') {
            behind_point = true;
        } else if (digits[i] >= '0' && digits[i] <= '9') {
            scale += behind_point;
            precision += precision > 0 || digits[i] != '0';
        }
    }
    if (precision < scale)
        precision = scale;
    if (precision == 0)
        precision = 1;
    __int128 value;
    if (precision > TYPE_DECIMAL_PRECISION_MAX ||
        !parse_decimal(digits, size, precision, scale, &value)) {
        (void)parser_fail(parser, parser->token.start, "the number has more than %d digits",
                          TYPE_DECIMAL_PRECISION_MAX);
        return NULL;
    }
    struct node *node = node_create_literal(
        parser->expression, not_null(type_decimal(precision, scale)), parser->token.start);
    memcpy(node->literal->values, &value, sizeof(value));
    return finish(parser, node);
}

struct node *parse_number(struct parser *parser)
{
    /* A minus sign may stand before the digits, with blanks between. */
    char *digits = node_arena_allocate(&parser->expression->arena, parser->token.size + 1);
    uint32_t size = 0;
    bool is_double = false;
    bool is_decimal = false;
    for (uint32_t i = 0; i < parser->token.size; i++) {
        const char c = parser->text[parser->token.start + i];
        is_double |= c == 'e' || c == 'E';
        is_decimal |= c == '.';
        if (c == '+' && !is_double)
            continue;
        if (c == '-' && !is_double && size > 0) {
            size = 0; /* two signs cancel out */
            continue;
        }
        if (c > ' ')
            digits[size++] = c;
    }
    if (is_double) {
        double value;
        if (!parse_double(digits, size, &value)) {
            (void)parser_fail(parser, parser->token.start, "%.40s is no DOUBLE", digits);
            return NULL;
        }
        struct node *node = node_create_literal(
            parser->expression, not_null(type_of_kind(TYPE_DOUBLE)), parser->token.start);
        *(double *)node->literal->values = value;
        return finish(parser, node);
    }
    int64_t value;
    if (is_decimal || !parse_int64(digits, size, &value))
        return make_decimal(parser, digits, size);
    const bool is_int = value >= INT32_MIN && value <= INT32_MAX;
    struct node *node = node_create_literal(parser->expression,
                                            not_null(type_of_kind(is_int ? TYPE_INT : TYPE_BIGINT)),
                                            parser->token.start);
    if (is_int)
        *(int32_t *)node->literal->values = (int32_t)value;
    else
        *(int64_t *)node->literal->values = value;
    return finish(parser, node);
}

/* ---- DATE 'x', TIME 'x', TIMESTAMP 'x' ---- */

/* Digits of the fraction in "10:00:00.123". */
static uint8_t fraction_digits(const char *text, size_t size)
{
    uint8_t digits = 0;
    const char *point = memchr(text, '.', size);
    for (const char *c = point; point != NULL && ++c < text + size && *c >= '0' && *c <= '9';)
        digits++;
    return digits > 9 ? 9 : digits;
}

static struct node *make_time_literal(struct parser *parser, enum type_kind kind, const char *text,
                                      size_t size)
{
    struct type type = not_null(type_of_kind(kind));
    if (kind != TYPE_DATE)
        type.precision = fraction_digits(text, size);
    if (kind == TYPE_TIME && type.precision > 6)
        type.precision = 6;
    struct node *node = node_create_literal(parser->expression, type, parser->token.start);
    bool ok;
    if (kind == TYPE_DATE)
        ok = parse_date(text, size, node->literal->values);
    else if (kind == TYPE_TIME)
        ok = parse_time(text, size, node->literal->values);
    else
        ok = parse_timestamp(text, size, type.precision, node->literal->values, NULL, NULL);
    if (!ok) {
        (void)parser_fail(parser, parser->token.start, "'%.60s' is no %s such as '%s'", text,
                          type_kind_name(kind),
                          kind == TYPE_DATE   ? "2024-01-31"
                          : kind == TYPE_TIME ? "10:00:00"
                                              : "2024-01-31 10:00:00.123");
        return NULL;
    }
    return finish(parser, node);
}

/* ---- INTERVAL 'x' unit [TO unit] ---- */

enum interval_unit { UNIT_YEAR, UNIT_MONTH, UNIT_DAY, UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND };
static const char *const unit_words[] = {"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"};
static const int64_t unit_us[] = {0,        0,      INT64_C(86400000000), INT64_C(3600000000),
                                  60000000, 1000000};

/* The number at *at; false if there is none or it is too large. */
static bool read_interval_number(const char **at, const char *end, int64_t *ret_value)
{
    int64_t value = 0;
    const char *start = *at;
    while (*at < end && **at >= '0' && **at <= '9') {
        if (*at - start > 11)
            return false;
        value = value * 10 + (**at - '0');
        (*at)++;
    }
    *ret_value = value;
    return *at > start;
}

static bool read_fraction(const char **at, const char *end, int64_t *us)
{
    int64_t place = 100000;
    if (*at == end || **at != '.')
        return true;
    const char *start = ++*at;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        *us += (**at - '0') * place;
        place /= 10;
    }
    return *at > start;
}

/* In months up to UNIT_MONTH, else in microseconds. */
static bool read_interval(const char *text, size_t size, int from, int to, int64_t *ret_value)
{
    const char *at = text;
    const char *end = text + size;
    int64_t total = 0;
    bool is_negative = false;
    while (at < end && *at == ' ')
        at++;
    if (at < end && (*at == '-' || *at == '+'))
        is_negative = *at++ == '-';
    for (int unit = from; unit <= to; unit++) {
        int64_t value;
        const char separator = unit == UNIT_MONTH ? '-' : unit == UNIT_HOUR ? ' ' : ':';
        if (unit > from && (at == end || *at++ != separator))
            return false;
        if (!read_interval_number(&at, end, &value))
            return false;
        int64_t part;
        const int64_t factor = unit == UNIT_YEAR ? 12 : unit == UNIT_MONTH ? 1 : unit_us[unit];
        if (__builtin_mul_overflow(value, factor, &part) ||
            __builtin_add_overflow(total, part, &total))
            return false;
        if (unit == UNIT_SECOND && !read_fraction(&at, end, &total))
            return false;
    }
    while (at < end && *at == ' ')
        at++;
    if (at != end || (from <= UNIT_MONTH && total > INT32_MAX))
        return false;
    *ret_value = is_negative ? -total : total;
    return true;
}

static int parse_interval_unit(struct parser *parser)
{
    for (int unit = UNIT_YEAR; unit <= UNIT_SECOND; unit++) {
        if (!parser_take_word(parser, unit_words[unit]))
            continue;
        if (parser_take_symbol(parser, "(")) { /* precisions change nothing here */
            if (parser->token.kind == TOKEN_NUMBER)
                (void)parser_advance(parser);
            if (parser_take_symbol(parser, ",") && parser->token.kind == TOKEN_NUMBER)
                (void)parser_advance(parser);
            (void)parser_need_symbol(parser, ")");
        }
        return unit;
    }
    return -1;
}

static struct node *parse_interval(struct parser *parser)
{
    const uint32_t start = parser->token.start;
    (void)parser_advance(parser);
    const bool is_negative = parser_take_symbol(parser, "-");
    const struct token value_token = parser->token;
    char *text = node_arena_allocate(&parser->expression->arena, value_token.size);
    const size_t size = lexer_unquote(parser->text, value_token, text);
    if (!parser_advance(parser))
        return NULL;
    int64_t factor = 1;
    int from = -1;
    if (parser_take_word(parser, "WEEK")) {
        factor = 7;
        from = UNIT_DAY;
    } else if (parser_take_word(parser, "QUARTER")) {
        factor = 3;
        from = UNIT_MONTH;
    } else {
        from = parse_interval_unit(parser);
    }
    int to = from;
    if (factor == 1 && parser_take_word(parser, "TO"))
        to = parse_interval_unit(parser);
    if (from < 0 || to < 0) {
        (void)parser_expected(parser, "YEAR, MONTH, DAY, HOUR, MINUTE or SECOND");
        return NULL;
    }
    int64_t value;
    if (to < from || (from <= UNIT_MONTH) != (to <= UNIT_MONTH)) {
        (void)parser_fail(parser, start, "INTERVAL %s TO %s does not exist", unit_words[from],
                          unit_words[to]);
        return NULL;
    }
    if (!read_interval(text, size, from, to, &value) ||
        __builtin_mul_overflow(value, is_negative ? -factor : factor, &value)) {
        (void)parser_fail(parser, value_token.start,
                          "'%.40s' is no interval of %s%s%s (examples: INTERVAL '10' SECOND, "
                          "INTERVAL '1 12:30:00' DAY TO SECOND, INTERVAL '1-6' YEAR TO MONTH)",
                          text, unit_words[from], to > from ? " TO " : "",
                          to > from ? unit_words[to] : "");
        return NULL;
    }
    struct node *node = node_create_literal(
        parser->expression,
        not_null(type_of_kind(to <= UNIT_MONTH ? TYPE_INTERVAL_MONTH : TYPE_INTERVAL_SECOND)),
        start);
    if (to <= UNIT_MONTH)
        *(int32_t *)node->literal->values = (int32_t)value;
    else
        *(int64_t *)node->literal->values = value;
    node->end = parser->last_end;
    return parser->failed ? NULL : node;
}

struct node *parse_typed_literal(struct parser *parser)
{
    static const struct {
        const char *word;
        enum type_kind kind;
    } words[] = {{"DATE", TYPE_DATE}, {"TIME", TYPE_TIME}, {"TIMESTAMP", TYPE_TIMESTAMP}};
    const struct token after = parser_peek(parser);
    if (parser_at_word(parser, "INTERVAL")) {
        if (after.kind == TOKEN_STRING)
            return parse_interval(parser);
        struct parser ahead = *parser;
        if (token_is_symbol(parser, after, "-") && parser_advance(&ahead) &&
            parser_peek(&ahead).kind == TOKEN_STRING)
            return parse_interval(parser);
        return NULL;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (after.kind == TOKEN_STRING && parser_at_word(parser, words[i].word)) {
            const uint32_t start = parser->token.start;
            (void)parser_advance(parser);
            char *text = node_arena_allocate(&parser->expression->arena, parser->token.size);
            const size_t size = lexer_unquote(parser->text, parser->token, text);
            struct node *node = make_time_literal(parser, words[i].kind, text, size);
            if (node != NULL)
                node->start = start;
            return node;
        }
    }
    return NULL;
}
