/* Reference counts of shared files. */
#include "jobmanager/checkpoint/file_registry.h"

#include "common/base/allocate.h"

#include <string.h>

/* The place of path, or where it belongs. */
static size_t find_place(const struct file_registry *registry, const char *path, bool *ret_found)
{
    size_t low = 0;
    size_t high = registry->count;
    *ret_found = false;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(registry->files[middle].path, path);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void file_registry_done(struct file_registry *registry)
{
    for (size_t i = 0; i < registry->count; i++)
        free(registry->files[i].path);
    free(registry->files);
    *registry = (struct file_registry){0};
}

bool file_registry_has(const struct file_registry *registry, const char *path)
{
    bool found;
    (void)find_place(registry, path, &found);
    return found;
}

void file_registry_ref(struct file_registry *registry, const char *path)
{
    bool found;
    const size_t place = find_place(registry, path, &found);
    if (found) {
        registry->files[place].references++;
        return;
    }
    (void)array_push(registry->files, registry->count, registry->capacity);
    memmove(registry->files + place + 1, registry->files + place,
            (registry->count - 1 - place) * sizeof(*registry->files));
    registry->files[place] = (struct registered_file){.path = copy_text(path), .references = 1};
}

bool file_registry_unref(struct file_registry *registry, const char *path)
{
    bool found;
    const size_t place = find_place(registry, path, &found);
    if (!found || --registry->files[place].references > 0)
        return false;
    free(registry->files[place].path);
    registry->count--;
    memmove(registry->files + place, registry->files + place + 1,
            (registry->count - place) * sizeof(*registry->files));
    return true;
}

void path_list_add(struct path_list *list, const char *path)
{
    array_push(list->paths, list->count, list->capacity) = copy_text(path);
}

void path_list_done(struct path_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->paths[i]);
    free(list->paths);
    *list = (struct path_list){0};
}
