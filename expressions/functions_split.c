/* split(text), split(text, separator), split_index. */
#include "expressions/binder.h"
#include "expressions/function.h"
#include "expressions/split.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

static const struct type_field word_field = {
    .name = "",
    .type = {.kind = TYPE_STRING, .nullable = false},
};

static bool bind_array_of_text(struct binder *binder, struct node *node)
{
    (void)binder;
    node->type = (struct type){
        .kind = TYPE_ARRAY, .nullable = true, .child_count = 1, .children = &word_field};
    return true;
}

/* Inline texts are copied where 64 bytes are readable behind them. */
#define INLINE_ROOM (16 + BUFFER_PADDING)

static uint32_t count_words(const struct column *from, uint32_t row)
{
    const struct string_view *view = &column_views(from)[row];
    if (view->size > STRING_VIEW_INLINE)
        return split_count(string_view_bytes(from, view), view->size);
    char room[INLINE_ROOM] = {0};
    memcpy(room, view->inlined, STRING_VIEW_INLINE);
    return split_count(room, view->size);
}

static uint32_t write_words(const struct column *from, uint32_t row, struct string_view *views)
{
    const struct string_view *view = &column_views(from)[row];
    if (view->size > STRING_VIEW_INLINE)
        return split_words(string_view_bytes(from, view), view->size, view->ref.buffer,
                           view->ref.offset, views);
    char room[INLINE_ROOM] = {0};
    memcpy(room, view->inlined, STRING_VIEW_INLINE);
    return split_words(room, view->size, 0, 0, views);
}

static void split_white(struct call *call)
{
    const struct column *from = call->args[0].column;
    uint32_t *offsets = call->result->offsets;
    uint32_t next = 0;
    uint32_t total = 0;
    FOR_ROWS(call, row)
    {
        while (next <= row)
            offsets[next++] = total;
        total += count_words(from, arg_row(call, 0, row));
    }
    while (next <= call->row_count)
        offsets[next++] = total;
    struct column *words = column_create(word_field.type, total);
    const uint32_t shift = column_share_buffers(words, from);
    CHECK(shift == 0);
    struct string_view *views = column_views(words);
    FOR_ROWS(call, row)
    {
        views += write_words(from, arg_row(call, 0, row), views);
    }
    call->result->children[0] = words;
}

/* ---- split at a separator ---- */

struct word_list {
    struct string_view *views;
    uint32_t count;
    uint32_t capacity;
};

/* The words so far as the child of the result, offsets of rows from `next` on filled. */
static void finish_array(struct call *call, struct word_list *list, const struct column *from,
                         uint32_t next)
{
    uint32_t *offsets = call->result->offsets;
    for (uint32_t row = next; row <= call->row_count; row++)
        offsets[row] = list->count;
    struct column *words = column_create(word_field.type, list->count);
    if (list->count > 0)
        memcpy(words->values, list->views, list->count * sizeof(struct string_view));
    const uint32_t shift = column_share_buffers(words, from);
    CHECK(shift == 0);
    call->result->children[0] = words;
    free(list->views);
}

static struct string_view *push_view(struct word_list *list)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity * 2 + 16;
        list->views = reallocate_array(list->views, list->capacity, sizeof(*list->views));
    }
    return &list->views[list->count++];
}

/* Empty parts count; an empty separator gives the whole text. */
static void split_parts(struct word_list *list, const struct column *from,
                        const struct string_view *view, struct slice separator)
{
    const char *bytes = string_view_bytes(from, view);
    uint32_t start = 0;
    while (separator.size > 0 && start <= view->size) {
        const char *found =
            memmem(bytes + start, view->size - start, separator.bytes, separator.size);
        if (found == NULL)
            break;
        const uint32_t end = (uint32_t)(found - bytes);
        *push_view(list) = string_view_part(from, view, 0, start, end - start);
        start = end + separator.size;
    }
    *push_view(list) = string_view_part(from, view, 0, start, view->size - start);
}

static void split_separator(struct call *call)
{
    const struct column *from = call->args[0].column;
    uint32_t *offsets = call->result->offsets;
    struct word_list list = {NULL, 0, 0};
    uint32_t next = 0;
    FOR_ROWS(call, row)
    {
        while (next <= row)
            offsets[next++] = list.count;
        split_parts(&list, from, &column_views(from)[arg_row(call, 0, row)],
                    arg_string(call, 1, row));
    }
    finish_array(call, &list, from, next);
}

struct part {
    uint32_t start;
    uint32_t end;
};

/* Part `index` from 0 of a text split at a separator. */
static bool find_part(struct slice text, struct slice separator, int64_t index,
                      struct part *ret_part)
{
    uint32_t start = 0;
    if (index < 0)
        return false;
    for (;;) {
        const char *found = separator.size == 0 ? NULL
                                                : memmem(text.bytes + start, text.size - start,
                                                         separator.bytes, separator.size);
        if (index-- == 0) {
            const uint32_t end = found == NULL ? text.size : (uint32_t)(found - text.bytes);
            *ret_part = (struct part){start, end};
            return true;
        }
        if (found == NULL)
            return false;
        start = (uint32_t)(found - text.bytes) + separator.size;
    }
}

static void split_index(struct call *call)
{
    const struct column *from = call->args[0].column;
    const uint32_t shift = column_share_buffers(call->result, from);
    FOR_ROWS(call, row)
    {
        struct part part;
        const struct string_view *view = &column_views(from)[arg_row(call, 0, row)];
        if (find_part(arg_string(call, 0, row), arg_string(call, 1, row),
                      ARG(call, 2, int64_t, row), &part))
            column_views(call->result)[row] =
                string_view_part(from, view, shift, part.start, part.end - part.start);
        else
            call_set_null(call, row);
    }
}

const struct function functions_split[] = {
    {"split", "s", 0, 0, split_white, bind_array_of_text, "split(text)",
     "the words between runs of ASCII white space; no empty ones", "split('to be  or')",
     "ARRAY<STRING NOT NULL>"},
    {"split", "ss", 0, 0, split_separator, bind_array_of_text, "split(text, separator)",
     "the parts between separators, empty ones too", "split('a,b,,c', ',')",
     "ARRAY<STRING NOT NULL>"},
    {"split_index", "ssi", 's', FUNCTION_GIVES_NULL, split_index, NULL,
     "split_index(text, separator, index)", "part number index, from 0; NULL if there is none",
     "split_index('a,b,c', ',', 1)", "STRING"},
};
DEFINE_FAMILY_COUNT(split);
