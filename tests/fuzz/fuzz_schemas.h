/* Schemas for targets whose formats depend on one: chosen by the input's first byte. */
#ifndef TESTS_FUZZ_FUZZ_SCHEMAS_H
#define TESTS_FUZZ_FUZZ_SCHEMAS_H

#include "tests/fuzz/fuzz.h"
#include "tests/unit/common/data/every_type.h"

enum { FUZZ_SCHEMA_COUNT = EVERY_COLUMN_COUNT + 3 };

/* Below EVERY_COLUMN_COUNT: one column of that type; then a few columns, NOT NULL, all. Kept until
 * the program ends. */
static inline const struct schema *fuzz_schema(uint8_t choice)
{
    static struct schema *schemas[FUZZ_SCHEMA_COUNT];
    choice %= FUZZ_SCHEMA_COUNT;
    if (schemas[choice] != NULL)
        return schemas[choice];
    struct schema_column columns[EVERY_COLUMN_COUNT];
    uint32_t count = 0;
    if (choice < EVERY_COLUMN_COUNT) {
        columns[count++] = every_column[choice];
    } else if (choice == EVERY_COLUMN_COUNT || choice == EVERY_COLUMN_COUNT + 1) {
        columns[count++] = every_column[3];
        columns[count++] = every_column[10];
        columns[count++] = every_column[18];
        columns[count++] = every_column[6];
        for (uint32_t i = 0; i < count; i++)
            columns[i].type.nullable = choice == EVERY_COLUMN_COUNT;
    } else {
        memcpy(columns, every_column, sizeof(columns));
        count = EVERY_COLUMN_COUNT;
    }
    schemas[choice] = schema_create(columns, count, -1);
    return schemas[choice];
}

#endif
