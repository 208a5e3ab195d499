/* What is gathered comes out as it went in: NULLs, long strings, row kinds, any sizes. */
#include "taskmanager/exchange/staging.h"

#include "common/base/allocate.h"
#include "common/base/random.h"

#include <check.h>
#include <stdio.h>

#define BATCH_ROWS 3000

static struct schema *make_schema(void)
{
    const struct schema_column columns[] = {
        {.name = "text", .type = type_of_kind(TYPE_STRING)},
        {.name = "number", .type = type_of_kind(TYPE_INT)},
        {.name = "other", .type = type_of_kind(TYPE_STRING)},
    };
    return schema_create(columns, 3, -1);
}

static void append_text(struct batch_builder *builder, struct random *random, uint32_t column)
{
    char text[64];
    memset(text, 'a' + (char)random_below(random, 26), sizeof(text));
    if (random_below(random, 7) == 0)
        batch_builder_null(builder, column);
    else
        batch_builder_bytes(builder, column, text, random_below(random, sizeof(text)));
}

static struct batch *make_batch(const struct schema *schema, struct random *random)
{
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    const bool has_kinds = random_below(random, 2) == 0;
    for (int i = 0; i < BATCH_ROWS; i++) {
        append_text(&builder, random, 0);
        batch_builder_int(&builder, 1, (int64_t)random_below(random, 1000));
        append_text(&builder, random, 2);
        batch_builder_end_row(&builder,
                              has_kinds && random_below(random, 3) == 0 ? ROW_DELETE : ROW_INSERT);
    }
    struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    return batch;
}

static void take_into(struct staging *staging, struct text *got)
{
    const uint32_t row_count = staging->row_count;
    struct batch *batch = staging_take(staging);
    ck_assert_uint_eq(batch->row_count, row_count);
    ck_assert_ptr_null(batch->selection);
    for (uint32_t i = 0; i < batch->row_count; i++)
        batch_format_row(batch, i, got);
    batch_unref(batch);
}

/* Random subsets of random batches, taken now and then. */
START_TEST(rows_come_out_as_they_went_in)
{
    struct random random;
    random_init(&random, (uint64_t)_i + 1);
    struct schema *schema = make_schema();
    struct memory_account account;
    memory_account_init(&account, "test", NULL, 64 << 20);
    struct staging staging;
    staging_init(&staging, schema, &account);
    struct text expected;
    struct text got;
    text_init(&expected, 64 << 20);
    text_init(&got, 64 << 20);
    uint32_t rows[BATCH_ROWS];
    for (int round = 0; round < 40; round++) {
        struct batch *batch = make_batch(schema, &random);
        const uint32_t one_in = 1 + (uint32_t)random_below(&random, _i % 2 == 0 ? 4 : 1000);
        uint32_t count = 0;
        for (uint32_t i = 0; i < BATCH_ROWS; i++) {
            if (random_below(&random, one_in) != 0)
                continue;
            rows[count++] = i;
            batch_format_row(batch, i, &expected);
        }
        for (uint32_t next = 0; next < count;) {
            const uint32_t taken = staging_append(&staging, batch, rows + next, count - next, 0);
            ck_assert(taken > 0 || staging.row_count > 0);
            ck_assert_uint_le(staging.row_count, BATCH_ROWS_MAX);
            next += taken;
            if (taken == 0)
                take_into(&staging, &got);
        }
        if (staging.row_count > 0 && random_below(&random, 3) == 0)
            take_into(&staging, &got);
        batch_unref(batch);
    }
    if (staging.row_count > 0)
        take_into(&staging, &got);
    ck_assert_uint_gt(got.size, 0);
    ck_assert_uint_eq(got.size, expected.size);
    ck_assert_mem_eq(got.bytes, expected.bytes, got.size);
    staging_done(&staging);
    ck_assert_uint_eq(memory_used(&account), 0);
    schema_unref(schema);
    text_done(&expected);
    text_done(&got);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("staging");
    TCase *rows = tcase_create("rows");
    tcase_add_loop_test(rows, rows_come_out_as_they_went_in, 0, 8);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
