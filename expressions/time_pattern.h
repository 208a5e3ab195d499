/*
 * Java's patterns for times (SimpleDateFormat, DateTimeFormatter), the part that jobs use:
 * y M d H h m s S a E with counts, 'quoted text' and other characters as they are.
 */
#ifndef EXPRESSIONS_TIME_PATTERN_H
#define EXPRESSIONS_TIME_PATTERN_H

#include "expressions/time_math.h"

#define TIME_PATTERN_BYTES_MAX 200

/* NULL if the pattern is understood, else what is wrong with it. */
const char *time_pattern_check(struct slice pattern);
/* The pattern has been checked. */
void time_pattern_format(struct slice pattern, struct moment moment, struct text *out);
/* The whole text has to match; fields that are missing are 1970-01-01 00:00:00. */
bool time_pattern_parse(struct slice pattern, struct slice text, struct moment *ret_moment);

#endif
