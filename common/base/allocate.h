/*
 * Memory of bounded size. Out of memory ends the process (the JobManager restarts what ran there),
 * so none of these returns NULL. What grows with data comes from a memory_account (memory.h).
 */
#ifndef COMMON_BASE_ALLOCATE_H
#define COMMON_BASE_ALLOCATE_H

#include "common/base/scoped.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

/* For a process that carries data, before it starts threads: batches and frames, freed and taken
 * again all the time, stay with the process in place of being given back and faulted in anew. */
void allocate_keep_batches(void);

#define RETURNS_MEMORY __attribute__((malloc, returns_nonnull, warn_unused_result))

/* Zeroed; free() it. */
void *allocate(size_t size) RETURNS_MEMORY;
/* count * size bytes, zeroed; a product that overflows ends the process. */
void *allocate_array(size_t count, size_t size) RETURNS_MEMORY;
/* The array grown to count entries; new entries are not initialised. */
void *reallocate_array(void *array, size_t count, size_t size)
    __attribute__((returns_nonnull, warn_unused_result));
char *copy_text(const char *text) RETURNS_MEMORY;
char *copy_text_or_empty(const char *text) RETURNS_MEMORY; /* NULL: "" */
char *copy_text_n(const char *text, size_t size) RETURNS_MEMORY;
void *copy_memory(const void *memory, size_t size) RETURNS_MEMORY;
/* printf into fresh memory. */
char *format_text(const char *format, ...) __attribute__((format(printf, 1, 2))) RETURNS_MEMORY;
char *format_text_v(const char *format, va_list arguments)
    __attribute__((format(printf, 1, 0))) RETURNS_MEMORY;

DEFINE_SCOPED(void, free)
static inline __attribute__((unused)) void free_text_at(char **slot)
{
    free(*slot);
}
#define SCOPED_TEXT __attribute__((cleanup(free_text_at)))

/* Appends to an array held as (pointer, count, capacity): returns the new last slot, zeroed. */
#define array_push(array, count, capacity)                                                         \
    (*((array) = array_reserve_one((array), sizeof(*(array)), (count), &(capacity)),               \
       &(array)[(count)++]))
void *array_reserve_one(void *array, size_t entry_size, size_t count, size_t *capacity)
    __attribute__((returns_nonnull, warn_unused_result));

#endif
