/* The job file of `run` and `info`: see job_text.h. */
#include "client/job_text.h"

#include "common/base/allocate.h"
#include "common/base/clock.h"
#include "compiler/compile.h"
#include "connectors/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPORT_BYTES_MAX (1024 * 1024)

static enum status read_all(int file, const char *path, struct text *text, struct error *err)
{
    char block[65536];
    ssize_t size = 0;
    do {
        size = read(file, block, sizeof(block));
        if (size > 0)
            text_append_bytes(text, block, (size_t)size);
    } while ((size > 0 && !text->overflowed) || (size < 0 && errno == EINTR));
    if (size < 0)
        return error_set_errno(err, errno, "read %s", path);
    if (text->overflowed)
        return error_set(err, STATUS_INVALID, "%s is larger than %d bytes: is it a job file?", path,
                         JOB_DEFINITION_BYTES_MAX);
    return STATUS_OK;
}

enum status job_text_read(const char *path, struct text *ret_text, struct error *err)
{
    const bool is_standard_input = strcmp(path, "-") == 0;
    const int file = is_standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return error_set_errno(err, errno, "job file %s", path);
    text_init(ret_text, JOB_DEFINITION_BYTES_MAX);
    const enum status status = read_all(file, path, ret_text, err);
    if (!is_standard_input)
        (void)close(file);
    if (status != STATUS_OK)
        text_done(ret_text);
    return status;
}

static const char *get_environment(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

char *job_text_submitter(void)
{
    char host[256] = "localhost";
    (void)gethostname(host, sizeof(host) - 1);
    struct passwd entry;
    struct passwd *found = NULL;
    char buffer[4096];
    (void)getpwuid_r(getuid(), &entry, buffer, sizeof(buffer), &found);
    return found != NULL ? format_text("%s@%s", found->pw_name, host)
                         : format_text("%lu@%s", (unsigned long)getuid(), host);
}

/* `run --local` is its own cluster: keys of the cluster are for its daemons, not for the job. */
static uint32_t take_job_keys(const struct arguments *arguments, struct setting *settings)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < arguments->config_count; i++) {
        const int key = config_find_key(arguments->config[i].key);
        const bool is_cluster_key =
            key >= 0 && config_key_scope((enum config_key)key) == CONFIG_SCOPE_CLUSTER;
        if (!arguments->is_local || !is_cluster_key)
            settings[count++] = arguments->config[i];
    }
    return count;
}

enum status job_text_compile(const struct arguments *arguments, const char *path,
                             const struct text *text, const struct config *config,
                             struct job_graph **ret_graph)
{
    SCOPED_TEXT char *submitter = job_text_submitter();
    struct setting *overrides = allocate_array(arguments->config_count, sizeof(*overrides));
    const struct compile_options options = {
        .registry = connector_registry_builtin(),
        .parameters = arguments->parameters,
        .parameter_count = arguments->parameter_count,
        .parallelism = (uint32_t)arguments->parallelism,
        .overrides = overrides,
        .override_count = take_job_keys(arguments, overrides),
        .cluster_config = config,
        .get_env = get_environment,
        .wall_ms = clock_wall_ms(clock_system()),
        .submitter = submitter,
    };
    struct compile_report report = {0};
    const enum status status = compile_job(text->bytes, text->size, &options, ret_graph, &report);
    struct text shown;
    text_init(&shown, REPORT_BYTES_MAX);
    compile_report_format(&report, path, &shown);
    (void)fputs(shown.bytes, stderr);
    text_done(&shown);
    compile_report_done(&report);
    free(overrides);
    return status;
}
