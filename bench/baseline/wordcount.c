/*
 * The plain program that the word count is measured against: a byte loop over blocks of 256 KiB and
 * one open-addressing table. Arguments: files. Prints the number of words and of distinct ones.
 */
#include "bench/baseline/word_table.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#define BLOCK_BYTES (256 * 1024)
#define WORD_MAX    4096

/* Words go on from block to block: the open one is kept in `word`. */
static uint64_t count_file(struct table *table, const char *path)
{
    static char block[BLOCK_BYTES];
    static char word[WORD_MAX];
    const int fd = open(path, O_RDONLY);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    uint64_t words = 0;
    uint32_t size = 0;
    uint32_t hash = 2166136261U;
    for (ssize_t count; (count = read(fd, block, sizeof(block))) > 0;) {
        for (ssize_t i = 0; i < count; i++) {
            const char c = block[i];
            if (c != ' ' && (c < '\t' || c > '\r')) {
                if (size < WORD_MAX)
                    word[size++] = c;
                hash = (hash ^ (unsigned char)c) * 16777619U;
            } else if (size > 0) {
                count_word(table, word, size, hash);
                words++;
                size = 0;
                hash = 2166136261U;
            }
        }
    }
    if (size > 0) {
        count_word(table, word, size, hash);
        words++;
    }
    (void)close(fd);
    return words;
}

int main(int count, char **arguments)
{
    struct table table = {0};
    grow(&table);
    uint64_t words = 0;
    for (int i = 1; i < count; i++)
        words += count_file(&table, arguments[i]);
    printf("%" PRIu64 " words, %" PRIu32 " distinct\n", words, table.used);
    return 0;
}
