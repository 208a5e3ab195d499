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

/* Words of a text. bytes must be followed by 64 readable bytes (BUFFER_PADDING). */
uint32_t split_count(const char *bytes, uint32_t size);

/* Writes the split_count views of the words and returns how many. Words longer than 12 bytes get
 * that buffer index and base + their place. */
uint32_t split_words(const char *bytes, uint32_t size, uint32_t buffer, uint32_t base,
                     struct string_view *views);

#endif
