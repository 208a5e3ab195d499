/*
 * Fuzz targets: one file per parser that reads bytes from outside, each with libFuzzer's entry.
 *
 * Built twice: with clang's libFuzzer (`make fuzz T=csv SECONDS=60`), and with run_corpus.c, which
 * replays tests/fuzz/corpus/<name> and mutations of it in every test run (`make fuzz-corpus`).
 * A target checks more than "no crash": what can be decoded must encode and decode to the same.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/data/batch_builder.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_INPUT_MAX (64 * 1024)

/* libFuzzer's name and form; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Targets of binary formats make their seeds by encoding; `fuzz_x --seeds DIR` writes them. Not
 * defined where seeds are text. */
typedef void fuzz_seed_fn(void *context, const char *name, const void *bytes, size_t size);
__attribute__((weak)) void fuzz_make_seeds(fuzz_seed_fn *give, void *context);

/* Takes the first byte of the input, or 0. */
static inline uint8_t fuzz_take_byte(const uint8_t **bytes, size_t *size)
{
    if (*size == 0)
        return 0;
    (*size)--;
    return *(*bytes)++;
}

/* A failure must name its reason and leave a code. */
static inline void fuzz_check_error(enum status code, const struct error *err)
{
    CHECK(code != STATUS_OK && err->code == code && err->message[0] != '\0');
}

static inline void fuzz_check_equal(const void *a, size_t a_size, const void *b, size_t b_size)
{
    CHECK(a_size == b_size && (a_size == 0 || memcmp(a, b, a_size) == 0));
}

#endif
