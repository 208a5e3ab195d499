/* The open-addressing table of words of the plain programs. Out of memory ends the program. */
#ifndef BENCH_BASELINE_WORD_TABLE_H
#define BENCH_BASELINE_WORD_TABLE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *word;
    uint32_t size;
    uint32_t hash;
    uint64_t count;
};

/* Zeroed, then grow() once. */
struct table {
    struct entry *entries;
    uint32_t capacity; /* a power of two */
    uint32_t used;
};

static inline void *must(void *memory)
{
    if (memory == NULL) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static inline void grow(struct table *table)
{
    const struct table old = *table;
    table->capacity = old.capacity == 0 ? 1024 : old.capacity * 2;
    table->entries = must(calloc(table->capacity, sizeof(struct entry)));
    for (uint32_t i = 0; i < old.capacity; i++) {
        if (old.entries[i].word == NULL)
            continue;
        uint32_t at = old.entries[i].hash & (table->capacity - 1);
        while (table->entries[at].word != NULL)
            at = (at + 1) & (table->capacity - 1);
        table->entries[at] = old.entries[i];
    }
    free(old.entries);
}

/* Copies a word that is new. */
static inline void count_word(struct table *table, const char *word, uint32_t size, uint32_t hash)
{
    uint32_t at = hash & (table->capacity - 1);
    for (; table->entries[at].word != NULL; at = (at + 1) & (table->capacity - 1)) {
        struct entry *entry = &table->entries[at];
        if (entry->hash == hash && entry->size == size && memcmp(entry->word, word, size) == 0) {
            entry->count++;
            return;
        }
    }
    char *copy = must(malloc(size));
    memcpy(copy, word, size);
    table->entries[at] = (struct entry){copy, size, hash, 1};
    if (++table->used * 2 > table->capacity)
        grow(table);
}

#endif
