/*
 * Makes the text of the word count: lines of words whose frequencies follow Zipf's law (exponent
 * 1.05). Arguments: lines, words per line, distinct words, seed, output file. The same arguments
 * give the same bytes on every machine that computes pow() alike.
 */
#include "common/base/allocate.h"
#include "common/base/random.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define EXPONENT     1.05
#define WORD_MAX     16
#define DISTINCT_MAX (26 * 26 * 26 * 26)

struct word {
    uint32_t size;
    char bytes[WORD_MAX];
};

/* Distinct words of 4 to 7 letters: up to three random ones, then the number in base 26. */
static struct word *make_words(uint32_t count, struct random *random)
{
    struct word *words = allocate_array(count, sizeof(*words));
    for (uint32_t i = 0; i < count; i++) {
        char number[8];
        uint32_t digits = 0;
        for (uint32_t rest = i; rest > 0 || digits == 0; rest /= 26)
            number[digits++] = (char)('a' + rest % 26);
        const uint32_t letters = (uint32_t)random_below(random, 4);
        struct word *word = &words[i];
        for (uint32_t k = 0; k < letters; k++)
            word->bytes[word->size++] = (char)('a' + random_below(random, 26));
        /* Of fixed width, so that no two words are equal. */
        while (digits < 4)
            number[digits++] = 'a';
        memcpy(word->bytes + word->size, number, digits);
        word->size += digits;
    }
    return words;
}

static double *make_distribution(uint32_t count)
{
    double *sums = allocate_array(count, sizeof(double));
    double sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sums[i] = sum += pow(i + 1.0, -EXPONENT);
    for (uint32_t i = 0; i < count; i++)
        sums[i] /= sum;
    return sums;
}

static uint32_t draw(const double *sums, uint32_t count, struct random *random)
{
    const double value = random_unit(random);
    uint32_t low = 0;
    uint32_t high = count - 1;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (sums[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 6) {
        fputs("usage: generate_text LINES WORDS_PER_LINE DISTINCT SEED OUTPUT\n", stderr);
        return 2;
    }
    const uint64_t lines = strtoull(arguments[1], NULL, 10);
    const uint64_t per_line = strtoull(arguments[2], NULL, 10);
    const uint32_t distinct = (uint32_t)strtoul(arguments[3], NULL, 10);
    struct random random;
    random_init(&random, strtoull(arguments[4], NULL, 10));
    if (distinct == 0 || distinct > DISTINCT_MAX) {
        fprintf(stderr, "between 1 and %d distinct words\n", DISTINCT_MAX);
        return 2;
    }
    FILE *file = fopen(arguments[5], "wb");
    if (file == NULL) {
        perror(arguments[5]);
        return 1;
    }
    struct word *words = make_words(distinct, &random);
    double *sums = make_distribution(distinct);
    for (uint64_t line = 0; line < lines; line++) {
        for (uint64_t i = 0; i < per_line; i++) {
            const struct word *word = &words[draw(sums, distinct, &random)];
            (void)fwrite(word->bytes, 1, word->size, file);
            (void)fputc(i + 1 < per_line ? ' ' : '\n', file);
        }
    }
    free(words);
    free(sums);
    if (fclose(file) != 0) {
        perror(arguments[5]);
        return 1;
    }
    return 0;
}
