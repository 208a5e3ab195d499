/*
 * How a TaskManager shows that it sees the JobManager's checkpoint directory: by the token that the
 * JobManager wrote into it.
 */
#ifndef TASKMANAGER_CHECKPOINT_TOKEN_H
#define TASKMANAGER_CHECKPOINT_TOKEN_H

/* Both results are set and to be freed; one of them is "". */
void checkpoint_token_read(const char *directory, char **ret_token, char **ret_error);

#endif
