/*
 * A part of a file to be read: bytes [next, end], and what a restore needs to go on.
 *
 * A record belongs to the split in whose (start, end] it begins; the first split of a file has
 * [0, end]. So a split that does not start at 0 begins behind the first line end at or after its
 * start, and reads on to the first line end at or after its end.
 *
 * A compressed file is one split; next counts its decoded bytes, file_size and end the file's.
 *
 * As bytes, version 1, little-endian: u8 version, u8 must_skip, u8 compression, u8 0, u32 size of
 * the path, u64 file_size, u64 end, u64 next, the path.
 */
#ifndef CONNECTORS_FILE_FILE_SPLIT_H
#define CONNECTORS_FILE_FILE_SPLIT_H

#include "connectors/compression/compression.h"

#include <stdbool.h>
#include <stdint.h>

struct file_split {
    char *id; /* "<path>:<start>-<nominal end>"; owned */
    char *path;
    uint64_t file_size; /* when it was found: what is appended later is not read */
    uint64_t end;       /* file_size for the last split of a file */
    uint64_t next;      /* the first byte not yet read */
    bool must_skip;     /* next lies within a record of the split before */
    enum compression compression;
};

void file_split_done(struct file_split *split);
void file_split_encode(const struct file_split *split, struct text *out);
enum status file_split_decode(const char *id, const void *bytes, size_t size,
                              struct file_split *ret_split, struct error *err) MUST_CHECK;

#endif
