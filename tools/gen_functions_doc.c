/* Prints docs/functions.md from the registries of functions and aggregates. */
#include "expressions/aggregates.h"
#include "expressions/expression.h"
#include "expressions/function.h"

#include <stdio.h>

/* In a table | separates cells. */
static void print_cell(const char *text, int as_code)
{
    if (as_code)
        putchar('`');
    for (; *text != '\0'; text++) {
        if (*text == '|')
            putchar('\\');
        putchar(*text);
    }
    if (as_code)
        putchar('`');
}

static void print_row(const char *signature, const char *result, const char *help,
                      const char *example)
{
    printf("| ");
    print_cell(signature, 1);
    printf(" | ");
    print_cell(result, 0);
    printf(" | ");
    print_cell(help, 0);
    if (example != NULL) {
        printf(" | ");
        print_cell(example, 1);
    }
    printf(" |\n");
}

int main(void)
{
    printf(
        "# Functions\n\n"
        "Made by `make docs-functions` from the registry in `expressions/`: do not edit.\n\n"
        "Semantics are Flink SQL's: NULL in gives NULL out unless said otherwise, integers wrap, "
        "a DECIMAL that\ndoes not fit is NULL, and a row that cannot be computed goes to the "
        "node's `on_error`.\n");
    size_t word_count;
    const char *const *words = expression_reserved_words(&word_count);
    printf("\nReserved words (as column names they need \"quotes\"):");
    for (size_t i = 0; i < word_count; i++)
        printf("%s %s", i > 0 ? "," : "", words[i]);
    printf(".\n");
    size_t family_count;
    const struct function_family *families = function_families(&family_count);
    for (size_t f = 0; f < family_count; f++) {
        printf("\n## %s\n\n| form | result | meaning | example |\n|---|---|---|---|\n",
               families[f].title);
        for (size_t i = 0; i < *families[f].count; i++) {
            const struct function *function = &families[f].functions[i];
            print_row(function->signature, function->result_text, function->help,
                      function->example);
        }
    }
    size_t count;
    const struct aggregate_function *aggregates = aggregate_functions(&count);
    printf("\n## Aggregates\n\nUnder `aggregate` of a node; each may be followed by `FILTER (WHERE "
           "condition)`.\n\n| form | result | meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < count; i++)
        print_row(aggregates[i].signature, aggregates[i].result_text, aggregates[i].help, NULL);
    return 0;
}
