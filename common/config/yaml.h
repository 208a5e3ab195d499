/*
 * YAML 1.2 core texts as trees with positions, safe for any input.
 *
 * Types are not resolved: every scalar stays text. One document; tags, duplicate keys, keys that
 * are no scalars and an alias inside its own anchor are errors; anchors and `<<` work. Limits:
 * YAML_BYTES_MAX of input, YAML_NODES_MAX nodes after expansion, YAML_DEPTH_MAX levels.
 *
 * A document owns its nodes; nodes behind an alias are shared, so a tree is really a directed
 * acyclic graph, and is not changed after reading.
 */
#ifndef COMMON_CONFIG_YAML_H
#define COMMON_CONFIG_YAML_H

#include "common/base/scoped.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define YAML_BYTES_MAX (4 * 1024 * 1024)
#define YAML_NODES_MAX 100000
#define YAML_DEPTH_MAX 64

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_LIST };
enum yaml_style { YAML_STYLE_PLAIN, YAML_STYLE_SINGLE, YAML_STYLE_DOUBLE, YAML_STYLE_BLOCK };

struct yaml_node;

struct yaml_entry {
    const struct yaml_node *key; /* a scalar */
    const struct yaml_node *value;
};

struct yaml_node {
    enum yaml_kind kind;
    uint32_t line;       /* 1.. of its first character */
    uint32_t column;     /* 1.. */
    bool is_flow;        /* MAP, LIST: {...}, [...]; SCALAR: inside one */
    uint32_t node_count; /* with everything below, aliases expanded */
    uint32_t depth;      /* levels, 1 for a scalar */
    enum yaml_style style;
    const char *text; /* SCALAR, NUL-terminated; holds no NUL bytes */
    size_t size;
    struct yaml_entry *entries; /* MAP, in order, after merging */
    struct yaml_node **items;   /* LIST */
    uint32_t count;             /* of entries or items */
};

/* Where the text is wrong, and how. */
typedef void yaml_problem_fn(void *context, uint32_t line, uint32_t column, const char *message);

struct yaml_document;

/* Calls on_problem for each thing that is wrong; STATUS_INVALID if there was any. name_of_input
 * ("job file") appears in messages. */
enum status yaml_read(const char *bytes, size_t size, const char *name_of_input,
                      yaml_problem_fn *on_problem, void *context,
                      struct yaml_document **ret_document) MUST_CHECK;
void yaml_document_destroy(struct yaml_document *document);
DEFINE_SCOPED(struct yaml_document, yaml_document_destroy)

/* NULL if the text holds nothing but comments. */
const struct yaml_node *yaml_root(const struct yaml_document *document);

/* The value of a key of a map, or NULL. */
const struct yaml_node *yaml_find(const struct yaml_node *map, const char *key);
/* An empty plain scalar: `key:`. */
bool yaml_is_bare(const struct yaml_node *node);

#endif
