/*
 * The last lines that print sinks of this process have written, for whoever cannot see its standard
 * output: GET /stdout of a TaskManager, /taskmanagers/:id/stdout of the JobManager.
 *
 * One store per process, as there is one standard output. Any thread.
 */
#ifndef CONNECTORS_PRINTED_LINES_H
#define CONNECTORS_PRINTED_LINES_H

#include "common/base/text.h"

#include <stddef.h>

#define PRINTED_LINES_MAX      1000
#define PRINTED_LINE_BYTES_MAX 4096 /* a longer one is kept in part, with "..." */

/* bytes: whole lines with their ends. */
void printed_lines_add(const char *bytes, size_t size);
/* Appends them, the oldest first, each with its end. */
void printed_lines_read(struct text *out);

#endif
