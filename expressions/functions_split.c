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

/* Inline texts are copied where 64 bytes are readable behind them. */
#define INLINE_ROOM (16 + 64)

static void split_row(struct word_list *list, const struct column *from, uint32_t row)
{
    const struct string_view *view = &column_views(from)[row];
    if (view->size > STRING_VIEW_INLINE) {
        split_words(string_view_bytes(from, view), view->size, view->ref.buffer, view->ref.offset,
                    list);
        return;
    }
    char room[INLINE_ROOM] = {0};
    memcpy(room, view->inlined, STRING_VIEW_INLINE);
    split_words(room, view->size, 0, 0, list);
}

/* One list for the batch: sized for words of four bytes and a blank, then grown. */
static void list_start(struct word_list *list, const struct call *call, const struct column *from)
{
    uint64_t total = 0;
    KERNEL_LOOP(call, row, total += column_views(from)[arg_row(call, 0, row)].size;);
    list->capacity = (uint32_t)(total / 5 + call->count + 16);
    list->views = reallocate_array(NULL, list->capacity, sizeof(*list->views));
    list->count = 0;
}

static void split_white(struct call *call)
{
    const struct column *from = call->args[0].column;
    uint32_t *offsets = call->result->offsets;
    struct word_list list;
    list_start(&list, call, from);
    uint32_t next = 0;
    KERNEL_LOOP(call, row, while (next <= row) offsets[next++] = list.count;
                split_row(&list, from, arg_row(call, 0, row)););
    finish_array(call, &list, from, next);
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
    struct word_list list;
    list_start(&list, call, from);
    uint32_t next = 0;
    KERNEL_LOOP(call, row, while (next <= row) offsets[next++] = list.count;
                split_parts(&list, from, &column_views(from)[arg_row(call, 0, row)],
                            arg_string(call, 1, row)););
    finish_array(call, &list, from, next);
}

/* Part i from 0 of a text split at a separator; NULL if there is none. */
static void split_index(struct call *call)
{
    const struct column *from = call->args[0].column;
    const uint32_t shift = column_share_buffers(call->result, from);
    KERNEL_LOOP(
        call, row, const struct string_view *view = &column_views(from)[arg_row(call, 0, row)];
        const struct slice separator = arg_string(call, 1, row);
        const char *bytes = string_view_bytes(from, view);
        int64_t left = ARG(call, 2, int64_t, row); uint32_t start = 0; uint32_t end = view->size;
        bool found_part = left >= 0; while (found_part) {
            const char *found = separator.size == 0 ? NULL
                                                    : memmem(bytes + start, view->size - start,
                                                             separator.bytes, separator.size);
            end = found == NULL ? view->size : (uint32_t)(found - bytes);
            if (left-- == 0)
                break;
            found_part = found != NULL;
            start = end + separator.size;
        } if (found_part) column_views(call->result)[row] =
                                         string_view_part(from, view, shift, start, end - start);
        else call_set_null(call, row););
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
