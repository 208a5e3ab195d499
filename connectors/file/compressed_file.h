/* A compressed file read from its beginning, a piece of its decoded bytes at a time. May block. */
#ifndef CONNECTORS_FILE_COMPRESSED_FILE_H
#define CONNECTORS_FILE_COMPRESSED_FILE_H

#include "connectors/compression/compression.h"

struct compressed_file;

/* fd: of the file, at byte 0, borrowed; path: for messages, borrowed. */
struct compressed_file *compressed_file_create(int fd, const char *path,
                                               enum compression compression)
    __attribute__((returns_nonnull, warn_unused_result));
/* NULL is ignored. */
void compressed_file_destroy(struct compressed_file *file);

/* Up to size decoded bytes; fewer only at the end. A file that is damaged, or ends within a frame,
 * is refused with its path and byte. */
enum status compressed_file_read(struct compressed_file *file, char *bytes, uint32_t size,
                                 uint32_t *ret_count, bool *ret_is_end,
                                 struct error *err) MUST_CHECK;

#endif
