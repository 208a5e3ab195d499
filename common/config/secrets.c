/* Looks up what ${secret:NAME} stands for: see secrets.h. */
#include "common/config/secrets.h"

#include "common/base/allocate.h"
#include "common/base/text.h"
#include "common/graph/job_graph.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REFERENCE          "${secret:"
#define REFERENCE_SIZE     (sizeof(REFERENCE) - 1)
#define ENVIRONMENT        "MILLSTREAM_SECRET_"
#define NAME_CHARACTERS    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
#define RESOLVED_BYTES_MAX ((size_t)1024 * 1024)

bool secret_is_in(const char *value)
{
    return strstr(value, REFERENCE) != NULL;
}

static void host_name(char *out, size_t size)
{
    if (gethostname(out, size - 1) != 0)
        (void)snprintf(out, size, "this host");
    out[size - 1] = '\0';
}

/* A name is a file's name: nothing in it may lead elsewhere. */
static bool is_name(const char *name)
{
    const size_t size = strlen(name);
    return size > 0 && size <= SECRET_NAME_BYTES_MAX && name[0] != '.' &&
           strspn(name, NAME_CHARACTERS) == size;
}

/* ---- the file ---- */

/* Up to SECRET_VALUE_BYTES_MAX + 1 bytes; -1: see errno. */
static ssize_t read_all(const char *path, char *out)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -1;
    ssize_t total = 0;
    ssize_t count = 1;
    while (total <= SECRET_VALUE_BYTES_MAX && count != 0) {
        count = read(fd, out + total, (size_t)(SECRET_VALUE_BYTES_MAX + 1 - total));
        if (count < 0 && errno != EINTR)
            break;
        total += count > 0 ? count : 0;
    }
    const int reason = errno;
    (void)close(fd);
    errno = reason;
    return count < 0 ? -1 : total;
}

static enum status check_file(const char *name, const char *path, const char *bytes, size_t size,
                              struct error *err)
{
    if (size > SECRET_VALUE_BYTES_MAX)
        return error_set(err, STATUS_INVALID, "secret \"%s\": %s is longer than %d bytes", name,
                         path, SECRET_VALUE_BYTES_MAX);
    if (memchr(bytes, '\0', size) != NULL)
        return error_set(err, STATUS_INVALID, "secret \"%s\": %s holds a NUL byte", name, path);
    return STATUS_OK;
}

/* Appends the value; *ret_is_found: there is such a file. */
static enum status from_file(const char *directory, const char *name, struct text *out,
                             bool *ret_is_found, struct error *err)
{
    *ret_is_found = false;
    SCOPED_TEXT char *path = format_text("%s/%s", directory, name);
    SCOPED_TEXT char *bytes = allocate(SECRET_VALUE_BYTES_MAX + 1);
    const ssize_t count = read_all(path, bytes);
    if (count < 0 && (errno == ENOENT || errno == ENOTDIR))
        return STATUS_OK;
    if (count < 0) {
        const int reason = errno;
        char host[256];
        host_name(host, sizeof(host));
        return error_set(err, STATUS_INVALID, "secret \"%s\": cannot read %s on %s: %s", name, path,
                         host, strerror(reason));
    }
    size_t size = (size_t)count;
    TRY(check_file(name, path, bytes, size, err));
    if (size > 0 && bytes[size - 1] == '\n')
        size--;
    if (size > 0 && bytes[size - 1] == '\r')
        size--;
    text_append_bytes(out, bytes, size);
    explicit_bzero(bytes, SECRET_VALUE_BYTES_MAX + 1);
    *ret_is_found = true;
    return STATUS_OK;
}

/* ---- the environment ---- */

static const char *get_variable(const struct secret_places *places, const char *name)
{
    return places->get_env != NULL ? places->get_env(places->env_context, name) : getenv(name);
}

static void variable_name(const char *name, char *out, size_t size)
{
    (void)snprintf(out, size, ENVIRONMENT "%s", name);
    for (char *at = out + sizeof(ENVIRONMENT) - 1; *at != '\0'; at++) {
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
        else if (*at == '-' || *at == '.')
            *at = '_';
    }
}

static bool from_environment(const struct secret_places *places, const char *name, struct text *out)
{
    char variable[sizeof(ENVIRONMENT) + SECRET_NAME_BYTES_MAX];
    (void)snprintf(variable, sizeof(variable), ENVIRONMENT "%s", name);
    const char *value = get_variable(places, variable);
    if (value == NULL) {
        variable_name(name, variable, sizeof(variable));
        value = get_variable(places, variable);
    }
    if (value != NULL)
        text_append(out, value);
    return value != NULL;
}

/* ---- references ---- */

static enum status append_secret(const struct secret_places *places, const char *name,
                                 struct text *out, struct error *err)
{
    if (!is_name(name))
        return error_set(
            err, STATUS_INVALID,
            "\"%.100s\" is no name of a secret: letters, digits, '-', '_' and '.' are, "
            "up to %d of them, without a '.' in front",
            name, SECRET_NAME_BYTES_MAX);
    if (places->directory != NULL) {
        bool is_found;
        TRY(from_file(places->directory, name, out, &is_found, err));
        if (is_found)
            return STATUS_OK;
    }
    if (from_environment(places, name, out))
        return STATUS_OK;
    char host[256];
    host_name(host, sizeof(host));
    char variable[sizeof(ENVIRONMENT) + SECRET_NAME_BYTES_MAX];
    variable_name(name, variable, sizeof(variable));
    return error_set(err, STATUS_INVALID,
                     "secret \"%s\" is missing on %s: there is neither a file %s/%s "
                     "(security.secrets.dir) nor an environment variable %s of this process",
                     name, host, places->directory != NULL ? places->directory : "(none)", name,
                     variable);
}

enum status secret_resolve(const struct secret_places *places, const char *value, char **ret_value,
                           struct error *err)
{
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, RESOLVED_BYTES_MAX);
    const char *at = value;
    for (const char *from = strstr(at, REFERENCE); from != NULL; from = strstr(at, REFERENCE)) {
        const char *name = from + REFERENCE_SIZE;
        const char *end = strchr(name, '}');
        if (end == NULL)
            return error_set(err, STATUS_INVALID, "%s lacks its closing brace", REFERENCE);
        text_append_bytes(&out, at, (size_t)(from - at));
        SCOPED_TEXT char *copy = copy_text_n(name, (size_t)(end - name));
        TRY(append_secret(places, copy, &out, err));
        at = end + 1;
    }
    text_append(&out, at);
    if (out.overflowed)
        return error_set(err, STATUS_INVALID, "longer than %zu bytes with its secrets",
                         RESOLVED_BYTES_MAX);
    *ret_value = text_take(&out);
    return STATUS_OK;
}

/* ---- graphs ---- */

static bool is_option(const char *key)
{
    return strncmp(key, "connector.", 10) == 0 || strncmp(key, "format.", 7) == 0;
}

enum status secrets_resolve_operator(const struct secret_places *places, struct operator_spec *spec,
                                     struct error *err)
{
    if (strcmp(spec->kind, "source") != 0 && strcmp(spec->kind, "sink") != 0)
        return STATUS_OK;
    for (uint32_t i = 0; i < spec->setting_count; i++) {
        struct setting *setting = &spec->settings[i];
        if (!is_option(setting->key) || !secret_is_in(setting->value))
            continue;
        char *value = NULL;
        const enum status status = secret_resolve(places, setting->value, &value, err);
        if (status != STATUS_OK)
            return error_wrap(err, status, "node \"%s\", option %s", spec->name,
                              strchr(setting->key, '.') + 1);
        free(setting->value);
        setting->value = value;
    }
    return STATUS_OK;
}

enum status secrets_resolve_graph(const struct secret_places *places, struct job_graph *graph,
                                  struct error *err)
{
    for (uint32_t i = 0; i < graph->operator_count; i++)
        TRY(secrets_resolve_operator(places, &graph->operators[i], err));
    return STATUS_OK;
}
