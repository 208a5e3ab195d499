/*
 * A partition of a topic as a split, and what a restore needs to go on exactly.
 *
 * The id is "topic[partition]" (a topic's name holds no bracket). Topic ids are not to be had from
 * librdkafka 2.0, so the record read last stands for the topic: a restored reader fetches it once
 * more, and if another one lies at its offset the topic was deleted and made anew.
 *
 * As bytes, version 1, little-endian: u8 version, 3 zero bytes, u32 rows_done, i64 next, i64 end,
 * i64 last_offset, i64 last_time_ms, u64 last_hash.
 */
#ifndef CONNECTORS_KAFKA_KAFKA_SPLIT_H
#define CONNECTORS_KAFKA_KAFKA_SPLIT_H

#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KAFKA_SPLIT_BYTES 48
#define KAFKA_NO_END      INT64_MAX

struct kafka_split {
    char *id;    /* owned */
    char *topic; /* owned */
    int32_t partition;
    uint32_t rows_done;   /* of the record at next: it holds more rows than went into one batch */
    int64_t next;         /* offset of the next record to read */
    int64_t end;          /* reading stops before this offset; KAFKA_NO_END: never */
    int64_t last_offset;  /* of the record read last; -1: none yet */
    int64_t last_time_ms; /* its timestamp */
    uint64_t last_hash;   /* XXH3 of its key and value: kafka_record_hash */
};

/* At offset next, nothing read so far. */
void kafka_split_init(struct kafka_split *split, const char *topic, int32_t partition, int64_t next,
                      int64_t end);
void kafka_split_done(struct kafka_split *split);

void kafka_split_encode(const struct kafka_split *split, uint8_t out[static KAFKA_SPLIT_BYTES]);
enum status kafka_split_decode(const char *id, const void *bytes, size_t size,
                               struct kafka_split *ret_split, struct error *err) MUST_CHECK;

/* Of a record's key and value; NULL and empty differ. */
uint64_t kafka_record_hash(const void *key, size_t key_size, const void *value, size_t value_size);

#endif
