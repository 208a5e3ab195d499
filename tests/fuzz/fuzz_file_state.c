/* What the file source and the file sink keep in checkpoints. */
#include "tests/fuzz/fuzz.h"

#include "connectors/file/file_commit.h"
#include "connectors/file/file_split.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct error err = {0};
    struct file_split split = {0};
    enum status code = file_split_decode("/in:0-9", bytes, size, &split, &err);
    if (code != STATUS_OK) {
        fuzz_check_error(code, &err);
    } else {
        SCOPED_TEXT_BUFFER struct text out;
        text_init(&out, FUZZ_INPUT_MAX);
        file_split_encode(&split, &out);
        struct file_split again = {0};
        CHECK(file_split_decode("/in:0-9", out.bytes, out.size, &again, &err) == STATUS_OK);
        CHECK(strcmp(split.path, again.path) == 0 && split.file_size == again.file_size &&
              split.end == again.end && split.next == again.next &&
              split.must_skip == again.must_skip);
        file_split_done(&split);
        file_split_done(&again);
    }
    struct pending_file pending = {0};
    code = pending_file_decode(bytes, size, &pending, &err);
    if (code != STATUS_OK) {
        fuzz_check_error(code, &err);
        return 0;
    }
    unsigned char encoded[PENDING_FILE_BYTES];
    pending_file_encode(&pending, encoded);
    struct pending_file again = {0};
    CHECK(pending_file_decode(encoded, sizeof(encoded), &again, &err) == STATUS_OK);
    CHECK(memcmp(&pending, &again, sizeof(pending)) == 0);
    return 0;
}

void fuzz_make_seeds(fuzz_seed_fn *give, void *context)
{
    const struct file_split split = {.id = (char *)"/in:0-9",
                                     .path = (char *)"/in/a.txt",
                                     .file_size = 1000,
                                     .end = 500,
                                     .next = 300};
    SCOPED_TEXT_BUFFER struct text out;
    text_init(&out, FUZZ_INPUT_MAX);
    file_split_encode(&split, &out);
    give(context, "split", out.bytes, out.size);
    const struct pending_file pending = {.subtask = 1, .attempt = 2, .n = 3, .inode = 4, .size = 5};
    unsigned char encoded[PENDING_FILE_BYTES];
    pending_file_encode(&pending, encoded);
    give(context, "pending", encoded, sizeof(encoded));
}
