/* json_value, json_query, json_exists. What is no JSON gives NULL. */
#include "expressions/binder.h"
#include "expressions/function.h"
#include "expressions/json_path.h"

/* The path of the row; false: the row failed. A constant path was parsed by bind_path. */
static bool row_path(const struct call *call, uint32_t row, struct json_path *parsed,
                     const struct json_path **ret_path)
{
    if (call->node->state != NULL) {
        *ret_path = call->node->state;
        return true;
    }
    const char *problem = json_path_parse(arg_string(call, 1, row), parsed);
    if (problem != NULL)
        call_raise(call, row, "bad JSON path: %s", problem);
    *ret_path = parsed;
    return problem == NULL;
}

enum json_wanted { WANTED_SCALAR, WANTED_CONTAINER };

static bool is_container(struct slice value)
{
    return value.bytes[0] == '{' || value.bytes[0] == '[';
}

static void put_value(struct call *call, struct string_writer *writer, uint32_t row, uint32_t shift,
                      struct slice json, struct slice value)
{
    struct string_view *out = &column_views(call->result)[row];
    const bool is_string = value.bytes[0] == '"';
    if (is_string && memchr(value.bytes, '\\', value.size) != NULL) {
        char *room = string_writer_reserve(writer, value.size);
        string_writer_commit(writer, row, json_unescape(value, room));
        return;
    }
    const struct column *from = call->args[0].column;
    const uint32_t offset = (uint32_t)(value.bytes - json.bytes) + is_string;
    *out = string_view_part(from, &column_views(from)[arg_row(call, 0, row)], shift, offset,
                            value.size - (is_string ? 2 : 0));
}

static void find_values(struct call *call, enum json_wanted wanted)
{
    const uint32_t shift = column_share_buffers(call->result, call->args[0].column);
    struct string_writer writer = string_writer_start(call, call->result);
    FOR_ROWS(call, row)
    {
        struct json_path parsed;
        const struct json_path *path;
        struct slice value;
        const struct slice json = arg_string(call, 0, row);
        if (!row_path(call, row, &parsed, &path))
            continue;
        if (json_path_find(path, arg_string(call, 1, row), json, &value) != JSON_FOUND ||
            is_container(value) != (wanted == WANTED_CONTAINER) || value.bytes[0] == 'n')
            call_set_null(call, row);
        else
            put_value(call, &writer, row, shift, json, value);
    }
}

static void json_value(struct call *call)
{
    find_values(call, WANTED_SCALAR);
}

static void json_query(struct call *call)
{
    find_values(call, WANTED_CONTAINER);
}

static void json_exists(struct call *call)
{
    FOR_ROWS(call, row)
    {
        struct json_path parsed;
        const struct json_path *path;
        struct slice value;
        if (row_path(call, row, &parsed, &path))
            RESULT(call, uint8_t)
        [row] = json_path_find(path, arg_string(call, 1, row), arg_string(call, 0, row), &value) ==
                JSON_FOUND;
    }
}

static bool bind_path(struct binder *binder, struct node *node)
{
    struct slice text;
    text.bytes = bind_literal_string(node, 1, &text.size);
    if (text.bytes == NULL || binder->expression->keeps_literals_wide)
        return true;
    struct json_path *path = node_arena_allocate(&binder->expression->arena, sizeof(*path));
    const char *problem = json_path_parse(text, path);
    if (problem != NULL)
        return bind_fail(binder, node->args[1], "bad JSON path: %s", problem);
    node->state = path;
    return true;
}

const struct function functions_json[] = {
    {"json_value", "ss", 's', FUNCTION_GIVES_NULL, json_value, bind_path,
     "JSON_VALUE(json, path [RETURNING type])",
     "the scalar at the path as text or as the type; NULL if there is none or it is no such value",
     "JSON_VALUE('{\"a\": {\"b\": 7}}', '$.a.b' RETURNING INT)", "STRING or the type"},
    {"json_query", "ss", 's', FUNCTION_GIVES_NULL, json_query, bind_path, "JSON_QUERY(json, path)",
     "the object or array at the path as JSON text", "JSON_QUERY('{\"a\": [1, 2]}', '$.a')",
     "STRING"},
    {"json_exists", "ss", 'b', 0, json_exists, bind_path, "JSON_EXISTS(json, path)",
     "is there anything at the path", "JSON_EXISTS('{\"a\": 1}', '$.b')", "BOOLEAN"},
};
DEFINE_FAMILY_COUNT(json);
