/*
 * A small twin of the task for tests of connectors: an environment whose blocking work runs on a
 * thread or inline, a spec from pairs of settings, an emitter with room that tests choose, and what
 * on_error was called with.
 */
#ifndef TESTS_KIT_CONNECTOR_KIT_H
#define TESTS_KIT_CONNECTOR_KIT_H

#include "common/api/connector.h"

#include <pthread.h>

#define KIT_SETTING_MAX 32
#define KIT_ERROR_MAX   4096

enum kit_blocking {
    KIT_INLINE, /* run_blocking runs at once */
    KIT_THREAD, /* on a thread of its own */
};

struct kit_row_error {
    char *cause;
    char *message;
    int64_t position;
    char *raw;
    size_t raw_size;
};

struct connector_kit {
    struct operator_env env; /* first */
    struct operator_env_ops ops;
    struct operator_spec spec;
    struct operator_output output;
    struct setting settings[KIT_SETTING_MAX];
    struct emitter emitter;
    struct manual_clock clock;
    enum kit_blocking blocking;
    enum on_error on_error;
    unsigned no_room_count; /* so many calls of row_error find no room */
    struct kit_row_error errors[KIT_ERROR_MAX];
    uint32_t error_count;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned wakes;
    char *waits_for; /* owned; NULL: nothing */
    unsigned running;
};

/* settings: key, value, key, value, ... , NULL. The schema's reference is taken. */
struct connector_kit *connector_kit_create(struct schema *schema, enum kit_blocking blocking, ...)
    __attribute__((sentinel));
/* Waits for blocking work that still runs. */
void connector_kit_destroy(struct connector_kit *kit);
/* Waits until the task was woken since the last call (fails the test after 10 s). */
void connector_kit_wait(struct connector_kit *kit);

/* "a STRING, b BIGINT NOT NULL" for the simple kinds, DECIMAL(p,s) and TIMESTAMP(p). */
struct schema *kit_schema(const char *text);

/* A temporary directory, removed with everything in it by kit_directory_remove. */
char *kit_directory_make(void);
void kit_directory_remove(char *path);
void kit_file_write(const char *path, const void *bytes, size_t size);
/* The whole file; free it. *ret_size may be NULL. */
char *kit_file_read(const char *path, size_t *ret_size);

/* What a sink keeps in a snapshot, as snapshot_writer and as snapshot_reader. */
struct kit_snapshot {
    struct snapshot_writer writer; /* first */
    struct snapshot_entry *entries;
    size_t count;
    size_t capacity;
};
void kit_snapshot_init(struct kit_snapshot *snapshot);
void kit_snapshot_done(struct kit_snapshot *snapshot);

#endif
