/* Splitting aggregations: names, types and texts of what flows between the halves. */
#include "operators/aggregate_plan.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/text.h"
#include "operators/aggregates/aggregate_function.h"

#include <string.h>

static struct type call_argument(const struct aggregate_call *call)
{
    return call->argument != NULL ? expression_type(call->argument)
                                  : (struct type){.kind = TYPE_NONE};
}

static uint32_t call_fields(const struct aggregate_call *call, struct accumulator_field *ret_fields)
{
    const struct aggregate_function *function = aggregate_implementation_find(call->function);
    return function != NULL ? function->fields(call_argument(call), ret_fields) : 0;
}

enum status aggregate_call_check(const struct aggregate_call *call, struct error *err)
{
    const struct aggregate_function *function = aggregate_implementation_find(call->function);
    if (function == NULL)
        return error_set(err, STATUS_UNSUPPORTED, "no operator computes the aggregate \"%s\"",
                         call->function);
    struct accumulator_field fields[AGGREGATE_FIELD_MAX];
    if (function->fields(call_argument(call), fields) > 0)
        return STATUS_OK;
    struct text type;
    text_init(&type, 200);
    type_format(call_argument(call), &type);
    (void)error_set(err, STATUS_UNSUPPORTED,
                    "%s does not take %s: cast the argument to a type that it takes",
                    call->function, type.bytes);
    text_done(&type);
    return STATUS_UNSUPPORTED;
}

bool aggregate_call_is_retractable(const struct aggregate_call *call)
{
    const struct aggregate_function *function = aggregate_implementation_find(call->function);
    return function != NULL && function->is_retractable;
}

bool aggregate_call_is_mergeable(const struct aggregate_call *call)
{
    const struct aggregate_function *function = aggregate_implementation_find(call->function);
    if (function == NULL || function->merge == NULL || call->is_distinct)
        return false;
    return function->is_mergeable == NULL || function->is_mergeable(call_argument(call));
}

struct schema *aggregate_local_schema(const struct schema *input, char *const *keys,
                                      uint32_t key_count, const struct named_expression *columns,
                                      const struct aggregate_call *calls, uint32_t count)
{
    const size_t capacity = key_count + (size_t)count * AGGREGATE_FIELD_MAX;
    struct schema_column *out = allocate_array(capacity + 1, sizeof(*out));
    char **names = allocate_array(capacity + 1, sizeof(*names));
    uint32_t column_count = 0;
    uint32_t name_count = 0;
    for (uint32_t k = 0; k < key_count; k++) {
        const int32_t index = schema_find(input, keys[k]);
        CHECK(index >= 0);
        out[column_count++] =
            (struct schema_column){.name = keys[k], .type = input->columns[index].type};
    }
    for (uint32_t i = 0; i < count; i++) {
        struct accumulator_field fields[AGGREGATE_FIELD_MAX];
        const uint32_t field_count = call_fields(&calls[i], fields);
        CHECK(field_count > 0);
        for (uint32_t j = 0; j < field_count; j++) {
            char *name = format_text("%s/%s", columns[i].name, fields[j].name);
            names[name_count++] = name;
            out[column_count++] = (struct schema_column){.name = name, .type = fields[j].type};
        }
    }
    struct schema *schema = schema_create(out, column_count, -1);
    for (uint32_t i = 0; i < name_count; i++)
        free(names[i]);
    free(names);
    free(out);
    return schema;
}

char *aggregate_merge_text(const struct aggregate_call *call, const char *name)
{
    struct accumulator_field fields[AGGREGATE_FIELD_MAX];
    CHECK(call_fields(call, fields) > 0);
    struct text text;
    text_init(&text, 4096);
    text_format(&text, "%s(\"", call->function);
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '"')
            text_append_char(&text, '"');
        text_append_char(&text, *c);
    }
    text_format(&text, "/%s\")", fields[0].name);
    char *taken = text_take(&text);
    text_done(&text);
    return taken;
}
