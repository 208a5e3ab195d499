/*
 * The plain loop that keyed state beyond its cache is measured against: sums for keys in RocksDB, a
 * batch at a time: duplicates folded, one batched multi-get in key order, one sorted write.
 *
 *     state_loop DIRECTORY KEYS UNIFORM_UPDATES ZIPF_UPDATES CACHE_BYTES batch|files
 *
 * The database is filled with every key in order; then come uniform updates, then updates whose
 * keys follow Zipf's law (exponent 1). `batch` writes a WriteBatch without a log, `files` an SST
 * file that is ingested; measured with 1 M keys, `batch` takes half the CPU time of `files`, whose
 * many small files are compacted again and again. Prints the seconds of each phase as JSON. The
 * options of the database are those of the state backend.
 */
#include "common/base/allocate.h"
#include "common/base/random.h"

#include <math.h>
#include <rocksdb/c.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BATCH     4096
#define KEY_BYTES 10 /* key group of two bytes, key of eight, both big-endian */
#define GROUPS    128
#define EXPONENT  1.05

struct item {
    char key[KEY_BYTES];
    int64_t sum;
};

struct loop {
    const char *directory;
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_readoptions_t *read_options;
    rocksdb_writeoptions_t *write_options;
    rocksdb_envoptions_t *env_options;
    rocksdb_ingestexternalfileoptions_t *ingest_options;
    rocksdb_column_family_handle_t *column;
    bool with_files;
    uint64_t file_count;
    struct item items[BATCH];
    const char *keys[BATCH];
    size_t key_sizes[BATCH];
    rocksdb_pinnableslice_t *values[BATCH];
    char *errors[BATCH];
};

static void must(char *message)
{
    if (message == NULL)
        return;
    (void)fprintf(stderr, "state_loop: %s\n", message);
    exit(1);
}

static void open_database(struct loop *loop, size_t cache_bytes)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_write_buffer_size(options, (size_t)16 << 20);
    rocksdb_options_set_max_background_jobs(options, 2);
    rocksdb_options_set_max_open_files(options, -1);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_options_set_target_file_size_base(options, (uint64_t)8 << 20);
    rocksdb_options_set_level0_file_num_compaction_trigger(options, 8);
    rocksdb_options_set_level0_slowdown_writes_trigger(options, 40);
    rocksdb_options_set_level0_stop_writes_trigger(options, 80);
    rocksdb_universal_compaction_options_t *runs = rocksdb_universal_compaction_options_create();
    rocksdb_universal_compaction_options_set_size_ratio(runs, 10);
    rocksdb_universal_compaction_options_set_min_merge_width(runs, 4);
    rocksdb_universal_compaction_options_set_max_size_amplification_percent(runs, 100);
    rocksdb_universal_compaction_options_set_compression_size_percent(runs, -1);
    rocksdb_options_set_compaction_style(options, rocksdb_universal_compaction);
    rocksdb_options_set_universal_compaction_options(options, runs);
    rocksdb_universal_compaction_options_destroy(runs);
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, rocksdb_cache_create_lru(cache_bytes));
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    rocksdb_block_based_options_set_filter_policy(table,
                                                  rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_block_based_options_set_format_version(table, 5);
    rocksdb_block_based_options_set_data_block_index_type(
        table, rocksdb_block_based_table_data_block_index_type_binary_search_and_hash);
    rocksdb_options_set_block_based_table_factory(options, table);
    loop->options = options;
    loop->read_options = rocksdb_readoptions_create();
    loop->write_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_disable_WAL(loop->write_options, 1);
    loop->env_options = rocksdb_envoptions_create();
    loop->ingest_options = rocksdb_ingestexternalfileoptions_create();
    rocksdb_ingestexternalfileoptions_set_move_files(loop->ingest_options, 1);
    const char *name = "default";
    const rocksdb_options_t *const column_options = options;
    char *message = NULL;
    loop->db = rocksdb_open_column_families(options, loop->directory, 1, &name, &column_options,
                                            &loop->column, &message);
    must(message);
}

static void put_big_endian(char *to, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (char)(value >> (8 * (size - 1 - i)));
}

static int compare_items(const void *a, const void *b)
{
    return memcmp(((const struct item *)a)->key, ((const struct item *)b)->key, KEY_BYTES);
}

static void write_batch(struct loop *loop, size_t count)
{
    char *message = NULL;
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    for (size_t i = 0; i < count; i++)
        rocksdb_writebatch_put(batch, loop->items[i].key, KEY_BYTES,
                               (const char *)&loop->items[i].sum, sizeof(int64_t));
    rocksdb_write(loop->db, loop->write_options, batch, &message);
    must(message);
    rocksdb_writebatch_destroy(batch);
}

static void write_file(struct loop *loop, size_t count)
{
    char *message = NULL;
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/batch-%llu", loop->directory,
                   (unsigned long long)loop->file_count++);
    rocksdb_sstfilewriter_t *writer =
        rocksdb_sstfilewriter_create(loop->env_options, loop->options);
    rocksdb_sstfilewriter_open(writer, path, &message);
    must(message);
    for (size_t i = 0; i < count; i++) {
        rocksdb_sstfilewriter_put(writer, loop->items[i].key, KEY_BYTES,
                                  (const char *)&loop->items[i].sum, sizeof(int64_t), &message);
        must(message);
    }
    rocksdb_sstfilewriter_finish(writer, &message);
    must(message);
    rocksdb_sstfilewriter_destroy(writer);
    const char *files[] = {path};
    rocksdb_ingest_external_file(loop->db, files, 1, loop->ingest_options, &message);
    must(message);
}

static void update(struct loop *loop, size_t filled)
{
    qsort(loop->items, filled, sizeof(struct item), compare_items);
    size_t count = 0;
    for (size_t i = 0; i < filled; i++) {
        if (count > 0 && compare_items(&loop->items[count - 1], &loop->items[i]) == 0)
            loop->items[count - 1].sum += loop->items[i].sum;
        else
            loop->items[count++] = loop->items[i];
    }
    for (size_t i = 0; i < count; i++) {
        loop->keys[i] = loop->items[i].key;
        loop->key_sizes[i] = KEY_BYTES;
    }
    rocksdb_batched_multi_get_cf(loop->db, loop->read_options, loop->column, count, loop->keys,
                                 loop->key_sizes, loop->values, loop->errors, true);
    for (size_t i = 0; i < count; i++) {
        must(loop->errors[i]);
        if (loop->values[i] == NULL)
            continue;
        size_t size;
        const char *value = rocksdb_pinnableslice_value(loop->values[i], &size);
        int64_t sum;
        memcpy(&sum, value, sizeof(sum));
        loop->items[i].sum += sum;
        rocksdb_pinnableslice_destroy(loop->values[i]);
    }
    if (loop->with_files)
        write_file(loop, count);
    else
        write_batch(loop, count);
}

static uint64_t group_of(uint64_t key)
{
    return (key * UINT64_C(0x9E3779B97F4A7C15) >> 32) % GROUPS;
}

static void set_item(struct item *item, uint64_t key, uint64_t sum)
{
    put_big_endian(item->key, group_of(key), 2);
    put_big_endian(item->key + 2, key, 8);
    item->sum = (int64_t)sum;
}

/* Group by group, each by its keys: in the order of the database. */
static void fill(struct loop *loop, uint64_t keys)
{
    size_t count = 0;
    for (uint64_t group = 0; group < GROUPS; group++) {
        for (uint64_t key = 0; key < keys; key++) {
            if (group_of(key) != group)
                continue;
            set_item(&loop->items[count++], key, key);
            if (count == BATCH) {
                write_batch(loop, count);
                count = 0;
            }
        }
    }
    write_batch(loop, count);
}

enum phase { PHASE_FILL, PHASE_UNIFORM, PHASE_ZIPF };

static uint64_t draw(enum phase phase, uint64_t keys, struct random *random)
{
    if (phase == PHASE_UNIFORM)
        return random_below(random, keys);
    const double tail = 1 - pow((double)keys, 1 - EXPONENT);
    const uint64_t rank = (uint64_t)pow(1 - random_unit(random) * tail, 1 / (1 - EXPONENT)) % keys;
    return rank * UINT64_C(2654435761) % keys;
}

static double wall_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 7) {
        (void)fprintf(stderr, "usage: state_loop DIRECTORY KEYS UNIFORM ZIPF CACHE batch|files\n");
        return 2;
    }
    struct loop *loop = allocate(sizeof(*loop));
    memset(loop, 0, sizeof(*loop));
    loop->directory = arguments[1];
    loop->with_files = strcmp(arguments[6], "files") == 0;
    const uint64_t keys = strtoull(arguments[2], NULL, 10);
    const uint64_t counts[] = {keys, strtoull(arguments[3], NULL, 10),
                               strtoull(arguments[4], NULL, 10)};
    static const char *const names[] = {"fill", "uniform", "zipf"};
    open_database(loop, strtoull(arguments[5], NULL, 10));
    struct random random;
    random_init(&random, 7);
    printf("{");
    for (int phase = 0; phase < 3; phase++) {
        const double wall = wall_seconds();
        const double cpu = cpu_seconds();
        if (phase == PHASE_FILL)
            fill(loop, keys);
        for (uint64_t done = 0; phase != PHASE_FILL && done < counts[phase];) {
            size_t count = 0;
            for (; count < BATCH && done < counts[phase]; count++, done++)
                set_item(&loop->items[count], draw((enum phase)phase, keys, &random), done);
            update(loop, count);
        }
        printf("%s\"%s\": {\"updates\": %llu, \"wall\": %.3f, \"cpu\": %.3f}",
               phase > 0 ? ", " : "", names[phase], (unsigned long long)counts[phase],
               wall_seconds() - wall, cpu_seconds() - cpu);
        (void)fflush(stdout);
    }
    printf("}\n");
    rocksdb_column_family_handle_destroy(loop->column);
    rocksdb_close(loop->db);
    free(loop);
    return 0;
}
