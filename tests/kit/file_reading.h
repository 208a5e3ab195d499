/* Reading with the source "file" in tests: what its first column gives, a line for each row. */
#ifndef TESTS_KIT_FILE_READING_H
#define TESTS_KIT_FILE_READING_H

#include "tests/kit/connector_kit.h"

const struct source_connector *file_source(void);

enum status file_source_discover(struct connector_kit *kit, struct split_list *list, bool *is_last,
                                 struct error *err);

/* A reader with these splits; the format is that of kit's settings. */
void *file_reader_open(struct connector_kit *kit, const struct split_list *splits);
void file_reader_close(void *reader);
/* Polls once; appends rows. */
enum poll file_reader_poll(struct connector_kit *kit, void *reader, struct text *out,
                           struct error *err);
/* Polls until no split is left or the reader fails. With restore_each a fresh reader goes on from a
 * snapshot after every batch. */
enum poll file_reader_poll_all(struct connector_kit *kit, const struct split_list *splits,
                               bool restore_each, struct text *out, struct error *err);
/* The same; a failure fails the test. */
void file_reader_read_all(struct connector_kit *kit, const struct split_list *splits,
                          bool restore_each, struct text *out);

#endif
