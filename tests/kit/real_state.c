/* Real backends below the operator kit: see real_state.h. */
#include "tests/kit/real_state.h"

#include "common/base/allocate.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SMALLEST_CACHE_BYTES 1
#define MEMORY_BYTES         (256U << 20)
#define WAIT_MAX             100000

struct real_state {
    enum state_backend_kind kind;
    const struct clock *clock;
    char root[64];
    struct file_store *store;
    struct state_backend *backend;
    uint64_t attempt;
    uint64_t checkpoint;
};

static void must(enum status status, const struct error *err)
{
    ck_assert_msg(status == STATUS_OK, "%s", err->message);
}

static void open_backend(struct real_state *real)
{
    struct error err;
    SCOPED_TEXT char *directory =
        format_text("%s/%llu", real->root, (unsigned long long)++real->attempt);
    const struct state_backend_config config = {
        .kind = real->kind,
        .directory = directory,
        .key_groups = {0, 127},
        .max_parallelism = 128,
        .attempt = {real->attempt},
        .cache_bytes = real->kind == STATE_BACKEND_MEMORY ? MEMORY_BYTES : SMALLEST_CACHE_BYTES,
        .queue_bytes = 64 << 10,
        .clock = real->clock,
        .store = real->store,
        .store_prefix = "job",
    };
    must(state_backend_create(&config, &real->backend, &err), &err);
}

struct real_state *real_state_create(enum state_backend_kind kind, const struct clock *clock)
{
    struct error err;
    struct real_state *real = allocate(sizeof(*real));
    real->kind = kind;
    real->clock = clock;
    (void)snprintf(real->root, sizeof(real->root), "/tmp/operator-kit-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(real->root));
    SCOPED_TEXT char *storage = format_text("%s/storage", real->root);
    must(file_store_local_create(storage, &real->store, &err), &err);
    open_backend(real);
    return real;
}

void real_state_destroy(struct real_state *real)
{
    struct error err;
    state_backend_destroy(real->backend);
    real->store->ops->destroy(real->store);
    struct file_store *whole = NULL;
    must(file_store_local_create("/tmp", &whole, &err), &err);
    must(whole->ops->remove_tree(whole, real->root + strlen("/tmp/"), &err), &err);
    whole->ops->destroy(whole);
    free(real);
}

struct keyed_state *real_state_keyed(struct real_state *real)
{
    struct error err;
    struct keyed_state *keyed = NULL;
    must(state_backend_operator(real->backend, "tested/operator", &keyed, &err), &err);
    return keyed;
}

void real_state_restore(struct real_state *real)
{
    struct error err;
    const struct checkpoint_id id = {++real->checkpoint};
    const struct checkpoint_id base = {real->checkpoint % 2 == 0 ? real->checkpoint - 1 : 0};
    must(state_backend_begin_snapshot(real->backend, id, base, &err), &err);
    struct state_snapshot snapshot;
    for (unsigned waited = 0; !state_backend_poll_snapshot(real->backend, &snapshot); waited++) {
        ck_assert_uint_lt(waited, WAIT_MAX);
        (void)usleep(100);
    }
    must(snapshot.status, &snapshot.err);
    state_backend_destroy(real->backend);
    open_backend(real);
    must(state_backend_restore(real->backend, &snapshot.handle, id, &err), &err);
    struct task_state state = {.keyed = snapshot.handle};
    task_state_done(&state);
}
