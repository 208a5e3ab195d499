/* Files as source and sink: what the files of this folder share. */
#ifndef CONNECTORS_FILE_FILE_H
#define CONNECTORS_FILE_FILE_H

#include "common/api/connector.h"

extern const struct option_spec file_source_options[];
enum file_source_option {
    FILE_SOURCE_PATH,
    FILE_SOURCE_SPLIT_SIZE,
    FILE_SOURCE_WATCH,
    FILE_SOURCE_RATE,
    FILE_SOURCE_ON_MISSING,
    FILE_SOURCE_COMPRESSION,
    FILE_SOURCE_OPTION_COUNT
};
enum file_on_missing { FILE_ON_MISSING_WAIT, FILE_ON_MISSING_FAIL };

/* For tests: how much is read at once by readers opened from now on in this process. */
void file_reader_set_block_bytes(uint32_t block_bytes);

/* Is this name skipped in directories and globs: hidden, or begun with '_'? */
static inline bool file_name_is_skipped(const char *name)
{
    return name[0] == '.' || name[0] == '_';
}

#endif
