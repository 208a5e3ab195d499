/*
 * Writes the reference of connectors and formats from their option tables:
 * gen_connectors_doc DIRECTORY makes <connector>.md for each connector and formats.md.
 */
#include "common/base/allocate.h"
#include "connectors/registry.h"

#include <stdio.h>
#include <string.h>

#define PAGE_BYTES_MAX ((size_t)1024 * 1024)

static const char *type_text(enum option_type type)
{
    switch (type) {
    case OPTION_STRING:
        return "text";
    case OPTION_BOOL:
        return "true, false";
    case OPTION_INT:
        return "integer";
    case OPTION_DOUBLE:
        return "number";
    case OPTION_SIZE:
        return "size";
    case OPTION_DURATION:
        return "duration";
    case OPTION_ENUM:
        return "choice";
    case OPTION_LIST:
        return "list";
    case OPTION_MAP:
        return "keys";
    }
    return "";
}

static void add_option(struct text *page, const struct option_spec *option)
{
    text_format(page, "| `%s`", option->name);
    if (option->alias != NULL)
        text_format(page, " (`%s`)", option->alias);
    text_append(page, " | ");
    if (option->type == OPTION_ENUM) {
        for (const char *const *at = option->choices; *at != NULL; at++)
            text_format(page, "%s`%s`", at == option->choices ? "" : ", ", *at);
    } else {
        text_append(page, type_text(option->type));
    }
    if ((option->flags & OPTION_REQUIRED) != 0)
        text_append(page, " | required");
    else if (option->fallback != NULL)
        text_format(page, " | `%s`", option->fallback);
    else
        text_append(page, " | none");
    text_format(page, " | %s%s |\n", option->help,
                (option->flags & OPTION_MAIN) != 0 ? " The main option." : "");
}

static void add_options(struct text *page, const struct option_spec *options)
{
    if (options == NULL || options[0].name == NULL) {
        text_append(page, "No options.\n");
        return;
    }
    text_append(page, "| option | value | default | meaning |\n|---|---|---|---|\n");
    for (; options->name != NULL; options++)
        add_option(page, options);
}

static void add_source(struct text *page, const struct source_connector *source)
{
    text_format(page, "## As a source\n\n%s\n\n%s%s\n\n", source->help,
                source->needs_format ? "Needs a `format`. " : "",
                source->is_replayable ? "Replayable: its position is in every checkpoint."
                                      : "Not replayable.");
    add_options(page, source->options);
    if (source->metadata == NULL)
        return;
    text_append(page,
                "\nColumns that the connector adds, as in `name: type metadata from 'key'`:\n\n"
                "| key | type | meaning |\n|---|---|---|\n");
    for (const struct source_metadata *at = source->metadata; at->key != NULL; at++) {
        text_format(page, "| `%s` | `", at->key);
        /* A bar would end the cell. */
        for (const char *c = at->type; *c != '\0'; c++) {
            if (*c == '|')
                text_append(page, "` or `");
            else
                text_append_char(page, *c);
        }
        text_format(page, "` | %s |\n", at->help);
    }
}

static void add_sink(struct text *page, const struct sink_connector *sink)
{
    static const char *const guarantees[] = {"at-least-once", "idempotent", "exactly-once"};
    text_format(page, "## As a sink\n\n%s\n\n%sGuarantee: %s. %s\n\n", sink->help,
                sink->needs_format ? "Needs a `format`. " : "", guarantees[sink->guarantee],
                sink->takes_changes ? "Takes changes (-U, +U, -D) too." : "Takes inserts only.");
    add_options(page, sink->options);
}

static int write_page(const char *directory, const char *name, const struct text *page)
{
    SCOPED_TEXT char *path = format_text("%s/%s.md", directory, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(page->bytes, 1, page->size, file) != page->size ||
        fclose(file) != 0) {
        perror(path);
        return 1;
    }
    return 0;
}

static int write_connector(const char *directory, const char *name)
{
    const struct connector_registry *registry = connector_registry_builtin();
    const struct source_connector *source = source_connector_find(registry, name);
    const struct sink_connector *sink = sink_connector_find(registry, name);
    struct text page;
    text_init(&page, PAGE_BYTES_MAX);
    text_format(&page,
                "<!-- made by tools/gen_connectors_doc from the tables in connectors/ -->\n"
                "# Connector %s\n\n",
                name);
    if (source != NULL)
        add_source(&page, source);
    if (source != NULL && sink != NULL)
        text_append_char(&page, '\n');
    if (sink != NULL)
        add_sink(&page, sink);
    const int code = write_page(directory, name, &page);
    text_done(&page);
    return code;
}

static int write_formats(const char *directory)
{
    struct text page;
    text_init(&page, PAGE_BYTES_MAX);
    text_append(&page, "<!-- made by tools/gen_connectors_doc from the tables in connectors/ -->\n"
                       "# Formats\n");
    const struct connector_registry *registry = connector_registry_builtin();
    for (const struct format *const *at = registry->formats; *at != NULL; at++) {
        text_format(&page, "\n## %s\n\n%s Files end in `.%s`.\n\n", (*at)->name, (*at)->help,
                    (*at)->file_extension);
        add_options(&page, (*at)->options);
    }
    const int code = write_page(directory, "formats", &page);
    text_done(&page);
    return code;
}

int main(int count, char **arguments)
{
    if (count != 2) {
        fputs("usage: gen_connectors_doc DIRECTORY\n", stderr);
        return 2;
    }
    int code = write_formats(arguments[1]);
    const struct connector_registry *registry = connector_registry_builtin();
    for (const struct source_connector *const *at = registry->sources; *at != NULL; at++)
        code |= write_connector(arguments[1], (*at)->name);
    for (const struct sink_connector *const *at = registry->sinks; *at != NULL; at++)
        code |= write_connector(arguments[1], (*at)->name);
    return code;
}
