/* common/data: types, schemas, columns, batches, the builder. */
#include "common/data/batch_builder.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static const struct type_field array_entry[] = {{"", {.kind = TYPE_STRING, .nullable = true}}};
static const struct type_field row_fields[] = {
    {"number", {.kind = TYPE_BIGINT, .nullable = true}},
    {"odd name", {.kind = TYPE_ARRAY, .nullable = true, .child_count = 1, .children = array_entry}},
};
static const struct schema_column columns[] = {
    {.name = "word", .type = {.kind = TYPE_STRING}},
    {.name = "count", .type = {.kind = TYPE_BIGINT, .nullable = true}},
    {.name = "nested",
     .type = {.kind = TYPE_ROW, .nullable = true, .child_count = 2, .children = row_fields}},
};

static const char long_text[] = "a text that does not fit into a view";

static struct string_view view_of(const struct column *column, uint32_t row)
{
    return column_views(column)[row];
}

static void check_string(const struct column *column, uint32_t row, const char *expected)
{
    const struct string_view *view = &column_views(column)[row];
    ck_assert(!column_is_null(column, row));
    ck_assert_uint_eq(view->size, strlen(expected));
    ck_assert_mem_eq(string_view_bytes(column, view), expected, view->size);
}

/* Row i: word "w<i>" or the long text for every third, count i or NULL for every fourth, nested a
 * row of i and of i % 3 texts, or NULL for every fifth. */
static void append_rows(struct batch_builder *builder, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        char word[64];
        const int size = snprintf(word, sizeof(word), "w%u", i);
        if (i % 3 == 0)
            batch_builder_bytes(builder, 0, long_text, sizeof(long_text) - 1);
        else
            batch_builder_bytes(builder, 0, word, (size_t)size);
        if (i % 4 == 0)
            batch_builder_null(builder, 1);
        else
            batch_builder_int(builder, 1, i);
        if (i % 5 == 0) {
            batch_builder_null(builder, 2);
        } else {
            batch_builder_begin(builder, 2);
            batch_builder_int(builder, 0, i);
            batch_builder_begin(builder, 1);
            for (uint32_t e = 0; e < i % 3; e++)
                batch_builder_bytes(builder, 0, long_text + e, sizeof(long_text) - 1 - e);
            batch_builder_end(builder);
            batch_builder_end(builder);
        }
        batch_builder_end_row(builder, ROW_INSERT);
    }
}

static void check_row(const struct batch *batch, uint32_t row, uint32_t i)
{
    char word[64];
    (void)snprintf(word, sizeof(word), "w%u", i);
    check_string(batch->columns[0], row, i % 3 == 0 ? long_text : word);
    ck_assert_int_eq(column_is_null(batch->columns[1], row), i % 4 == 0);
    if (i % 4 != 0)
        ck_assert_int_eq(((const int64_t *)batch->columns[1]->values)[row], i);
    const struct column *nested = batch->columns[2];
    ck_assert_int_eq(column_is_null(nested, row), i % 5 == 0);
    if (i % 5 == 0)
        return;
    ck_assert_int_eq(((const int64_t *)nested->children[0]->values)[row], i);
    const struct column *list = nested->children[1];
    ck_assert_uint_eq(list->offsets[row + 1] - list->offsets[row], i % 3);
    for (uint32_t e = 0; e < i % 3; e++)
        check_string(list->children[0], list->offsets[row] + e, long_text + e);
}

START_TEST(types_and_schemas_print_as_sql)
{
    struct text text;
    text_init(&text, 1000);
    SCOPED(schema_unref) struct schema *schema = schema_create(columns, 3, -1);
    schema_format(schema, &text);
    ck_assert_str_eq(text.bytes, "word STRING NOT NULL, count BIGINT, "
                                 "nested ROW<number BIGINT, `odd name` ARRAY<STRING>>");
    text_clear(&text);
    type_format(type_decimal(12, 2), &text);
    ck_assert_str_eq(text.bytes, "DECIMAL(12, 2)");
    text_done(&text);
    ck_assert_int_eq(schema_find(schema, "count"), 1);
    ck_assert_int_eq(schema_find(schema, "Count"), -1);
    ck_assert_uint_eq(schema->columns[2].field_id, 3);
    ck_assert(schema->columns[2].type.children != row_fields);
    ck_assert(type_equals(schema->columns[2].type, columns[2].type, true));
    struct schema_column other[3] = {columns[0], columns[1], columns[2]};
    other[0].type.nullable = true;
    SCOPED(schema_unref) struct schema *nullable = schema_create(other, 3, -1);
    ck_assert(schema_equals(schema, nullable, false));
    ck_assert(!schema_equals(schema, nullable, true));
    SCOPED(schema_unref) struct schema *shorter = schema_create(columns, 2, -1);
    ck_assert(!schema_equals(schema, shorter, false));
}
END_TEST

START_TEST(builder_builds_and_is_reusable)
{
    SCOPED(schema_unref) struct schema *schema = schema_create(columns, 3, -1);
    struct memory_account account;
    memory_account_init(&account, "test", NULL, UINT64_MAX);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, &account);
    ck_assert_ptr_null(batch_builder_take(&builder));
    for (uint32_t round = 0; round < 3; round++) {
        const uint32_t count = round == 0 ? 5000 : 100 * round;
        append_rows(&builder, round, count);
        SCOPED(batch_unref) struct batch *batch = batch_builder_take(&builder);
        ck_assert_uint_eq(batch->row_count, count);
        ck_assert_ptr_null(batch->row_kinds);
        for (uint32_t i = 0; i < count; i++)
            check_row(batch, i, i + round);
    }
    batch_builder_done(&builder);
    ck_assert_uint_eq(memory_used(&account), 0);
}
END_TEST

START_TEST(undo_drops_the_unfinished_row_only)
{
    SCOPED(schema_unref) struct schema *schema = schema_create(columns, 3, -1);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    for (uint32_t i = 0; i < 300; i++) {
        const uint64_t size = builder.byte_size;
        batch_builder_null(&builder, 1);
        batch_builder_bytes(&builder, 0, long_text, sizeof(long_text));
        batch_builder_begin(&builder, 2);
        batch_builder_int(&builder, 0, 1);
        batch_builder_begin(&builder, 1);
        batch_builder_null(&builder, 0);
        batch_builder_undo_row(&builder);
        ck_assert_uint_eq(builder.byte_size, size);
        append_rows(&builder, i, 1);
    }
    SCOPED(batch_unref) struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    ck_assert_uint_eq(batch->row_count, 300);
    for (uint32_t i = 0; i < 300; i++)
        check_row(batch, i, i);
}
END_TEST

START_TEST(builder_replaces_fills_and_keeps_kinds)
{
    SCOPED(schema_unref) struct schema *schema = schema_create(columns, 3, -1);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    batch_builder_bytes(&builder, 0, "first", 5);
    ck_assert(batch_builder_has(&builder, 0));
    ck_assert(!batch_builder_has(&builder, 1));
    batch_builder_drop(&builder, 0);
    ck_assert(!batch_builder_has(&builder, 0));
    batch_builder_bytes(&builder, 0, "last", 4);
    batch_builder_null_missing(&builder);
    batch_builder_end_row(&builder, ROW_INSERT);
    batch_builder_null_missing(&builder);
    batch_builder_end_row(&builder, ROW_DELETE);
    batch_builder_null_missing(&builder);
    batch_builder_end_row(&builder, ROW_INSERT);
    SCOPED(batch_unref) struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    check_string(batch->columns[0], 0, "last");
    ck_assert(column_is_null(batch->columns[1], 0));
    ck_assert(column_is_null(batch->columns[0], 1));
    ck_assert_int_eq(batch_row_kind(batch, 0), ROW_INSERT);
    ck_assert_int_eq(batch_row_kind(batch, 1), ROW_DELETE);
    ck_assert_int_eq(batch_row_kind(batch, 2), ROW_INSERT);
}
END_TEST

START_TEST(views_of_every_length_are_zero_filled)
{
    struct buffer *buffer = buffer_create(NULL, 32);
    memcpy(buffer->bytes, "0123456789abcdefghijklmnopqrstuv", 32);
    for (uint32_t size = 0; size <= 32; size++) {
        /* At the end of the buffer too, where reads go into the padding. */
        for (uint32_t offset = 0; offset + size <= 32; offset++) {
            const struct string_view view = string_view_make(buffer, 7, offset, size);
            ck_assert_uint_eq(view.size, size);
            if (size > STRING_VIEW_INLINE) {
                ck_assert_mem_eq(view.ref.prefix, buffer->bytes + offset, 4);
                ck_assert_uint_eq(view.ref.buffer, 7);
                ck_assert_uint_eq(view.ref.offset, offset);
                continue;
            }
            struct string_view expected = {.size = size};
            memcpy(expected.inlined, buffer->bytes + offset, size);
            ck_assert_mem_eq(&view, &expected, sizeof(view));
            char *exact = malloc(size > 0 ? size : 1);
            memcpy(exact, buffer->bytes + offset, size);
            const struct string_view copied = string_view_inline(exact, size);
            ck_assert_mem_eq(&copied, &expected, sizeof(view));
            free(exact);
        }
    }
    buffer_unref(buffer);
}
END_TEST

START_TEST(shared_ranges_are_not_copied)
{
    const struct schema_column one[] = {{.name = "s", .type = {.kind = TYPE_STRING}}};
    SCOPED(schema_unref) struct schema *schema = schema_create(one, 1, -1);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    struct buffer *buffers[5];
    for (uint32_t b = 0; b < 5; b++) {
        buffers[b] = buffer_create(NULL, 64);
        memset(buffers[b]->bytes, (int)('a' + b), 64);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        batch_builder_shared(&builder, 0, buffers[i / 200], i % 10, 20 + i % 20);
        batch_builder_end_row(&builder, ROW_INSERT);
    }
    SCOPED(batch_unref) struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    for (uint32_t b = 0; b < 5; b++)
        buffer_unref(buffers[b]);
    ck_assert_uint_eq(batch->columns[0]->buffer_count, 5);
    for (uint32_t i = 0; i < 1000; i++) {
        const struct string_view view = view_of(batch->columns[0], i);
        ck_assert_uint_eq(view.size, 20 + i % 20);
        ck_assert_ptr_eq(string_view_bytes(batch->columns[0], &view),
                         buffers[i / 200]->bytes + i % 10);
    }
}
END_TEST

START_TEST(compact_applies_the_selection_and_lets_buffers_go)
{
    SCOPED(schema_unref) struct schema *schema = schema_create(columns, 3, -1);
    struct memory_account account;
    memory_account_init(&account, "test", NULL, UINT64_MAX);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, &account);
    append_rows(&builder, 0, 2000);
    struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    batch->selection = malloc(20 * sizeof(uint32_t));
    batch->selected_count = 20;
    for (uint32_t i = 0; i < 20; i++)
        batch->selection[i] = i * 99 + 1;
    batch->row_kinds = calloc(2000, 1);
    batch->row_kinds[100] = ROW_DELETE;
    struct batch *compact = batch_compact(batch);
    batch_unref(batch);
    ck_assert_uint_eq(compact->row_count, 20);
    ck_assert_ptr_null(compact->selection);
    ck_assert_int_eq(batch_row_kind(compact, 1), ROW_DELETE);
    ck_assert_int_eq(batch_row_kind(compact, 2), ROW_INSERT);
    for (uint32_t i = 0; i < 20; i++)
        check_row(compact, i, i * 99 + 1);
    ck_assert_uint_lt(memory_used(&account), BATCH_PINNED_FACTOR * 2000);
    struct batch *again = batch_compact(compact);
    ck_assert_ptr_eq(again, compact);
    batch_unref(again);
    batch_unref(compact);
    ck_assert_uint_eq(memory_used(&account), 0);
}
END_TEST

START_TEST(compact_leaves_a_shared_batch_alone)
{
    const struct schema_column one[] = {{.name = "s", .type = {.kind = TYPE_STRING}}};
    SCOPED(schema_unref) struct schema *schema = schema_create(one, 1, -1);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    struct buffer *buffer = buffer_create(NULL, 100000);
    memset(buffer->bytes, 'x', 100000);
    batch_builder_shared(&builder, 0, buffer, 5, 30);
    batch_builder_end_row(&builder, ROW_INSERT);
    SCOPED(batch_unref) struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    SCOPED(batch_unref) struct batch *compact = batch_compact(batch);
    ck_assert_ptr_ne(compact, batch);
    ck_assert_ptr_eq(batch->columns[0]->buffers[0], buffer);
    ck_assert_uint_eq(compact->columns[0]->buffers[0]->capacity, 30);
    check_string(compact->columns[0], 0, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    buffer_unref(buffer);
}
END_TEST

START_TEST(copies_nested_values_between_batches)
{
    SCOPED(schema_unref) struct schema *schema = schema_create(columns, 3, -1);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    append_rows(&builder, 0, 500);
    SCOPED(batch_unref) struct batch *batch = batch_builder_take(&builder);
    for (uint32_t i = 500; i-- > 0;) {
        for (uint32_t c = 0; c < 3; c++)
            batch_builder_copy(&builder, c, batch->columns[c], i);
        batch_builder_end_row(&builder, ROW_INSERT);
    }
    SCOPED(batch_unref) struct batch *reversed = batch_builder_take(&builder);
    batch_builder_done(&builder);
    for (uint32_t i = 0; i < 500; i++)
        check_row(reversed, i, 499 - i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("batch");
    TCase *tests = tcase_create("batch");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, types_and_schemas_print_as_sql);
    tcase_add_test(tests, builder_builds_and_is_reusable);
    tcase_add_test(tests, undo_drops_the_unfinished_row_only);
    tcase_add_test(tests, builder_replaces_fills_and_keeps_kinds);
    tcase_add_test(tests, views_of_every_length_are_zero_filled);
    tcase_add_test(tests, shared_ranges_are_not_copied);
    tcase_add_test(tests, compact_applies_the_selection_and_lets_buffers_go);
    tcase_add_test(tests, compact_leaves_a_shared_batch_alone);
    tcase_add_test(tests, copies_nested_values_between_batches);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
