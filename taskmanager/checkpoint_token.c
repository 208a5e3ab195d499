/* The token of the checkpoint directory: see checkpoint_token.h. */
#include "taskmanager/checkpoint_token.h"

#include "common/base/allocate.h"
#include "common/base/ids.h"
#include "common/config/working_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

void checkpoint_token_read(const char *directory, char **ret_token, char **ret_error)
{
    SCOPED_TEXT char *path = format_text("%s/%s", directory, CHECKPOINT_TOKEN_FILE);
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    char token[ID_TEXT_SIZE] = "";
    const ssize_t size = file < 0 ? -1 : read(file, token, ID_TEXT_SIZE - 1);
    const int read_errno = errno;
    if (file >= 0)
        (void)close(file);
    *ret_token = copy_text(size >= 0 ? token : "");
    *ret_error = size >= 0 ? copy_text("") : format_text("%s: %s", path, strerror(read_errno));
}
