/* Rows as lines, the way batch_format_row writes them: "+I[apple, 3]". Bad text fails the test. */
#ifndef TESTS_KIT_ROW_TEXT_H
#define TESTS_KIT_ROW_TEXT_H

#include "common/data/batch_builder.h"

enum row_kind row_text_kind(const char *line);
/* One row from the `size` bytes of a line. */
void row_text_append(struct batch_builder *builder, const char *line, size_t size);

#endif
