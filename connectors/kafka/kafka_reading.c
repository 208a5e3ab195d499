/* One partition being read: see kafka_reading.h. */
#include "connectors/kafka/kafka_reading.h"

#include "common/base/allocate.h"

#include <string.h>

void kafka_reading_init(struct kafka_reading *reading, const struct kafka_split *split,
                        uint32_t number)
{
    const uint32_t size = (uint32_t)strlen(split->id);
    *reading = (struct kafka_reading){
        .split = *split,
        .name = buffer_create(NULL, size),
        .number = number,
        .rows_skip = split->rows_done,
        .must_verify = split->last_offset >= 0,
        .is_finished = split->next >= split->end,
        .is_answered = true,
        .end_seen = -1,
    };
    memcpy(reading->name->bytes, split->id, size);
    reading->name->size = size;
}

void kafka_reading_done(struct kafka_reading *reading)
{
    kafka_reading_clear(reading);
    free(reading->records);
    buffer_unref(reading->name);
    kafka_split_done(&reading->split);
    *reading = (struct kafka_reading){0};
}

static void grow(struct kafka_reading *reading)
{
    const uint32_t capacity = reading->capacity > 0 ? reading->capacity * 2 : 16;
    rd_kafka_message_t **records = allocate_array(capacity, sizeof(rd_kafka_message_t *));
    for (uint32_t i = 0; i < reading->count; i++)
        records[i] = kafka_reading_at(reading, i);
    free(reading->records);
    reading->records = records;
    reading->first = 0;
    reading->capacity = capacity;
}

void kafka_reading_push(struct kafka_reading *reading, rd_kafka_message_t *record)
{
    if (reading->count == reading->capacity)
        grow(reading);
    reading->records[(reading->first + reading->count++) & (reading->capacity - 1)] = record;
}

void kafka_reading_pop(struct kafka_reading *reading)
{
    rd_kafka_message_destroy(kafka_reading_head(reading));
    reading->first = (reading->first + 1) & (reading->capacity - 1);
    reading->count--;
    reading->consumed = reading->rows_seen = 0;
}

void kafka_reading_clear(struct kafka_reading *reading)
{
    while (reading->count > 0)
        kafka_reading_pop(reading);
}

void kafka_reading_advance(struct kafka_reading *reading, const rd_kafka_message_t *record)
{
    struct kafka_split *split = &reading->split;
    split->next = record->offset + 1;
    split->rows_done = 0;
    split->last_offset = record->offset;
    split->last_time_ms = rd_kafka_message_timestamp(record, NULL);
    split->last_hash =
        kafka_record_hash(record->key, record->key_len, record->payload, record->len);
    reading->rows_skip = 0;
}

void kafka_reading_finish(struct kafka_reading *reading)
{
    kafka_reading_clear(reading);
    reading->is_finished = true;
}
