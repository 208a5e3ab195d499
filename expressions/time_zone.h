/*
 * Offsets of a time zone: UTC, fixed ("+02:00"), or a name of the tz database ("Europe/Berlin",
 * RFC 8536 files below /usr/share/zoneinfo). Immutable once made; any thread.
 */
#ifndef EXPRESSIONS_TIME_ZONE_H
#define EXPRESSIONS_TIME_ZONE_H

#include "common/base/status.h"

#include <stdint.h>

struct time_zone;

/* *ret_zone is NULL for UTC. */
enum status time_zone_create(const char *name, struct time_zone **ret_zone,
                             struct error *err) MUST_CHECK;
void time_zone_destroy(struct time_zone *zone);

/* Seconds east of UTC at an instant; zone NULL: 0. */
int32_t time_zone_offset(const struct time_zone *zone, int64_t utc_seconds);
/* The offset for a local time: of two possible instants the earlier; in a gap the offset before
 * it. */
int32_t time_zone_offset_local(const struct time_zone *zone, int64_t local_seconds);

#endif
