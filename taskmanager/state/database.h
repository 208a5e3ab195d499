/*
 * RocksDB as the backend uses it: one database, a column per state, no log, written only by sorted
 * files that are ingested. Every call blocks; gets and iterators on the worker, the rest elsewhere.
 */
#ifndef TASKMANAGER_STATE_DATABASE_H
#define TASKMANAGER_STATE_DATABASE_H

#include "common/base/clock.h"
#include "common/base/status.h"
#include "taskmanager/state/backend.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct state_database;
struct state_column;
struct state_iterator;
struct state_file_writer;

/* Opens or creates; all columns that exist are opened. cache may be NULL. */
enum status state_database_open(const char *directory, struct state_block_cache *cache,
                                const struct clock *clock, struct state_database **ret_database,
                                struct error *err) MUST_CHECK;
void state_database_close(struct state_database *database); /* NULL is ok */
/* The column of that name, made if missing; ttl_ms: older values are dropped by compaction. */
enum status state_database_column(struct state_database *database, const char *name, int64_t ttl_ms,
                                  struct state_column **ret_column, struct error *err) MUST_CHECK;
/* Hard links of all files in a new directory. */
enum status state_database_checkpoint(struct state_database *database, const char *directory,
                                      struct error *err) MUST_CHECK;
uint64_t state_database_key_count(struct state_database *database);
uint64_t state_database_byte_count(struct state_database *database);

/* keys in ascending order, equal ones allowed; fn is called for each one that is there. */
typedef enum status (*state_found_fn)(void *context, size_t index, const char *value, size_t size,
                                      struct error *err);
enum status state_database_get(struct state_database *database, struct state_column *column,
                               size_t count, const char *const *keys, const size_t *sizes,
                               state_found_fn fn, void *context, struct error *err) MUST_CHECK;

/* A sorted file for one column: keys must come in ascending order. finish ingests it (nothing if it
 * is empty); the file is gone from its path afterwards. */
enum status state_file_writer_create(struct state_database *database, struct state_column *column,
                                     const char *path, struct state_file_writer **ret_writer,
                                     struct error *err) MUST_CHECK;
enum status state_file_writer_put(struct state_file_writer *writer, const char *key,
                                  size_t key_size, const char *value, size_t value_size,
                                  struct error *err) MUST_CHECK;
enum status state_file_writer_delete(struct state_file_writer *writer, const char *key,
                                     size_t key_size, struct error *err) MUST_CHECK;
/* Of all keys from <= x < to that were in the database before this file, none remains. What the
 * file itself holds stays. In any order. */
enum status state_file_writer_delete_range(struct state_file_writer *writer, const char *from,
                                           size_t from_size, const char *to, size_t to_size,
                                           struct error *err) MUST_CHECK;
enum status state_file_writer_finish(struct state_file_writer *writer,
                                     struct error *err) MUST_CHECK;
void state_file_writer_destroy(struct state_file_writer *writer);

/* Deletes the files that hold only keys of a range that has been deleted, if it is worth while; to
 * itself may be taken for a part of the range. Adds to *ret_size what the range took in files. */
enum status state_database_delete_files(struct state_database *database,
                                        struct state_column *column, const char *from,
                                        size_t from_size, const char *to, size_t to_size,
                                        uint64_t *ret_size, struct error *err) MUST_CHECK;
/* A range that took so many bytes has been deleted; is_added: beside what was noted before. Where
 * half of the column is gone, it is merged in the background. One thread. */
enum status state_database_note_deleted(struct state_database *database,
                                        struct state_column *column, uint64_t size_bytes,
                                        bool is_added, struct error *err) MUST_CHECK;

struct state_iterator *state_iterator_create(struct state_database *database,
                                             struct state_column *column);
void state_iterator_seek(struct state_iterator *iterator, const char *key, size_t size);
/* False at the end or after an error, which state_iterator_status tells. */
bool state_iterator_get(struct state_iterator *iterator, const char **ret_key, size_t *ret_key_size,
                        const char **ret_value, size_t *ret_value_size);
void state_iterator_next(struct state_iterator *iterator);
enum status state_iterator_status(struct state_iterator *iterator, struct error *err) MUST_CHECK;
void state_iterator_destroy(struct state_iterator *iterator); /* NULL is ok */

#endif
