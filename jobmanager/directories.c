/* Where a JobManager keeps things: see directories.h. */
#include "jobmanager/directories.h"

#include "common/base/allocate.h"
#include "common/base/ids.h"
#include "common/config/working_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static enum status prepare_job_store(const struct config *config, char **ret_directory,
                                     struct error *err)
{
    if (config_choice(config, CONFIG_HIGH_AVAILABILITY) == CONFIG_HA_ZOOKEEPER)
        return error_set(err, STATUS_UNSUPPORTED,
                         "high-availability.type: zookeeper comes later; use directory or none");
    if (config_choice(config, CONFIG_HIGH_AVAILABILITY) == CONFIG_HA_NONE)
        return STATUS_OK;
    const char *configured = config_text(config, CONFIG_HIGH_AVAILABILITY_DIR);
    if (configured != NULL)
        return directory_prepare(configured, ret_directory, err);
    char *working = NULL;
    TRY(working_directory_prepare(config, &working, err));
    SCOPED_TEXT char *path = format_text("%s/ha", working);
    free(working);
    return directory_prepare(path, ret_directory, err);
}

enum status directories_prepare(const struct config *config, struct directories *ret_directories,
                                struct error *err)
{
    struct directories directories = {0};
    enum status status = prepare_job_store(config, &directories.job_store, err);
    if (status != STATUS_OK)
        return error_wrap(err, status, "job store (high-availability.storageDir)");
    status = checkpoint_directory_prepare(config, &directories.checkpoints, err);
    if (status != STATUS_OK) {
        directories_done(&directories);
        return error_wrap(err, status, "checkpoints (execution.checkpointing.dir)");
    }
    *ret_directories = directories;
    return STATUS_OK;
}

void directories_done(struct directories *directories)
{
    free(directories->job_store);
    free(directories->checkpoints);
    *directories = (struct directories){0};
}

static enum status write_token(const char *path, struct error *err)
{
    char token[ID_TEXT_SIZE];
    id128_format(id128_random(), token);
    token[ID_TEXT_SIZE - 1] = '\n'; /* in the NUL's place: what is written is no string */
    SCOPED_TEXT char *temporary = format_text("%s.%ld", path, (long)getpid());
    const int file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0)
        return error_set_errno(err, errno, "write %s", temporary);
    const bool is_written = write(file, token, ID_TEXT_SIZE) == ID_TEXT_SIZE && fsync(file) == 0;
    const int write_errno = errno;
    (void)close(file);
    /* link, not rename: of two JobManagers that start at once the first one's token stays. */
    const bool is_placed = is_written && (link(temporary, path) == 0 || errno == EEXIST);
    const int place_errno = errno;
    (void)unlink(temporary);
    if (!is_placed)
        return error_set_errno(err, is_written ? place_errno : write_errno, "write %s", path);
    return STATUS_OK;
}

enum status checkpoint_token_prepare(const char *directory, char **ret_token, struct error *err)
{
    SCOPED_TEXT char *path = format_text("%s/%s", directory, CHECKPOINT_TOKEN_FILE);
    if (access(path, F_OK) != 0)
        TRY(write_token(path, err));
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    char token[ID_TEXT_SIZE] = "";
    const ssize_t size = file < 0 ? -1 : read(file, token, ID_TEXT_SIZE - 1);
    const int read_errno = errno;
    if (file >= 0)
        (void)close(file);
    if (size < 0)
        return error_set_errno(err, read_errno, "read %s", path);
    struct id128 id;
    if (id128_parse(token, &id, NULL) != STATUS_OK)
        return error_set(err, STATUS_CORRUPT, "%s holds no token; remove it if no cluster uses %s",
                         path, directory);
    *ret_token = copy_text(token);
    return STATUS_OK;
}
