/* Finds files and cuts them into splits: see file_enumerator.h. */
#include "connectors/file/file_enumerator.h"

#include "connectors/file/file.h"
#include "connectors/file/file_split.h"

#include "common/base/allocate.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_COUNT_MAX  1000000
#define SPLIT_COUNT_MAX 1000000

struct found_file {
    char *path;
    uint64_t size;
};

struct found_list {
    struct found_file *files;
    size_t count;
    size_t capacity;
};

enum status file_enumerator_open(void *self, const struct operator_spec *spec, struct error *err)
{
    struct file_enumerator *enumerator = self;
    struct option_value values[FILE_SOURCE_OPTION_COUNT];
    TRY(options_from_settings(file_source_options, spec->settings, spec->setting_count,
                              "connector.", values, err));
    enumerator->path = copy_text(values[FILE_SOURCE_PATH].text);
    enumerator->watch_ms = values[FILE_SOURCE_WATCH].integer;
    enumerator->must_exist = values[FILE_SOURCE_ON_MISSING].integer == FILE_ON_MISSING_FAIL;
    enumerator->split_size = (uint64_t)values[FILE_SOURCE_SPLIT_SIZE].integer;
    enumerator->is_by_name = values[FILE_SOURCE_COMPRESSION].integer == 0;
    if (!enumerator->is_by_name)
        enumerator->compression = (enum compression)(values[FILE_SOURCE_COMPRESSION].integer - 1);
    /* A quoted field of CSV may hold a newline: only the user can know that none does. */
    const char *format = operator_setting(spec, "format");
    if (format != NULL && strcmp(format, "csv") == 0 && !values[FILE_SOURCE_SPLIT_SIZE].is_set)
        enumerator->split_size = 0;
    return STATUS_OK;
}

void file_enumerator_close(void *self)
{
    struct file_enumerator *enumerator = self;
    for (size_t i = 0; i < enumerator->seen_count; i++)
        free(enumerator->seen[i]);
    free(enumerator->seen);
    free(enumerator->path);
    *enumerator = (struct file_enumerator){0};
}

int64_t file_enumerator_interval_ms(const void *self)
{
    const struct file_enumerator *enumerator = self;
    return enumerator->watch_ms > 0 ? enumerator->watch_ms : 1000;
}

/* ---- files ---- */

static void found_list_done(struct found_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->files[i].path);
    free(list->files);
}

static int compare_found(const void *a, const void *b)
{
    return strcmp(((const struct found_file *)a)->path, ((const struct found_file *)b)->path);
}

static int compare_seen(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Adds the path if it is a regular file with content; one that has vanished is none. */
static enum status add_path(struct found_list *list, const char *path, struct error *err)
{
    struct stat found;
    if (stat(path, &found) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return STATUS_OK;
        return error_set_errno(err, errno, "look at %s", path);
    }
    if (!S_ISREG(found.st_mode) || found.st_size == 0)
        return STATUS_OK;
    if (list->count >= FILE_COUNT_MAX)
        return error_set(err, STATUS_LIMIT, "more than %d files: give a narrower path",
                         FILE_COUNT_MAX);
    array_push(list->files, list->count, list->capacity) =
        (struct found_file){.path = copy_text(path), .size = (uint64_t)found.st_size};
    return STATUS_OK;
}

static enum status list_directory(const char *path, struct found_list *list, struct error *err)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        return error_set_errno(err, errno, "read directory %s", path);
    const size_t size = strlen(path);
    const char *slash = size > 0 && path[size - 1] == '/' ? "" : "/";
    enum status status = STATUS_OK;
    while (status == STATUS_OK) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            if (errno != 0)
                status = error_set_errno(err, errno, "read directory %s", path);
            break;
        }
        if (file_name_is_skipped(entry->d_name))
            continue;
        SCOPED_TEXT char *whole = format_text("%s%s%s", path, slash, entry->d_name);
        status = add_path(list, whole, err);
    }
    (void)closedir(directory); /* it was only read */
    return status;
}

static enum status list_glob(const char *pattern, struct found_list *list, struct error *err)
{
    glob_t matches = {0};
    const int code = glob(pattern, GLOB_NOSORT, NULL, &matches);
    enum status status = STATUS_OK;
    if (code != 0 && code != GLOB_NOMATCH)
        status = error_set(err, STATUS_IO, "look for files that match %s: %s", pattern,
                           code == GLOB_NOSPACE ? "too many" : "a directory cannot be read");
    for (size_t i = 0; status == STATUS_OK && i < matches.gl_pathc; i++) {
        const char *slash = strrchr(matches.gl_pathv[i], '/');
        if (!file_name_is_skipped(slash != NULL ? slash + 1 : matches.gl_pathv[i]))
            status = add_path(list, matches.gl_pathv[i], err);
    }
    if (status == STATUS_OK && matches.gl_pathc == 0)
        status = error_set(err, STATUS_NOT_FOUND, "no file matches %s", pattern);
    globfree(&matches);
    return status;
}

static enum status list_files(const char *path, struct found_list *list, struct error *err)
{
    struct stat found;
    if (stat(path, &found) == 0)
        return S_ISDIR(found.st_mode) ? list_directory(path, list, err) : add_path(list, path, err);
    if (strpbrk(path, "*?[") != NULL)
        return list_glob(path, list, err);
    return error_set_errno(err, errno, "read %s", path);
}

/* ---- splits ---- */

static enum status add_splits_of(const struct file_enumerator *enumerator,
                                 const struct found_file *file, struct split_list *list,
                                 struct error *err)
{
    const enum compression compression =
        enumerator->is_by_name ? compression_of_name(file->path) : enumerator->compression;
    const uint64_t split_size = compression == COMPRESSION_NONE ? enumerator->split_size : 0;
    if (strlen(file->path) >= SPLIT_ID_BYTES_MAX - 50)
        return error_set(err, STATUS_LIMIT, "the path %.100s... is too long", file->path);
    const uint64_t step = split_size > 0 ? split_size : UINT64_MAX / 2;
    for (uint64_t start = 0; start < file->size; start += step) {
        if (list->count >= SPLIT_COUNT_MAX)
            return error_set(err, STATUS_LIMIT, "more than %d splits: raise split_size",
                             SPLIT_COUNT_MAX);
        const uint64_t left = file->size - start;
        const struct file_split split = {
            .path = file->path,
            .file_size = file->size,
            .end = left < step ? file->size : start + step,
            .next = start,
            .must_skip = start > 0,
            .compression = compression,
        };
        SCOPED_TEXT char *id =
            split_size > 0 ? format_text("%s:%" PRIu64 "-%" PRIu64, file->path, start, start + step)
                           : format_text("%s:0-", file->path);
        struct text state;
        text_init(&state, SPLIT_STATE_BYTES_MAX);
        file_split_encode(&split, &state);
        split_list_add(list, id, state.bytes, state.size);
        text_done(&state);
    }
    return STATUS_OK;
}

static bool is_seen(const struct file_enumerator *enumerator, size_t count, char *path)
{
    return count > 0 && bsearch(&path, enumerator->seen, count, sizeof(char *), compare_seen);
}

static enum status add_new_files(struct file_enumerator *enumerator, struct found_list *files,
                                 struct split_list *ret_found, struct error *err)
{
    const size_t seen_before = enumerator->seen_count;
    for (size_t i = 0; i < files->count; i++) {
        if (is_seen(enumerator, seen_before, files->files[i].path))
            continue;
        TRY(add_splits_of(enumerator, &files->files[i], ret_found, err));
        if (enumerator->watch_ms > 0)
            array_push(enumerator->seen, enumerator->seen_count, enumerator->seen_capacity) =
                copy_text(files->files[i].path);
    }
    if (enumerator->seen_count > seen_before)
        qsort(enumerator->seen, enumerator->seen_count, sizeof(char *), compare_seen);
    return STATUS_OK;
}

enum status file_enumerator_discover(void *self, struct split_list *ret_found, bool *ret_is_last,
                                     struct error *err)
{
    struct file_enumerator *enumerator = self;
    struct found_list files = {0};
    enum status status = list_files(enumerator->path, &files, err);
    if (status == STATUS_NOT_FOUND && enumerator->must_exist)
        status = error_wrap(err, STATUS_INVALID, "on_missing: fail");
    if (status == STATUS_OK) {
        if (files.count > 0)
            qsort(files.files, files.count, sizeof(*files.files), compare_found);
        status = add_new_files(enumerator, &files, ret_found, err);
    }
    found_list_done(&files);
    if (status == STATUS_OK)
        *ret_is_last = enumerator->watch_ms == 0;
    return status;
}
