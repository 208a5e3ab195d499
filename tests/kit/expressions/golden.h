/*
 * Golden tests of expressions: text and expected result, as texts.
 *
 * Each row runs several times: folded at compile time; with every literal as a column, over all
 * rows of a batch and over a part of them. The batch has the columns of golden_schema.
 * Expected: the value as CAST AS STRING shows it, "null", or "error: <part of the message>" for a
 * row that fails, or "problem: <part>" for a text that does not compile.
 */
#ifndef TESTS_KIT_EXPRESSIONS_GOLDEN_H
#define TESTS_KIT_EXPRESSIONS_GOLDEN_H

#include <stddef.h>

struct golden {
    const char *text;
    const char *expected;
};

/* All rows; the first that differs fails the test with text, expected and found. */
void golden_check(const struct golden *goldens, size_t count);
/* Only with literals as columns: where a constant that fails is found at compile time. A row whose
 * text has a problem is expected to have it both ways. */
void golden_check_run(const struct golden *goldens, size_t count);
/* Only with constants. */
void golden_check_compile(const struct golden *goldens, size_t count);
#define GOLDEN_CHECK(goldens) golden_check(goldens, sizeof(goldens) / sizeof((goldens)[0]))

#endif
