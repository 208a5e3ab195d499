/* Which types go together, as Flink SQL has it. */
#ifndef EXPRESSIONS_COERCION_H
#define EXPRESSIONS_COERCION_H

#include "common/data/type.h"

/* DECIMAL(p, s) cut to 38 digits, keeping at least 6 of the scale (Flink's adjustment). */
struct type decimal_adjusted(unsigned precision, unsigned scale);
/* The DECIMAL that holds every value of an integer type; DECIMAL as it is. */
struct type decimal_of(struct type type);

#endif
