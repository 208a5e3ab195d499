/*
 * Slots of a state and their bytes in files. Format version 1, little-endian, pinned by golden
 * vectors in tests/unit/taskmanager/state.
 *
 *   head      1 byte: 1, or 0x81 if the time of the last write follows
 *   schema    2 bytes: which of the state's schemas wrote it (their list is in the meta data)
 *   written   8 bytes, milliseconds since 1970: only with TTL
 *   nulls     (field count + 7) / 8 bytes, bit i%8 of byte i/8 is 1 if field i is NULL
 *   fields    those that are not NULL: fixed-width types as in a slot; views and nested types as
 *             32-bit length and bytes
 *
 * Schemas change by field id: a field may be dropped, a nullable one added (NULL in old values),
 * NOT NULL dropped, TINYINT to BIGINT, FLOAT to DOUBLE, DECIMAL precision and CHAR/VARCHAR/STRING
 * widened. One thread at a time per call; encoding is read-only and may run beside other readers.
 */
#ifndef TASKMANAGER_STATE_STATE_VALUE_H
#define TASKMANAGER_STATE_STATE_VALUE_H

#include "common/api/state.h"
#include "taskmanager/state/arena.h"

#define STATE_SCHEMA_VERSION_MAX 1000

struct state_field_plan {
    int32_t target; /* field of the slot, -1: dropped */
    uint32_t width; /* as written; 0: length and bytes */
    enum type_kind from;
};

struct state_schema_version {
    struct schema *schema; /* owned */
    struct state_field_plan *plan;
};

struct state_value_codec {
    struct value_layout layout;            /* of the newest version; owns offsets */
    struct state_schema_version *versions; /* in the order they came; the last one writes */
    uint32_t version_count;
    bool has_ttl;
};

/* Takes schemas[0 .. count): what older values may have been written with, oldest first; the last
 * is the current one (adds it if it differs). A change that is not compatible is refused with
 * field, old and new type; the caller adds operator and state. */
enum status state_value_codec_init(struct state_value_codec *codec,
                                   const struct schema *const *old_schemas, uint32_t old_count,
                                   const struct schema *current, bool has_ttl,
                                   struct error *err) MUST_CHECK;
void state_value_codec_done(struct state_value_codec *codec);

void state_value_encode(const struct state_value_codec *codec, const void *slot, int64_t write_ms,
                        struct text *out);
/* slot must be all zero. Bytes of views are taken from the arena. *ret_write_ms is -1 if the value
 * was written without TTL. */
enum status state_value_decode(const struct state_value_codec *codec, const void *bytes,
                               size_t size, void *slot, int64_t *ret_write_ms, struct arena *arena,
                               struct error *err) MUST_CHECK;
/* The time of the last write, if the value has one. */
bool state_value_write_ms(const void *bytes, size_t size, int64_t *ret_write_ms);

/* Frees what the slot's bytes fields point to. */
void state_slot_release(const struct value_layout *layout, void *slot, struct arena *arena);
void state_slot_set_bytes(struct state_bytes *field, const void *bytes, uint32_t size,
                          struct arena *arena);

#endif
