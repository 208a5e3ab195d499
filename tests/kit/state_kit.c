/* Backends for tests: see state_kit.h. */
#include "tests/kit/state_kit.h"

#include "common/base/allocate.h"
#include "common/data/schema.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct state_kit kit;

void must(enum status status)
{
    if (status != STATUS_OK)
        ck_abort_msg("%s", kit.err.message);
}

void expect_message(const char *part)
{
    if (strstr(kit.err.message, part) == NULL)
        ck_abort_msg("\"%s\" does not say \"%s\"", kit.err.message, part);
}

void state_kit_init(void)
{
    kit = (struct state_kit){.cache_bytes = 16 << 20, .next_attempt = 1};
    (void)snprintf(kit.root, sizeof(kit.root), "/tmp/state-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(kit.root));
    SCOPED_TEXT char *storage = format_text("%s/storage", kit.root);
    must(file_store_local_create(storage, &kit.store, &kit.err));
    manual_clock_init(&kit.manual, 1000000);
    kit.cache = state_block_cache_create(4 << 20);
}

void state_kit_done(void)
{
    state_block_cache_destroy(kit.cache);
    kit.store->ops->destroy(kit.store);
    struct file_store *whole;
    must(file_store_local_create("/tmp", &whole, &kit.err));
    must(whole->ops->remove_tree(whole, kit.root + strlen("/tmp/"), &kit.err));
    whole->ops->destroy(whole);
}

struct state_backend *make_backend_with(enum state_backend_kind kind, struct key_group_range groups,
                                        struct file_store *storage)
{
    const uint64_t attempt = kit.next_attempt++;
    SCOPED_TEXT char *directory = format_text("%s/%llu", kit.root, (unsigned long long)attempt);
    const struct state_backend_config config = {
        .kind = kind,
        .directory = directory,
        .key_groups = groups,
        .max_parallelism = 128,
        .attempt = {attempt},
        .cache_bytes = kit.cache_bytes,
        .queue_bytes = 4 << 20,
        .block_cache = kit.cache,
        .clock = &kit.manual.clock,
        .store = storage,
        .store_prefix = "job",
    };
    struct state_backend *backend = NULL;
    must(state_backend_create(&config, &backend, &kit.err));
    return backend;
}

struct state_backend *make_backend(enum state_backend_kind kind)
{
    return make_backend_with(kind, (struct key_group_range){0, 127}, kit.store);
}

static const struct type bigint_key = {.kind = TYPE_BIGINT};

struct keyed_state *open_operator(struct state_backend *backend)
{
    struct keyed_state *keyed = NULL;
    must(state_backend_operator(backend, "op", &keyed, &kit.err));
    return keyed;
}

enum status open_fields(struct state_backend *backend, const struct schema_column *columns,
                        uint32_t count, bool has_subkey, int64_t ttl_ms, struct state **ret_state)
{
    SCOPED(schema_unref) struct schema *schema = schema_create(columns, count, -1);
    const struct state_descriptor descriptor = {
        .name = "values",
        .kind = has_subkey ? STATE_MAP : STATE_VALUE,
        .key_types = &bigint_key,
        .key_count = 1,
        .subkey_types = has_subkey ? &bigint_key : NULL,
        .subkey_count = has_subkey ? 1 : 0,
        .value = schema,
        .ttl_ms = ttl_ms,
    };
    struct keyed_state *keyed = open_operator(backend);
    return keyed->ops->register_state(keyed, &descriptor, ret_state, &kit.err);
}

struct state *open_count(struct state_backend *backend, bool has_subkey, int64_t ttl_ms)
{
    struct schema_column column = {.name = "count", .type = type_of_kind(TYPE_BIGINT)};
    column.type.nullable = false;
    struct state *state = NULL;
    must(open_fields(backend, &column, 1, has_subkey, ttl_ms, &state));
    return state;
}

const struct key_batch *number_keys(struct numbers *numbers, int64_t first, uint32_t count,
                                    int64_t step)
{
    numbers->batch = (struct key_batch){.count = count,
                                        .bytes = numbers->bytes,
                                        .sizes = numbers->sizes,
                                        .hashes = numbers->hashes};
    for (uint32_t i = 0; i < count; i++) {
        numbers->values[i] = first + (int64_t)i * step;
        numbers->bytes[i] = (const char *)&numbers->values[i];
        numbers->sizes[i] = 8;
        numbers->hashes[i] = key_hash(numbers->bytes[i], 8);
    }
    return &numbers->batch;
}

bool again(enum step step)
{
    if (step == STEP_FAILED)
        ck_abort_msg("%s", kit.err.message);
    if (step == STEP_WAIT)
        (void)usleep(1000);
    return step != STEP_DONE;
}

uint32_t add_to_counts(struct state *state, const struct key_batch *keys,
                       const struct key_batch *subkeys, int64_t delta)
{
    void *slots[NUMBERS_MAX];
    uint8_t fresh[NUMBERS_MAX];
    uint32_t fresh_count = 0;
    for (uint32_t first = 0; first < keys->count;) {
        uint32_t count = 0;
        if (again(state_update(state, keys, subkeys, first, &count, slots, fresh, &kit.err)))
            continue;
        for (uint32_t i = 0; i < count; i++) {
            *(int64_t *)slot_field(&state->layout, slots[i], 0) += delta;
            fresh_count += fresh[i];
        }
        first += count;
    }
    return fresh_count;
}

int64_t get_count(struct state *state, int64_t key)
{
    struct numbers numbers;
    void *slot = NULL;
    uint32_t count = 0;
    number_keys(&numbers, key, 1, 1);
    while (again(state_read(state, &numbers.batch, NULL, 0, &count, &slot, &kit.err)))
        ;
    return slot == NULL ? -1 : *(int64_t *)slot_field(&state->layout, slot, 0);
}

void wait_snapshot(struct state_backend *backend, struct state_snapshot *snapshot)
{
    while (!state_backend_poll_snapshot(backend, snapshot))
        (void)usleep(1000);
}

void take_snapshot(struct state_backend *backend, uint64_t id, uint64_t base,
                   struct state_snapshot *snapshot)
{
    must(state_backend_begin_snapshot(backend, (struct checkpoint_id){id},
                                      (struct checkpoint_id){base}, &kit.err));
    wait_snapshot(backend, snapshot);
    kit.err = snapshot->err;
    must(snapshot->status);
}

void free_snapshot(struct state_snapshot *snapshot)
{
    struct task_state state = {.keyed = snapshot->handle};
    task_state_done(&state);
}
