/*
 * How many retained checkpoints refer to each shared file. Sorted by path, so that walks are the
 * same everywhere. Rebuilt from the retained _metadata at every leader start.
 */
#ifndef JOBMANAGER_CHECKPOINT_FILE_REGISTRY_H
#define JOBMANAGER_CHECKPOINT_FILE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct registered_file {
    char *path;
    uint32_t references;
};

struct file_registry {
    struct registered_file *files;
    size_t count;
    size_t capacity;
};

void file_registry_done(struct file_registry *registry);
bool file_registry_has(const struct file_registry *registry, const char *path);
void file_registry_ref(struct file_registry *registry, const char *path);
/* true: that was the last reference, and the entry is gone. An unknown path is false. */
bool file_registry_unref(struct file_registry *registry, const char *path);

/* A growing list of owned paths. */
struct path_list {
    char **paths;
    size_t count;
    size_t capacity;
};

void path_list_add(struct path_list *list, const char *path);
void path_list_done(struct path_list *list);

#endif
