/* A ring of lines: see printed_lines.h. */
#include "connectors/printed_lines.h"

#include "common/base/allocate.h"

#include <pthread.h>
#include <string.h>

static struct {
    pthread_mutex_t mutex;
    char *lines[PRINTED_LINES_MAX]; /* without their ends; NULL: not yet used */
    size_t next;                    /* the oldest, to be overwritten */
} kept = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Where the last `count` lines begin. */
static const char *last_lines(const char *bytes, size_t size, size_t count)
{
    const char *at = bytes + size;
    while (at > bytes && count > 0) {
        const char *end = memrchr(bytes, '\n', (size_t)(at - 1 - bytes));
        at = end != NULL ? end + 1 : bytes;
        count--;
    }
    return at;
}

static char *copy_line(const char *line, size_t size)
{
    if (size <= PRINTED_LINE_BYTES_MAX)
        return copy_text_n(line, size);
    size = PRINTED_LINE_BYTES_MAX;
    while (((unsigned char)line[size] & 0xc0) == 0x80) /* not within a character */
        size--;
    return format_text("%.*s...", (int)size, line);
}

void printed_lines_add(const char *bytes, size_t size)
{
    const char *end = bytes + size;
    pthread_mutex_lock(&kept.mutex);
    for (const char *at = last_lines(bytes, size, PRINTED_LINES_MAX); at < end;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL)
            line_end = end;
        char **slot = &kept.lines[kept.next];
        kept.next = (kept.next + 1) % PRINTED_LINES_MAX;
        free(*slot);
        *slot = copy_line(at, (size_t)(line_end - at));
        at = line_end + 1;
    }
    pthread_mutex_unlock(&kept.mutex);
}

void printed_lines_read(struct text *out)
{
    pthread_mutex_lock(&kept.mutex);
    for (size_t i = 0; i < PRINTED_LINES_MAX; i++) {
        const char *line = kept.lines[(kept.next + i) % PRINTED_LINES_MAX];
        if (line == NULL)
            continue;
        text_append(out, line);
        text_append_char(out, '\n');
    }
    pthread_mutex_unlock(&kept.mutex);
}
