/*
 * ${param}, ${env:NAME}, ${date:pattern} and $${ in values. ${secret:NAME} stays as it is. Keys are
 * never touched, and what a substitution gives is not looked at again. The tree is copied, so that
 * nodes behind an alias become nodes of their own (yaml.h bounds their number).
 */
#include "common/base/nearest.h"
#include "compiler/compiler.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SCALAR_BYTES_MAX      (256 * 1024)
#define SUBSTITUTED_BYTES_MAX (16 * 1024 * 1024)

static const char *find_parameter(struct compiler *compiler, const char *name,
                                  const struct yaml_node *node)
{
    const char *value = setting_find(compiler->parameters, compiler->parameter_count, name);
    if (value != NULL)
        return value;
    const char *names[256];
    size_t count = 0;
    for (; count < compiler->parameter_count && count < 256; count++)
        names[count] = compiler->parameters[count].key;
    const char *nearest = nearest_name(name, names, count);
    if (nearest != NULL)
        compile_error(compiler, node->line, node->column,
                      "unknown parameter ${%.80s}: did you mean ${%s}?", name, nearest);
    else
        compile_error(compiler, node->line, node->column,
                      "unknown parameter ${%.80s}: add it to `parameters`", name);
    return "";
}

/* The letters of Java's patterns, as Flink's users know them. */
static void append_date(struct compiler *compiler, const char *pattern,
                        const struct yaml_node *node, struct text *out)
{
    const time_t seconds = (time_t)(compiler->options->wall_ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL)
        return;
    const struct {
        const char *letters;
        int value;
    } parts[] = {{"yyyy", utc.tm_year + 1900}, {"MM", utc.tm_mon + 1}, {"dd", utc.tm_mday},
                 {"HH", utc.tm_hour},          {"mm", utc.tm_min},     {"ss", utc.tm_sec}};
    for (const char *at = pattern; *at != '\0';) {
        size_t used = 0;
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && used == 0; i++) {
            const size_t size = strlen(parts[i].letters);
            if (strncmp(at, parts[i].letters, size) == 0) {
                text_format(out, "%0*d", (int)size, parts[i].value);
                used = size;
            }
        }
        const bool is_letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        if (used == 0 && is_letter && *at != 'T' && *at != 'Z') {
            compile_error(compiler, node->line, node->column,
                          "${date:%.60s}: patterns are made of yyyy, MM, dd, HH, mm and ss",
                          pattern);
            return;
        }
        if (used == 0)
            text_append_char(out, *at);
        at += used > 0 ? used : 1;
    }
}

static void append_value(struct compiler *compiler, const char *name, const struct yaml_node *node,
                         struct text *out)
{
    if (strncmp(name, "secret:", 7) == 0) {
        text_format(out, "${%s}", name);
        if (name[7] == '\0')
            compile_error(compiler, node->line, node->column, "${secret:} lacks a name");
    } else if (strncmp(name, "env:", 4) == 0) {
        const char *value =
            compiler->options->get_env == NULL
                ? NULL
                : compiler->options->get_env(compiler->options->env_context, name + 4);
        if (value == NULL)
            compile_error(compiler, node->line, node->column,
                          "${%.80s}: the environment variable %.80s is not set", name, name + 4);
        else
            text_append(out, value);
    } else if (strncmp(name, "date:", 5) == 0) {
        append_date(compiler, name + 5, node, out);
    } else {
        text_append(out, find_parameter(compiler, name, node));
    }
}

static void substitute_text(struct compiler *compiler, const struct yaml_node *node,
                            struct text *out)
{
    for (const char *at = node->text; *at != '\0';) {
        if (strncmp(at, "$${", 3) == 0) {
            text_append(out, "${");
            at += 3;
            continue;
        }
        if (strncmp(at, "${", 2) != 0) {
            text_append_char(out, *at++);
            continue;
        }
        const char *end = strchr(at, '}');
        if (end == NULL) {
            compile_error(compiler, node->line, node->column,
                          "\"${\" without \"}\": $${ stands for the two characters themselves");
            return;
        }
        const char *name = pool_text_n(&compiler->pool, at + 2, (size_t)(end - at) - 2);
        append_value(compiler, name, node, out);
        at = end + 1;
    }
}

static void substitute_scalar(struct compiler *compiler, struct yaml_node *copy)
{
    if (strstr(copy->text, "${") == NULL)
        return;
    struct text value SCOPED_TEXT_BUFFER;
    text_init(&value, SCALAR_BYTES_MAX);
    substitute_text(compiler, copy, &value);
    compiler->substituted_bytes += value.size;
    if (value.overflowed || compiler->substituted_bytes > SUBSTITUTED_BYTES_MAX) {
        compile_error(compiler, copy->line, copy->column,
                      "too long after its parameters are put in (at most %d bytes)",
                      SCALAR_BYTES_MAX);
        return;
    }
    copy->text = pool_text_n(&compiler->pool, value.bytes, value.size);
    copy->size = value.size;
    /* An empty parameter gives the empty text, not the bare key of "key:". */
    if (copy->style == YAML_STYLE_PLAIN)
        copy->style = YAML_STYLE_BLOCK;
}

const struct yaml_node *substitute(struct compiler *compiler, const struct yaml_node *node)
{
    struct yaml_node *copy = pool_take(&compiler->pool, 1, sizeof(*copy));
    *copy = *node;
    switch (node->kind) {
    case YAML_SCALAR:
        substitute_scalar(compiler, copy);
        break;
    case YAML_MAP:
        copy->entries = pool_take(&compiler->pool, node->count, sizeof(*copy->entries));
        for (uint32_t i = 0; i < node->count; i++)
            copy->entries[i] = (struct yaml_entry){node->entries[i].key,
                                                   substitute(compiler, node->entries[i].value)};
        break;
    case YAML_LIST:
        copy->items = pool_take(&compiler->pool, node->count, sizeof(struct yaml_node *));
        for (uint32_t i = 0; i < node->count; i++)
            copy->items[i] = (struct yaml_node *)(uintptr_t)substitute(compiler, node->items[i]);
        break;
    }
    return copy;
}

void compiler_environment_names(const char *text, size_t size, struct text *out)
{
    static const char mark[] = "${env:";
    const size_t mark_size = sizeof(mark) - 1;
    for (size_t i = 0; i + mark_size < size; i++) {
        if (memcmp(text + i, mark, mark_size) != 0)
            continue;
        const char *name = text + i + mark_size;
        const char *end = memchr(name, '}', size - i - mark_size);
        if (end == NULL)
            return;
        if (out->size > 0)
            text_append_char(out, ',');
        text_append_bytes(out, name, (size_t)(end - name));
    }
}
