/*
 * What `aggregate` itself costs: count(*) by a STRING key with Zipf-like repetition, over a state
 * whose look-up is one indexed load, so that hashing (shown apart) and state are left out as far as
 * they can be. Prints nanoseconds per row.
 */
#include "common/base/allocate.h"
#include "common/base/random.h"
#include "common/data/batch_builder.h"
#include "operators/registry.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define BENCH_KEYS    16384
#define BENCH_BATCHES 64
#define BENCH_ROUNDS  100

/* Slots found by the hash alone: keys that collide share a slot, which does not matter here. */
struct bench_state {
    struct state state; /* first */
    struct keyed_state keyed;
    char *slots;
    uint32_t offsets[4];
};

static struct bench_state bench_state;

static enum step bench_update(struct state *state, const struct key_batch *keys,
                              const struct key_batch *subkeys, uint32_t first, uint32_t *ret_count,
                              void **ret_slots, uint8_t *ret_fresh, struct error *err)
{
    const uint32_t size = state->layout.size;
    (void)subkeys;
    (void)err;
    *ret_count = keys->count - first;
    for (uint32_t i = 0; i < *ret_count; i++) {
        char *slot = bench_state.slots + (size_t)(keys->hashes[first + i] % BENCH_KEYS) * size;
        ret_slots[i] = slot;
        ret_fresh[i] = (uint8_t)slot[1]; /* 0; a look-up reads the entry that it finds */
    }
    return STEP_DONE;
}

static const struct state_ops bench_state_ops = {.update = bench_update};

static enum status bench_register(struct keyed_state *keyed,
                                  const struct state_descriptor *descriptor,
                                  struct state **ret_state, struct error *err)
{
    (void)keyed;
    (void)err;
    const uint32_t fields = descriptor->value->column_count;
    for (uint32_t i = 0; i < fields && i < 4; i++)
        bench_state.offsets[i] = 8 + 8 * i;
    bench_state.state = (struct state){
        .ops = &bench_state_ops,
        .layout = {.size = 8 + 8 * fields,
                   .field_count = fields,
                   .offsets = bench_state.offsets,
                   .schema = descriptor->value},
        .descriptor = descriptor,
    };
    free(bench_state.slots);
    bench_state.slots = allocate_array(BENCH_KEYS, bench_state.state.layout.size);
    *ret_state = &bench_state.state;
    return STATUS_OK;
}

static const struct keyed_state_ops bench_keyed_ops = {.register_state = bench_register};

static bool bench_has_room(const struct emitter *emitter, uint32_t output)
{
    (void)emitter;
    (void)output;
    return true;
}

static void bench_emit(struct emitter *emitter, uint32_t output, struct batch *batch)
{
    (void)emitter;
    (void)output;
    batch_unref(batch);
}

/* Words whose rank is the product of two uniform numbers: a few are frequent, most are rare. */
static void make_batches(const struct schema *schema, struct batch **batches)
{
    struct random random;
    random_init(&random, 7);
    for (int b = 0; b < BENCH_BATCHES; b++) {
        struct batch_builder builder;
        batch_builder_init(&builder, schema, NULL);
        for (int i = 0; i < BATCH_ROWS_MAX; i++) {
            const double u = random_unit(&random);
            char word[32];
            const int size =
                snprintf(word, sizeof(word), "w%u", (unsigned)(u * u * u * u * u * 100000));
            batch_builder_bytes(&builder, 0, word, (size_t)size);
            batch_builder_end_row(&builder, ROW_INSERT);
        }
        batches[b] = batch_builder_take(&builder);
        batch_builder_done(&builder);
    }
}

/* CPU time, so that a busy machine does not count. */
static int64_t cpu_us(void)
{
    return (int64_t)clock() * 1000000 / CLOCKS_PER_SEC;
}

static double ns_per_row(int64_t us)
{
    return (double)us * 1000.0 / ((double)BENCH_ROUNDS * BENCH_BATCHES * BATCH_ROWS_MAX);
}

/* Hashing and look-up alone. */
static double measure_base(struct batch **batches)
{
    struct key_batch keys;
    static void *slots[BATCH_ROWS_MAX];
    static uint8_t fresh[BATCH_ROWS_MAX];
    const uint32_t column = 0;
    uint32_t count;
    key_batch_init(&keys);
    const int64_t start = cpu_us();
    for (int r = 0; r < BENCH_ROUNDS * BENCH_BATCHES; r++) {
        key_batch_compute(&keys, batches[r % BENCH_BATCHES], &column, 1);
        (void)bench_update(&bench_state.state, &keys, NULL, 0, &count, slots, fresh, NULL);
    }
    const double result = ns_per_row(cpu_us() - start);
    key_batch_done(&keys);
    return result;
}

static double measure(const char *mode, struct schema *input, struct schema *output,
                      struct batch **batches)
{
    char *keys[] = {(char *)(uintptr_t) "word"};
    struct setting setting = {(char *)(uintptr_t) "emit", (char *)(uintptr_t)mode};
    struct named_expression column = {.name = (char *)(uintptr_t) "count",
                                      .text = (char *)(uintptr_t) "count(*)"};
    struct operator_output out = {(char *)(uintptr_t) "", output};
    const struct operator_spec spec = {
        .uid = (char *)(uintptr_t) "bench",
        .settings = &setting,
        .setting_count = 1,
        .columns = &column,
        .column_count = 1,
        .keys = keys,
        .key_count = 1,
        .inputs = &input,
        .input_count = 1,
        .outputs = &out,
        .output_count = 1,
    };
    const struct operator_ops *ops = operator_registry_find("aggregate");
    struct emitter emitter = {.has_room = bench_has_room, .emit = bench_emit};
    struct error err;
    struct memory_account memory;
    memory_account_init(&memory, "bench", NULL, UINT64_C(1) << 40);
    bench_state.keyed.ops = &bench_keyed_ops;
    struct operator_env env = {.spec = &spec, .keyed = &bench_state.keyed, .memory = &memory};
    void *self = allocate(ops->instance_size);
    if (ops->open(self, &env, &err) != STATUS_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    const int64_t start = cpu_us();
    for (int r = 0; r < BENCH_ROUNDS * BENCH_BATCHES; r++)
        (void)ops->process(self, 0, batches[r % BENCH_BATCHES], &emitter, &err);
    const double result = ns_per_row(cpu_us() - start);
    ops->close(self);
    free(self);
    return result;
}

int main(void)
{
    struct type bigint = type_of_kind(TYPE_BIGINT);
    bigint.nullable = false;
    const struct schema_column columns[] = {{.name = "word", .type = type_of_kind(TYPE_STRING)},
                                            {.name = "count", .type = bigint}};
    struct schema *input = schema_create(columns, 1, -1);
    struct schema *output = schema_create(columns, 2, -1);
    static struct batch *batches[BENCH_BATCHES];
    make_batches(input, batches);
    (void)measure("end", input, output, batches); /* warm, and the state exists */
    static const char *const modes[] = {"each", "batch", "end", "changelog"};
    for (int i = 0; i < 4; i++) {
        const double whole = measure(modes[i], input, output, batches);
        const double base = measure_base(batches);
        printf("emit %-10s %5.2f ns/row, of which hashing and look-up %5.2f, aggregate %5.2f\n",
               modes[i], whole, base, whole - base);
    }
    for (int b = 0; b < BENCH_BATCHES; b++)
        batch_unref(batches[b]);
    free(bench_state.slots);
    schema_unref(input);
    schema_unref(output);
    return 0;
}
