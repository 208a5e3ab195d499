/*
 * Finds the partitions of the topics of a source, and where each begins and ends.
 *
 * Offsets are resolved here, once for each partition, so that all attempts of its reader begin at
 * the same record. Partitions found later, and those found after a restore, begin at the earliest
 * record: whatever they hold came while the job was there.
 */
#ifndef CONNECTORS_KAFKA_KAFKA_ENUMERATOR_H
#define CONNECTORS_KAFKA_KAFKA_ENUMERATOR_H

#include "connectors/kafka/kafka_source_options.h"

struct kafka_enumerator {
    const struct operator_spec *spec;
    struct kafka_source_options options;
    struct kafka_client *client; /* NULL before the first call of discover */
    char **known;                /* ids of the partitions found before, sorted */
    size_t known_count;
    size_t known_capacity;
    bool has_begun; /* partitions not known are new ones */
};

enum status kafka_enumerator_open(void *self, const struct operator_spec *spec,
                                  struct error *err) MUST_CHECK;
void kafka_enumerator_resume(void *self);
enum status kafka_enumerator_discover(void *self, struct split_list *ret_found, bool *ret_is_last,
                                      struct error *err) MUST_CHECK;
int64_t kafka_enumerator_interval_ms(const void *self);
void kafka_enumerator_close(void *self);

/* What is wrong with brokers and topics as they are now, for a warning at submit; about
 * KAFKA_PROBE_MS at most. */
enum status kafka_source_probe(const struct operator_spec *spec, struct error *err) MUST_CHECK;

#endif
