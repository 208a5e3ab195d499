/* Copies of what a checkpoint holds of one subtask. */
#include "common/graph/task_state.h"

#include "common/base/allocate.h"

static void operator_state_done(struct operator_state *state)
{
    for (size_t i = 0; i < state->entry_count; i++) {
        free(state->entries[i].name);
        free(state->entries[i].bytes);
    }
    free(state->entries);
    free(state->uid);
}

void task_state_done(struct task_state *state)
{
    for (size_t i = 0; i < state->operator_count; i++)
        operator_state_done(&state->operators[i]);
    free(state->operators);
    for (size_t i = 0; i < state->keyed.file_count; i++) {
        free(state->keyed.files[i].path);
        free(state->keyed.files[i].name);
    }
    free(state->keyed.files);
    free(state->keyed.backend);
    free(state->keyed.meta);
    *state = (struct task_state){0};
}

static void operator_state_copy(struct operator_state *to, const struct operator_state *from)
{
    to->uid = copy_text(from->uid);
    to->entry_count = from->entry_count;
    to->entries =
        from->entry_count == 0 ? NULL : allocate_array(from->entry_count, sizeof(*to->entries));
    for (size_t i = 0; i < from->entry_count; i++) {
        const struct operator_state_entry *entry = &from->entries[i];
        to->entries[i] = (struct operator_state_entry){
            .name = copy_text(entry->name),
            .kind = entry->kind,
            .bytes = copy_text_n(entry->size > 0 ? entry->bytes : "", entry->size),
            .size = entry->size,
        };
    }
}

static void keyed_state_copy(struct keyed_state_handle *to, const struct keyed_state_handle *from)
{
    *to = *from;
    to->backend = from->backend == NULL ? NULL : copy_text(from->backend);
    to->meta = from->meta == NULL ? NULL : copy_text_n(from->meta, from->meta_size);
    to->files = from->file_count == 0 ? NULL : allocate_array(from->file_count, sizeof(*to->files));
    for (size_t i = 0; i < from->file_count; i++) {
        to->files[i] = from->files[i];
        to->files[i].path = copy_text(from->files[i].path);
        to->files[i].name = copy_text(from->files[i].name);
    }
}

void task_state_copy(struct task_state *to, const struct task_state *from)
{
    *to = *from;
    to->operators = from->operator_count == 0
                        ? NULL
                        : allocate_array(from->operator_count, sizeof(*to->operators));
    for (size_t i = 0; i < from->operator_count; i++)
        operator_state_copy(&to->operators[i], &from->operators[i]);
    keyed_state_copy(&to->keyed, &from->keyed);
}
