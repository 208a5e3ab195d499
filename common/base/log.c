/* Log lines: see log.h. */
#include "common/base/log.h"

#include "common/base/clock.h"
#include "common/base/text.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES   8192
#define REPEAT_WINDOW_US 1000000

static const char *const level_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

static struct {
    pthread_mutex_t lock;
    const char *component;
    enum log_level level;
    enum log_format format;
    /* The last warning or error, to count its repetitions. */
    char last[LINE_MAX_BYTES];
    int64_t last_us;
    uint64_t repeats;
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .component = "millstream", .level = LOG_INFO};

void log_configure(const char *component, enum log_level level, enum log_format format)
{
    sink.component = component;
    sink.level = level;
    sink.format = format;
}

const char *log_number(char text[static 24], int64_t value)
{
    (void)snprintf(text, 24, "%" PRId64, value);
    return text;
}

static bool is_plain(const char *value)
{
    if (*value == '\0')
        return false;
    for (const char *c = value; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || *c == '"' || *c == '=' || *c == '\\')
            return false;
    }
    return true;
}

static void append_pair(struct text *line, const char *key, const char *value)
{
    if (sink.format == LOG_FORMAT_JSON) {
        text_append(line, ",");
        text_append_json(line, key, strlen(key));
        text_append(line, ":");
        text_append_json(line, value, strlen(value));
    } else {
        text_format(line, " %s=", key);
        if (is_plain(value))
            text_append(line, value);
        else
            text_append_json(line, value, strlen(value));
    }
}

static void append_head(struct text *line, enum log_level level, const char *event)
{
    const int64_t wall_ms = clock_wall_ms(clock_system());
    const time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    (void)gmtime_r(&seconds, &utc);
    char time_text[32];
    const size_t used = strftime(time_text, sizeof(time_text), "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(time_text + used, sizeof(time_text) - used, ".%03dZ", (int)(wall_ms % 1000));
    if (sink.format == LOG_FORMAT_JSON)
        text_format(line, "{\"time\":\"%s\",\"level\":\"%s\",\"component\":\"%s\",\"event\":\"%s\"",
                    time_text, level_names[level], sink.component, event);
    else
        text_format(line, "%s %s %s %s", time_text, level_names[level], sink.component, event);
}

static void write_line(enum log_level level, const char *event, const char *pairs)
{
    struct text line;
    text_init(&line, 2 * LINE_MAX_BYTES);
    append_head(&line, level, event);
    text_append(&line, pairs);
    text_append(&line, sink.format == LOG_FORMAT_JSON ? "}\n" : "\n");
    /* One write per line; a log that cannot be written must not stop the process. */
    const ssize_t written = write(STDERR_FILENO, line.bytes, line.size);
    (void)written;
    text_done(&line);
}

static void write_repeats(void)
{
    if (sink.repeats == 0)
        return;
    struct text pairs;
    text_init(&pairs, 128);
    char number[24];
    append_pair(&pairs, "times", log_number(number, (int64_t)sink.repeats));
    sink.repeats = 0;
    write_line(LOG_WARN, "last_message_repeated", pairs.bytes);
    text_done(&pairs);
}

/* True when this warning or error equals the last one of the same second. */
static bool is_repeated(const char *event, const char *pairs)
{
    char key[LINE_MAX_BYTES];
    (void)snprintf(key, sizeof(key), "%s%s", event, pairs);
    const int64_t now_us = clock_now_us(clock_system());
    if (strcmp(key, sink.last) == 0 && now_us - sink.last_us < REPEAT_WINDOW_US) {
        sink.repeats++;
        return true;
    }
    write_repeats();
    memcpy(sink.last, key, sizeof(key));
    sink.last_us = now_us;
    return false;
}

void log_event(enum log_level level, const char *event, ...)
{
    if (level < sink.level)
        return;
    struct text pairs;
    text_init(&pairs, LINE_MAX_BYTES);
    va_list args;
    va_start(args, event);
    for (const char *key = va_arg(args, const char *); key != NULL;
         key = va_arg(args, const char *)) {
        const char *value = va_arg(args, const char *);
        append_pair(&pairs, key, value != NULL ? value : "-");
    }
    va_end(args);
    (void)pthread_mutex_lock(&sink.lock);
    if (level < LOG_WARN || !is_repeated(event, pairs.bytes))
        write_line(level, event, pairs.bytes);
    (void)pthread_mutex_unlock(&sink.lock);
    text_done(&pairs);
}
