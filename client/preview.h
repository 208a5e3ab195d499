/* `run --local --preview`: what each node of a job makes of a few rows. */
#ifndef CLIENT_PREVIEW_H
#define CLIENT_PREVIEW_H

#include "client/command.h"
#include "common/base/text.h"

/* Reads, writes no sink, commits nothing, and prints tables on stdout. */
enum exit_code preview_run(const struct arguments *arguments, const char *path,
                           const struct text *text);

#endif
