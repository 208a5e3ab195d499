/*
 * The inside of a backend: its structs, and what its files offer each other.
 *
 *   access.c     update, read, remove, set_bytes: the hot path        (worker)
 *   dirty.c      who changed since which mark; sets; eviction         (worker)
 *   scan.c       entries in storage order                             (worker)
 *   range.c      ranges of namespaces: scans, removal, enumeration    (worker)
 *   drop.c       dropped ranges on their way to the database          (worker, writer thread)
 *   timers.c     timers as entries                                    (worker)
 *   timer_queue.c  their order, and which of them are in memory       (worker)
 *   writer.c     the ordered queue of sets                            (writer thread)
 *   snapshot.c   begin, abort, upload, result                         (worker, upload thread)
 *   database.c   RocksDB                                              (any)
 *
 * Numbers and sets. Every set of entries that is to be written has a number, never used twice. The
 * entries changed since the last mark carry the current number (`epoch`) as their stamp: such an
 * entry may be changed freely. A mark makes the set of the current number and starts a new one:
 * entries with an older stamp belong to a set in the queue and are captured (their bytes copied)
 * before they change, unless the writer has captured them: entry->written == entry->stamp. An
 * eviction gives the entries it takes a set and a number of their own. Entries of a set stay where
 * they are until the worker has been told that the set is written.
 *
 * A dropped range travels with the next set that is launched, before that set's entries: whatever
 * was evicted before it has been launched, and whatever is made in the range later belongs to that
 * set or a later one. Until the set is written the database still shows the range: misses and scans
 * take what they find there for absent. An entry that is dropped while a set in flight points to it
 * leaves the table at once and is freed with that set.
 *
 * In the memory backend nothing is written by sets: a stamp older than the epoch means "unchanged
 * since the mark", and `written` is the number of the last mark that has captured the entry.
 */
#ifndef TASKMANAGER_STATE_PARTS_H
#define TASKMANAGER_STATE_PARTS_H

#include "taskmanager/state/backend.h"
#include "taskmanager/state/database.h"
#include "taskmanager/state/entry_table.h"
#include "taskmanager/state/namespace_index.h"
#include "taskmanager/state/state_meta.h"
#include "taskmanager/state/state_value.h"

#include <pthread.h>
#include <stdatomic.h>

#define MISS_COUNT_MAX    256
#define EVICT_BYTES       ((uint64_t)2 << 20) /* of entries in one eviction set */
#define STATE_COUNT_MAX   1000
#define ENTRY_TIME_OFFSET ((uint32_t)sizeof(struct entry))

struct keyed_operator;

/* A range of namespaces whose entries are gone: storage bytes of subkeys, from <= x < to. */
struct state_drop {
    uint32_t number; /* of the set that it travels with; 0: none yet */
    int32_t group;   /* only in this key group; -1: in all */
    bool has_to;     /* false: to the last one */
    struct text from;
    struct text to;
};

enum scan_kind { SCAN_ALL, SCAN_KEY, SCAN_RANGE };

struct state_scan {
    bool is_active;
    enum scan_kind kind;
    struct entry **entries; /* by key group */
    size_t entry_count;
    size_t entry_capacity;
    size_t next_entry;
    struct key_run *run; /* of the group that is being scanned */
    size_t run_at;
    struct state_iterator *iterator; /* NULL: nothing in the database */
    struct text prefix;              /* SCAN_KEY: of the storage bytes */
    struct text keys;                /* canonical bytes of what came from the database */
    char *slots;
    uint32_t slot_capacity;
    uint32_t slots_used;
    struct state_drop *drops; /* copies: what the iterator shows there is gone */
    size_t drop_count;
    struct text seek;
    /* SCAN_RANGE */
    struct state_drop range;     /* what is scanned */
    int32_t group;               /* -1: before the first */
    struct namespace_node *node; /* to be loaded next */
    struct text high;            /* key group and the end of the range */
    bool is_find;                /* narrows the range to what is before the smallest one found */
    bool has_found;
    struct state_drop asked; /* the range that a find began with */
    struct text found;       /* canonical */
    uint32_t found_size;
};

struct state_table {
    struct state base;
    struct state_backend *backend;
    struct keyed_operator *owner;
    struct state_descriptor descriptor; /* owned copies */
    struct schema *keys;                /* types of key and subkey, owned */
    struct schema *subkeys;
    struct state_value_codec codec;
    struct entry_table table;
    uint32_t index; /* in backend->tables, and in files */
    bool is_timers;
    struct entry **dirty; /* stamp == epoch; NULL where one has left */
    size_t dirty_count;
    size_t dirty_capacity;
    uint64_t clock_hand;
    uint8_t round; /* counts calls, even, 2..254: entries of the last call stay in place */
    struct state_column *column; /* rocksdb */
    bool has_stored;             /* the database may hold entries */
    struct state_scan scan;
    bool has_namespaces; /* namespace-first, with a subkey */
    struct namespace_index namespaces;
    struct text scratch;
    struct state_drop **drops; /* that the database does not know; the pending ones come last */
    size_t drop_count;
    size_t drop_capacity;
    size_t pending_drop_count;
};

struct timer_queue;

struct keyed_operator {
    struct keyed_state base;
    struct state_backend *backend;
    char *uid;
    struct state_table *timers;    /* NULL until the first one */
    struct timer_queue *queues[2]; /* by kind, with timers */
    struct text popped;
    struct text subkey;
};

struct write_list {
    struct state_table *table;
    struct state_drop **drops; /* of the table; they go before the entries */
    size_t drop_count;
    struct entry **entries;
    size_t count;
    size_t capacity;
};

struct captured {
    struct entry *entry;
    size_t offset;
    size_t size; /* SIZE_MAX: deleted */
};

struct dropped_entry {
    struct state_table *table;
    struct entry *entry;
};

struct snapshot_work;

struct write_set {
    struct write_set *next;        /* in the writer's queue */
    struct write_set *next_flight; /* in the worker's list, oldest first */
    uint32_t number;
    int64_t wall_ms;
    struct snapshot_work *work; /* of a mark; NULL: eviction */
    struct write_list *lists;
    size_t list_count;
    size_t entry_count;
    uint64_t byte_count;
    struct captured *captured; /* open addressing by entry; under the capture lock */
    size_t captured_count;
    size_t captured_capacity;
    struct text captured_bytes;
    _Atomic bool is_written;
    size_t done_list; /* how far the worker has released it */
    size_t done_entry;
    struct dropped_entry *dropped; /* freed with the set */
    size_t dropped_count;
    size_t dropped_capacity;
};

struct snapshot_work {
    struct checkpoint_id checkpoint;
    struct keyed_state_handle base; /* files that may be referenced */
    struct state_snapshot result;
    char *directory; /* local, hard links or the memory file */
    _Atomic bool is_aborted;
    bool is_done; /* under queue_lock */
    struct snapshot_work *next;
};

struct snapshot_base {
    struct checkpoint_id checkpoint;
    struct keyed_state_handle handle;
};

struct state_backend {
    struct state_backend_config config; /* texts are owned */
    struct arena arena;
    struct keyed_operator **operators;
    size_t operator_count;
    size_t operator_capacity;
    struct state_table **tables;
    size_t table_count;
    size_t table_capacity;
    struct state_meta restored;  /* what the checkpoint had; count 0: nothing */
    struct text restored_memory; /* content of a memory snapshot, until tables take it */
    struct state_database *database;

    uint32_t epoch;
    uint32_t last_number;
    uint32_t evict_table;       /* whose turn it is */
    struct write_set *open_set; /* eviction set being filled */
    struct write_set *flight;
    struct write_set *flight_last;
    uint64_t flight_bytes;

    pthread_mutex_t capture_lock;
    uint32_t memory_mark;        /* under it: the mark that is being captured, 0: none */
    struct text memory_captured; /* under it: records of entries that changed or went */

    pthread_mutex_t queue_lock;
    pthread_cond_t queue_changed;
    struct write_set *queue;
    struct write_set *queue_last;
    struct snapshot_work *uploads;
    struct snapshot_work *current; /* what poll waits for */
    bool is_stopping;              /* the writer; then, when it has ended, the uploader */
    bool is_upload_stopping;
    struct error failure; /* code OK: none */
    _Atomic bool has_failed;
    bool has_threads;
    pthread_t writer;
    pthread_t uploader;

    struct snapshot_base *bases;
    size_t base_count;
    size_t base_capacity;
    uint64_t next_file; /* names of SST files being written; writer thread */

    uint64_t cache_hits;
    uint64_t cache_misses;
    uint64_t evicted_entries;
    _Atomic uint64_t written_files;
    int64_t pause_us;
};

/* ---- tables (state_table.c) ---- */

extern const struct state_ops state_table_ops;
enum status state_table_create(struct keyed_operator *owner,
                               const struct state_descriptor *descriptor, bool is_timers,
                               struct state_table **ret_table, struct error *err) MUST_CHECK;
void state_table_destroy(struct state_table *table);
uint32_t state_key_group(const struct state_table *table, const struct entry *entry);
/* Appends key group and the storage bytes of key and subkey. */
void state_storage_key(const struct state_table *table, const struct entry_key *key,
                       uint64_t key_hash_value, struct text *out);
void state_storage_key_of(const struct state_table *table, const struct entry *entry,
                          struct text *out);
/* The inverse: appends the canonical bytes to out; key and subkey are offsets into it. */
struct state_decoded_key {
    size_t key_offset;
    size_t subkey_offset;
    uint32_t key_size;
    uint32_t subkey_size;
};
enum status state_key_decode(const struct state_table *table, const void *bytes, size_t size,
                             struct text *out, struct state_decoded_key *ret_key,
                             struct error *err) MUST_CHECK;
/* Makes the entry of a value from storage, clean. ret_entry may be NULL. */
enum status state_entry_load(struct state_table *table, const struct entry_key *key,
                             const void *value, size_t size, struct entry **ret_entry,
                             struct error *err) MUST_CHECK;
enum status state_load_record(struct state_table *table, const void *key, size_t key_size,
                              const void *value, size_t value_size, struct error *err) MUST_CHECK;

static inline int64_t *entry_write_ms(struct entry *entry)
{
    return (int64_t *)(void *)((char *)entry + ENTRY_TIME_OFFSET);
}

static inline bool entry_is_expired(const struct state_table *table, struct entry *entry,
                                    int64_t wall_ms)
{
    return table->codec.has_ttl && wall_ms - *entry_write_ms(entry) >= table->descriptor.ttl_ms;
}

/* Puts a new entry into the list of its namespace. */
void state_entry_index(struct state_table *table, struct entry *entry);

/* Storage bytes in their order. */
static inline int state_compare_bytes(const char *a, size_t a_size, const char *b, size_t b_size)
{
    const int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* ---- changes (dirty.c) ---- */

/* Before the content of an entry changes whose stamp is not the epoch. */
void state_entry_dirty(struct state_table *table, struct entry *entry);

static inline void state_entry_change(struct state_table *table, struct entry *entry)
{
    if (__builtin_expect(entry->stamp != table->backend->epoch, 0))
        state_entry_dirty(table, entry);
}

/* Makes an entry, dirty in the current epoch, slot zero. */
struct entry *state_entry_add(struct state_table *table, const struct entry_key *key);
/* Removes it: dropped, or a tombstone until it is written. */
void state_entry_remove(struct state_table *table, struct entry *entry);
/* Frees an entry and what its slot points to. */
void state_entry_free(struct state_table *table, struct entry *entry);
/* The set of that number which is being filled or in flight, or NULL. */
struct write_set *write_set_find(const struct state_backend *backend, uint32_t number);
/* The list of a table in a set that nobody else has seen yet. */
struct write_list *write_set_list(struct write_set *set, struct state_table *table);
/* Queues the eviction set that is being filled, if there is one; start makes one if there is none.
 */
void state_launch_open_set(struct state_backend *backend);
void state_start_open_set(struct state_backend *backend);
/* Puts an entry that is dirty in the epoch into the eviction set that is being filled. */
void state_evict_dirty(struct state_backend *backend, struct state_table *table,
                       struct entry *entry);
/* Frees what belongs to written sets, some of it. */
void state_release_written(struct state_backend *backend);
/* Before each batch: releases written sets, evicts. STEP_DONE: there is room. */
enum step state_backend_make_room(struct state_backend *backend, struct error *err);
/* Queues the set of the current epoch; the next epoch begins. */
void state_mark(struct state_backend *backend, struct snapshot_work *work);
void write_set_destroy(struct write_set *set);
/* Under the capture lock: what the writer is to write for an entry. NULL bytes: deleted. */
void write_set_value(struct write_set *set, const struct state_table *table, struct entry *entry,
                     struct text *scratch, const char **ret_bytes, size_t *ret_size);

/* ---- threads (writer.c, snapshot.c) ---- */

void state_queue_push(struct state_backend *backend, struct write_set *set);
enum status state_threads_start(struct state_backend *backend, struct error *err) MUST_CHECK;
void state_threads_stop(struct state_backend *backend);
void state_backend_fail(struct state_backend *backend, const struct error *err);
enum step state_backend_failed(struct state_backend *backend, struct error *err);
void state_snapshot_to_upload(struct state_backend *backend, struct snapshot_work *work);
void *state_upload_thread(void *backend);
void snapshot_work_destroy(struct snapshot_work *work);

/* ---- the memory backend's file (memory_file.c) ---- */

enum status state_memory_write(struct state_backend *backend, struct write_set *set,
                               const char *path, struct error *err) MUST_CHECK;
void state_memory_record(const struct state_table *table, struct entry *entry, int64_t wall_ms,
                         struct text *out);
enum status state_memory_load(struct state_table *table, uint32_t file_index,
                              struct error *err) MUST_CHECK;
enum status state_memory_check(const struct text *content, struct error *err) MUST_CHECK;

/* ---- timers ---- */

enum step state_set_timer(struct keyed_state *keyed, const struct timer *timer, struct error *err);
enum step state_delete_timer(struct keyed_state *keyed, const struct timer *timer,
                             struct error *err);
enum status state_timers_restore(struct keyed_operator *owner, struct error *err) MUST_CHECK;
void state_timers_done(struct keyed_operator *owner);
/* Brings the latest timers out of memory until the goal is reached or enough were looked at: how
 * many. */
uint32_t state_timers_evict(struct state_table *table, uint64_t goal_bytes);
/* An eviction set has brought a timer to the database. */
void state_timer_written(struct state_table *table, struct entry *entry);
/* What has fired since the last set was launched goes with this one. */
void state_timers_attach(struct state_table *table, struct write_set *set);

/* ---- scans (scan.c, range.c) ---- */

enum step state_table_scan_start(struct state *state, struct error *err);
enum step state_table_scan_key(struct state *state, const char *key, uint32_t key_size,
                               uint64_t hash, struct error *err);
enum step state_table_scan_next(struct state *state, struct state_entry *entries, uint32_t capacity,
                                uint32_t *ret_count, struct error *err);
enum step state_table_scan_range(struct state *state, const struct state_range *range,
                                 struct error *err);
enum step state_table_remove_range(struct state *state, const struct state_range *range,
                                   struct error *err);
enum step state_table_find_subkey(struct state *state, const struct state_range *range,
                                  bool *ret_found, const char **ret_subkey, uint32_t *ret_size,
                                  struct error *err);
void state_scan_end(struct state_table *table);
void state_scan_begin(struct state_table *table, enum scan_kind kind);
/* Gives up to capacity entries; fewer
 * at the end (*ret_is_end) or when the budget of one call is used up. */
enum status state_scan_some(struct state_table *table, struct state_entry *entries,
                            uint32_t capacity, uint32_t *ret_count, bool *ret_is_end,
                            struct error *err) MUST_CHECK;
/* The next key group of a range scan; false at the end. */
bool state_range_next_group(struct state_table *table);

/* ---- dropped ranges (drop.c) ---- */

void state_drop_init(struct state_drop *drop);
void state_drop_done(struct state_drop *drop);
void state_drop_copy(struct state_drop *drop, const struct state_drop *from);
/* The drop that holds a subkey, by its storage bytes (anything may follow them); or NULL. */
const struct state_drop *state_drop_find(struct state_drop *const *drops, size_t count,
                                         const char *bytes, size_t size);
bool state_drop_holds(const struct state_drop *drop, const char *bytes, size_t size);
/* Whether what the database shows for a key is gone. */
bool state_key_is_dropped(struct state_table *table, const struct entry_key *key);
/* The table's entries in the range are gone from memory: STEP_DONE, or as make_room. */
enum step state_drop_add(struct state_table *table, const struct state_drop *range,
                         struct error *err);
/* All pending drops of the backend go with this set. */
void state_drops_attach(struct state_backend *backend, struct write_set *set);
/* The set is written. */
void state_drops_release(struct write_set *set);
/* Takes an entry out without a tombstone: a drop follows. */
void state_entry_drop(struct state_table *table, struct entry *entry);
void state_dropped_free(struct write_set *set, uint32_t *budget);
/* Writer thread: the tombstones of a list's drops; then, when they are in the database, the files
 * that hold nothing else. */
enum status state_drops_write(struct state_backend *backend, const struct write_list *list,
                              struct state_file_writer *writer, struct error *err) MUST_CHECK;
enum status state_drops_delete_files(struct state_backend *backend, const struct write_list *list,
                                     struct error *err) MUST_CHECK;
void state_drops_done(struct state_table *table);

#endif
