/* Memory of bounded size: see allocate.h. */
#include "common/base/allocate.h"

#include "common/base/check.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* A batch or frame has at most 256 KiB. Set, neither limit moves by itself any more. */
#define KEPT_PIECE_BYTES (1024 * 1024)
#define KEPT_BYTES       (4 * 1024 * 1024)

void allocate_keep_batches(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, KEPT_PIECE_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
}

_Noreturn static void out_of_memory(size_t size)
{
    (void)fprintf(stderr,
                  "out of memory: %zu bytes refused; raise the memory limit of this process or "
                  "lower its configured budget\n",
                  size);
    _Exit(1);
}

void *allocate(size_t size)
{
    return allocate_array(1, size);
}

void *allocate_array(size_t count, size_t size)
{
    void *memory = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    if (memory == NULL)
        out_of_memory(size);
    return memory;
}

void *reallocate_array(void *array, size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes))
        out_of_memory(SIZE_MAX);
    void *memory = realloc(array, bytes > 0 ? bytes : 1);
    if (memory == NULL)
        out_of_memory(bytes);
    return memory;
}

void *copy_memory(const void *memory, size_t size)
{
    void *copy = allocate(size);
    if (size > 0)
        memcpy(copy, memory, size);
    return copy;
}

char *copy_text_n(const char *text, size_t size)
{
    char *copy = allocate(size + 1);
    if (size > 0)
        memcpy(copy, text, size);
    return copy;
}

char *copy_text(const char *text)
{
    return copy_text_n(text, strlen(text));
}

char *copy_text_or_empty(const char *text)
{
    return copy_text(text == NULL ? "" : text);
}

char *format_text_v(const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    CHECK(length >= 0);
    char *text = allocate((size_t)length + 1);
    (void)vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

char *format_text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = format_text_v(format, arguments);
    va_end(arguments);
    return text;
}

void *array_reserve_one(void *array, size_t entry_size, size_t count, size_t *capacity)
{
    if (count == *capacity) {
        *capacity = count == 0 ? 4 : count * 2;
        array = reallocate_array(array, *capacity, entry_size);
    }
    memset((char *)array + count * entry_size, 0, entry_size);
    return array;
}
