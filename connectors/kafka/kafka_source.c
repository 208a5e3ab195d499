/* The source "kafka": its row in the registry, and what is checked at submit. */
#include "connectors/connectors.h"
#include "connectors/kafka/kafka_enumerator.h"
#include "connectors/kafka/kafka_layout.h"
#include "connectors/kafka/kafka_reader.h"

static bool is_bounded(const struct operator_spec *spec)
{
    const char *end = operator_setting(spec, "connector.end");
    return end != NULL && strcmp(end, "unbounded") != 0;
}

static enum status check(const struct operator_spec *spec, struct error *err)
{
    struct kafka_source_options options;
    TRY(kafka_source_options_read(spec, &options, err));
    struct kafka_layout layout = {0};
    const enum status status = kafka_layout_init(&layout, spec, options.key, err);
    kafka_layout_done(&layout);
    kafka_source_options_done(&options);
    return status;
}

const struct source_connector source_kafka = {
    .abi_size = sizeof(struct source_connector),
    .name = "kafka",
    .help = "Reads topics of Apache Kafka, bounded or for ever; positions are in checkpoints.",
    .options = kafka_source_option_table,
    .is_replayable = true,
    .needs_format = true,
    .is_bounded = is_bounded,
    .enumerator = {.instance_size = sizeof(struct kafka_enumerator),
                   .open = kafka_enumerator_open,
                   .discover = kafka_enumerator_discover,
                   .interval_ms = kafka_enumerator_interval_ms,
                   .close = kafka_enumerator_close,
                   .resume = kafka_enumerator_resume},
    .reader = {.instance_size = sizeof(struct kafka_reader),
               .open = kafka_reader_open,
               .add_splits = kafka_reader_add_splits,
               .poll = kafka_reader_poll,
               .snapshot = kafka_reader_snapshot,
               .checkpoint_completed = kafka_reader_checkpoint_completed,
               .close = kafka_reader_close,
               .next_wake_us = kafka_reader_next_wake_us,
               .split_status = kafka_reader_split_status,
               .pause_split = kafka_reader_pause_split,
               .records_lag_max = kafka_reader_records_lag_max},
    .metadata = kafka_metadata,
    .check = check,
    .probe = kafka_source_probe,
    .spreads_splits = true,
    .gives_messages = true,
};
