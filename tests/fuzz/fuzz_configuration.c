/* YAML trees, the configuration file and MILLSTREAM_PROPERTIES. */
#include "tests/fuzz/fuzz.h"

#include "common/base/allocate.h"
#include "common/config/config.h"
#include "common/config/yaml.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned problem_count;

static void on_problem(void *context, uint32_t line, uint32_t column, const char *message)
{
    (void)context;
    (void)line;
    (void)column;
    CHECK(message[0] != '\0');
    problem_count++;
}

/* Counts as the reader has to: aliases expanded. */
static uint32_t count_nodes(const struct yaml_node *node, uint32_t depth)
{
    CHECK(depth <= YAML_DEPTH_MAX && node->line > 0 && node->column > 0);
    uint32_t count = 1;
    if (node->kind == YAML_SCALAR)
        CHECK(strlen(node->text) == node->size);
    for (uint32_t i = 0; i < node->count; i++) {
        if (node->kind == YAML_LIST) {
            count += count_nodes(node->items[i], depth + 1);
        } else {
            CHECK(node->entries[i].key->kind == YAML_SCALAR);
            CHECK(yaml_find(node, node->entries[i].key->text) == node->entries[i].value);
            count += count_nodes(node->entries[i].value, depth + 1);
        }
    }
    CHECK(count <= YAML_NODES_MAX);
    return count;
}

static void check_yaml(const char *bytes, size_t size)
{
    struct yaml_document *document = NULL;
    problem_count = 0;
    const enum status code = yaml_read(bytes, size, "file", on_problem, NULL, &document);
    CHECK((code == STATUS_OK) == (problem_count == 0));
    if (code != STATUS_OK)
        return;
    if (yaml_root(document) != NULL)
        (void)count_nodes(yaml_root(document), 1);
    yaml_document_destroy(document);
}

static const char *get_env(void *context, const char *name)
{
    return strcmp(name, "MILLSTREAM_PROPERTIES") == 0 ? context : NULL;
}

/* Of a configuration without errors, the shown one with only what is set must load again. */
static void check_config(const char *file, const char *properties)
{
    const struct config_sources sources = {
        .file = file, .get_env = get_env, .env_context = (void *)(uintptr_t)properties};
    struct config *config = NULL;
    struct config_report report = {0};
    const enum status code = config_load(&sources, &config, &report);
    CHECK((code == STATUS_OK) == (report.error_count == 0));
    if (code == STATUS_OK) {
        SCOPED_TEXT_BUFFER struct text shown;
        text_init(&shown, 1 << 22);
        config_show(config, true, &shown);
        config_destroy(config);
    }
    config_report_done(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static int fd = -1;
    static char path[64];
    if (fd < 0) {
        fd = memfd_create("configuration", 0);
        CHECK(fd >= 0);
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    check_yaml((const char *)bytes, size);
    CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, bytes, size, 0) == (ssize_t)size);
    check_config(path, NULL);
    SCOPED_TEXT char *text = copy_text_n((const char *)bytes, size);
    CHECK(ftruncate(fd, 0) == 0);
    check_config(path, text);
    return 0;
}
