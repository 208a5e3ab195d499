/* Calls whose arguments are no plain list: CAST(x AS t), EXTRACT(unit FROM x), ... */
#include "expressions/parser.h"

#include "common/base/nearest.h"

#include <string.h>
#include <strings.h>

static const char *const units[] = {
    "YEAR",   "QUARTER", "MONTH",  "WEEK",        "DAY",         "HOUR",       "MINUTE",
    "SECOND", "DOY",     "DOW",    "MILLISECOND", "MICROSECOND", "NANOSECOND", "EPOCH",
    "ISODOW", "ISOYEAR", "DECADE", "CENTURY",     "MILLENNIUM"};
#define UNIT_COUNT (sizeof(units) / sizeof(units[0]))

/* A unit of time as a string literal in upper case. */
static struct node *parse_unit(struct parser *parser)
{
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        const uint32_t start = parser->token.start;
        if (parser_take_word(parser, units[i])) {
            struct node *unit =
                node_create_string(parser->expression, units[i], strlen(units[i]), start);
            unit->end = parser->last_end;
            return unit;
        }
    }
    if (parser->token.kind == TOKEN_WORD) {
        const char *word = node_arena_copy_text(
            &parser->expression->arena, parser->text + parser->token.start, parser->token.size);
        const char *nearest = nearest_name(word, units, UNIT_COUNT);
        if (nearest != NULL) {
            (void)parser_fail(parser, parser->token.start,
                              "unknown unit of time %s: did you mean %s?", word, nearest);
            return NULL;
        }
    }
    (void)parser_expected(parser, "a unit of time (YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, ...)");
    return NULL;
}

static struct node *finish(struct parser *parser, struct node *node)
{
    if (parser->failed || !parser_need_symbol(parser, ")"))
        return NULL;
    node->end = parser->last_end;
    return node;
}

static bool add_expression(struct parser *parser, struct node *node)
{
    struct node *arg = parse_expression(parser);
    if (arg != NULL)
        node_add_arg(parser->expression, node, arg);
    return arg != NULL;
}

static struct node *parse_cast(struct parser *parser, const char *name, uint32_t start)
{
    struct node *cast = node_create(parser->expression, NODE_CAST, start);
    cast->name = name;
    cast->is_try = name[0] == 't';
    if (!add_expression(parser, cast) || !parser_need_word(parser, "AS"))
        return NULL;
    return parse_type(parser, &cast->type) ? finish(parser, cast) : NULL;
}

static struct node *parse_extract(struct parser *parser, const char *name, uint32_t start)
{
    struct node *unit = parse_unit(parser);
    if (unit == NULL || !parser_need_word(parser, "FROM"))
        return NULL;
    struct node *call = parser_call(parser, name, start, unit, NULL);
    return add_expression(parser, call) ? finish(parser, call) : NULL;
}

/* FLOOR(x) or FLOOR(x TO unit). */
static struct node *parse_floor(struct parser *parser, const char *name, uint32_t start)
{
    struct node *value = parse_expression(parser);
    if (value == NULL)
        return NULL;
    if (!parser_take_word(parser, "TO")) {
        struct node *call = parser_call(parser, name, start, value, NULL);
        while (parser_take_symbol(parser, ",")) {
            if (!add_expression(parser, call))
                return NULL;
        }
        return finish(parser, call);
    }
    struct node *unit = parse_unit(parser);
    if (unit == NULL)
        return NULL;
    return finish(parser,
                  parser_call(parser, name[0] == 'f' ? "floor to" : "ceil to", start, value, unit));
}

/* TRIM([BOTH | LEADING | TRAILING] [characters] FROM text), TRIM(text). */
static struct node *parse_trim(struct parser *parser, const char *name, uint32_t start)
{
    const char *function = name;
    bool has_side = true;
    if (parser_take_word(parser, "LEADING"))
        function = "ltrim";
    else if (parser_take_word(parser, "TRAILING"))
        function = "rtrim";
    else if (!parser_take_word(parser, "BOTH"))
        has_side = false;
    struct node *characters = NULL;
    if (!(has_side && parser_at_word(parser, "FROM"))) {
        characters = parse_expression(parser);
        if (characters == NULL)
            return NULL;
    }
    if (!parser_take_word(parser, "FROM")) {
        if (has_side) {
            (void)parser_expected(parser, "FROM");
            return NULL;
        }
        struct node *call = parser_call(parser, function, start, characters, NULL);
        if (parser_take_symbol(parser, ",") && !add_expression(parser, call))
            return NULL;
        return finish(parser, call);
    }
    struct node *call = parser_call(parser, function, start, NULL, NULL);
    if (!add_expression(parser, call))
        return NULL;
    if (characters != NULL)
        node_add_arg(parser->expression, call, characters);
    return finish(parser, call);
}

static struct node *parse_substring(struct parser *parser, const char *name, uint32_t start)
{
    struct node *call = parser_call(parser, name, start, NULL, NULL);
    if (!add_expression(parser, call))
        return NULL;
    const bool has_from = parser_take_word(parser, "FROM");
    if (!has_from && !parser_need_symbol(parser, ","))
        return NULL;
    if (!add_expression(parser, call))
        return NULL;
    if (has_from ? parser_take_word(parser, "FOR") : parser_take_symbol(parser, ",")) {
        if (!add_expression(parser, call))
            return NULL;
    }
    return finish(parser, call);
}

static struct node *parse_position(struct parser *parser, const char *name, uint32_t start)
{
    struct node *part = parse_addition(parser);
    if (part == NULL)
        return NULL;
    struct node *call = parser_call(parser, name, start, part, NULL);
    if (!parser_take_word(parser, "IN") && !parser_need_symbol(parser, ","))
        return NULL;
    return add_expression(parser, call) ? finish(parser, call) : NULL;
}

/* TIMESTAMPADD(unit, n, t), TIMESTAMPDIFF(unit, a, b). */
static struct node *parse_unit_call(struct parser *parser, const char *name, uint32_t start)
{
    struct node *unit = parse_unit(parser);
    if (unit == NULL)
        return NULL;
    struct node *call = parser_call(parser, name, start, unit, NULL);
    while (parser_take_symbol(parser, ",")) {
        if (!add_expression(parser, call))
            return NULL;
    }
    return finish(parser, call);
}

/* JSON_VALUE(text, path [RETURNING type]): the result is STRING, then cast with TRY_CAST. */
static struct node *parse_json_value(struct parser *parser, const char *name, uint32_t start)
{
    struct node *call = parser_call(parser, name, start, NULL, NULL);
    if (!add_expression(parser, call) || !parser_need_symbol(parser, ",") ||
        !add_expression(parser, call))
        return NULL;
    struct node *node = call;
    if (parser_take_word(parser, "RETURNING")) {
        node = node_create(parser->expression, NODE_CAST, start);
        node->is_try = true;
        node->name = "try_cast";
        node_add_arg(parser->expression, node, call);
        call->end = parser->last_end;
        if (!parse_type(parser, &node->type))
            return NULL;
    }
    return finish(parser, node);
}

/* COALESCE and IFNULL. */
static struct node *parse_coalesce(struct parser *parser, const char *name, uint32_t start)
{
    struct node *node = node_create(parser->expression, NODE_COALESCE, start);
    node->name = name;
    do {
        if (!add_expression(parser, node))
            return NULL;
    } while (parser_take_symbol(parser, ","));
    if (name[0] == 'i' && node->arg_count != 2) {
        (void)parser_fail(parser, start, "ifnull takes 2 arguments, not %u", node->arg_count);
        return NULL;
    }
    return finish(parser, node);
}

static struct node *parse_if(struct parser *parser, const char *name, uint32_t start)
{
    struct node *node = node_create(parser->expression, NODE_CASE, start);
    node->name = name;
    do {
        if (!add_expression(parser, node))
            return NULL;
    } while (parser_take_symbol(parser, ","));
    if (node->arg_count != 3) {
        (void)parser_fail(parser, start, "if takes 3 arguments (condition, then, else), not %u",
                          node->arg_count);
        return NULL;
    }
    return finish(parser, node);
}

/* NULLIF(a, b): CASE WHEN a = b THEN NULL ELSE a END with a evaluated once. */
static struct node *parse_nullif(struct parser *parser, const char *name, uint32_t start)
{
    struct expression *expression = parser->expression;
    (void)name;
    struct node *let = node_create(expression, NODE_LET, start);
    if (!add_expression(parser, let) || !parser_need_symbol(parser, ","))
        return NULL;
    struct node *other = parse_expression(parser);
    if (other == NULL)
        return NULL;
    struct node *slot = node_create(expression, NODE_SLOT, start);
    struct node *slot_else = node_create(expression, NODE_SLOT, start);
    slot->let = slot_else->let = let;
    slot->start = slot_else->start = let->args[0]->start;
    slot->end = slot_else->end = let->args[0]->end;
    struct node *node = node_create(expression, NODE_CASE, start);
    struct node *null = node_create(expression, NODE_LITERAL, start);
    null->type.nullable = true;
    node_add_arg(expression, node, parser_call(parser, "=", start, slot, other));
    node_add_arg(expression, node, null);
    node_add_arg(expression, node, slot_else);
    node_add_arg(expression, let, node);
    node->end = parser->last_end;
    return finish(parser, let);
}

struct node *parse_special_call(struct parser *parser, const char *name, uint32_t start)
{
    static const struct {
        const char *name;
        struct node *(*parse)(struct parser *parser, const char *name, uint32_t start);
    } forms[] = {
        {"cast", parse_cast},
        {"try_cast", parse_cast},
        {"extract", parse_extract},
        {"floor", parse_floor},
        {"ceil", parse_floor},
        {"ceiling", parse_floor},
        {"trim", parse_trim},
        {"substring", parse_substring},
        {"position", parse_position},
        {"timestampadd", parse_unit_call},
        {"json_value", parse_json_value},
        {"timestampdiff", parse_unit_call},
        {"coalesce", parse_coalesce},
        {"ifnull", parse_coalesce},
        {"if", parse_if},
        {"nullif", parse_nullif},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strcmp(forms[i].name, name) == 0)
            return forms[i].parse(parser, forms[i].name, start);
    }
    return NULL;
}
