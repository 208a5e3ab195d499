/*
 * From blocks of bytes to batches of rows: what the sources that read byte streams share.
 *
 * Blocks of one stream are fed in order. Records that span blocks are joined, records above the
 * maximum and those that cannot be decoded go through on_error, rows share the blocks' buffers.
 * Position = offset in the stream (in the file). Worker thread only.
 *
 *     while ((records = record_reader_decode(...)) == RECORDS_NEED_BLOCK && a block is there)
 *         record_reader_feed(reader, &block);
 *     batch = record_reader_take(reader);
 */
#ifndef CONNECTORS_RECORD_READER_H
#define CONNECTORS_RECORD_READER_H

#include "common/api/connector.h"

#define RECORD_SIZE_MAX_DEFAULT (16 * 1024 * 1024)

/* Bytes left free in front of each block's bytes, so that the start of a record which the block
 * before holds can be put there. */
#define RECORD_BLOCK_HEADROOM 8192

/* Error rows handled in one call before the turn ends. */
#define RECORD_ERRORS_PER_TURN 64

struct record_block {
    struct buffer *buffer; /* owned reference */
    uint32_t offset;       /* of the block's bytes; at least RECORD_BLOCK_HEADROOM */
    uint32_t size;
    int64_t position; /* in the stream, of the first byte */
    bool is_last;     /* nothing follows in this stream */
};

struct record_reader {
    struct operator_env *env;
    const struct format *format;
    void *decoder;
    struct batch_builder builder;
    uint64_t record_size_max;
    struct buffer *name;   /* of the stream, for messages; owned */
    struct buffer *buffer; /* the bytes not yet decoded; NULL before the first block */
    uint32_t offset;
    uint32_t size;
    int64_t position;    /* in the stream, of offset */
    int64_t batch_first; /* position of the first record of the batch being built */
    uint32_t joined;     /* leading bytes that came with earlier blocks */
    bool may_decode;     /* a block came since the last complete record was sought */
    bool is_last;        /* no block follows */
    bool is_skipping;    /* within a record above the maximum */
    bool has_error;      /* the error below waits to be handled */
    const char *cause;
    struct decode_error error; /* offset: in buffer, which is kept until the error is handled */
    int64_t error_position;
    int64_t
        *row_positions; /* of the records of the rows in the batch being built; NULL: not kept */
};

enum status record_reader_init(struct record_reader *reader, struct operator_env *env,
                               const struct format *format, const struct schema *schema,
                               struct error *err) MUST_CHECK;
void record_reader_done(struct record_reader *reader);
/* From now on record_reader_row_positions is there. Then records are decoded one by one, which
 * takes its time. Before the first stream. */
void record_reader_keep_positions(struct record_reader *reader);

/* Begins a stream at its beginning or behind any of its records; the one before must have ended. */
void record_reader_start(struct record_reader *reader, const char *name, int64_t position,
                         bool at_beginning);
/* Takes the block's reference. Only after RECORDS_NEED_BLOCK. */
void record_reader_feed(struct record_reader *reader, const struct record_block *block);

enum records {
    RECORDS_NEED_BLOCK, /* all complete records are decoded                       */
    RECORDS_FULL,       /* the batch is full or the line limit is reached         */
    RECORDS_END,        /* the last record of the stream is decoded               */
    RECORDS_NO_ROOM,    /* an error row found no room, or the turn is over        */
    RECORDS_FAILED,     /* err says why                                           */
};

/* Decodes into the batch being built. line_limit: about as many lines at most (0: no limit). */
enum records record_reader_decode(struct record_reader *reader, uint32_t line_limit,
                                  struct emitter *out, struct error *err);

/* The rows decoded so far, NULL if there are none. Everything before record_reader_position is in
 * this or an earlier batch, or has been handled as an error. */
struct batch *record_reader_take(struct record_reader *reader) __attribute__((warn_unused_result));

/* Where the record of each row begins, for the batch taken last, until the next decode; NULL if
 * positions are not kept. */
static inline const int64_t *record_reader_row_positions(const struct record_reader *reader)
{
    return reader->row_positions;
}

static inline int64_t record_reader_position(const struct record_reader *reader)
{
    return reader->has_error ? reader->error_position : reader->position;
}

static inline uint32_t record_reader_row_count(const struct record_reader *reader)
{
    return reader->builder.row_count;
}

#endif
