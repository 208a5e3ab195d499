/*
 * The function registry: one table of rows a family, one file a family. Parser messages, binding,
 * docs/functions.md and 'did you mean' come from it.
 *
 * To add a function: a row in its family's table with a kernel, and golden tests in
 * tests/unit/expressions (a test fails for a row without one).
 */
#ifndef EXPRESSIONS_FUNCTION_H
#define EXPRESSIONS_FUNCTION_H

#include "expressions/kernel.h"

enum function_flag {
    FUNCTION_SEES_NULL = 1 << 0,  /* the kernel is given rows with NULL arguments */
    FUNCTION_ANY_VALUE = 1 << 1,  /* the kernel may run over rows that are NULL */
    FUNCTION_GIVES_NULL = 1 << 2, /* may be NULL although no argument is */
    FUNCTION_SYNTAX = 1 << 3,     /* documents a form of the grammar; never bound by name */
    FUNCTION_NOT_NULL = 1 << 4,   /* never NULL */
};

struct binder;

struct function {
    const char *name; /* lower case; operators by their symbol */
    /* One letter a parameter: s string, i integer (as BIGINT), d number (as DOUBLE), e number as it
     * is, b BOOLEAN, t DATE or timestamp, x anything, a ARRAY, m MAP, u unit of time; what follows
     * ? is optional, * at the end repeats the last any number of times. NULL: bind decides. */
    const char *params;
    char result; /* s STRING, i BIGINT, n INT, d DOUBLE, b BOOLEAN, D DATE, = as the first argument,
                    0: bind sets node->type */
    unsigned flags;
    kernel_function *kernel; /* NULL: bind sets node->kernel */
    /* Checks and completes a call whose arguments are bound (and cast, with params). */
    bool (*bind)(struct binder *binder, struct node *node);
    const char *signature; /* "substring(text, start [, length])" */
    const char *help;      /* one line */
    const char *example;   /* "upper('ab')" */
    const char *result_text;
};

struct function_family {
    const char *title; /* "Strings" */
    const struct function *functions;
    const size_t *count;
};

const struct function_family *function_families(size_t *ret_count);

#define DECLARE_FAMILY(name)                                                                       \
    extern const struct function functions_##name[];                                               \
    extern const size_t functions_##name##_count
#define DEFINE_FAMILY_COUNT(name)                                                                  \
    const size_t functions_##name##_count = sizeof(functions_##name) / sizeof(functions_##name[0])

DECLARE_FAMILY(logic);
DECLARE_FAMILY(comparison);
DECLARE_FAMILY(arithmetic);
DECLARE_FAMILY(number);
DECLARE_FAMILY(text);
DECLARE_FAMILY(search);
DECLARE_FAMILY(regexp);
DECLARE_FAMILY(split);
DECLARE_FAMILY(collection);
DECLARE_FAMILY(time);
DECLARE_FAMILY(time_text);
DECLARE_FAMILY(json);

#endif
