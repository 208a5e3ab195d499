/* Decodes a file piece by piece: see compressed_file.h. */
#include "connectors/file/compressed_file.h"

#include "common/base/allocate.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#define PIECE_BYTES 65536

struct compressed_file {
    int fd;
    const char *path;
    struct decompressor *decompressor;
    uint64_t position; /* in the file, of piece[first] */
    size_t first;      /* piece[first, size) is not decoded yet */
    size_t size;
    bool is_at_end; /* the file has been read */
    bool is_at_frame_end;
    char piece[PIECE_BYTES];
};

struct compressed_file *compressed_file_create(int fd, const char *path,
                                               enum compression compression)
{
    struct compressed_file *file = allocate(sizeof(*file));
    file->fd = fd;
    file->path = path;
    file->decompressor = decompressor_create(compression);
    file->is_at_frame_end = true;
    return file;
}

void compressed_file_destroy(struct compressed_file *file)
{
    if (file == NULL)
        return;
    decompressor_destroy(file->decompressor);
    free(file);
}

static enum status read_piece(struct compressed_file *file, struct error *err)
{
    ssize_t count;
    do {
        count = read(file->fd, file->piece, sizeof(file->piece));
    } while (count < 0 && errno == EINTR);
    if (count < 0)
        return error_set_errno(err, errno, "read %s at byte %" PRIu64, file->path, file->position);
    file->first = 0;
    file->size = (size_t)count;
    file->is_at_end = count == 0;
    return STATUS_OK;
}

/* Decodes some bytes of the piece. */
static enum status decode(struct compressed_file *file, char *bytes, uint32_t size,
                          uint32_t *ret_produced, struct error *err)
{
    struct decompressed moved;
    if (decompressor_step(file->decompressor, file->piece + file->first, file->size - file->first,
                          bytes, size, &moved, err) != STATUS_OK)
        return error_wrap(err, err->code, "read %s near byte %" PRIu64, file->path, file->position);
    file->first += moved.consumed;
    file->position += moved.consumed;
    file->is_at_frame_end = moved.is_at_frame_end;
    *ret_produced = (uint32_t)moved.produced;
    if (file->is_at_end && moved.produced == 0 && !moved.is_at_frame_end)
        return error_set(err, STATUS_CORRUPT,
                         "read %s: the file ends at byte %" PRIu64 " within compressed data: it "
                         "was cut, or is not complete yet",
                         file->path, file->position);
    return STATUS_OK;
}

enum status compressed_file_read(struct compressed_file *file, char *bytes, uint32_t size,
                                 uint32_t *ret_count, bool *ret_is_end, struct error *err)
{
    uint32_t done = 0;
    bool is_end = false;
    while (done < size && !is_end) {
        if (file->first == file->size && !file->is_at_end)
            TRY(read_piece(file, err));
        /* Between two frames nothing is decoded without input. */
        if (file->is_at_end && file->is_at_frame_end) {
            is_end = true;
            continue;
        }
        uint32_t produced = 0;
        TRY(decode(file, bytes + done, size - done, &produced, err));
        done += produced;
    }
    *ret_count = done;
    *ret_is_end = is_end;
    return STATUS_OK;
}
