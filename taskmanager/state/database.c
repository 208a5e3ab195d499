/* RocksDB: see database.h. */
#include "taskmanager/state/database.h"

#include "common/base/allocate.h"
#include "taskmanager/state/state_value.h"

#include <rocksdb/c.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define OWN_CACHE_BYTES   ((uint64_t)8 << 20)
#define WRITE_BUFFER_SIZE ((size_t)1 << 20) /* nothing goes through it */
#define FILE_SIZE_TARGET  ((uint64_t)8 << 20)

/* Sorted runs: how many make a merge, how many alike are merged at least, and when all become one:
 * when the newer ones hold as much as the oldest. */
#define RUN_COUNT_TRIGGER    8
#define MERGE_WIDTH_MIN      4
#define SIZE_RATIO_PERCENT   10
#define SPACE_EXCESS_PERCENT 100

#define CACHE_SHARD_BITS 1
#define MERGE_BYTES_MIN  ((uint64_t)1 << 20) /* of deleted ranges */

#define DEFAULT_COLUMN "default"

struct state_block_cache {
    rocksdb_cache_t *cache;
};

struct state_column {
    char *name;
    rocksdb_column_family_handle_t *handle;
    rocksdb_options_t *options;
    rocksdb_compactionfilter_t *filter;
    const struct clock *clock;
    _Atomic int64_t ttl_ms;
    uint64_t deleted_bytes; /* in ranges, since the last merge that this asked for */
};

struct state_database {
    char *directory;
    const struct clock *clock;
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_block_based_table_options_t *table_options;
    rocksdb_cache_t *own_cache;
    rocksdb_readoptions_t *read_options;
    rocksdb_ingestexternalfileoptions_t *ingest_options;
    rocksdb_envoptions_t *env_options;
    struct state_column **columns;
    size_t column_count;
    size_t column_capacity;
};

struct state_file_writer {
    struct state_database *database;
    struct state_column *column;
    rocksdb_sstfilewriter_t *writer;
    char *path;
    uint64_t count;
};

struct state_iterator {
    rocksdb_iterator_t *iterator;
};

/* Few shards: RocksDB makes 64 of 32 MiB, and a table's filter or index alone overflows one. */
static rocksdb_cache_t *create_cache(uint64_t size_bytes)
{
    rocksdb_lru_cache_options_t *options = rocksdb_lru_cache_options_create();
    rocksdb_lru_cache_options_set_capacity(options, size_bytes);
    rocksdb_lru_cache_options_set_num_shard_bits(options, CACHE_SHARD_BITS);
    rocksdb_cache_t *cache = rocksdb_cache_create_lru_opts(options);
    rocksdb_lru_cache_options_destroy(options);
    return cache;
}

struct state_block_cache *state_block_cache_create(uint64_t size_bytes)
{
    struct state_block_cache *cache = allocate(sizeof(*cache));
    cache->cache = create_cache(size_bytes);
    return cache;
}

uint64_t state_block_cache_used(const struct state_block_cache *cache)
{
    return rocksdb_cache_get_usage(cache->cache);
}

void state_block_cache_destroy(struct state_block_cache *cache)
{
    if (cache == NULL)
        return;
    rocksdb_cache_destroy(cache->cache);
    free(cache);
}

/* Takes RocksDB's message. */
static enum status failed(char *message, const char *what, const char *on, struct error *err)
{
    enum status code = STATUS_IO;
    if (strncmp(message, "Corruption", strlen("Corruption")) == 0)
        code = STATUS_CORRUPT;
    (void)error_set(err, code, "%s %s: %s", what, on, message);
    rocksdb_free(message);
    return code;
}

static unsigned char filter_expired(void *context, int level, const char *key, size_t key_size,
                                    const char *value, size_t value_size, char **new_value,
                                    size_t *new_size, unsigned char *value_changed)
{
    (void)level, (void)key, (void)key_size, (void)new_value, (void)new_size, (void)value_changed;
    const struct state_column *column = context;
    const int64_t ttl_ms = atomic_load_explicit(&column->ttl_ms, memory_order_relaxed);
    int64_t write_ms;
    if (ttl_ms <= 0 || !state_value_write_ms(value, value_size, &write_ms))
        return 0;
    return clock_wall_ms(column->clock) - write_ms >= ttl_ms ? 1 : 0;
}

static void filter_nothing(void *context)
{
    (void)context;
}

static const char *filter_name(void *context)
{
    (void)context;
    return "millstream.ttl";
}

/*
 * Runs of like size are merged (universal compaction), not levels kept in shape: a set of entries
 * spans all key groups, so that in levels its few rows drag nearly every file of the next one into
 * a merge, which a checkpoint then uploads (measured: three quarters of 1 GiB for 1 % of the keys).
 * Changes of the same keys are merged among themselves. Uniform changes are rewritten less often
 * too; the price is that the files may hold twice what is alive.
 */
static void merge_runs(rocksdb_options_t *options)
{
    rocksdb_universal_compaction_options_t *runs = rocksdb_universal_compaction_options_create();
    rocksdb_universal_compaction_options_set_size_ratio(runs, SIZE_RATIO_PERCENT);
    rocksdb_universal_compaction_options_set_min_merge_width(runs, MERGE_WIDTH_MIN);
    rocksdb_universal_compaction_options_set_max_size_amplification_percent(runs,
                                                                            SPACE_EXCESS_PERCENT);
    rocksdb_universal_compaction_options_set_compression_size_percent(runs, -1);
    rocksdb_options_set_compaction_style(options, rocksdb_universal_compaction);
    rocksdb_options_set_universal_compaction_options(options, runs);
    rocksdb_universal_compaction_options_destroy(runs);
    rocksdb_options_set_level0_file_num_compaction_trigger(options, RUN_COUNT_TRIGGER);
    rocksdb_options_set_level0_slowdown_writes_trigger(options, 5 * RUN_COUNT_TRIGGER);
    rocksdb_options_set_level0_stop_writes_trigger(options, 10 * RUN_COUNT_TRIGGER);
}

static rocksdb_options_t *make_options(const struct state_database *database)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_write_buffer_size(options, WRITE_BUFFER_SIZE);
    rocksdb_options_set_arena_block_size(options, 16 << 10);
    rocksdb_options_set_max_background_jobs(options, 2);
    rocksdb_options_set_max_open_files(options, -1);
    rocksdb_options_set_compression(options, rocksdb_lz4_compression);
    rocksdb_options_set_target_file_size_base(options, FILE_SIZE_TARGET);
    merge_runs(options);
    rocksdb_options_set_keep_log_file_num(options, 1);
    rocksdb_options_set_stats_dump_period_sec(options, 0);
    rocksdb_options_set_info_log_level(options, 3);
    rocksdb_options_set_block_based_table_factory(options, database->table_options);
    return options;
}

static struct state_column *add_column(struct state_database *database, const char *name)
{
    struct state_column *column = allocate(sizeof(*column));
    column->name = copy_text(name);
    column->clock = database->clock;
    column->options = make_options(database);
    column->filter =
        rocksdb_compactionfilter_create(column, filter_nothing, filter_expired, filter_name);
    rocksdb_compactionfilter_set_ignore_snapshots(column->filter, 1);
    rocksdb_options_set_compaction_filter(column->options, column->filter);
    array_push(database->columns, database->column_count, database->column_capacity) = column;
    return column;
}

static void init_options(struct state_database *database, struct state_block_cache *cache)
{
    database->table_options = rocksdb_block_based_options_create();
    if (cache == NULL)
        database->own_cache = create_cache(OWN_CACHE_BYTES);
    rocksdb_block_based_table_options_t *table = database->table_options;
    rocksdb_block_based_options_set_block_cache(table,
                                                cache != NULL ? cache->cache : database->own_cache);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1);
    rocksdb_block_based_options_set_filter_policy(table,
                                                  rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_block_based_options_set_format_version(table, 5);
    rocksdb_block_based_options_set_data_block_index_type(
        table, rocksdb_block_based_table_data_block_index_type_binary_search_and_hash);
    database->options = make_options(database);
    database->read_options = rocksdb_readoptions_create();
    database->ingest_options = rocksdb_ingestexternalfileoptions_create();
    rocksdb_ingestexternalfileoptions_set_move_files(database->ingest_options, 1);
    database->env_options = rocksdb_envoptions_create();
}

static enum status open_columns(struct state_database *database, struct error *err)
{
    char *message = NULL;
    size_t count = 0;
    SCOPED_TEXT char *current = format_text("%s/CURRENT", database->directory);
    if (access(current, F_OK) == 0) {
        char **names =
            rocksdb_list_column_families(database->options, database->directory, &count, &message);
        if (message != NULL)
            return failed(message, "list the columns of", database->directory, err);
        for (size_t i = 0; i < count; i++)
            (void)add_column(database, names[i]);
        rocksdb_list_column_families_destroy(names, count);
    } else {
        (void)add_column(database, DEFAULT_COLUMN);
        count = 1;
    }
    SCOPED(free) void *names = allocate_array(count, sizeof(char *));
    SCOPED(free) void *options = allocate_array(count, sizeof(rocksdb_options_t *));
    SCOPED(free) void *handles = allocate_array(count, sizeof(rocksdb_column_family_handle_t *));
    for (size_t i = 0; i < count; i++) {
        ((const char **)names)[i] = database->columns[i]->name;
        ((const rocksdb_options_t **)options)[i] = database->columns[i]->options;
    }
    database->db = rocksdb_open_column_families(database->options, database->directory, (int)count,
                                                names, options, handles, &message);
    if (message != NULL) {
        database->db = NULL;
        return failed(message, "open the state database", database->directory, err);
    }
    for (size_t i = 0; i < count; i++)
        database->columns[i]->handle = ((rocksdb_column_family_handle_t **)handles)[i];
    return STATUS_OK;
}

enum status state_database_open(const char *directory, struct state_block_cache *cache,
                                const struct clock *clock, struct state_database **ret_database,
                                struct error *err)
{
    struct state_database *database = allocate(sizeof(*database));
    database->directory = copy_text(directory);
    database->clock = clock;
    init_options(database, cache);
    const enum status status = open_columns(database, err);
    if (status != STATUS_OK) {
        state_database_close(database);
        return status;
    }
    *ret_database = database;
    return STATUS_OK;
}

void state_database_close(struct state_database *database)
{
    if (database == NULL)
        return;
    /* Handles first: Debian's build ends the process otherwise. */
    for (size_t i = 0; i < database->column_count; i++) {
        if (database->columns[i]->handle != NULL)
            rocksdb_column_family_handle_destroy(database->columns[i]->handle);
    }
    if (database->db != NULL) {
        rocksdb_cancel_all_background_work(database->db, 1);
        rocksdb_close(database->db);
    }
    for (size_t i = 0; i < database->column_count; i++) {
        struct state_column *column = database->columns[i];
        rocksdb_options_destroy(column->options);
        rocksdb_compactionfilter_destroy(column->filter);
        free(column->name);
        free(column);
    }
    free(database->columns);
    rocksdb_envoptions_destroy(database->env_options);
    rocksdb_ingestexternalfileoptions_destroy(database->ingest_options);
    rocksdb_readoptions_destroy(database->read_options);
    rocksdb_options_destroy(database->options);
    rocksdb_block_based_options_destroy(database->table_options);
    if (database->own_cache != NULL)
        rocksdb_cache_destroy(database->own_cache);
    free(database->directory);
    free(database);
}

enum status state_database_column(struct state_database *database, const char *name, int64_t ttl_ms,
                                  struct state_column **ret_column, struct error *err)
{
    struct state_column *column = NULL;
    for (size_t i = 0; i < database->column_count; i++) {
        if (strcmp(database->columns[i]->name, name) == 0)
            column = database->columns[i];
    }
    if (column == NULL) {
        column = add_column(database, name);
        char *message = NULL;
        column->handle =
            rocksdb_create_column_family(database->db, column->options, name, &message);
        if (message != NULL) {
            column->handle = NULL;
            return failed(message, "create a column in the state database", database->directory,
                          err);
        }
    }
    atomic_store_explicit(&column->ttl_ms, ttl_ms, memory_order_relaxed);
    *ret_column = column;
    return STATUS_OK;
}

enum status state_database_checkpoint(struct state_database *database, const char *directory,
                                      struct error *err)
{
    char *message = NULL;
    rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(database->db, &message);
    if (message != NULL)
        return failed(message, "prepare links of", database->directory, err);
    rocksdb_checkpoint_create(checkpoint, directory, 0, &message);
    rocksdb_checkpoint_object_destroy(checkpoint);
    return message == NULL ? STATUS_OK : failed(message, "link files to", directory, err);
}

static uint64_t sum_property(struct state_database *database, const char *name)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < database->column_count; i++) {
        uint64_t value = 0;
        if (database->columns[i]->handle != NULL &&
            rocksdb_property_int_cf(database->db, database->columns[i]->handle, name, &value) == 0)
            sum += value;
    }
    return sum;
}

uint64_t state_database_key_count(struct state_database *database)
{
    return sum_property(database, "rocksdb.estimate-num-keys");
}

uint64_t state_database_byte_count(struct state_database *database)
{
    return sum_property(database, "rocksdb.live-sst-files-size");
}

enum status state_database_get(struct state_database *database, struct state_column *column,
                               size_t count, const char *const *keys, const size_t *sizes,
                               state_found_fn fn, void *context, struct error *err)
{
    SCOPED(free) void *memory = allocate_array(count, 2 * sizeof(void *));
    rocksdb_pinnableslice_t **values = memory;
    char **messages = (char **)memory + count;
    rocksdb_batched_multi_get_cf(database->db, database->read_options, column->handle, count, keys,
                                 sizes, values, messages, true);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < count; i++) {
        if (messages[i] != NULL) {
            if (status == STATUS_OK)
                status = failed(messages[i], "read the state database", database->directory, err);
            else
                rocksdb_free(messages[i]);
        }
        if (values[i] != NULL) {
            size_t size;
            const char *value = rocksdb_pinnableslice_value(values[i], &size);
            if (status == STATUS_OK)
                status = fn(context, i, value, size, err);
            rocksdb_pinnableslice_destroy(values[i]);
        }
    }
    return status;
}

enum status state_file_writer_create(struct state_database *database, struct state_column *column,
                                     const char *path, struct state_file_writer **ret_writer,
                                     struct error *err)
{
    struct state_file_writer *writer = allocate(sizeof(*writer));
    writer->database = database;
    writer->column = column;
    writer->path = copy_text(path);
    writer->writer = rocksdb_sstfilewriter_create(database->env_options, column->options);
    char *message = NULL;
    rocksdb_sstfilewriter_open(writer->writer, path, &message);
    if (message != NULL) {
        const enum status status = failed(message, "create", path, err);
        state_file_writer_destroy(writer);
        return status;
    }
    *ret_writer = writer;
    return STATUS_OK;
}

enum status state_file_writer_put(struct state_file_writer *writer, const char *key,
                                  size_t key_size, const char *value, size_t value_size,
                                  struct error *err)
{
    char *message = NULL;
    rocksdb_sstfilewriter_put(writer->writer, key, key_size, value, value_size, &message);
    writer->count++;
    return message == NULL ? STATUS_OK : failed(message, "write", writer->path, err);
}

enum status state_file_writer_delete(struct state_file_writer *writer, const char *key,
                                     size_t key_size, struct error *err)
{
    char *message = NULL;
    rocksdb_sstfilewriter_delete(writer->writer, key, key_size, &message);
    writer->count++;
    return message == NULL ? STATUS_OK : failed(message, "write", writer->path, err);
}

/* Range tombstones and keys of one file have the same sequence number: they do not hide these. */
enum status state_file_writer_delete_range(struct state_file_writer *writer, const char *from,
                                           size_t from_size, const char *to, size_t to_size,
                                           struct error *err)
{
    char *message = NULL;
    rocksdb_sstfilewriter_delete_range(writer->writer, from, from_size, to, to_size, &message);
    writer->count++;
    return message == NULL ? STATUS_OK : failed(message, "write", writer->path, err);
}

enum status state_file_writer_finish(struct state_file_writer *writer, struct error *err)
{
    if (writer->count == 0)
        return STATUS_OK;
    char *message = NULL;
    rocksdb_sstfilewriter_finish(writer->writer, &message);
    if (message != NULL)
        return failed(message, "finish", writer->path, err);
    const char *const paths[] = {writer->path};
    rocksdb_ingest_external_file_cf(writer->database->db, writer->column->handle, paths, 1,
                                    writer->database->ingest_options, &message);
    return message == NULL ? STATUS_OK : failed(message, "ingest", writer->path, err);
}

void state_file_writer_destroy(struct state_file_writer *writer)
{
    if (writer == NULL)
        return;
    rocksdb_sstfilewriter_destroy(writer->writer);
    (void)unlink(writer->path);
    free(writer->path);
    free(writer);
}

enum status state_database_delete_files(struct state_database *database,
                                        struct state_column *column, const char *from,
                                        size_t from_size, const char *to, size_t to_size,
                                        uint64_t *ret_size, struct error *err)
{
    char *message = NULL;
    uint64_t size = 0;
    rocksdb_approximate_sizes_cf(database->db, column->handle, 1, &from, &from_size, &to, &to_size,
                                 &size, &message);
    if (message == NULL && size >= FILE_SIZE_TARGET)
        rocksdb_delete_file_in_range_cf(database->db, column->handle, from, from_size, to, to_size,
                                        &message);
    *ret_size += size;
    return message == NULL ? STATUS_OK
                           : failed(message, "delete files of", database->directory, err);
}

enum status state_database_note_deleted(struct state_database *database,
                                        struct state_column *column, uint64_t size_bytes,
                                        bool is_added, struct error *err)
{
    uint64_t live_bytes = 0;
    if (is_added)
        column->deleted_bytes += size_bytes;
    else if (size_bytes > column->deleted_bytes)
        column->deleted_bytes = size_bytes;
    if (column->deleted_bytes < MERGE_BYTES_MIN ||
        rocksdb_property_int_cf(database->db, column->handle, "rocksdb.live-sst-files-size",
                                &live_bytes) != 0 ||
        column->deleted_bytes < live_bytes / 2)
        return STATUS_OK;
    column->deleted_bytes = 0;
    char *message = NULL;
    rocksdb_suggest_compact_range_cf(database->db, column->handle, NULL, 0, NULL, 0, &message);
    return message == NULL ? STATUS_OK
                           : failed(message, "merge files of", database->directory, err);
}

struct state_iterator *state_iterator_create(struct state_database *database,
                                             struct state_column *column)
{
    struct state_iterator *iterator = allocate(sizeof(*iterator));
    iterator->iterator =
        rocksdb_create_iterator_cf(database->db, database->read_options, column->handle);
    return iterator;
}

void state_iterator_seek(struct state_iterator *iterator, const char *key, size_t size)
{
    rocksdb_iter_seek(iterator->iterator, key, size);
}

bool state_iterator_get(struct state_iterator *iterator, const char **ret_key, size_t *ret_key_size,
                        const char **ret_value, size_t *ret_value_size)
{
    if (rocksdb_iter_valid(iterator->iterator) == 0)
        return false;
    *ret_key = rocksdb_iter_key(iterator->iterator, ret_key_size);
    *ret_value = rocksdb_iter_value(iterator->iterator, ret_value_size);
    return true;
}

void state_iterator_next(struct state_iterator *iterator)
{
    rocksdb_iter_next(iterator->iterator);
}

enum status state_iterator_status(struct state_iterator *iterator, struct error *err)
{
    char *message = NULL;
    rocksdb_iter_get_error(iterator->iterator, &message);
    return message == NULL ? STATUS_OK : failed(message, "read", "the state database", err);
}

void state_iterator_destroy(struct state_iterator *iterator)
{
    if (iterator == NULL)
        return;
    rocksdb_iter_destroy(iterator->iterator);
    free(iterator);
}
