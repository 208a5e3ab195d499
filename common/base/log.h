/*
 * One line per event to stderr: `2024-01-31T10:00:00.123Z INFO jobmanager event_name key=value
 * ...`.
 *
 * Times are UTC. Values are written as they are when they hold only printable characters without
 * space, quote, '=' or backslash, else as JSON strings. Equal warnings and errors (same event, same
 * values) appear once a second with a count. Any thread. Only owners of a decision log: main
 * loops, jobs, tasks.
 */
#ifndef COMMON_BASE_LOG_H
#define COMMON_BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* component: "jobmanager", "taskmanager", "client"; borrowed. Call once, before threads start. */
void log_configure(const char *component, enum log_level level, enum log_format format);

/* Pairs of key and value, both const char *, ending in NULL; a NULL value is written as "-".
 * log_event(LOG_INFO, "task_state", "task", name, "to", "RUNNING", NULL). */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

/* Numbers as values: LOG_NUMBER(42) lives until the end of the statement. */
#define LOG_NUMBER(value) (log_number((struct log_number){{0}}.text, (int64_t)(value)))
struct log_number {
    char text[24];
};
const char *log_number(char text[static 24], int64_t value);

#endif
