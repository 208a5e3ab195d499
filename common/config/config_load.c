/* Where the configuration comes from: file, environment, command line. See config.h. */
#include "common/config/config.h"

#include "common/base/allocate.h"
#include "common/config/config_internal.h"
#include "common/config/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES_MAX      300
#define PROPERTY_BYTES_MAX 65536

struct loader {
    struct config *config;
    struct config_report *report;
    const char *origin; /* file name, "-D", "MILLSTREAM_PROPERTIES" */
};

void config_report_done(struct config_report *report)
{
    for (size_t i = 0; i < report->error_count; i++)
        free(report->errors[i]);
    for (size_t i = 0; i < report->warning_count; i++)
        free(report->warnings[i]);
    free(report->errors);
    free(report->warnings);
    *report = (struct config_report){0};
}

__attribute__((format(printf, 2, 3))) static void report_error(struct config_report *report,
                                                               const char *format, ...)
{
    char message[ERROR_MESSAGE_MAX + 200];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    char **slot = &array_push(report->errors, report->error_count, report->error_capacity);
    *slot = copy_text(message);
}

static void set_one(struct loader *loader, const char *key, const char *value, uint32_t line)
{
    char where[PATH_MAX + 40];
    if (line > 0)
        (void)snprintf(where, sizeof(where), "%s:%u", loader->origin, line);
    else
        (void)snprintf(where, sizeof(where), "%s", loader->origin);
    struct error err;
    const enum status code = config_set(loader->config, key, value, where, &err);
    if (code == STATUS_NOT_FOUND) {
        char **slot = &array_push(loader->report->warnings, loader->report->warning_count,
                                  loader->report->warning_capacity);
        *slot = format_text("%s: %s", where, err.message);
    } else if (code != STATUS_OK) {
        report_error(loader->report, "%s: %s", where, err.message);
    }
}

/* ---- the file ---- */

static void on_yaml_problem(void *context, uint32_t line, uint32_t column, const char *message)
{
    const struct loader *loader = context;
    report_error(loader->report, "%s:%u:%u: %s", loader->origin, line, column, message);
}

static void set_list(struct loader *loader, const char *key, const struct yaml_node *list)
{
    struct text joined SCOPED_TEXT_BUFFER;
    text_init(&joined, PROPERTY_BYTES_MAX);
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i]->kind != YAML_SCALAR) {
            report_error(loader->report, "%s:%u: \"%s\": a list of texts is expected",
                         loader->origin, list->items[i]->line, key);
            return;
        }
        text_format(&joined, "%s%s", i > 0 ? "," : "", list->items[i]->text);
    }
    set_one(loader, key, joined.bytes, list->line);
}

/* Nested and dotted keys are the same: rest: {port: 1} and rest.port: 1. The depth is bounded by
 * YAML_DEPTH_MAX. */
static void set_tree(struct loader *loader, const char *prefix, const struct yaml_node *map)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct yaml_entry *entry = &map->entries[i];
        char key[KEY_BYTES_MAX];
        const int size = snprintf(key, sizeof(key), "%s%s%s", prefix, prefix[0] != '\0' ? "." : "",
                                  entry->key->text);
        if (size < 0 || (size_t)size >= sizeof(key)) {
            report_error(loader->report, "%s:%u: a key is longer than %d bytes", loader->origin,
                         entry->key->line, KEY_BYTES_MAX - 1);
            continue;
        }
        switch (entry->value->kind) {
        case YAML_MAP:
            set_tree(loader, key, entry->value);
            break;
        case YAML_LIST:
            set_list(loader, key, entry->value);
            break;
        case YAML_SCALAR:
            if (!yaml_is_bare(entry->value))
                set_one(loader, key, entry->value->text, entry->key->line);
            break;
        }
    }
}

static enum status read_file(const char *path, char **ret_bytes, size_t *ret_size,
                             struct error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "open %s", path);
    char *bytes = allocate(CONFIG_FILE_BYTES_MAX + 1);
    size_t size = 0;
    ssize_t got = 0;
    while (size <= CONFIG_FILE_BYTES_MAX &&
           (got = read(fd, bytes + size, CONFIG_FILE_BYTES_MAX + 1 - size)) > 0)
        size += (size_t)got;
    const int read_errno = errno;
    (void)close(fd);
    if (got < 0 || size > CONFIG_FILE_BYTES_MAX) {
        free(bytes);
        return got < 0 ? error_set_errno(err, read_errno, "read %s", path)
                       : error_set(err, STATUS_LIMIT, "%s has more than %d bytes", path,
                                   CONFIG_FILE_BYTES_MAX);
    }
    *ret_bytes = bytes;
    *ret_size = size;
    return STATUS_OK;
}

/* path: what loader->origin is meanwhile. */
static void read_tree(struct loader *loader, const char *path)
{
    struct error err;
    SCOPED_TEXT char *bytes = NULL;
    size_t size = 0;
    if (read_file(path, &bytes, &size, &err) != STATUS_OK) {
        report_error(loader->report, "configuration: %s", err.message);
        return;
    }
    config_set_file(loader->config, path);
    SCOPED(yaml_document_destroy) struct yaml_document *document = NULL;
    if (yaml_read(bytes, size, "configuration file", on_yaml_problem, loader, &document) !=
        STATUS_OK)
        return;
    const struct yaml_node *root = yaml_root(document);
    if (root == NULL || yaml_is_bare(root))
        return;
    if (root->kind == YAML_MAP)
        set_tree(loader, "", root);
    else
        report_error(loader->report, "%s:%u: lines of the form \"key: value\" are expected", path,
                     root->line);
}

static void load_file(struct loader *loader, const char *path)
{
    loader->origin = path;
    read_tree(loader, path);
    loader->origin = NULL;
}

static const char *env_of(const struct config_sources *sources, const char *name)
{
    const char *value =
        sources->get_env != NULL ? sources->get_env(sources->env_context, name) : NULL;
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static void find_and_load_file(struct loader *loader, const struct config_sources *sources)
{
    if (sources->file != NULL) {
        load_file(loader, sources->file);
        return;
    }
    const char *from_env = env_of(sources, "MILLSTREAM_CONF_DIR");
    if (from_env == NULL)
        from_env = env_of(sources, "FLINK_CONF_DIR");
    const char *const folders[] = {from_env, "conf", "/etc/millstream"};
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        char path[PATH_MAX];
        if (folders[i] == NULL)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folders[i], CONFIG_FILE_NAME);
        if (access(path, F_OK) == 0) {
            load_file(loader, path);
            return;
        }
    }
}

/* ---- environment and command line ---- */

static char *trimmed(const char *text, size_t size)
{
    while (size > 0 && strchr(" \t\r", text[0]) != NULL) {
        text++;
        size--;
    }
    while (size > 0 && strchr(" \t\r", text[size - 1]) != NULL)
        size--;
    return copy_text_n(text, size);
}

static void load_properties(struct loader *loader, const char *name, const char *lines)
{
    loader->origin = name;
    if (strlen(lines) > PROPERTY_BYTES_MAX) {
        report_error(loader->report, "%s has more than %d bytes", name, PROPERTY_BYTES_MAX);
        return;
    }
    uint32_t number = 0;
    for (const char *line = lines; *line != '\0';) {
        const size_t size = strcspn(line, "\n");
        number++;
        SCOPED_TEXT char *whole = trimmed(line, size);
        const char *colon = strstr(whole, ": ");
        if (colon == NULL && strchr(whole, ':') != NULL && whole[strlen(whole) - 1] != ':')
            colon = strchr(whole, ':');
        if (colon != NULL && whole[0] != '#') {
            SCOPED_TEXT char *key = trimmed(whole, (size_t)(colon - whole));
            SCOPED_TEXT char *value = trimmed(colon + 1, strlen(colon + 1));
            set_one(loader, key, value, number);
        } else if (whole[0] != '\0' && whole[0] != '#') {
            report_error(loader->report, "%s:%u: expected \"key: value\", got \"%.100s\"", name,
                         number, whole);
        }
        line += size;
        line += *line == '\n';
    }
}

static void load_environment(struct loader *loader, const struct config_sources *sources)
{
    /* Variables of Flink's container image. */
    static const struct {
        const char *variable;
        const char *key;
    } image[] = {
        {"JOB_MANAGER_RPC_ADDRESS", "jobmanager.rpc.address"},
        {"TASK_MANAGER_NUMBER_OF_TASK_SLOTS", "taskmanager.numberOfTaskSlots"},
    };
    for (size_t i = 0; i < sizeof(image) / sizeof(image[0]); i++) {
        const char *value = env_of(sources, image[i].variable);
        loader->origin = image[i].variable;
        if (value != NULL)
            set_one(loader, image[i].key, value, 0);
    }
    static const char *const names[] = {"FLINK_PROPERTIES", "MILLSTREAM_PROPERTIES"};
    for (size_t i = 0; i < 2; i++) {
        const char *lines = env_of(sources, names[i]);
        if (lines != NULL)
            load_properties(loader, names[i], lines);
    }
}

static void load_overrides(struct loader *loader, const struct config_sources *sources)
{
    loader->origin = "-D";
    for (size_t i = 0; i < sources->override_count; i++) {
        const char *text = sources->overrides[i];
        const char *equals = strchr(text, '=');
        if (equals == NULL || equals == text) {
            report_error(loader->report, "-D %.100s: expected key=value", text);
            continue;
        }
        SCOPED_TEXT char *key = copy_text_n(text, (size_t)(equals - text));
        set_one(loader, key, equals + 1, 0);
    }
}

/* What no single value can tell. */
static void check_together(struct loader *loader)
{
    const struct config *config = loader->config;
    static const enum config_key parts[] = {CONFIG_MEMORY_EXCHANGE, CONFIG_MEMORY_STATE_CACHE,
                                            CONFIG_MEMORY_WRITE_QUEUE, CONFIG_MEMORY_ROCKSDB};
    double sum = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        sum += config_double(config, parts[i]);
    if (sum > 0.95)
        report_error(loader->report,
                     "the fractions taskmanager.memory.*.fraction add up to %.2f: at most 0.95 "
                     "leaves room for the process itself",
                     sum);
    if (config_duration_ms(config, CONFIG_HEARTBEAT_TIMEOUT) <=
        config_duration_ms(config, CONFIG_HEARTBEAT_INTERVAL))
        report_error(loader->report,
                     "heartbeat.timeout (%s) must be longer than heartbeat.interval (%s)",
                     config_text(config, CONFIG_HEARTBEAT_TIMEOUT),
                     config_text(config, CONFIG_HEARTBEAT_INTERVAL));
    if (config_choice(config, CONFIG_HIGH_AVAILABILITY) == CONFIG_HA_ZOOKEEPER)
        report_error(loader->report, "high-availability.type: zookeeper comes in a later version: "
                                     "use directory or none");
}

enum status config_load(const struct config_sources *sources, struct config **ret_config,
                        struct config_report *report)
{
    *report = (struct config_report){0};
    SCOPED(config_destroy) struct config *config = config_create();
    struct loader loader = {.config = config, .report = report, .origin = ""};
    find_and_load_file(&loader, sources);
    load_environment(&loader, sources);
    load_overrides(&loader, sources);
    check_together(&loader);
    if (report->error_count > 0)
        return STATUS_INVALID;
    *ret_config = take_pointer(&config);
    return STATUS_OK;
}
