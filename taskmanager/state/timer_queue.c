/* Treaps of timers below a heap of key groups: see timer_queue.h. */
#include "taskmanager/state/timer_queue.h"

#include "common/base/allocate.h"

#define GROUP_SIZE      2 /* bytes of the key group before a storage key */
#define TIME_OFFSET     1 /* in a subkey and in storage bytes */
#define NOT_IN_HEAP     UINT32_MAX
#define REFILL_MIN      4
#define REFILL_MAX      256
#define TIMER_BYTES     112 /* of an entry, roughly */
#define EVICT_GROUP_MAX 256 /* timers of one key group in one turn */
#define EVICT_MAX       4096
#define TOMBSTONE_LOOKS 1024

/* In the slot of a timer's entry. */
struct timer_node {
    uint32_t left;
    uint32_t right;
};

void timer_queue_init(struct timer_queue *queue, struct state_table *table)
{
    const struct key_group_range groups = table->backend->config.key_groups;
    const uint32_t count = groups.last - groups.first + 1U;
    *queue = (struct timer_queue){.table = table, .key_groups = groups};
    queue->groups = allocate_array(count, sizeof(*queue->groups));
    queue->heap = allocate_array(count, sizeof(*queue->heap));
    for (uint32_t i = 0; i < count; i++) {
        queue->groups[i].heap_at = NOT_IN_HEAP;
        text_init(&queue->groups[i].horizon, SIZE_MAX / 4);
    }
}

static void free_drop(struct state_drop *drop)
{
    if (drop == NULL)
        return;
    state_drop_done(drop);
    free(drop);
}

void timer_queue_done(struct timer_queue *queue)
{
    if (queue->groups == NULL)
        return;
    for (uint32_t i = 0; i <= queue->key_groups.last - queue->key_groups.first; i++) {
        text_done(&queue->groups[i].horizon);
        free_drop(queue->groups[i].fired);
    }
    free(queue->groups);
    free(queue->heap);
    queue->groups = NULL;
}

/* ---- order ---- */

int64_t timer_time(const char *subkey)
{
    uint64_t time;
    memcpy(&time, subkey + TIME_OFFSET, sizeof(time));
    return (int64_t)(__builtin_bswap64(time) ^ (UINT64_C(1) << 63));
}

static const char *subkey_of(const struct timer_queue *queue, const struct entry *entry)
{
    return entry_subkey_bytes(&queue->table->table, entry);
}

static int64_t time_of(const struct timer_queue *queue, const struct entry *entry)
{
    return timer_time(subkey_of(queue, entry));
}

static int compare_timers(const struct timer_queue *queue, const struct entry *a,
                          const struct entry *b)
{
    const struct entry_table *table = &queue->table->table;
    const char *a_subkey = entry_subkey_bytes(table, a);
    const char *b_subkey = entry_subkey_bytes(table, b);
    int order = memcmp(a_subkey + TIME_OFFSET, b_subkey + TIME_OFFSET, 8);
    if (order == 0 && (a->key_size == KEY_NULL || b->key_size == KEY_NULL))
        order = (b->key_size == KEY_NULL) - (a->key_size == KEY_NULL);
    else if (order == 0)
        order = state_compare_bytes(entry_key_bytes(table, a), a->key_size,
                                    entry_key_bytes(table, b), b->key_size);
    return order != 0 ? order
                      : state_compare_bytes(a_subkey, a->subkey_size, b_subkey, b->subkey_size);
}

static struct entry *entry_at(const struct timer_queue *queue, uint32_t ref)
{
    return arena_cell(queue->table->table.arena, ref);
}

static struct timer_node *node_of(const struct timer_queue *queue, uint32_t ref)
{
    return entry_slot(&queue->table->table, entry_at(queue, ref));
}

/* Random enough: the half of the hash that depends on time and namespace too. */
static uint32_t priority_of(const struct timer_queue *queue, uint32_t ref)
{
    return (uint32_t)entry_at(queue, ref)->hash;
}

static struct timer_group *group_at(const struct timer_queue *queue, uint32_t key_group)
{
    CHECK(key_group >= queue->key_groups.first && key_group <= queue->key_groups.last);
    return &queue->groups[key_group - queue->key_groups.first];
}

/* The storage bytes of a timer behind the key group, in the table's scratch. */
static const struct text *position_of(const struct timer_queue *queue, const struct entry *entry)
{
    struct text *scratch = &queue->table->scratch;
    text_clear(scratch);
    state_storage_key_of(queue->table, entry, scratch);
    return scratch;
}

static bool is_before_horizon(const struct timer_queue *queue, const struct timer_group *group,
                              const struct entry *entry)
{
    if (!group->has_horizon)
        return true;
    const int64_t time_ms = time_of(queue, entry);
    if (time_ms != group->horizon_ms)
        return time_ms < group->horizon_ms;
    const struct text *position = position_of(queue, entry);
    return state_compare_bytes(position->bytes + GROUP_SIZE, position->size - GROUP_SIZE,
                               group->horizon.bytes, group->horizon.size) < 0;
}

static bool head_is_known(const struct timer_queue *queue, const struct timer_group *group)
{
    return group->head != 0 && is_before_horizon(queue, group, entry_at(queue, group->head));
}

/* ---- the heap of key groups ---- */

static int64_t bound_ms(const struct timer_queue *queue, const struct timer_group *group)
{
    const int64_t head_ms =
        group->head != 0 ? time_of(queue, entry_at(queue, group->head)) : INT64_MAX;
    return group->has_horizon && group->horizon_ms < head_ms ? group->horizon_ms : head_ms;
}

/* The bytes that a key group's next timer cannot be before: its own, or the horizon. */
static int compare_bounds(const struct timer_queue *queue, const struct timer_group *a,
                          const struct timer_group *b)
{
    const bool a_is_known = head_is_known(queue, a);
    const bool b_is_known = head_is_known(queue, b);
    if (a_is_known && b_is_known)
        return compare_timers(queue, entry_at(queue, a->head), entry_at(queue, b->head));
    if (!a_is_known && !b_is_known)
        return state_compare_bytes(a->horizon.bytes, a->horizon.size, b->horizon.bytes,
                                   b->horizon.size);
    if (b_is_known)
        return -compare_bounds(queue, b, a);
    const struct text *position = position_of(queue, entry_at(queue, a->head));
    return state_compare_bytes(position->bytes + GROUP_SIZE, position->size - GROUP_SIZE,
                               b->horizon.bytes, b->horizon.size);
}

/* Horizons count as timers do: only the key group at the front needs to be read, so that one timer
 * fires per read at the least, however little memory there is. */
static bool is_before(const struct timer_queue *queue, uint32_t a, uint32_t b)
{
    const struct timer_group *left = &queue->groups[a];
    const struct timer_group *right = &queue->groups[b];
    const int64_t left_ms = bound_ms(queue, left);
    const int64_t right_ms = bound_ms(queue, right);
    return left_ms != right_ms ? left_ms < right_ms : compare_bounds(queue, left, right) < 0;
}

static void heap_set(struct timer_queue *queue, uint32_t at, uint32_t index)
{
    queue->heap[at] = index;
    queue->groups[index].heap_at = at;
}

static void heap_up(struct timer_queue *queue, uint32_t at)
{
    const uint32_t index = queue->heap[at];
    while (at > 0 && is_before(queue, index, queue->heap[(at - 1) / 2])) {
        heap_set(queue, at, queue->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_set(queue, at, index);
}

static void heap_down(struct timer_queue *queue, uint32_t at)
{
    const uint32_t index = queue->heap[at];
    for (;;) {
        uint32_t least = 2 * at + 1;
        if (least >= queue->heap_count)
            break;
        if (least + 1 < queue->heap_count &&
            is_before(queue, queue->heap[least + 1], queue->heap[least]))
            least++;
        if (!is_before(queue, queue->heap[least], index))
            break;
        heap_set(queue, at, queue->heap[least]);
        at = least;
    }
    heap_set(queue, at, index);
}

/* After a change of a key group's head or horizon. */
static void fix_heap(struct timer_queue *queue, struct timer_group *group)
{
    const uint32_t index = (uint32_t)(group - queue->groups);
    const bool has_timers = group->head != 0 || group->has_horizon;
    if (!has_timers && group->heap_at == NOT_IN_HEAP)
        return;
    if (!has_timers) {
        const uint32_t at = group->heap_at;
        const uint32_t last = queue->heap[--queue->heap_count];
        group->heap_at = NOT_IN_HEAP;
        if (last != index) {
            heap_set(queue, at, last);
            heap_up(queue, at);
            heap_down(queue, queue->groups[last].heap_at);
        }
        return;
    }
    if (group->heap_at == NOT_IN_HEAP)
        heap_set(queue, queue->heap_count++, index);
    heap_up(queue, group->heap_at);
    heap_down(queue, group->heap_at);
}

/* ---- the treap of a key group ---- */

static void add_to_treap(struct timer_queue *queue, struct timer_group *group, uint32_t ref)
{
    const struct entry *entry = entry_at(queue, ref);
    const uint32_t priority = priority_of(queue, ref);
    uint32_t *link = &group->root;
    while (*link != 0 && priority_of(queue, *link) >= priority) {
        struct timer_node *node = node_of(queue, *link);
        link =
            compare_timers(queue, entry_at(queue, *link), entry) < 0 ? &node->right : &node->left;
    }
    /* What hung there is split into the two sides of the new one. */
    uint32_t rest = *link;
    *link = ref;
    uint32_t *left = &node_of(queue, ref)->left;
    uint32_t *right = &node_of(queue, ref)->right;
    while (rest != 0) {
        struct timer_node *node = node_of(queue, rest);
        if (compare_timers(queue, entry_at(queue, rest), entry) < 0) {
            *left = rest;
            left = &node->right;
            rest = node->right;
        } else {
            *right = rest;
            right = &node->left;
            rest = node->left;
        }
    }
    *left = 0;
    *right = 0;
}

static void remove_from_treap(struct timer_queue *queue, struct timer_group *group, uint32_t ref)
{
    const struct entry *entry = entry_at(queue, ref);
    uint32_t *link = &group->root;
    while (*link != ref) {
        CHECK(*link != 0);
        struct timer_node *node = node_of(queue, *link);
        link =
            compare_timers(queue, entry_at(queue, *link), entry) < 0 ? &node->right : &node->left;
    }
    uint32_t left = node_of(queue, ref)->left;
    uint32_t right = node_of(queue, ref)->right;
    while (left != 0 && right != 0) {
        if (priority_of(queue, left) >= priority_of(queue, right)) {
            *link = left;
            link = &node_of(queue, left)->right;
            left = *link;
        } else {
            *link = right;
            link = &node_of(queue, right)->left;
            right = *link;
        }
    }
    *link = left != 0 ? left : right;
}

static uint32_t first_of(const struct timer_queue *queue, uint32_t ref)
{
    for (uint32_t left; ref != 0 && (left = node_of(queue, ref)->left) != 0;)
        ref = left;
    return ref;
}

void timer_queue_add(struct timer_queue *queue, struct entry *entry)
{
    struct timer_group *group = group_at(queue, state_key_group(queue->table, entry));
    const uint32_t ref = arena_ref(entry);
    add_to_treap(queue, group, ref);
    group->count++;
    if (group->head == 0 || compare_timers(queue, entry, entry_at(queue, group->head)) < 0) {
        group->head = ref;
        fix_heap(queue, group);
    }
}

void timer_queue_remove(struct timer_queue *queue, struct entry *entry)
{
    struct timer_group *group = group_at(queue, state_key_group(queue->table, entry));
    const uint32_t ref = arena_ref(entry);
    remove_from_treap(queue, group, ref);
    group->count--;
    if (group->head == ref) {
        group->head = first_of(queue, group->root);
        fix_heap(queue, group);
    }
}

/* ---- the horizon ---- */

static void set_horizon(struct timer_queue *queue, struct timer_group *group, const char *bytes,
                        size_t size)
{
    group->has_horizon = true;
    group->horizon_ms = timer_time(bytes);
    text_clear(&group->horizon);
    text_append_bytes(&group->horizon, bytes, size);
    fix_heap(queue, group);
}

void timer_queue_lower_horizon(struct timer_queue *queue, uint32_t key_group, const char *bytes,
                               size_t size)
{
    struct timer_group *group = group_at(queue, key_group);
    if (!group->has_horizon ||
        state_compare_bytes(bytes, size, group->horizon.bytes, group->horizon.size) < 0)
        set_horizon(queue, group, bytes, size);
}

bool timer_queue_may_be_stored(struct timer_queue *queue, const struct entry_key *key,
                               uint32_t key_group)
{
    const struct timer_group *group = group_at(queue, key_group);
    if (!group->has_horizon)
        return false;
    const int64_t time_ms = timer_time(key->subkey);
    if (time_ms != group->horizon_ms)
        return time_ms > group->horizon_ms;
    struct text *scratch = &queue->table->scratch;
    text_clear(scratch);
    state_storage_key(queue->table, key, key_group, scratch); /* the group does not matter here */
    return state_compare_bytes(scratch->bytes + GROUP_SIZE, scratch->size - GROUP_SIZE,
                               group->horizon.bytes, group->horizon.size) >= 0;
}

/* What a refill brings is a small share of the cache. */
static uint32_t refill_limit(const struct timer_queue *queue)
{
    const uint64_t groups = queue->key_groups.last - queue->key_groups.first + 1U;
    const uint64_t limit = queue->table->backend->config.cache_bytes / 8 / (groups * TIMER_BYTES);
    if (limit > REFILL_MAX)
        return REFILL_MAX;
    return limit < REFILL_MIN ? REFILL_MIN : (uint32_t)limit;
}

/* A stored timer that is not in memory. What is there is newer, also a tombstone. */
static enum status load_timer(struct timer_queue *queue, const char *stored, size_t size,
                              struct error *err)
{
    struct state_table *table = queue->table;
    struct text SCOPED_TEXT_BUFFER canonical;
    text_init(&canonical, SIZE_MAX / 4);
    struct state_decoded_key decoded;
    TRY(state_key_decode(table, stored, size, &canonical, &decoded, err));
    struct entry_key key = {
        .key = canonical.bytes + decoded.key_offset,
        .key_size = decoded.key_size,
        .subkey = canonical.bytes + decoded.subkey_offset,
        .subkey_size = decoded.subkey_size,
    };
    key.hash = entry_hash(key_hash(key.key, key.key_size), key_hash(key.subkey, key.subkey_size));
    if (entry_table_find(&table->table, &key) != NULL)
        return STATUS_OK;
    struct entry *entry = NULL;
    TRY(state_entry_load(table, &key, "", 0, &entry, err));
    timer_queue_add(queue, entry);
    return STATUS_OK;
}

enum status timer_queue_refill(struct timer_queue *queue, uint32_t key_group, uint8_t kind,
                               struct state_iterator *iterator, struct error *err)
{
    struct timer_group *group = group_at(queue, key_group);
    struct text SCOPED_TEXT_BUFFER seek;
    text_init(&seek, SIZE_MAX / 4);
    text_append_char(&seek, (char)(key_group >> 8));
    text_append_char(&seek, (char)key_group);
    text_append_bytes(&seek, group->horizon.bytes, group->horizon.size);
    state_iterator_seek(iterator, seek.bytes, seek.size);
    const uint32_t limit = refill_limit(queue);
    for (uint32_t i = 0;; i++) {
        const char *key;
        const char *value;
        size_t key_size;
        size_t value_size;
        if (!state_iterator_get(iterator, &key, &key_size, &value, &value_size) ||
            key_size < GROUP_SIZE + TIMER_HEAD_SIZE || memcmp(key, seek.bytes, GROUP_SIZE) != 0 ||
            (uint8_t)key[GROUP_SIZE] != kind) {
            TRY(state_iterator_status(iterator, err));
            group->has_horizon = false;
            break;
        }
        if (i == limit) {
            set_horizon(queue, group, key + GROUP_SIZE, key_size - GROUP_SIZE);
            break;
        }
        TRY(load_timer(queue, key, key_size, err));
        state_iterator_next(iterator);
    }
    fix_heap(queue, group);
    return STATUS_OK;
}

/* ---- the front ---- */

int64_t timer_queue_next_ms(const struct timer_queue *queue)
{
    return queue->heap_count == 0 ? INT64_MAX : bound_ms(queue, &queue->groups[queue->heap[0]]);
}

struct entry *timer_queue_head(const struct timer_queue *queue, uint32_t *ret_key_group)
{
    DCHECK(queue->heap_count > 0);
    const struct timer_group *group = &queue->groups[queue->heap[0]];
    *ret_key_group = queue->heap[0] + queue->key_groups.first;
    return head_is_known(queue, group) ? entry_at(queue, group->head) : NULL;
}

/* The range of what has fired grows by a timer: all others are behind it. */
static void note_fired(struct timer_queue *queue, struct timer_group *group,
                       const struct entry *entry)
{
    const struct text *position = position_of(queue, entry);
    const char *bytes = position->bytes + GROUP_SIZE;
    const size_t size = position->size - GROUP_SIZE;
    struct state_drop *fired = group->fired;
    const bool is_first = fired == NULL;
    if (is_first) {
        fired = allocate(sizeof(*fired));
        state_drop_init(fired);
        fired->group = (int32_t)(group - queue->groups + queue->key_groups.first);
        fired->has_to = true;
        group->fired = fired;
    }
    if (is_first || state_compare_bytes(bytes, size, fired->from.bytes, fired->from.size) < 0) {
        text_clear(&fired->from);
        text_append_bytes(&fired->from, bytes, size);
    }
    if (is_first || state_compare_bytes(bytes, size, fired->to.bytes, fired->to.size) >= 0) {
        text_clear(&fired->to);
        text_append_bytes(&fired->to, bytes, size);
        text_append_char(&fired->to, '\0');
    }
}

void timer_queue_fire(struct timer_queue *queue, struct entry *entry)
{
    struct state_table *table = queue->table;
    struct state_backend *backend = table->backend;
    struct timer_group *group = group_at(queue, state_key_group(table, entry));
    const bool is_new = entry->stamp == backend->epoch && (entry->flags & ENTRY_STORED) == 0;
    if (backend->database != NULL && !is_new) {
        /* A drop does not hide what its own set holds. */
        if (backend->open_set != NULL &&
            (entry->stamp == backend->open_set->number ||
             (entry->stamp == backend->epoch && entry->written == backend->open_set->number)))
            state_launch_open_set(backend);
        note_fired(queue, group, entry);
    }
    timer_queue_remove(queue, entry);
    state_entry_drop(table, entry);
}

/* Each key group's fired timers go with the set. */
void state_timers_attach(struct state_table *table, struct write_set *set)
{
    for (int kind = 0; kind < 2; kind++) {
        struct timer_queue *queue = table->owner->queues[kind];
        const uint32_t count = queue->key_groups.last - queue->key_groups.first + 1U;
        for (uint32_t i = 0; i < count; i++) {
            struct state_drop *fired = queue->groups[i].fired;
            if (fired == NULL)
                continue;
            queue->groups[i].fired = NULL;
            struct write_list *list = write_set_list(set, table);
            list->drops =
                reallocate_array(list->drops, list->drop_count + 1, sizeof(struct state_drop *));
            list->drops[list->drop_count++] = fired;
        }
    }
}

/* ---- eviction ---- */

struct far_timers {
    uint32_t refs[EVICT_GROUP_MAX]; /* the latest first */
    uint32_t count;
    uint32_t limit;
};

static void collect_far(const struct timer_queue *queue, uint32_t ref, struct far_timers *far)
{
    while (ref != 0 && far->count < far->limit) {
        const struct timer_node *node = node_of(queue, ref);
        collect_far(queue, node->right, far);
        if (far->count < far->limit)
            far->refs[far->count++] = ref;
        ref = node->left;
    }
}

static void free_stored(struct timer_queue *queue, struct entry *entry)
{
    const struct text *position = position_of(queue, entry);
    timer_queue_lower_horizon(queue, state_key_group(queue->table, entry),
                              position->bytes + GROUP_SIZE, position->size - GROUP_SIZE);
    timer_queue_remove(queue, entry);
    state_entry_free(queue->table, entry);
    queue->table->backend->evicted_entries++;
}

/* Half of the key group's timers at most, so that the next ones stay longest. */
static uint32_t evict_group(struct timer_queue *queue, struct timer_group *group)
{
    struct far_timers far;
    far.count = 0;
    far.limit = (group->count + 1) / 2 < EVICT_GROUP_MAX ? (group->count + 1) / 2 : EVICT_GROUP_MAX;
    collect_far(queue, group->root, &far);
    for (uint32_t i = 0; i < far.count; i++) {
        struct entry *entry = entry_at(queue, far.refs[i]);
        if (entry->stamp == 0)
            free_stored(queue, entry);
        else if (entry->stamp == queue->table->backend->epoch)
            state_evict_dirty(queue->table->backend, queue->table, entry);
    }
    return far.count;
}

/* Tombstones are in no treap: they are found among what has changed. */
static uint32_t evict_tombstones(struct state_table *table)
{
    uint32_t looked = 0;
    while (table->clock_hand < table->dirty_count && looked < TOMBSTONE_LOOKS) {
        struct entry *entry = table->dirty[table->clock_hand++];
        looked++;
        if (entry != NULL && (entry->flags & ENTRY_DELETED) != 0)
            state_evict_dirty(table->backend, table, entry);
    }
    if (table->clock_hand >= table->dirty_count)
        table->clock_hand = 0;
    return looked;
}

uint32_t state_timers_evict(struct state_table *table, uint64_t goal_bytes)
{
    struct state_backend *backend = table->backend;
    uint32_t looked = evict_tombstones(table);
    for (int kind = 0; kind < 2; kind++) {
        struct timer_queue *queue = table->owner->queues[kind];
        const uint32_t count = queue->key_groups.last - queue->key_groups.first + 1U;
        for (uint32_t i = 0; i < count && looked < EVICT_MAX &&
                             backend->arena.used_bytes > goal_bytes + backend->flight_bytes;
             i++) {
            looked += evict_group(queue, &queue->groups[queue->evict_group]) + 1;
            queue->evict_group = (queue->evict_group + 1) % count;
        }
    }
    return looked;
}

void state_timer_written(struct state_table *table, struct entry *entry)
{
    struct timer_queue *queue =
        table->owner->queues[(uint8_t)entry_subkey_bytes(&table->table, entry)[0]];
    const struct timer_group *group = group_at(queue, state_key_group(table, entry));
    if (group->head != arena_ref(entry))
        free_stored(queue, entry);
}
