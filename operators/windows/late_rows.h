/* Rows that came after their windows: counted, and given on the output "late" if there is one. */
#ifndef OPERATORS_WINDOWS_LATE_ROWS_H
#define OPERATORS_WINDOWS_LATE_ROWS_H

#include "operators/windows/window_rows.h"

/* The rows of WINDOW_ROW_LATE. STEP_AGAIN: no room, call again. */
enum step late_rows_give(struct operator_env *env, const struct window_rows *rows, struct batch *in,
                         struct emitter *out);

#endif
