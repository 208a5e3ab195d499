/* The job file of `run` and `info`: its text, what is compiled from it, what is sent of it. */
#ifndef CLIENT_JOB_TEXT_H
#define CLIENT_JOB_TEXT_H

#include "client/command.h"
#include "common/base/text.h"
#include "common/config/config.h"

/* Reads a file ("-": standard input) of at most JOB_DEFINITION_BYTES_MAX bytes. */
enum status job_text_read(const char *path, struct text *ret_text, struct error *err) MUST_CHECK;

/* Compiles it here, with the client's environment. Problems and warnings go to stderr as
 * "path:line:column: error: ...". */
enum status job_text_compile(const struct arguments *arguments, const char *path,
                             const struct text *text, const struct config *config,
                             struct job_graph **ret_graph) MUST_CHECK;

char *job_text_submitter(void); /* "user@host"; free it */

#endif
