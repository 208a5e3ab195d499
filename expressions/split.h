/*
 * The kernel behind split(text): words between runs of ASCII white space (space, \t \n \v \f \r).
 *
 * split(column) gives an ARRAY<STRING> column: words of row r are entries offsets[r] to
 * offsets[r+1] - 1 of children[0], whose views share the buffers of the text, so nothing longer
 * than 12 bytes is copied. unnest takes children[0] as the new column as it is, with the row of
 * each entry from the offsets (for a dense batch without NULL).
 *
 * Three twins (AVX-512, AVX2, scalar) chosen by cpu.h; all give the same views.
 */
#ifndef EXPRESSIONS_SPLIT_H
#define EXPRESSIONS_SPLIT_H

#include "common/data/batch.h"

/* Growing list of views. */
struct word_list {
    struct string_view *views;
    uint32_t count;
    uint32_t capacity;
};

/* Appends the words of one text. bytes must be followed by BUFFER_PADDING readable bytes; views of
 * words longer than 12 bytes get that buffer index and base + their place. */
void split_words(const char *bytes, uint32_t size, uint32_t buffer, uint32_t base,
                 struct word_list *list);

#endif
