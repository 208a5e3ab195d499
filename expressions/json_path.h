/*
 * Values inside a JSON text by path, without building a document: a scanner that skips what the
 * path does not name. Paths: $, .name, ['name'], [index], optionally led by "lax" or "strict".
 */
#ifndef EXPRESSIONS_JSON_PATH_H
#define EXPRESSIONS_JSON_PATH_H

#include "expressions/kernel.h"

#define JSON_PATH_STEPS_MAX 32
#define JSON_DEPTH_MAX      200

struct json_step {
    uint32_t start; /* of the name in the path */
    uint32_t size;
    uint32_t index; /* with is_index */
    bool is_index;
};

struct json_path {
    struct json_step steps[JSON_PATH_STEPS_MAX];
    uint32_t count;
};

enum json_result {
    JSON_FOUND,
    JSON_MISSING, /* the path leads nowhere */
    JSON_BROKEN,  /* the text is no JSON as far as it was read */
};

/* NULL if it is a path, else what is wrong with it. */
const char *json_path_parse(struct slice text, struct json_path *ret_path);
/* *ret_value: the range of the value, without space around it. path_text: what was parsed. Of equal
 * names the last counts. */
enum json_result json_path_find(const struct json_path *path, struct slice path_text,
                                struct slice json, struct slice *ret_value);
/* The content of a JSON string (with its quotes) with escapes resolved. out has room for its size.
 * Returns the size; lone surrogates become U+FFFD. */
uint32_t json_unescape(struct slice string, char *out);

#endif
