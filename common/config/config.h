/*
 * The configuration of daemons, client and jobs: typed values of the keys in config_keys.h.
 *
 * Later sources win: default < file < MILLSTREAM_PROPERTIES < -D key=value. The file is the one
 * named with --config, else millstream.yaml in $MILLSTREAM_CONF_DIR (or $FLINK_CONF_DIR), ./conf,
 * /etc/millstream, whichever exists first. An unknown key is a warning that names the nearest
 * known one; an ill-typed value is an error; all of them are reported at once.
 *
 * A struct config owns its texts, is filled by one thread and read-only afterwards.
 */
#ifndef COMMON_CONFIG_CONFIG_H
#define COMMON_CONFIG_CONFIG_H

#include "common/base/scoped.h"
#include "common/config/config_keys.h"
#include "common/config/option.h"
#include "common/graph/job_graph.h"

#define CONFIG_FILE_BYTES_MAX (1024 * 1024)
#define CONFIG_FILE_NAME      "millstream.yaml"

enum config_key {
#define X(symbol, name, alias, type, fallback, choices, min, max, scope, flags, help)              \
    CONFIG_##symbol,
    CONFIG_KEY_TABLE(X)
#undef X
        CONFIG_KEY_COUNT
};

enum config_scope { CONFIG_SCOPE_CLUSTER, CONFIG_SCOPE_JOB };

/* The rows, CONFIG_KEY_COUNT of them and an end; index is enum config_key. */
extern const struct option_spec config_table[];
enum config_scope config_key_scope(enum config_key key);

/* Values of ENUM keys are the index of the choice; these name them. */
enum config_ha { CONFIG_HA_DIRECTORY, CONFIG_HA_NONE, CONFIG_HA_ZOOKEEPER };
enum config_retention { CONFIG_RETAIN_ON_CANCELLATION, CONFIG_DELETE_ON_CANCELLATION };
enum config_backend { CONFIG_BACKEND_ROCKSDB, CONFIG_BACKEND_MEMORY, CONFIG_BACKEND_HASHMAP };
enum config_restart {
    CONFIG_RESTART_NONE,
    CONFIG_RESTART_FIXED_DELAY,
    CONFIG_RESTART_EXPONENTIAL_DELAY,
    CONFIG_RESTART_FAILURE_RATE,
};

/* What went wrong, one complete sentence each: "conf/millstream.yaml:3: ...". */
struct config_report {
    char **errors;
    size_t error_count;
    size_t error_capacity;
    char **warnings;
    size_t warning_count;
    size_t warning_capacity;
};
void config_report_done(struct config_report *report);

struct config;

struct config_sources {
    const char *file;             /* --config FILE; NULL: the search order */
    const char *const *overrides; /* "key=value" of each -D */
    size_t override_count;
    /* NULL for an unset variable; getenv in programs, a table in tests. */
    const char *(*get_env)(void *context, const char *name);
    void *env_context;
};

/* Fails if any source is wrong (the reasons are in report); a configuration of defaults only when
 * no source says anything. Warnings are in report in both cases; config_report_done it. */
enum status config_load(const struct config_sources *sources, struct config **ret_config,
                        struct config_report *report) MUST_CHECK;

struct config *config_create(void); /* defaults only */
struct config *config_copy(const struct config *config);
void config_destroy(struct config *config);
DEFINE_SCOPED(struct config, config_destroy)

/* Sets one key by name or alias; origin ("-D", "job.yaml:7") is what config_show tells.
 * STATUS_NOT_FOUND: no such key, err names the nearest one. */
enum status config_set(struct config *config, const char *name, const char *value,
                       const char *origin, struct error *err) MUST_CHECK;
/* The key of a name or alias, or -1. */
int config_find_key(const char *name);

/* The configuration of a job from its graph. Keys this version does not know are left out. */
struct config *config_of_job(const struct job_graph *graph);
/* The job keys that have a value, sorted by name: what goes into job_graph.config. */
void config_job_settings(const struct config *config, struct setting **ret_settings,
                         uint32_t *ret_count);

/* Values by key; the type must be the key's (a programming error otherwise). */
const char *config_text(const struct config *config, enum config_key key); /* NULL: unset */
bool config_bool(const struct config *config, enum config_key key);
int64_t config_int(const struct config *config, enum config_key key);         /* INT */
int64_t config_choice(const struct config *config, enum config_key key);      /* ENUM */
int64_t config_size_bytes(const struct config *config, enum config_key key);  /* 0: unset */
int64_t config_duration_ms(const struct config *config, enum config_key key); /* 0: unset */
double config_double(const struct config *config, enum config_key key);
/* Given by a source, not defaulted. */
bool config_is_set(const struct config *config, enum config_key key);

/* The file that was read, or NULL. */
const char *config_file(const struct config *config);
/* One line "key: value" per key that has a value; secrets as ******. */
void config_show(const struct config *config, bool only_set, struct text *out);

#endif
