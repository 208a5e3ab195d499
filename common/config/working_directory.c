/* process.working-dir: see working_directory.h. */
#include "common/config/working_directory.h"

#include "common/base/allocate.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_DIRECTORY "/var/lib/millstream"
#define FILE_SCHEME      "file://"

enum status directory_prepare(const char *path, char **ret_absolute, struct error *err)
{
    SCOPED_TEXT char *partial = copy_text(path);
    for (char *slash = strchr(partial + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        if (mkdir(partial, 0755) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
            return error_set_errno(err, errno, "make directory %s", partial);
        if (slash == NULL)
            break;
        *slash = '/';
    }
    char *absolute = realpath(path, NULL);
    if (absolute == NULL)
        return error_set_errno(err, errno, "directory %s", path);
    if (access(absolute, R_OK | W_OK | X_OK) != 0) {
        const int access_errno = errno;
        free(absolute);
        return error_set_errno(err, access_errno, "directory %s cannot be written", path);
    }
    *ret_absolute = absolute;
    return STATUS_OK;
}

enum status working_directory_prepare(const struct config *config, char **ret_directory,
                                      struct error *err)
{
    const char *configured = config_text(config, CONFIG_WORKING_DIR);
    if (configured != NULL)
        return directory_prepare(configured, ret_directory, err);
    if (access(SYSTEM_DIRECTORY, W_OK | X_OK) == 0)
        return directory_prepare(SYSTEM_DIRECTORY, ret_directory, err);
    const char *home = getenv("HOME");
    if (home == NULL || *home == '\0')
        return error_set(err, STATUS_INVALID,
                         "no working directory: %s cannot be written and HOME is not set; set "
                         "process.working-dir",
                         SYSTEM_DIRECTORY);
    SCOPED_TEXT char *path = format_text("%s/.local/state/millstream", home);
    return directory_prepare(path, ret_directory, err);
}

enum status checkpoint_directory_prepare(const struct config *config, char **ret_directory,
                                         struct error *err)
{
    const char *configured = config_text(config, CONFIG_CHECKPOINT_DIR);
    if (configured != NULL && strncmp(configured, FILE_SCHEME, strlen(FILE_SCHEME)) == 0)
        configured += strlen(FILE_SCHEME);
    if (configured != NULL && strstr(configured, "://") != NULL)
        return error_set(err, STATUS_UNSUPPORTED,
                         "execution.checkpointing.dir: %s: only directories (a path or file://) "
                         "are supported",
                         configured);
    if (configured != NULL)
        return directory_prepare(configured, ret_directory, err);
    char *working = NULL;
    TRY(working_directory_prepare(config, &working, err));
    SCOPED_TEXT char *path = format_text("%s/checkpoints", working);
    free(working);
    return directory_prepare(path, ret_directory, err);
}
