/* A task's state with something in every field, for the seeds of what carries one. */
#ifndef TESTS_FUZZ_SOME_TASK_STATE_H
#define TESTS_FUZZ_SOME_TASK_STATE_H

#include "common/base/allocate.h"
#include "common/graph/task_state.h"

static inline void some_task_state(struct task_state *state)
{
    *state = (struct task_state){.vertex = {{1}},
                                 .subtask_index = 2,
                                 .attempt = {3},
                                 .uploaded_bytes = 4,
                                 .align_ms = 5,
                                 .pause_us = 6,
                                 .async_ms = 7};
    state->operators = allocate(sizeof(*state->operators));
    state->operator_count = 1;
    state->operators->uid = copy_text("counts/aggregate");
    state->operators->entries = allocate(sizeof(*state->operators->entries));
    state->operators->entry_count = 1;
    state->operators->entries->name = copy_text("position");
    state->operators->entries->bytes = copy_text("abc");
    state->operators->entries->size = 3;
    struct keyed_state_handle *keyed = &state->keyed;
    keyed->backend = copy_text("rocksdb");
    keyed->key_groups = (struct key_group_range){0, 63};
    keyed->meta = copy_text("meta");
    keyed->meta_size = 4;
    keyed->files = allocate_array(2, sizeof(*keyed->files));
    keyed->file_count = 2;
    keyed->files[0] = (struct state_file){.path = copy_text("shared/3/000012.sst"),
                                          .name = copy_text("000012.sst"),
                                          .size = 10,
                                          .crc32c = 11,
                                          .is_shared = true};
    keyed->files[1] = (struct state_file){
        .path = copy_text("chk-7/3-MANIFEST"), .name = copy_text("MANIFEST-000004"), .size = 12};
    keyed->key_count = 13;
    keyed->byte_count = 14;
}

#endif
