/*
 * Makes the rows of the keyed sum: JSON objects of 200 bytes and a newline with 7 fields, uniform
 * keys. Arguments: rows, distinct keys, seed, output file. Deterministic.
 */
#include "common/base/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW_BYTES 200

int main(int argument_count, char **arguments)
{
    if (argument_count != 5) {
        fputs("usage: generate_json ROWS KEYS SEED OUTPUT\n", stderr);
        return 2;
    }
    const uint64_t rows = strtoull(arguments[1], NULL, 10);
    const uint64_t keys = strtoull(arguments[2], NULL, 10);
    struct random random;
    random_init(&random, strtoull(arguments[3], NULL, 10));
    FILE *file = keys > 0 ? fopen(arguments[4], "wb") : NULL;
    if (file == NULL) {
        perror(arguments[4]);
        return 1;
    }
    static const char *const cities[] = {"Amsterdam", "Berlin", "Copenhagen", "Dublin"};
    for (uint64_t row = 0; row < rows; row++) {
        char line[ROW_BYTES + 1];
        const int size =
            snprintf(line, sizeof(line),
                     "{\"id\":%" PRIu64 ",\"key\":\"customer-%06" PRIu64 "\",\"cents\":%" PRIu64
                     ",\"at\":%" PRIu64 ",\"city\":\"%s\",\"status\":\"delivered\",\"note\":\"",
                     row, random_below(&random, keys), random_below(&random, 100000),
                     UINT64_C(1700000000000) + row, cities[random_below(&random, 4)]);
        /* The note fills the row up to its size. */
        for (int i = size; i < ROW_BYTES - 2; i++)
            line[i] = (char)('a' + random_below(&random, 26));
        memcpy(line + ROW_BYTES - 2, "\"}", 2);
        line[ROW_BYTES] = '\n';
        (void)fwrite(line, 1, ROW_BYTES + 1, file);
    }
    if (fclose(file) != 0) {
        perror(arguments[4]);
        return 1;
    }
    return 0;
}
