/*
 * Runs a fuzz target without libFuzzer: fuzz_x DIR [milliseconds] replays every file of DIR, then
 * mutations of them in an order that is the same in every run; fuzz_x FILE replays one input;
 * fuzz_x --seeds DIR writes the seeds that the target makes itself.
 *
 * An input that ends the process is written to <program>.crash first.
 */
#include "tests/fuzz/fuzz.h"

#include "common/base/allocate.h"
#include "common/base/clock.h"
#include "common/base/random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEED_MAX       1000
#define MUTATIONS_MAX  8 /* of one input */
#define HANG_SECONDS   60
#define ITERATIONS_MAX 10000000
#define CLOCK_EVERY    16

struct input {
    uint8_t *bytes;
    size_t size;
};

static struct input seeds[SEED_MAX];
static size_t seed_count;

static char crash_path[4096];
static const uint8_t *current_bytes;
static size_t current_size;

static void on_signal(int number)
{
    const int fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0) {
        if (write(fd, current_bytes, current_size) < 0)
            _exit(1);
        close(fd);
    }
    static const char message[] = "the input that did it is in ";
    if (write(2, message, sizeof(message) - 1) < 0 ||
        write(2, crash_path, strlen(crash_path)) < 0 || write(2, "\n", 1) < 0)
        _exit(1);
    signal(number, SIG_DFL);
    raise(number);
}

static void watch_signals(const char *program)
{
    snprintf(crash_path, sizeof(crash_path), "%s.crash", program);
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        /* AddressSanitizer reports these better than a core dump would; it ends in SIGABRT. */
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
        sigaction(numbers[i], &action, NULL);
    }
}

/* The target gets exactly as many bytes as the input has, so that a read beyond them is seen. */
static void run(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    CHECK(copy != NULL);
    if (size > 0)
        memcpy(copy, bytes, size);
    current_bytes = copy;
    current_size = size;
    CHECK(LLVMFuzzerTestOneInput(copy, size) == 0);
    current_size = 0;
    free(copy);
}

static void read_seed(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || seed_count == SEED_MAX) {
        fprintf(stderr, "%s: %s\n", path, file == NULL ? strerror(errno) : "too many seeds");
        exit(2);
    }
    struct input *seed = &seeds[seed_count++];
    seed->bytes = allocate(FUZZ_INPUT_MAX);
    seed->size = fread(seed->bytes, 1, FUZZ_INPUT_MAX, file);
    fclose(file);
}

static void read_seeds(const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode)) {
        read_seed(path);
        return;
    }
    struct dirent **entries;
    const int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    for (int i = 0; i < count; i++) {
        SCOPED_TEXT char *name = format_text("%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            read_seed(name);
        free(entries[i]);
    }
    free(entries);
}

static size_t insert_bytes(uint8_t *bytes, size_t size, size_t at, const uint8_t *from,
                           size_t count)
{
    if (count > FUZZ_INPUT_MAX - size)
        count = FUZZ_INPUT_MAX - size;
    uint8_t copy[256];
    count = count < sizeof(copy) ? count : sizeof(copy);
    memcpy(copy, from, count);
    memmove(bytes + at + count, bytes + at, size - at);
    memcpy(bytes + at, copy, count);
    return size + count;
}

/* One change; the input may be empty. Returns the new size. */
static size_t mutate(uint8_t *bytes, size_t size, struct random *random)
{
    static const uint32_t numbers[] = {0,      1,      0x7F,       0x80,       0xFF,      0x100,
                                       0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};
    static const uint8_t characters[] = " \n\t\"'`{}[]():,;.-+*/%<>=&|!#$\\\0aA09eE";
    uint32_t number = numbers[random_below(random, sizeof(numbers) / sizeof(numbers[0]))];
    const struct input *other = &seeds[random_below(random, seed_count)];
    const size_t at = random_below(random, size + 1);
    const size_t left = size - at;
    const size_t count = left > 0 ? 1 + random_below(random, left < 16 ? left : 16) : 0;
    switch (random_below(random, 8)) {
    case 0:
        if (left > 0)
            bytes[at] ^= (uint8_t)(1U << random_below(random, 8));
        return size;
    case 1:
        if (left > 0)
            bytes[at] = (uint8_t)random_next(random);
        return size;
    case 2:
        memcpy(bytes + at, &number, left < 4 ? left : 4);
        return size;
    case 3:
        memmove(bytes + at, bytes + at + count, left - count);
        return size - count;
    case 4:
        return insert_bytes(bytes, size, at, bytes + at, count);
    case 5: {
        const uint8_t c = characters[random_below(random, sizeof(characters) - 1)];
        return insert_bytes(bytes, size, at, &c, 1);
    }
    case 6: {
        const size_t from = random_below(random, other->size + 1);
        const size_t size_max = other->size - from < 64 ? other->size - from : 64;
        return insert_bytes(bytes, size, at, other->bytes + from, size_max);
    }
    default:
        return random_below(random, 4) == 0 ? at : size;
    }
}

static unsigned run_mutations(int64_t duration_ms)
{
    struct random random;
    random_init(&random, 1);
    uint8_t *bytes = allocate(FUZZ_INPUT_MAX + 4);
    const int64_t end_us = clock_now_us(clock_system()) + duration_ms * 1000;
    unsigned count = 0;
    while (count < ITERATIONS_MAX &&
           (count % CLOCK_EVERY != 0 || clock_now_us(clock_system()) < end_us)) {
        const struct input *seed = &seeds[random_below(&random, seed_count)];
        size_t size = seed->size;
        memcpy(bytes, seed->bytes, size);
        for (uint64_t n = 1 + random_below(&random, MUTATIONS_MAX); n > 0; n--)
            size = mutate(bytes, size, &random);
        run(bytes, size);
        count++;
    }
    free(bytes);
    return count;
}

static void write_seed(void *context, const char *name, const void *bytes, size_t size)
{
    SCOPED_TEXT char *path = format_text("%s/%s", (const char *)context, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--seeds") == 0) {
        if (fuzz_make_seeds != NULL)
            fuzz_make_seeds(write_seed, argv[2]);
        return 0;
    }
    if (argc < 2) {
        fprintf(stderr, "usage: %s DIR|FILE [milliseconds], %s --seeds DIR\n", argv[0], argv[0]);
        return 2;
    }
    read_seeds(argv[1]);
    watch_signals(argv[0]);
    alarm(HANG_SECONDS);
    for (size_t i = 0; i < seed_count; i++)
        run(seeds[i].bytes, seeds[i].size);
    const int64_t duration_ms = argc > 2 ? atoll(argv[2]) : 0;
    const unsigned count = duration_ms > 0 && seed_count > 0 ? run_mutations(duration_ms) : 0;
    printf("%zu seeds, %u mutations\n", seed_count, count);
    for (size_t i = 0; i < seed_count; i++)
        free(seeds[i].bytes);
    return seed_count > 0 ? 0 : 2;
}
