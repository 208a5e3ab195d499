/* Values of the configuration by key: see config.h. Its sources are in config_load.c. */
#include "common/config/config.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/config/config_internal.h"

#include <stdlib.h>
#include <string.h>

static const char *const config_log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const config_log_formats[] = {"text", "json", NULL};
static const char *const config_ha_types[] = {"directory", "none", "zookeeper", NULL};
static const char *const config_retentions[] = {"RETAIN_ON_CANCELLATION", "DELETE_ON_CANCELLATION",
                                                NULL};
static const char *const config_backends[] = {"rocksdb", "memory", "hashmap", NULL};
static const char *const config_restart_strategies[] = {"none", "fixed-delay", "exponential-delay",
                                                        "failure-rate", NULL};

const struct option_spec config_table[] = {
#define X(symbol, key_name, key_alias, key_type, key_fallback, key_choices, key_min, key_max,      \
          scope, key_flags, key_help)                                                              \
    {.name = key_name,                                                                             \
     .type = OPTION_##key_type,                                                                    \
     .fallback = key_fallback,                                                                     \
     .flags = key_flags,                                                                           \
     .choices = key_choices,                                                                       \
     .alias = key_alias,                                                                           \
     .min = key_min,                                                                               \
     .max = key_max,                                                                               \
     .help = key_help},
    CONFIG_KEY_TABLE(X)
#undef X
        {.name = NULL},
};

static const enum config_scope scopes[] = {
#define X(symbol, name, alias, type, fallback, choices, min, max, scope, flags, help)              \
    CONFIG_SCOPE_##scope,
    CONFIG_KEY_TABLE(X)
#undef X
};

enum config_scope config_key_scope(enum config_key key)
{
    return scopes[key];
}

struct config {
    struct option_value values[CONFIG_KEY_COUNT]; /* text is owned where is_set */
    char *origins[CONFIG_KEY_COUNT];
    char *file;
};

struct config *config_create(void)
{
    struct config *config = allocate(sizeof(*config));
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        if (config_table[i].fallback == NULL)
            continue;
        const enum status code = option_parse(&config_table[i], config_table[i].fallback,
                                              OPTION_UNITS_OPTIONAL, &config->values[i], NULL);
        CHECK(code == STATUS_OK);
        config->values[i].is_set = false;
    }
    return config;
}

struct config *config_copy(const struct config *config)
{
    struct config *copy = copy_memory(config, sizeof(*config));
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        if (copy->values[i].is_set)
            copy->values[i].text = copy_text(config->values[i].text);
        if (copy->origins[i] != NULL)
            copy->origins[i] = copy_text(config->origins[i]);
    }
    if (config->file != NULL)
        copy->file = copy_text(config->file);
    return copy;
}

void config_destroy(struct config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        if (config->values[i].is_set)
            free((char *)(uintptr_t)config->values[i].text);
        free(config->origins[i]);
    }
    free(config->file);
    free(config);
}

int config_find_key(const char *name)
{
    const struct option_spec *spec = option_find(config_table, name);
    return spec == NULL ? -1 : (int)(spec - config_table);
}

enum status config_set(struct config *config, const char *name, const char *value,
                       const char *origin, struct error *err)
{
    const int key = config_find_key(name);
    if (key < 0) {
        const char *nearest = option_nearest(config_table, name);
        if (nearest != NULL)
            return error_set(err, STATUS_NOT_FOUND, "unknown key \"%.100s\": did you mean \"%s\"?",
                             name, nearest);
        return error_set(err, STATUS_NOT_FOUND,
                         "unknown key \"%.100s\" (docs/configuration.md lists all keys)", name);
    }
    struct option_value parsed;
    TRY(option_parse(&config_table[key], value, OPTION_UNITS_OPTIONAL, &parsed, err));
    parsed.text = copy_text(value);
    if (config->values[key].is_set)
        free((char *)(uintptr_t)config->values[key].text);
    free(config->origins[key]);
    config->values[key] = parsed;
    config->origins[key] = copy_text(origin);
    return STATUS_OK;
}

void config_set_file(struct config *config, const char *file)
{
    free(config->file);
    config->file = copy_text(file);
}

const char *config_file(const struct config *config)
{
    return config->file;
}

struct config *config_of_job(const struct job_graph *graph)
{
    struct config *config = config_create();
    for (uint32_t i = 0; i < graph->config_count; i++) {
        if (config_set(config, graph->config[i].key, graph->config[i].value, "job", NULL) !=
            STATUS_OK)
            continue;
    }
    return config;
}

static int compare_settings(const void *a, const void *b)
{
    return strcmp(((const struct setting *)a)->key, ((const struct setting *)b)->key);
}

void config_job_settings(const struct config *config, struct setting **ret_settings,
                         uint32_t *ret_count)
{
    struct setting *settings = allocate_array(CONFIG_KEY_COUNT, sizeof(*settings));
    uint32_t count = 0;
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        if (scopes[i] == CONFIG_SCOPE_JOB && config->values[i].text != NULL)
            settings[count++] = (struct setting){copy_text(config_table[i].name),
                                                 copy_text(config->values[i].text)};
    }
    qsort(settings, count, sizeof(*settings), compare_settings);
    *ret_settings = settings;
    *ret_count = count;
}

/* ---- typed access ---- */

const char *config_text(const struct config *config, enum config_key key)
{
    return config->values[key].text;
}

bool config_bool(const struct config *config, enum config_key key)
{
    CHECK(config_table[key].type == OPTION_BOOL);
    return config->values[key].boolean;
}

static int64_t integer_of(const struct config *config, enum config_key key, enum option_type type)
{
    CHECK(config_table[key].type == type);
    return config->values[key].integer;
}

int64_t config_int(const struct config *config, enum config_key key)
{
    return integer_of(config, key, OPTION_INT);
}

int64_t config_choice(const struct config *config, enum config_key key)
{
    return integer_of(config, key, OPTION_ENUM);
}

int64_t config_size_bytes(const struct config *config, enum config_key key)
{
    return integer_of(config, key, OPTION_SIZE);
}

int64_t config_duration_ms(const struct config *config, enum config_key key)
{
    return integer_of(config, key, OPTION_DURATION);
}

double config_double(const struct config *config, enum config_key key)
{
    CHECK(config_table[key].type == OPTION_DOUBLE);
    return config->values[key].real;
}

bool config_is_set(const struct config *config, enum config_key key)
{
    return config->values[key].is_set;
}

void config_show(const struct config *config, bool only_set, struct text *out)
{
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const struct option_value *value = &config->values[i];
        if (value->text == NULL || (only_set && !value->is_set))
            continue;
        const bool is_secret = (config_table[i].flags & OPTION_SECRET) != 0;
        text_format(out, "%s: %s", config_table[i].name, is_secret ? "******" : value->text);
        if (value->is_set)
            text_format(out, "  # %s", config->origins[i]);
        text_append_char(out, '\n');
    }
}
