/* The families of functions, and how a call finds its row: see function.h. */
#include "expressions/function.h"

#include "common/base/allocate.h"
#include "common/base/nearest.h"
#include "expressions/aggregates.h"
#include "expressions/binder.h"

#include <ctype.h>

const struct function_family *function_families(size_t *ret_count)
{
#define FAMILY(title, name)                                                                        \
    {                                                                                              \
        title, functions_##name, &functions_##name##_count                                         \
    }
    static const struct function_family families[] = {
        FAMILY("Logic and conditions", logic),
        FAMILY("Comparison", comparison),
        FAMILY("Arithmetic", arithmetic),
        FAMILY("Numbers", number),
        FAMILY("Strings", text),
        FAMILY("Searching in strings", search),
        FAMILY("Regular expressions", regexp),
        FAMILY("Splitting", split),
        FAMILY("Arrays, maps and rows", collection),
        FAMILY("Time", time),
        FAMILY("Time from and to text", time_text),
        FAMILY("JSON", json),
    };
    *ret_count = sizeof(families) / sizeof(families[0]);
    return families;
}

static bool letter_accepts(char letter, enum type_kind kind)
{
    if (kind == TYPE_NONE)
        return true;
    switch (letter) {
    case 's':
    case 'u':
        return type_is_string(kind);
    case 'i':
        return type_is_integer(kind);
    case 'd':
    case 'e':
        return type_is_numeric(kind);
    case 'b':
        return kind == TYPE_BOOLEAN;
    case 't':
        return kind == TYPE_DATE || type_is_timestamp(kind);
    case 'a':
        return kind == TYPE_ARRAY;
    case 'm':
        return kind == TYPE_MAP;
    default:
        return true; /* x */
    }
}

static bool letter_target(char letter, struct type *ret_type)
{
    switch (letter) {
    case 's':
    case 'u':
        *ret_type = type_of_kind(TYPE_STRING);
        return true;
    case 'i':
        *ret_type = type_of_kind(TYPE_BIGINT);
        return true;
    case 'n':
        *ret_type = type_of_kind(TYPE_INT);
        return true;
    case 'd':
        *ret_type = type_of_kind(TYPE_DOUBLE);
        return true;
    case 'b':
        *ret_type = type_of_kind(TYPE_BOOLEAN);
        return true;
    case 'D':
        *ret_type = type_of_kind(TYPE_DATE);
        return true;
    case 't':
        *ret_type = type_of_kind(TYPE_TIMESTAMP);
        return true;
    default:
        return false;
    }
}

/* The letter of parameter i, 0 if there is none. *ret_min: parameters that must be there. */
static char letter_of(const char *params, uint32_t i, uint32_t *ret_min)
{
    uint32_t count = 0;
    uint32_t min = UINT32_MAX;
    char letter = 0;
    char last = 0;
    for (const char *at = params; *at != '\0'; at++) {
        if (*at == '?') {
            min = count;
        } else if (*at == '*') {
            if (i >= count)
                letter = last;
        } else {
            last = *at;
            if (count++ == i)
                letter = last;
        }
    }
    *ret_min = min == UINT32_MAX ? count : min;
    return letter;
}

static bool accepts(const struct function *function, const struct node *node)
{
    uint32_t min;
    (void)letter_of(function->params, 0, &min);
    if (node->arg_count < min)
        return false;
    for (uint32_t i = 0; i < node->arg_count; i++) {
        const char letter = letter_of(function->params, i, &min);
        if (letter == 0 || !letter_accepts(letter, node->args[i]->type.kind))
            return false;
    }
    return true;
}

static bool apply(struct binder *binder, const struct function *function, struct node *node)
{
    node->function = function;
    node->kernel = function->kernel;
    if (function->params != NULL) {
        for (uint32_t i = 0; i < node->arg_count; i++) {
            uint32_t min;
            const char letter = letter_of(function->params, i, &min);
            struct type target;
            const enum type_kind kind = node->args[i]->type.kind;
            const bool keeps = letter == 't' && kind != TYPE_NONE;
            if (!keeps && letter_target(letter, &target) && !bind_coerce(binder, node, i, target))
                return false;
        }
    }
    struct type type;
    if (function->result == '=')
        node->type = node->args[0]->type;
    else if (letter_target(function->result, &type))
        node->type = type;
    if (function->bind != NULL && !function->bind(binder, node))
        return false;
    if ((function->flags & FUNCTION_NOT_NULL) != 0)
        node->type.nullable = false;
    else
        node->type.nullable =
            (function->flags & FUNCTION_GIVES_NULL) != 0 || bind_any_nullable(node);
    return true;
}

static bool fail_unknown_function(struct binder *binder, const struct node *node)
{
    static const char *const moments[] = {"now",  "current_timestamp", "proctime",      "rand",
                                          "uuid", "rand_integer",      "localtimestamp"};
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        if (strcmp(moments[i], node->name) == 0)
            return bind_fail(binder, node,
                             "%s() is not available: its value would differ when rows are "
                             "processed again after a failure; use a column of the input",
                             node->name);
    }
    if (aggregate_signature_find(node->name) != NULL)
        return bind_fail(binder, node,
                         "%s is an aggregate function: it belongs under \"aggregate\"", node->name);
    const char *names[1024];
    size_t count = 0;
    size_t family_count;
    const struct function_family *families = function_families(&family_count);
    for (size_t f = 0; f < family_count; f++) {
        for (size_t i = 0; i < *families[f].count && count < 1024; i++) {
            if (isalpha((unsigned char)families[f].functions[i].name[0]))
                names[count++] = families[f].functions[i].name;
        }
    }
    const char *nearest = nearest_name(node->name, names, count);
    return bind_fail(binder, node, "unknown function \"%.80s\"%s%s%s", node->name,
                     nearest != NULL ? ": did you mean \"" : "", nearest != NULL ? nearest : "",
                     nearest != NULL ? "\"?" : "");
}

static bool fail_arguments(struct binder *binder, const struct node *node,
                           const struct function *function)
{
    SCOPED_TEXT_BUFFER struct text types;
    text_init(&types, 200);
    for (uint32_t i = 0; i < node->arg_count; i++)
        text_format(&types, "%s%s", i > 0 ? ", " : "", type_text(node->args[i]->type));
    return bind_fail(binder, node, "%s does not take (%s); it is used as %s", function->name,
                     types.bytes, function->signature);
}

bool bind_call(struct binder *binder, struct node *node)
{
    if (node->is_star || node->is_distinct) {
        if (aggregate_signature_find(node->name) != NULL)
            return fail_unknown_function(binder, node);
        return bind_fail(binder, node, "%s takes neither * nor DISTINCT", node->name);
    }
    const struct function *nearest = NULL;
    size_t family_count;
    const struct function_family *families = function_families(&family_count);
    for (size_t f = 0; f < family_count; f++) {
        for (size_t i = 0; i < *families[f].count; i++) {
            const struct function *function = &families[f].functions[i];
            if (strcmp(function->name, node->name) != 0 || (function->flags & FUNCTION_SYNTAX) != 0)
                continue;
            if (function->params == NULL || accepts(function, node))
                return apply(binder, function, node);
            nearest = function;
        }
    }
    return nearest != NULL ? fail_arguments(binder, node, nearest)
                           : fail_unknown_function(binder, node);
}
