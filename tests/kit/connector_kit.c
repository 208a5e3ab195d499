/* A small twin of the task: see connector_kit.h. */
#include "tests/kit/connector_kit.h"

#include "common/base/allocate.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- environment ---- */

struct blocking_call {
    struct connector_kit *kit;
    void (*run)(void *argument);
    void *argument;
};

static void kit_wake(struct operator_env *env)
{
    struct connector_kit *kit = (struct connector_kit *)env;
    pthread_mutex_lock(&kit->lock);
    kit->wakes++;
    pthread_cond_broadcast(&kit->changed);
    pthread_mutex_unlock(&kit->lock);
}

static void *run_call(void *argument)
{
    struct blocking_call *call = argument;
    struct connector_kit *kit = call->kit;
    call->run(call->argument);
    free(call);
    pthread_mutex_lock(&kit->lock);
    kit->running--;
    pthread_cond_broadcast(&kit->changed);
    pthread_mutex_unlock(&kit->lock);
    return NULL;
}

static void kit_run_blocking(struct operator_env *env, void (*run)(void *), void *argument)
{
    struct connector_kit *kit = (struct connector_kit *)env;
    if (kit->blocking == KIT_INLINE) {
        run(argument);
        return;
    }
    struct blocking_call *call = allocate(sizeof(*call));
    *call = (struct blocking_call){kit, run, argument};
    pthread_mutex_lock(&kit->lock);
    kit->running++;
    pthread_mutex_unlock(&kit->lock);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, run_call, call), 0);
    pthread_detach(thread);
}

static enum step kit_row_error(struct operator_env *env, const struct row_error *error,
                               struct emitter *out, struct error *err)
{
    (void)out;
    struct connector_kit *kit = (struct connector_kit *)env;
    if (kit->on_error == ON_ERROR_FAIL) {
        (void)error_set(err, STATUS_RECORD, "%s at %lld: %s", error->cause,
                        (long long)error->position, error->message);
        return STEP_FAILED;
    }
    if (kit->no_room_count > 0) {
        kit->no_room_count--;
        return STEP_AGAIN;
    }
    ck_assert_uint_lt(kit->error_count, KIT_ERROR_MAX);
    kit->errors[kit->error_count++] = (struct kit_row_error){
        .cause = copy_text(error->cause),
        .message = copy_text(error->message),
        .position = error->position,
        .raw = copy_text_n(error->raw, error->raw_size),
        .raw_size = error->raw_size,
    };
    return STEP_DONE;
}

static void kit_event_time(struct operator_env *env, const struct batch_origin *origin,
                           int64_t max_ms)
{
    (void)env;
    (void)origin;
    (void)max_ms;
}

static int64_t kit_watermark_ms(const struct operator_env *env)
{
    (void)env;
    return EVENT_TIME_NONE;
}

static void kit_waits_for(struct operator_env *env, const char *reason)
{
    struct connector_kit *kit = (struct connector_kit *)env;
    free(kit->waits_for);
    kit->waits_for = reason != NULL ? copy_text(reason) : NULL;
}

static bool kit_has_room(const struct emitter *emitter, uint32_t output)
{
    (void)emitter;
    (void)output;
    return true;
}

static void kit_emit(struct emitter *emitter, uint32_t output, struct batch *batch)
{
    (void)emitter;
    (void)output;
    batch_unref(batch);
}

struct connector_kit *connector_kit_create(struct schema *schema, enum kit_blocking blocking, ...)
{
    struct connector_kit *kit = allocate(sizeof(*kit));
    pthread_mutex_init(&kit->lock, NULL);
    pthread_cond_init(&kit->changed, NULL);
    kit->blocking = blocking;
    kit->on_error = ON_ERROR_SKIP;
    kit->ops = (struct operator_env_ops){kit_wake,       kit_run_blocking, kit_row_error,
                                         kit_event_time, kit_watermark_ms, kit_waits_for};
    kit->emitter = (struct emitter){kit_has_room, kit_emit};
    manual_clock_init(&kit->clock, 0);
    kit->output = (struct operator_output){.name = copy_text(""), .schema = schema};
    kit->spec = (struct operator_spec){
        .uid = copy_text("node/source"),
        .name = copy_text("node"),
        .kind = copy_text("source"),
        .parallelism = 1,
        .settings = kit->settings,
        .outputs = &kit->output,
        .output_count = 1,
        .inputs = &kit->output.schema,
        .input_count = 1,
    };
    va_list args;
    va_start(args, blocking);
    for (const char *key; (key = va_arg(args, const char *)) != NULL;) {
        ck_assert_uint_lt(kit->spec.setting_count, KIT_SETTING_MAX);
        kit->settings[kit->spec.setting_count++] =
            (struct setting){copy_text(key), copy_text(va_arg(args, const char *))};
    }
    va_end(args);
    kit->env = (struct operator_env){.ops = &kit->ops,
                                     .spec = &kit->spec,
                                     .attempt = {1},
                                     .parallelism = 1,
                                     .max_parallelism = 128,
                                     .clock = &kit->clock.clock};
    return kit;
}

void connector_kit_destroy(struct connector_kit *kit)
{
    pthread_mutex_lock(&kit->lock);
    while (kit->running > 0)
        pthread_cond_wait(&kit->changed, &kit->lock);
    pthread_mutex_unlock(&kit->lock);
    free(kit->waits_for);
    for (uint32_t i = 0; i < kit->spec.setting_count; i++) {
        free(kit->settings[i].key);
        free(kit->settings[i].value);
    }
    for (uint32_t i = 0; i < kit->error_count; i++) {
        free(kit->errors[i].cause);
        free(kit->errors[i].message);
        free(kit->errors[i].raw);
    }
    free(kit->spec.uid);
    free(kit->spec.name);
    free(kit->spec.kind);
    free(kit->output.name);
    schema_unref(kit->output.schema);
    pthread_cond_destroy(&kit->changed);
    pthread_mutex_destroy(&kit->lock);
    free(kit);
}

void connector_kit_wait(struct connector_kit *kit)
{
    struct timespec deadline;
    (void)clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 10;
    pthread_mutex_lock(&kit->lock);
    while (kit->wakes == 0)
        ck_assert_int_eq(pthread_cond_timedwait(&kit->changed, &kit->lock, &deadline), 0);
    kit->wakes = 0;
    pthread_mutex_unlock(&kit->lock);
}

/* ---- schemas ---- */

static struct type parse_type(const char *text)
{
    struct type type = {.kind = TYPE_NONE};
    unsigned a = 0;
    unsigned b = 0;
    const bool not_null = strstr(text, " NOT NULL") != NULL;
    char name[32] = "";
    const int count = sscanf(text, "%31[A-Z_](%u,%u)", name, &a, &b);
    if (count == 3) {
        type = type_decimal(a, b);
    } else {
#define X(kind_, number, sql)                                                                      \
    if (strcmp(sql, name) == 0)                                                                    \
        type = type_of_kind(TYPE_##kind_);
        TYPE_KIND_TABLE(X)
#undef X
        if (count == 2) {
            type.precision = (uint8_t)a;
            type.length = a;
        }
    }
    ck_assert_msg(type.kind != TYPE_NONE, "no such type: %s", text);
    type.nullable = !not_null;
    return type;
}

struct schema *kit_schema(const char *text)
{
    struct schema_column columns[32] = {0};
    uint32_t count = 0;
    char *copy = copy_text(text);
    char *at = copy;
    while (at != NULL) {
        char *next = strstr(at, ", ");
        if (next != NULL)
            *next = '\0';
        char *space = strchr(at, ' ');
        ck_assert(space != NULL && count < 32);
        *space = '\0';
        columns[count++] = (struct schema_column){.name = at, .type = parse_type(space + 1)};
        at = next != NULL ? next + 2 : NULL;
    }
    struct schema *schema = schema_create(columns, count, -1);
    free(copy);
    return schema;
}

/* ---- files ---- */

char *kit_directory_make(void)
{
    const char *base = getenv("TMPDIR");
    char *path = format_text("%s/millstream-test-XXXXXX", base != NULL ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(path));
    return path;
}

void kit_directory_remove(char *path)
{
    DIR *directory = opendir(path);
    ck_assert_ptr_nonnull(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *child = format_text("%s/%s", path, entry->d_name);
        struct stat status;
        ck_assert_int_eq(lstat(child, &status), 0);
        if (S_ISDIR(status.st_mode)) {
            kit_directory_remove(child);
        } else {
            ck_assert_int_eq(unlink(child), 0);
            free(child);
        }
    }
    closedir(directory);
    ck_assert_int_eq(rmdir(path), 0);
    free(path);
}

void kit_file_write(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

char *kit_file_read(const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "open %s", path);
    struct text text;
    text_init(&text, (size_t)1 << 30);
    char part[65536];
    for (size_t count; (count = fread(part, 1, sizeof(part), file)) > 0;)
        text_append_bytes(&text, part, count);
    (void)fclose(file);
    if (ret_size != NULL)
        *ret_size = text.size;
    return text.bytes;
}

/* ---- snapshots ---- */

static void kit_put(struct snapshot_writer *writer, const char *name, enum operator_state_kind kind,
                    const void *bytes, size_t size)
{
    (void)kind;
    struct kit_snapshot *snapshot = (struct kit_snapshot *)writer;
    array_push(snapshot->entries, snapshot->count, snapshot->capacity) =
        (struct snapshot_entry){copy_text(name), copy_memory(bytes, size), size};
}

void kit_snapshot_init(struct kit_snapshot *snapshot)
{
    *snapshot = (struct kit_snapshot){.writer = {kit_put}};
}

void kit_snapshot_done(struct kit_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        free((void *)(uintptr_t)snapshot->entries[i].name);
        free((void *)(uintptr_t)snapshot->entries[i].bytes);
    }
    free(snapshot->entries);
    kit_snapshot_init(snapshot);
}
