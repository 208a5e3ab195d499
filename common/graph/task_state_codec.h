/* A task's state as bytes (protobuf TaskState, proto/checkpoint.proto): the only place where they
 * meet. Acknowledgements, deployments and _metadata hold it in this form. */
#ifndef COMMON_GRAPH_TASK_STATE_CODEC_H
#define COMMON_GRAPH_TASK_STATE_CODEC_H

#include "common/base/text.h"
#include "common/graph/task_state.h"

#define TASK_STATE_FILE_MAX     200000
#define TASK_STATE_OPERATOR_MAX 10000
#define TASK_STATE_ENTRY_MAX    10000
#define TASK_STATE_PATH_MAX     1024

/* Appends the bytes to out. */
void task_state_encode(const struct task_state *state, struct text *out);
/* Checks maxima and the form of every path. */
enum status task_state_decode(const void *bytes, size_t size, struct task_state *ret_state,
                              struct error *err) MUST_CHECK;

/* "chk-<n>/<name>..." or "shared/<attempt>/<name>...": safe components only. Which of them, and the
 * number. */
enum state_path_kind { STATE_PATH_INVALID, STATE_PATH_PRIVATE, STATE_PATH_SHARED };
enum state_path_kind state_path_parse(const char *path, uint64_t *ret_number);

#endif
