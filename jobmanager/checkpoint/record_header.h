/*
 * The header of everything the JobManager stores: _metadata of checkpoints and records of the job
 * store. Little-endian, 48 bytes, then the payload:
 *
 *   magic 8 | format version u32 | CRC-32C u32 | payload bytes u64 | writer's version 24,
 * NUL-padded
 *
 * The CRC is over the whole header with the CRC field zero, and the payload. A reader accepts its
 * own format version and the one before it.
 */
#ifndef JOBMANAGER_CHECKPOINT_RECORD_HEADER_H
#define JOBMANAGER_CHECKPOINT_RECORD_HEADER_H

#include "common/base/status.h"
#include "common/base/text.h"

#include <stdint.h>

#define RECORD_HEADER_BYTES 48
#define RECORD_MAGIC_BYTES  8

/* Appends header and payload. magic: 8 characters. */
void record_seal(const char *magic, uint32_t format, const char *writer, const void *payload,
                 size_t size, struct text *out);
/* The payload, borrowed from bytes. what: for messages ("checkpoint metadata"). */
enum status record_open(const char *magic, uint32_t format, const char *what, const void *bytes,
                        size_t size, const void **ret_payload, size_t *ret_size,
                        struct error *err) MUST_CHECK;

#endif
