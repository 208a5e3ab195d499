/* Identifiers that must not be mixed up. */
#ifndef COMMON_BASE_IDS_H
#define COMMON_BASE_IDS_H

#include "common/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define ID_TEXT_SIZE 33 /* 32 hex digits and NUL */

/* 128 random bits: a job, a job vertex, a TaskManager incarnation. Zero is "none". */
struct id128 {
    uint8_t bytes[16];
};

struct job_id {
    struct id128 value;
};

/* One run of one subtask: unique in a cluster for ever; assigned by the JobManager from its store.
 * It grows: of two attempts of a subtask the greater one is the newer. */
struct attempt_id {
    uint64_t value;
};

/* Never used twice in a job, not even after a restart. The first is 1; 0 is "none". */
struct checkpoint_id {
    uint64_t value;
};

struct id128 id128_random(void);
bool id128_equals(struct id128 a, struct id128 b);
bool id128_is_none(struct id128 id);
/* < 0, 0, > 0: bytewise. */
int id128_compare(struct id128 a, struct id128 b);
void id128_format(struct id128 id, char text[static ID_TEXT_SIZE]);
/* Accepts exactly 32 hex digits, either case. */
enum status id128_parse(const char *text, struct id128 *ret_id, struct error *err) MUST_CHECK;

#endif
