/*
 * Finds the ends of lines, and whether each line holds bytes beyond ASCII, in one pass.
 *
 * Kernels for AVX2 and SSE2, and a portable twin; all give the same.
 */
#ifndef CONNECTORS_FORMATS_LINE_SCAN_H
#define CONNECTORS_FORMATS_LINE_SCAN_H

#include <stddef.h>
#include <stdint.h>

/* One line: bytes [its start, end) without the newline at `end`. */
struct line_end {
    uint32_t end;
    uint32_t is_ascii; /* 0 or 1: all bytes are below 0x80 */
};

struct line_scan {
    uint32_t count;    /* of complete lines found, at most the capacity given */
    uint32_t next;     /* where the first line that was not reported starts */
    uint32_t is_ascii; /* of the bytes [next, size); meaningful when count < capacity */
};

/* Scans bytes [from, size): reports up to capacity lines that end in '\n'. BUFFER_PADDING bytes
 * behind size must be readable. */
struct line_scan line_scan(const char *bytes, uint32_t from, uint32_t size, struct line_end *lines,
                           uint32_t capacity);
struct line_scan line_scan_scalar(const char *bytes, uint32_t from, uint32_t size,
                                  struct line_end *lines, uint32_t capacity);

#endif
