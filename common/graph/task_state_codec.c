/* TaskState of proto/checkpoint.proto. */
#include "common/graph/task_state_codec.h"

#include "common/graph/codec_scratch.h"
#include "proto/checkpoint.pb-c.h"

#include <string.h>

/* ---- paths ---- */

static bool is_safe_component(const char *text, size_t size)
{
    if (size == 0 || text[0] == '.')
        return false;
    for (size_t i = 0; i < size; i++) {
        const char c = text[i];
        const bool is_safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        if (!is_safe)
            return false;
    }
    return true;
}

static bool parse_number(const char *text, size_t size, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (size == 0 || size > 19 || (size > 1 && text[0] == '0'))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    *ret_number = number;
    return true;
}

enum state_path_kind state_path_parse(const char *path, uint64_t *ret_number)
{
    enum state_path_kind kind = STATE_PATH_PRIVATE;
    const char *rest = path;
    if (strncmp(path, "chk-", 4) == 0) {
        rest += 4;
    } else if (strncmp(path, "shared/", 7) == 0) {
        kind = STATE_PATH_SHARED;
        rest += 7;
    } else {
        return STATE_PATH_INVALID;
    }
    size_t size = strcspn(rest, "/");
    uint64_t number;
    if (rest[size] != '/' || !parse_number(rest, size, &number))
        return STATE_PATH_INVALID;
    do {
        rest += size + 1;
        size = strcspn(rest, "/");
        if (!is_safe_component(rest, size))
            return STATE_PATH_INVALID;
    } while (rest[size] == '/');
    *ret_number = number;
    return kind;
}

/* ---- encoding ---- */

static Millstream__OperatorState *encode_operator(const struct operator_state *state,
                                                  struct codec_scratch *scratch)
{
    Millstream__OperatorState *to = codec_scratch_take(scratch, 1, sizeof(*to));
    millstream__operator_state__init(to);
    to->uid = state->uid;
    to->n_entries = state->entry_count;
    to->entries = codec_scratch_take(scratch, state->entry_count, sizeof(*to->entries));
    for (size_t i = 0; i < state->entry_count; i++) {
        Millstream__OperatorStateEntry *entry = codec_scratch_take(scratch, 1, sizeof(*entry));
        millstream__operator_state_entry__init(entry);
        entry->name = state->entries[i].name;
        entry->kind = state->entries[i].kind;
        entry->content.data = (uint8_t *)state->entries[i].bytes;
        entry->content.len = state->entries[i].size;
        to->entries[i] = entry;
    }
    return to;
}

static void encode_keyed(const struct keyed_state_handle *keyed, Millstream__KeyedState *to,
                         struct codec_scratch *scratch)
{
    millstream__keyed_state__init(to);
    to->backend = keyed->backend;
    to->first_key_group = keyed->key_groups.first;
    to->last_key_group = keyed->key_groups.last;
    to->meta.data = (uint8_t *)keyed->meta;
    to->meta.len = keyed->meta_size;
    to->key_count = keyed->key_count;
    to->byte_count = keyed->byte_count;
    to->n_files = keyed->file_count;
    to->files = codec_scratch_take(scratch, keyed->file_count, sizeof(*to->files));
    for (size_t i = 0; i < keyed->file_count; i++) {
        Millstream__StateFile *file = codec_scratch_take(scratch, 1, sizeof(*file));
        millstream__state_file__init(file);
        file->path = keyed->files[i].path;
        file->name = keyed->files[i].name;
        file->size = keyed->files[i].size;
        file->crc32c = keyed->files[i].crc32c;
        file->is_shared = keyed->files[i].is_shared;
        to->files[i] = file;
    }
}

void task_state_encode(const struct task_state *state, struct text *out)
{
    struct codec_scratch scratch = {0};
    struct id128 vertex = state->vertex;
    Millstream__TaskState to;
    Millstream__KeyedState keyed;
    millstream__task_state__init(&to);
    to.vertex.data = vertex.bytes;
    to.vertex.len = sizeof(vertex.bytes);
    to.subtask_index = state->subtask_index;
    to.attempt = state->attempt.value;
    to.n_operators = state->operator_count;
    to.operators = codec_scratch_take(&scratch, state->operator_count, sizeof(*to.operators));
    for (size_t i = 0; i < state->operator_count; i++)
        to.operators[i] = encode_operator(&state->operators[i], &scratch);
    if (state->keyed.backend != NULL) {
        encode_keyed(&state->keyed, &keyed, &scratch);
        to.keyed = &keyed;
    }
    to.uploaded_bytes = state->uploaded_bytes;
    to.align_ms = state->align_ms;
    to.pause_us = state->pause_us;
    to.async_ms = state->async_ms;
    to.is_finished = state->is_finished;
    const size_t size = millstream__task_state__get_packed_size(&to);
    uint8_t *packed = codec_scratch_take(&scratch, size, 1);
    millstream__task_state__pack(&to, packed);
    text_append_bytes(out, packed, size);
    codec_scratch_done(&scratch);
}

/* ---- decoding ---- */

static void decode_operator(const Millstream__OperatorState *from, struct operator_state *to)
{
    to->uid = copy_text(from->uid);
    to->entry_count = from->n_entries;
    if (from->n_entries > 0)
        to->entries = allocate_array(from->n_entries, sizeof(*to->entries));
    for (size_t i = 0; i < from->n_entries; i++) {
        const Millstream__OperatorStateEntry *entry = from->entries[i];
        to->entries[i].name = copy_text(entry->name);
        to->entries[i].kind = (uint8_t)entry->kind;
        to->entries[i].size = entry->content.len;
        to->entries[i].bytes = copy_text_n(
            entry->content.len > 0 ? (const char *)entry->content.data : "", entry->content.len);
    }
}

static void decode_keyed(const Millstream__KeyedState *from, struct keyed_state_handle *to)
{
    if (from == NULL || from->backend[0] == '\0')
        return;
    to->backend = copy_text(from->backend);
    to->key_groups.first = from->first_key_group;
    to->key_groups.last = from->last_key_group;
    to->meta_size = from->meta.len;
    to->meta = copy_text_n(from->meta.len > 0 ? (const char *)from->meta.data : "", from->meta.len);
    to->key_count = from->key_count;
    to->byte_count = from->byte_count;
    to->file_count = from->n_files;
    if (from->n_files > 0)
        to->files = allocate_array(from->n_files, sizeof(*to->files));
    for (size_t i = 0; i < from->n_files; i++) {
        to->files[i].path = copy_text(from->files[i]->path);
        to->files[i].name = copy_text(from->files[i]->name);
        to->files[i].size = from->files[i]->size;
        to->files[i].crc32c = from->files[i]->crc32c;
        to->files[i].is_shared = from->files[i]->is_shared;
    }
}

static enum status check_files(const Millstream__KeyedState *keyed, struct error *err)
{
    if (keyed->n_files > TASK_STATE_FILE_MAX)
        return error_set(err, STATUS_LIMIT, "task state names %zu files, at most %d are allowed",
                         keyed->n_files, TASK_STATE_FILE_MAX);
    for (size_t i = 0; i < keyed->n_files; i++) {
        const Millstream__StateFile *file = keyed->files[i];
        uint64_t number;
        const enum state_path_kind kind = strlen(file->path) > TASK_STATE_PATH_MAX
                                              ? STATE_PATH_INVALID
                                              : state_path_parse(file->path, &number);
        if (kind == STATE_PATH_INVALID || strlen(file->name) > TASK_STATE_PATH_MAX ||
            (kind == STATE_PATH_SHARED) != (bool)file->is_shared)
            return error_set(err, STATUS_CORRUPT, "task state names the invalid path %.200s",
                             file->path);
    }
    return STATUS_OK;
}

static enum status check_state(const Millstream__TaskState *from, struct error *err)
{
    if (from->vertex.len != sizeof(struct id128))
        return error_set(err, STATUS_CORRUPT, "task state: vertex id of %zu bytes",
                         from->vertex.len);
    if (from->n_operators > TASK_STATE_OPERATOR_MAX)
        return error_set(err, STATUS_LIMIT, "task state of %zu operators", from->n_operators);
    for (size_t i = 0; i < from->n_operators; i++) {
        const Millstream__OperatorState *state = from->operators[i];
        if (state->n_entries > TASK_STATE_ENTRY_MAX)
            return error_set(err, STATUS_LIMIT, "task state: %zu entries of operator %.100s",
                             state->n_entries, state->uid);
        for (size_t j = 0; j < state->n_entries; j++)
            if (state->entries[j]->kind > UINT8_MAX)
                return error_set(err, STATUS_CORRUPT, "task state: unknown kind %u of %.100s",
                                 state->entries[j]->kind, state->uid);
    }
    return from->keyed != NULL ? check_files(from->keyed, err) : STATUS_OK;
}

enum status task_state_decode(const void *bytes, size_t size, struct task_state *ret_state,
                              struct error *err)
{
    Millstream__TaskState *from = millstream__task_state__unpack(NULL, size, bytes);
    if (from == NULL)
        return error_set(err, STATUS_CORRUPT, "task state of %zu bytes cannot be decoded", size);
    const enum status status = check_state(from, err);
    if (status == STATUS_OK) {
        struct task_state state = {.subtask_index = from->subtask_index,
                                   .attempt = {from->attempt},
                                   .operator_count = from->n_operators,
                                   .uploaded_bytes = from->uploaded_bytes,
                                   .align_ms = from->align_ms,
                                   .pause_us = from->pause_us,
                                   .async_ms = from->async_ms,
                                   .is_finished = from->is_finished};
        memcpy(state.vertex.bytes, from->vertex.data, sizeof(state.vertex.bytes));
        if (from->n_operators > 0)
            state.operators = allocate_array(from->n_operators, sizeof(*state.operators));
        for (size_t i = 0; i < from->n_operators; i++)
            decode_operator(from->operators[i], &state.operators[i]);
        decode_keyed(from->keyed, &state.keyed);
        *ret_state = state;
    }
    millstream__task_state__free_unpacked(from, NULL);
    return status;
}
