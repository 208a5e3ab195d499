/* Splits of files as bytes: see file_split.h. */
#include "connectors/file/file_split.h"

#include "common/base/allocate.h"

#include <limits.h>
#include <string.h>

#define SPLIT_VERSION 1
#define SPLIT_FIXED   32

void file_split_done(struct file_split *split)
{
    free(split->id);
    free(split->path);
    *split = (struct file_split){0};
}

static void put_le(unsigned char *to, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_le(const unsigned char *from, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

void file_split_encode(const struct file_split *split, struct text *out)
{
    unsigned char fixed[SPLIT_FIXED] = {SPLIT_VERSION, split->must_skip ? 1 : 0,
                                        (unsigned char)split->compression};
    put_le(fixed + 4, strlen(split->path), 4);
    put_le(fixed + 8, split->file_size, 8);
    put_le(fixed + 16, split->end, 8);
    put_le(fixed + 24, split->next, 8);
    text_append_bytes(out, fixed, sizeof(fixed));
    text_append(out, split->path);
}

enum status file_split_decode(const char *id, const void *bytes, size_t size,
                              struct file_split *ret_split, struct error *err)
{
    const unsigned char *at = bytes;
    if (size >= 1 && at[0] != SPLIT_VERSION)
        return error_set(err, STATUS_UNSUPPORTED,
                         "split %s: its state has version %u, this program reads version %u", id,
                         at[0], SPLIT_VERSION);
    if (size < SPLIT_FIXED || get_le(at + 4, 4) != size - SPLIT_FIXED || at[1] > 1 ||
        at[2] >= COMPRESSION_COUNT || at[3] != 0 || size - SPLIT_FIXED > PATH_MAX ||
        memchr(at + SPLIT_FIXED, 0, size - SPLIT_FIXED) != NULL)
        return error_set(err, STATUS_CORRUPT, "split %s: its state is damaged", id);
    const struct file_split split = {
        .file_size = get_le(at + 8, 8),
        .end = get_le(at + 16, 8),
        .next = get_le(at + 24, 8),
        .must_skip = at[1] == 1,
        .compression = (enum compression)at[2],
    };
    const uint64_t next_max = split.compression != COMPRESSION_NONE ? INT64_MAX : split.file_size;
    if (split.end > split.file_size || split.next > next_max || split.file_size > INT64_MAX)
        return error_set(err, STATUS_CORRUPT, "split %s: its state is damaged", id);
    *ret_split = split;
    ret_split->id = copy_text(id);
    ret_split->path = copy_text_n((const char *)at + SPLIT_FIXED, size - SPLIT_FIXED);
    return STATUS_OK;
}
