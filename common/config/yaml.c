/* YAML texts as trees: see yaml.h. libyaml gives events; the open containers are a stack. */
#include "common/config/yaml.h"

#include "common/base/allocate.h"
#include "common/base/pool.h"
#include "common/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define PROBLEMS_MAX 100
#define ANCHORS_MAX  10000
#define ENTRIES_MAX  10000

struct yaml_document {
    struct pool pool;
    struct yaml_node *root;
};

struct frame {
    struct yaml_node *node;
    struct yaml_node *key; /* MAP: read, its value is next */
    size_t capacity;
    char *anchor;
};

struct anchor {
    char *name;
    struct yaml_node *node; /* NULL while it is open */
};

struct reader {
    struct yaml_document *document;
    const char *input_name;
    yaml_problem_fn *on_problem;
    void *context;
    uint32_t problem_count;
    struct frame frames[YAML_DEPTH_MAX];
    uint32_t depth;
    uint32_t flow_depth;
    struct anchor *anchors;
    size_t anchor_count;
    size_t anchor_capacity;
    uint64_t node_count;
    uint32_t document_count;
    bool is_stopped;
};

__attribute__((format(printf, 4, 5))) static void problem(struct reader *reader, uint32_t line,
                                                          uint32_t column, const char *format, ...)
{
    char message[600];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (reader->problem_count++ < PROBLEMS_MAX)
        reader->on_problem(reader->context, line, column, message);
    else
        reader->is_stopped = true;
}

static struct yaml_node *node_create(struct reader *reader, enum yaml_kind kind,
                                     const yaml_mark_t *mark)
{
    struct yaml_node *node = pool_take(&reader->document->pool, 1, sizeof(*node));
    node->kind = kind;
    node->line = (uint32_t)mark->line + 1;
    node->column = (uint32_t)mark->column + 1;
    node->node_count = 1;
    node->depth = 1;
    node->is_flow = reader->flow_depth > 0;
    return node;
}

/* ---- adding a finished node to the open container ---- */

static bool count_nodes(struct reader *reader, const struct yaml_node *node, uint32_t count)
{
    reader->node_count += count;
    if (reader->node_count <= YAML_NODES_MAX)
        return true;
    problem(reader, node->line, node->column,
            "the %s holds more than %d values after its aliases are expanded: write less, or split "
            "it",
            reader->input_name, YAML_NODES_MAX);
    reader->is_stopped = true;
    return false;
}

static bool is_merge_key(const struct yaml_node *key)
{
    return key->style == YAML_STYLE_PLAIN && strcmp(key->text, "<<") == 0;
}

static void append_entry(struct reader *reader, struct frame *frame, struct yaml_node *value)
{
    struct yaml_node *map = frame->node;
    if (map->count >= ENTRIES_MAX) {
        problem(reader, frame->key->line, frame->key->column, "a map holds at most %d keys",
                ENTRIES_MAX);
        reader->is_stopped = true;
        return;
    }
    if (!is_merge_key(frame->key)) {
        for (uint32_t i = 0; i < map->count; i++) {
            if (strcmp(map->entries[i].key->text, frame->key->text) == 0) {
                problem(reader, frame->key->line, frame->key->column,
                        "the key \"%.100s\" is here twice: the first is at line %u",
                        frame->key->text, map->entries[i].key->line);
                return;
            }
        }
    }
    struct yaml_entry *entry = &array_push(map->entries, map->count, frame->capacity);
    *entry = (struct yaml_entry){frame->key, value};
}

static void add_to_parent(struct reader *reader, struct yaml_node *node)
{
    if (reader->depth == 0) {
        if (reader->document->root == NULL)
            reader->document->root = node;
        return;
    }
    struct frame *frame = &reader->frames[reader->depth - 1];
    struct yaml_node *parent = frame->node;
    parent->node_count += node->node_count;
    if (node->depth + 1 > parent->depth)
        parent->depth = node->depth + 1;
    if (parent->kind == YAML_LIST) {
        struct yaml_node **slot = &array_push(parent->items, parent->count, frame->capacity);
        *slot = node;
        return;
    }
    if (frame->key == NULL) {
        if (node->kind != YAML_SCALAR) {
            problem(reader, node->line, node->column,
                    "a key must be a plain word, not a map or a list: if ${...} is meant, put it "
                    "in double quotes");
            reader->is_stopped = true;
            return;
        }
        frame->key = node;
        return;
    }
    append_entry(reader, frame, node);
    frame->key = NULL;
}

/* ---- merging with << ---- */

static void merge_one(struct yaml_node *map, size_t *capacity, const struct yaml_node *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        if (yaml_find(map, from->entries[i].key->text) == NULL) {
            struct yaml_entry *entry = &array_push(map->entries, map->count, *capacity);
            *entry = from->entries[i];
        }
    }
}

static void merge_value(struct reader *reader, struct yaml_node *map, size_t *capacity,
                        const struct yaml_entry *merge)
{
    const struct yaml_node *value = merge->value;
    bool is_valid = value->kind == YAML_MAP;
    if (value->kind == YAML_MAP)
        merge_one(map, capacity, value);
    if (value->kind == YAML_LIST) {
        is_valid = true;
        for (uint32_t i = 0; i < value->count; i++) {
            if (value->items[i]->kind == YAML_MAP)
                merge_one(map, capacity, value->items[i]);
            else
                is_valid = false;
        }
    }
    if (!is_valid)
        problem(reader, merge->key->line, merge->key->column,
                "\"<<\" takes a map or a list of maps, such as \"<<: *name\"");
}

static void finish_map(struct reader *reader, struct frame *frame)
{
    struct yaml_node *map = frame->node;
    struct yaml_entry merges[16];
    uint32_t merge_count = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < map->count; i++) {
        if (!is_merge_key(map->entries[i].key))
            map->entries[kept++] = map->entries[i];
        else if (merge_count < sizeof(merges) / sizeof(merges[0]))
            merges[merge_count++] = map->entries[i];
    }
    map->count = kept;
    for (uint32_t i = 0; i < merge_count; i++)
        merge_value(reader, map, &frame->capacity, &merges[i]);
}

/* ---- events ---- */

static void set_anchor(struct reader *reader, const char *name, struct yaml_node *node)
{
    for (size_t i = 0; i < reader->anchor_count; i++) {
        if (strcmp(reader->anchors[i].name, name) == 0) {
            reader->anchors[i].node = node;
            return;
        }
    }
    if (reader->anchor_count >= ANCHORS_MAX)
        return;
    struct anchor *anchor =
        &array_push(reader->anchors, reader->anchor_count, reader->anchor_capacity);
    anchor->name = copy_text(name);
    anchor->node = node;
}

static void check_tag(struct reader *reader, const yaml_mark_t *mark, const yaml_char_t *tag)
{
    if (tag != NULL)
        problem(reader, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1,
                "a YAML tag (\"%.60s\") is not allowed: a text that begins with ! needs double "
                "quotes",
                (const char *)tag);
}

static void on_alias(struct reader *reader, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    const uint32_t line = (uint32_t)event->start_mark.line + 1;
    const uint32_t column = (uint32_t)event->start_mark.column + 1;
    struct yaml_node *target = NULL;
    bool is_known = false;
    for (size_t i = 0; i < reader->anchor_count; i++) {
        if (strcmp(reader->anchors[i].name, name) == 0) {
            is_known = true;
            target = reader->anchors[i].node;
        }
    }
    if (target == NULL) {
        if (is_known)
            problem(reader, line, column, "the alias *%.80s stands inside its own anchor", name);
        else
            problem(reader, line, column,
                    "no anchor &%.80s stands before the alias *%.80s: a text that begins with * "
                    "needs double quotes",
                    name, name);
        target = node_create(reader, YAML_SCALAR, &event->start_mark);
        target->text = "";
    }
    if (reader->depth + target->depth > YAML_DEPTH_MAX) {
        problem(reader, line, column, "the %s is nested deeper than %d levels", reader->input_name,
                YAML_DEPTH_MAX);
        reader->is_stopped = true;
        return;
    }
    if (count_nodes(reader, target, target->node_count))
        add_to_parent(reader, target);
}

static void on_scalar(struct reader *reader, const yaml_event_t *event)
{
    struct yaml_node *node = node_create(reader, YAML_SCALAR, &event->start_mark);
    check_tag(reader, &event->start_mark, event->data.scalar.tag);
    const size_t size = event->data.scalar.length;
    char *text = pool_take(&reader->document->pool, 1, size + 1);
    memcpy(text, event->data.scalar.value, size);
    node->text = text;
    node->size = size;
    if (memchr(text, '\0', size) != NULL) {
        problem(reader, node->line, node->column, "a text must not hold the character NUL");
        node->size = strlen(text);
    }
    const yaml_scalar_style_t style = event->data.scalar.style;
    node->style = style == YAML_SINGLE_QUOTED_SCALAR_STYLE   ? YAML_STYLE_SINGLE
                  : style == YAML_DOUBLE_QUOTED_SCALAR_STYLE ? YAML_STYLE_DOUBLE
                  : style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE
                      ? YAML_STYLE_BLOCK
                      : YAML_STYLE_PLAIN;
    if (!count_nodes(reader, node, 1))
        return;
    if (event->data.scalar.anchor != NULL)
        set_anchor(reader, (const char *)event->data.scalar.anchor, node);
    add_to_parent(reader, node);
}

static void on_open(struct reader *reader, const yaml_event_t *event, enum yaml_kind kind)
{
    const bool is_map = kind == YAML_MAP;
    const bool is_flow = is_map ? event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE
                                : event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
    const yaml_char_t *anchor =
        is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    check_tag(reader, &event->start_mark,
              is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag);
    struct yaml_node *node = node_create(reader, kind, &event->start_mark);
    node->is_flow = is_flow;
    if (reader->depth >= YAML_DEPTH_MAX) {
        problem(reader, node->line, node->column, "the %s is nested deeper than %d levels",
                reader->input_name, YAML_DEPTH_MAX);
        reader->is_stopped = true;
        return;
    }
    if (!count_nodes(reader, node, 1))
        return;
    reader->flow_depth += is_flow;
    struct frame *frame = &reader->frames[reader->depth++];
    *frame = (struct frame){.node = node};
    if (anchor != NULL) {
        frame->anchor = copy_text((const char *)anchor);
        set_anchor(reader, frame->anchor, NULL);
    }
}

static void on_close(struct reader *reader)
{
    struct frame *frame = &reader->frames[--reader->depth];
    struct yaml_node *node = frame->node;
    reader->flow_depth -= node->is_flow && reader->flow_depth > 0;
    if (node->kind == YAML_MAP)
        finish_map(reader, frame);
    /* The arrays grew by themselves; hand them to the document. */
    if (node->entries != NULL) {
        struct yaml_entry *entries =
            pool_take(&reader->document->pool, 1, (node->count + 1) * sizeof(*entries));
        memcpy(entries, node->entries, node->count * sizeof(*entries));
        free(node->entries);
        node->entries = entries;
    }
    if (node->items != NULL) {
        struct yaml_node **items =
            pool_take(&reader->document->pool, 1, (node->count + 1) * sizeof(struct yaml_node *));
        memcpy(items, node->items, node->count * sizeof(struct yaml_node *));
        free(node->items);
        node->items = items;
    }
    if (frame->anchor != NULL)
        set_anchor(reader, frame->anchor, node);
    free(frame->anchor);
    frame->anchor = NULL;
    add_to_parent(reader, node);
}

static void on_event(struct reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++reader->document_count == 2) {
            problem(reader, (uint32_t)event->start_mark.line + 1, 1,
                    "a second document begins here: the %s must be one document",
                    reader->input_name);
            reader->is_stopped = true;
        }
        break;
    case YAML_ALIAS_EVENT:
        on_alias(reader, event);
        break;
    case YAML_SCALAR_EVENT:
        on_scalar(reader, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        on_open(reader, event, YAML_LIST);
        break;
    case YAML_MAPPING_START_EVENT:
        on_open(reader, event, YAML_MAP);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        on_close(reader);
        break;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
}

/* Line and column of a byte: libyaml's reader names only the byte. */
static void position_of(const char *bytes, size_t offset, uint32_t *ret_line, uint32_t *ret_column)
{
    uint32_t line = 1;
    uint32_t column = 1;
    for (size_t i = 0; i < offset; i++) {
        column++;
        if (bytes[i] == '\n') {
            line++;
            column = 1;
        }
    }
    *ret_line = line;
    *ret_column = column;
}

static void on_parser_error(struct reader *reader, const yaml_parser_t *parser, const char *bytes,
                            size_t size)
{
    uint32_t line = (uint32_t)parser->problem_mark.line + 1;
    uint32_t column = (uint32_t)parser->problem_mark.column + 1;
    const char *what = parser->problem != NULL ? parser->problem : "it cannot be read";
    if (parser->error == YAML_READER_ERROR) {
        const size_t offset = parser->problem_offset < size ? parser->problem_offset : size;
        position_of(bytes, offset, &line, &column);
        problem(reader, line, column, "the %s is no text: %s at byte %zu", reader->input_name, what,
                offset);
    } else if (parser->context != NULL) {
        problem(reader, line, column, "this is no valid YAML: %s (%s that began at line %zu)", what,
                parser->context, parser->context_mark.line + 1);
    } else {
        problem(reader, line, column, "this is no valid YAML: %s", what);
    }
}

static void read_events(struct reader *reader, yaml_parser_t *parser, const char *bytes,
                        size_t size)
{
    while (!reader->is_stopped) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            on_parser_error(reader, parser, bytes, size);
            return;
        }
        const bool is_end = event.type == YAML_STREAM_END_EVENT;
        on_event(reader, &event);
        yaml_event_delete(&event);
        if (is_end)
            return;
    }
}

static void reader_done(struct reader *reader)
{
    while (reader->depth > 0) {
        struct frame *frame = &reader->frames[--reader->depth];
        free(frame->anchor);
        free(frame->node->entries);
        free(frame->node->items);
    }
    for (size_t i = 0; i < reader->anchor_count; i++)
        free(reader->anchors[i].name);
    free(reader->anchors);
}

enum status yaml_read(const char *bytes, size_t size, const char *name_of_input,
                      yaml_problem_fn *on_problem, void *context,
                      struct yaml_document **ret_document)
{
    struct reader *reader = allocate(sizeof(*reader));
    reader->input_name = name_of_input;
    reader->on_problem = on_problem;
    reader->context = context;
    reader->document = allocate(sizeof(*reader->document));
    if (size > YAML_BYTES_MAX) {
        problem(reader, 1, 1, "the %s has %zu bytes: the maximum is %d (4 MiB)", name_of_input,
                size, YAML_BYTES_MAX);
    } else {
        yaml_parser_t parser;
        if (yaml_parser_initialize(&parser)) {
            yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
            yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, size);
            read_events(reader, &parser, bytes, size);
            yaml_parser_delete(&parser);
        } else {
            problem(reader, 1, 1, "no memory to read the %s", name_of_input);
        }
    }
    struct yaml_document *document = reader->document;
    const bool is_good = reader->problem_count == 0;
    reader_done(reader);
    free(reader);
    if (!is_good) {
        yaml_document_destroy(document);
        return STATUS_INVALID;
    }
    *ret_document = document;
    return STATUS_OK;
}

void yaml_document_destroy(struct yaml_document *document)
{
    if (document == NULL)
        return;
    pool_done(&document->pool);
    free(document);
}

const struct yaml_node *yaml_root(const struct yaml_document *document)
{
    return document->root;
}

const struct yaml_node *yaml_find(const struct yaml_node *map, const char *key)
{
    for (uint32_t i = 0; i < map->count; i++) {
        if (strcmp(map->entries[i].key->text, key) == 0)
            return map->entries[i].value;
    }
    return NULL;
}

bool yaml_is_bare(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && node->style == YAML_STYLE_PLAIN && node->size == 0;
}
