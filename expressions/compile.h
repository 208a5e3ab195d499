/* Inside of expressions/: an expression before it has a tree. */
#ifndef EXPRESSIONS_COMPILE_H
#define EXPRESSIONS_COMPILE_H

#include "expressions/node.h"

/* Owns a copy of the text and references to the schemas; NULL: an option is wrong. */
struct expression *expression_prepare(const char *text, const struct schema *schema,
                                      const struct expression_options *options,
                                      struct expression_problem *problem);

#endif
