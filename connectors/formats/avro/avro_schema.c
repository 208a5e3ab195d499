/* Avro schemas from JSON and from columns: see avro_schema.h. */
#include "connectors/formats/avro/avro_schema.h"

#include "common/base/allocate.h"

#include <jansson.h>
#include <string.h>

struct avro_document {
    struct avro_schema **nodes; /* all of them, owned */
    size_t count;
    size_t capacity;
    const struct avro_schema *root;
};

static const char *const primitive_names[AVRO_PRIMITIVE_COUNT] = {
    [AVRO_NULL] = "null",   [AVRO_BOOLEAN] = "boolean", [AVRO_INT] = "int",
    [AVRO_LONG] = "long",   [AVRO_FLOAT] = "float",     [AVRO_DOUBLE] = "double",
    [AVRO_BYTES] = "bytes", [AVRO_STRING] = "string",
};

/* The logical types that mean something to a column; others are their plain types. */
static const struct {
    const char *name;
    enum avro_kind kind;
    enum avro_logical logical;
} logical_types[] = {
    {"decimal", AVRO_BYTES, AVRO_DECIMAL},
    {"decimal", AVRO_FIXED, AVRO_DECIMAL},
    {"date", AVRO_INT, AVRO_DATE},
    {"time-millis", AVRO_INT, AVRO_TIME_MILLIS},
    {"time-micros", AVRO_LONG, AVRO_TIME_MICROS},
    {"timestamp-millis", AVRO_LONG, AVRO_TIMESTAMP_MILLIS},
    {"timestamp-micros", AVRO_LONG, AVRO_TIMESTAMP_MICROS},
    {"local-timestamp-millis", AVRO_LONG, AVRO_TIMESTAMP_MILLIS},
    {"local-timestamp-micros", AVRO_LONG, AVRO_TIMESTAMP_MICROS},
};

static struct avro_document *document_create(void)
{
    return allocate(sizeof(struct avro_document));
}

void avro_document_destroy(struct avro_document *document)
{
    if (document == NULL)
        return;
    for (size_t i = 0; i < document->count; i++) {
        struct avro_schema *node = document->nodes[i];
        for (uint32_t k = 0; node->names != NULL && k < node->count; k++)
            free(node->names[k]);
        free(node->names);
        free(node->parts);
        free(node->name);
        free(node);
    }
    free(document->nodes);
    free(document);
}

const struct avro_schema *avro_document_root(const struct avro_document *document)
{
    return document->root;
}

static struct avro_schema *add_node(struct avro_document *document, enum avro_kind kind)
{
    struct avro_schema *node = allocate(sizeof(*node));
    node->kind = kind;
    array_push(document->nodes, document->count, document->capacity) = node;
    return node;
}

void avro_schema_describe(const struct avro_schema *schema, struct text *out)
{
    static const char *const others[] = {"fixed", "enum", "array", "map", "record", "union"};
    for (size_t i = 0;
         schema->logical != AVRO_PLAIN && i < sizeof(logical_types) / sizeof(logical_types[0]);
         i++) {
        if (logical_types[i].logical != schema->logical || logical_types[i].kind != schema->kind)
            continue;
        text_append(out, logical_types[i].name);
        return;
    }
    text_append(out, schema->kind < AVRO_PRIMITIVE_COUNT
                         ? primitive_names[schema->kind]
                         : others[schema->kind - AVRO_PRIMITIVE_COUNT]);
    if (schema->name != NULL)
        text_format(out, " %s", schema->name);
}

/* ---- from JSON ---- */

struct parser {
    struct avro_document *document;
    const char *name_space; /* of the definition that surrounds */
    unsigned depth;
};

static enum status parse_any(struct parser *parser, const json_t *json,
                             const struct avro_schema **ret_schema, struct error *err);

static bool is_name(const char *name)
{
    if (name[0] >= '0' && name[0] <= '9')
        return false;
    return name[0] != '\0' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") ==
               strlen(name);
}

/* "Order" in namespace "shop" is "shop.Order"; a name with a dot is whole. */
static char *full_name(const char *name, const char *name_space)
{
    if (strchr(name, '.') != NULL || name_space == NULL || name_space[0] == '\0')
        return copy_text(name);
    return format_text("%s.%s", name_space, name);
}

static const struct avro_schema *find_named(const struct avro_document *document, const char *name)
{
    for (size_t i = 0; i < document->count; i++) {
        if (document->nodes[i]->name != NULL && strcmp(document->nodes[i]->name, name) == 0)
            return document->nodes[i];
    }
    return NULL;
}

static enum status parse_reference(struct parser *parser, const char *name,
                                   const struct avro_schema **ret_schema, struct error *err)
{
    for (int kind = 0; kind < AVRO_PRIMITIVE_COUNT; kind++) {
        if (strcmp(name, primitive_names[kind]) == 0) {
            *ret_schema = add_node(parser->document, (enum avro_kind)kind);
            return STATUS_OK;
        }
    }
    SCOPED_TEXT char *whole = full_name(name, parser->name_space);
    const struct avro_schema *found = find_named(parser->document, whole);
    if (found == NULL)
        found = find_named(parser->document, name);
    if (found == NULL)
        return error_set(err, STATUS_INVALID,
                         "there is no type \"%.100s\": neither one of Avro's nor defined before",
                         name);
    *ret_schema = found;
    return STATUS_OK;
}

static enum status parse_union(struct parser *parser, const json_t *json,
                               const struct avro_schema **ret_schema, struct error *err)
{
    struct avro_schema *node = add_node(parser->document, AVRO_UNION);
    const size_t count = json_array_size(json);
    if (count == 0)
        return error_set(err, STATUS_INVALID, "a union without branches");
    node->parts = allocate_array(count, sizeof(*node->parts));
    for (size_t i = 0; i < count; i++) {
        TRY(parse_any(parser, json_array_get(json, i), &node->parts[i], err));
        if (node->parts[i]->kind == AVRO_UNION)
            return error_set(err, STATUS_INVALID, "a union may not hold another one directly");
        node->count++;
    }
    *ret_schema = node;
    return STATUS_OK;
}

/* Name of a definition; it becomes known before its content is read. */
static enum status take_name(struct parser *parser, const json_t *json, struct avro_schema *node,
                             struct error *err)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *name_space = json_string_value(json_object_get(json, "namespace"));
    if (name == NULL || !is_name(name))
        return error_set(err, STATUS_INVALID,
                         "a record, enum or fixed needs a `name` of letters, "
                         "digits and _");
    char *whole = full_name(name, name_space != NULL ? name_space : parser->name_space);
    if (find_named(parser->document, whole) != NULL) {
        (void)error_set(err, STATUS_INVALID, "type \"%.100s\" is defined twice", whole);
        free(whole);
        return STATUS_INVALID;
    }
    node->name = whole;
    return STATUS_OK;
}

static enum status parse_fields(struct parser *parser, const json_t *json, struct avro_schema *node,
                                struct error *err)
{
    const json_t *fields = json_object_get(json, "fields");
    if (!json_is_array(fields))
        return error_set(err, STATUS_INVALID, "record %s: `fields` must be a list", node->name);
    const size_t count = json_array_size(fields);
    node->parts = allocate_array(count + 1, sizeof(*node->parts));
    node->names = allocate_array(count + 1, sizeof(*node->names));
    for (size_t i = 0; i < count; i++) {
        const json_t *field = json_array_get(fields, i);
        const char *name = json_string_value(json_object_get(field, "name"));
        if (name == NULL || !is_name(name))
            return error_set(err, STATUS_INVALID, "record %s: field %zu has no `name`", node->name,
                             i + 1);
        for (uint32_t k = 0; k < node->count; k++) {
            if (strcmp(node->names[k], name) == 0)
                return error_set(err, STATUS_INVALID, "record %s: field \"%s\" stands there twice",
                                 node->name, name);
        }
        if (parse_any(parser, json_object_get(field, "type"), &node->parts[i], err) != STATUS_OK)
            return error_wrap(err, err->code, "field \"%s\"", name);
        node->names[node->count++] = copy_text(name);
    }
    return STATUS_OK;
}

static enum status parse_record(struct parser *parser, const json_t *json,
                                const struct avro_schema **ret_schema, struct error *err)
{
    struct avro_schema *node = add_node(parser->document, AVRO_RECORD);
    TRY(take_name(parser, json, node, err));
    const char *outer = parser->name_space;
    const char *dot = strrchr(node->name, '.');
    SCOPED_TEXT char *inner =
        dot != NULL ? copy_text_n(node->name, (size_t)(dot - node->name)) : copy_text("");
    parser->name_space = inner;
    const enum status status = parse_fields(parser, json, node, err);
    parser->name_space = outer;
    *ret_schema = node;
    return status;
}

static enum status parse_enum(struct parser *parser, const json_t *json,
                              const struct avro_schema **ret_schema, struct error *err)
{
    struct avro_schema *node = add_node(parser->document, AVRO_ENUM);
    TRY(take_name(parser, json, node, err));
    const json_t *symbols = json_object_get(json, "symbols");
    const size_t count = json_array_size(symbols);
    if (count == 0)
        return error_set(err, STATUS_INVALID, "enum %s: `symbols` must be a list of names",
                         node->name);
    node->names = allocate_array(count, sizeof(*node->names));
    for (size_t i = 0; i < count; i++) {
        const char *symbol = json_string_value(json_array_get(symbols, i));
        if (symbol == NULL)
            return error_set(err, STATUS_INVALID, "enum %s: symbol %zu is no text", node->name,
                             i + 1);
        node->names[node->count++] = copy_text(symbol);
    }
    *ret_schema = node;
    return STATUS_OK;
}

static enum status parse_fixed(struct parser *parser, const json_t *json,
                               const struct avro_schema **ret_schema, struct error *err)
{
    struct avro_schema *node = add_node(parser->document, AVRO_FIXED);
    TRY(take_name(parser, json, node, err));
    const json_int_t size = json_integer_value(json_object_get(json, "size"));
    if (size < 1 || size > 16 * 1024 * 1024)
        return error_set(err, STATUS_INVALID, "fixed %s: `size` must be a number of bytes",
                         node->name);
    node->size = (uint32_t)size;
    *ret_schema = node;
    return STATUS_OK;
}

static enum status parse_entries(struct parser *parser, const json_t *json, enum avro_kind kind,
                                 const char *key, const struct avro_schema **ret_schema,
                                 struct error *err)
{
    struct avro_schema *node = add_node(parser->document, kind);
    node->parts = allocate(sizeof(*node->parts));
    TRY(parse_any(parser, json_object_get(json, key), &node->parts[0], err));
    node->count = 1;
    *ret_schema = node;
    return STATUS_OK;
}

static enum status take_decimal(const json_t *json, struct avro_schema *node, struct error *err)
{
    const json_int_t precision = json_integer_value(json_object_get(json, "precision"));
    const json_int_t scale = json_integer_value(json_object_get(json, "scale"));
    if (precision < 1 || precision > TYPE_DECIMAL_PRECISION_MAX || scale < 0 || scale > precision)
        return error_set(err, STATUS_INVALID,
                         "a decimal needs `precision` from 1 to %d and `scale` up to it",
                         TYPE_DECIMAL_PRECISION_MAX);
    node->precision = (uint32_t)precision;
    node->scale = (uint32_t)scale;
    return STATUS_OK;
}

/* A logical type that does not fit its type, or that nobody knows, is to be ignored. */
static enum status take_logical(const json_t *json, struct avro_schema *node, struct error *err)
{
    const char *name = json_string_value(json_object_get(json, "logicalType"));
    if (name == NULL || node->logical != AVRO_PLAIN)
        return STATUS_OK;
    for (size_t i = 0; i < sizeof(logical_types) / sizeof(logical_types[0]); i++) {
        if (strcmp(logical_types[i].name, name) == 0 && logical_types[i].kind == node->kind)
            node->logical = logical_types[i].logical;
    }
    return node->logical == AVRO_DECIMAL ? take_decimal(json, node, err) : STATUS_OK;
}

static enum status parse_object(struct parser *parser, const json_t *json,
                                const struct avro_schema **ret_schema, struct error *err)
{
    const json_t *type = json_object_get(json, "type");
    const char *name = json_string_value(type);
    if (name == NULL)
        return parse_any(parser, type, ret_schema, err); /* {"type": {"type": ...}} */
    if (strcmp(name, "record") == 0)
        return parse_record(parser, json, ret_schema, err);
    if (strcmp(name, "enum") == 0)
        return parse_enum(parser, json, ret_schema, err);
    if (strcmp(name, "array") == 0)
        return parse_entries(parser, json, AVRO_ARRAY, "items", ret_schema, err);
    if (strcmp(name, "map") == 0)
        return parse_entries(parser, json, AVRO_MAP, "values", ret_schema, err);
    const size_t before = parser->document->count;
    if (strcmp(name, "fixed") == 0)
        TRY(parse_fixed(parser, json, ret_schema, err));
    else
        TRY(parse_reference(parser, name, ret_schema, err));
    if (parser->document->count == before)
        return STATUS_OK; /* a type defined before: its own logical type stands */
    return take_logical(json, parser->document->nodes[parser->document->count - 1], err);
}

static enum status parse_any(struct parser *parser, const json_t *json,
                             const struct avro_schema **ret_schema, struct error *err)
{
    if (parser->depth >= AVRO_SCHEMA_DEPTH_MAX || parser->document->count >= AVRO_SCHEMA_NODES_MAX)
        return error_set(err, STATUS_INVALID, "more than %d levels or %d types",
                         AVRO_SCHEMA_DEPTH_MAX, AVRO_SCHEMA_NODES_MAX);
    parser->depth++;
    enum status status;
    if (json_is_string(json))
        status = parse_reference(parser, json_string_value(json), ret_schema, err);
    else if (json_is_array(json))
        status = parse_union(parser, json, ret_schema, err);
    else if (json_is_object(json))
        status = parse_object(parser, json, ret_schema, err);
    else
        status = error_set(err, STATUS_INVALID, "a type must be a name, a list or an object");
    parser->depth--;
    return status;
}

enum status avro_schema_parse(const char *json, size_t size, struct avro_document **ret_document,
                              struct error *err)
{
    if (size > AVRO_SCHEMA_BYTES_MAX)
        return error_set(err, STATUS_INVALID, "an Avro schema of %zu bytes, at most %d are read",
                         size, AVRO_SCHEMA_BYTES_MAX);
    json_error_t problem;
    json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    if (root == NULL)
        return error_set(err, STATUS_INVALID, "the Avro schema is no JSON: %s at line %d column %d",
                         problem.text, problem.line, problem.column);
    struct parser parser = {.document = document_create()};
    enum status status = parse_any(&parser, root, &parser.document->root, err);
    json_decref(root);
    if (status == STATUS_OK) {
        *ret_document = parser.document;
    } else {
        avro_document_destroy(parser.document);
        status = error_wrap(err, STATUS_INVALID, "the Avro schema");
    }
    return status;
}

/* ---- from columns ---- */

static enum status derive(struct avro_document *document, struct type type, const char *name,
                          const struct avro_schema **ret_schema, struct error *err);

static struct avro_schema *derive_logical(struct avro_document *document, enum avro_kind kind,
                                          enum avro_logical logical)
{
    struct avro_schema *node = add_node(document, kind);
    node->logical = logical;
    return node;
}

static enum status derive_parts(struct avro_document *document, const struct type_field *fields,
                                uint32_t count, struct avro_schema *node, struct error *err)
{
    node->parts = allocate_array(count + 1, sizeof(*node->parts));
    node->names = allocate_array(count + 1, sizeof(*node->names));
    for (uint32_t i = 0; i < count; i++) {
        if (!is_name(fields[i].name) || strchr(fields[i].name, '.') != NULL)
            return error_set(err, STATUS_UNSUPPORTED,
                             "column \"%s\": names in Avro have letters, digits and _ only",
                             fields[i].name);
        SCOPED_TEXT char *inner = format_text("%s_%s", node->name, fields[i].name);
        if (derive(document, fields[i].type, inner, &node->parts[i], err) != STATUS_OK)
            return error_wrap(err, err->code, "column \"%s\"", fields[i].name);
        node->names[node->count++] = copy_text(fields[i].name);
    }
    return STATUS_OK;
}

static enum status derive_entries(struct avro_document *document, enum avro_kind kind,
                                  struct type type, const char *name,
                                  const struct avro_schema **ret_schema, struct error *err)
{
    struct avro_schema *node = add_node(document, kind);
    node->parts = allocate(sizeof(*node->parts));
    TRY(derive(document, type, name, &node->parts[0], err));
    node->count = 1;
    *ret_schema = node;
    return STATUS_OK;
}

static enum status no_type(struct type type, struct error *err)
{
    struct text text SCOPED_TEXT_BUFFER;
    text_init(&text, 200);
    type_format(type, &text);
    return error_set(err, STATUS_UNSUPPORTED, "Avro has no type for %s", text.bytes);
}

static enum status derive_plain(struct avro_document *document, struct type type, const char *name,
                                const struct avro_schema **ret_schema, struct error *err)
{
    const bool has_micros = type.precision > 3;
    struct avro_schema *node = NULL;
    switch (type.kind) {
    case TYPE_BOOLEAN:
        node = add_node(document, AVRO_BOOLEAN);
        break;
    case TYPE_TINYINT:
    case TYPE_SMALLINT:
    case TYPE_INT:
        node = add_node(document, AVRO_INT);
        break;
    case TYPE_BIGINT:
        node = add_node(document, AVRO_LONG);
        break;
    case TYPE_FLOAT:
        node = add_node(document, AVRO_FLOAT);
        break;
    case TYPE_DOUBLE:
        node = add_node(document, AVRO_DOUBLE);
        break;
    case TYPE_DECIMAL:
        node = derive_logical(document, AVRO_BYTES, AVRO_DECIMAL);
        node->precision = type.precision;
        node->scale = type.scale;
        break;
    case TYPE_CHAR:
    case TYPE_VARCHAR:
    case TYPE_STRING:
        node = add_node(document, AVRO_STRING);
        break;
    case TYPE_BYTES:
        node = add_node(document, AVRO_BYTES);
        break;
    case TYPE_DATE:
        node = derive_logical(document, AVRO_INT, AVRO_DATE);
        break;
    case TYPE_TIME:
        node = has_micros ? derive_logical(document, AVRO_LONG, AVRO_TIME_MICROS)
                          : derive_logical(document, AVRO_INT, AVRO_TIME_MILLIS);
        break;
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_LTZ:
        if (type.precision > 6)
            return no_type(type, err);
        node = derive_logical(document, AVRO_LONG,
                              has_micros ? AVRO_TIMESTAMP_MICROS : AVRO_TIMESTAMP_MILLIS);
        break;
    case TYPE_ARRAY:
        return derive_entries(document, AVRO_ARRAY, type.children[0].type, name, ret_schema, err);
    case TYPE_MAP:
        if (!type_is_string(type.children[0].type.kind))
            return no_type(type, err);
        return derive_entries(document, AVRO_MAP, type.children[1].type, name, ret_schema, err);
    case TYPE_ROW:
        node = add_node(document, AVRO_RECORD);
        node->name = copy_text(name);
        TRY(derive_parts(document, type.children, type.child_count, node, err));
        break;
    case TYPE_INTERVAL_MONTH:
    case TYPE_INTERVAL_SECOND:
    case TYPE_NONE:
        return no_type(type, err);
    }
    *ret_schema = node;
    return STATUS_OK;
}

static enum status derive(struct avro_document *document, struct type type, const char *name,
                          const struct avro_schema **ret_schema, struct error *err)
{
    if (!type.nullable)
        return derive_plain(document, type, name, ret_schema, err);
    struct avro_schema *node = add_node(document, AVRO_UNION);
    node->parts = allocate_array(2, sizeof(*node->parts));
    node->parts[0] = add_node(document, AVRO_NULL);
    TRY(derive_plain(document, type, name, &node->parts[1], err));
    node->count = 2;
    *ret_schema = node;
    return STATUS_OK;
}

enum status avro_schema_derive(const struct schema *columns, struct avro_document **ret_document,
                               struct error *err)
{
    struct avro_document *document = document_create();
    struct avro_schema *root = add_node(document, AVRO_RECORD);
    root->name = copy_text("record");
    document->root = root;
    struct type_field *fields = allocate_array(columns->column_count + 1, sizeof(*fields));
    for (uint32_t i = 0; i < columns->column_count; i++)
        fields[i] = (struct type_field){columns->columns[i].name, columns->columns[i].type};
    const enum status status = derive_parts(document, fields, columns->column_count, root, err);
    free(fields);
    if (status == STATUS_OK)
        *ret_document = document;
    else
        avro_document_destroy(document);
    return status;
}
