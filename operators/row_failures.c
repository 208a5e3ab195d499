/* Rows whose expressions failed, on their way to on_error. */
#include "operators/row_failures.h"

#include "common/base/allocate.h"
#include "common/base/text.h"

#define FAILURE_BYTES_MAX 2000

void row_failures_done(struct row_failures *failures)
{
    for (size_t i = 0; i < failures->count; i++)
        free(failures->failures[i].message);
    free(failures->failures);
    *failures = (struct row_failures){0};
}

static void add_failure(struct row_failures *failures, const struct expression *expression,
                        struct expression_scratch *scratch, const struct batch *batch,
                        const struct named_expression *where, uint32_t row)
{
    struct text message;
    text_init(&message, FAILURE_BYTES_MAX);
    if (where->name != NULL && where->name[0] != '\0')
        text_format(&message, "column \"%s\": ", where->name);
    expression_row_error(expression, scratch, batch, row, &message);
    array_push(failures->failures, failures->count, failures->capacity) =
        (struct row_failure){.row = row, .message = text_take(&message)};
    text_done(&message);
}

uint32_t row_failures_collect(struct row_failures *failures, const struct evaluation *evaluation,
                              const struct expression *expression,
                              struct expression_scratch *scratch, const struct batch *batch,
                              const struct named_expression *where, uint32_t *rows, uint32_t count)
{
    if (evaluation->errors == NULL || evaluation->error_count == 0)
        return count;
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = rows[i];
        if ((evaluation->errors[row / 64] >> (row % 64) & 1) != 0)
            add_failure(failures, expression, scratch, batch, where, row);
        else
            rows[left++] = row;
    }
    return left;
}

enum step row_failures_deliver(struct row_failures *failures, struct operator_env *env,
                               const struct batch *batch, struct emitter *out, struct error *err)
{
    while (failures->delivered < failures->count) {
        const struct row_failure *failure = &failures->failures[failures->delivered];
        const struct row_error error = {
            .cause = "expression",
            .message = failure->message,
            .origin = &batch->origin,
            .position = -1,
        };
        const enum step step = env->ops->row_error(env, &error, out, err);
        if (step != STEP_DONE)
            return step;
        failures->delivered++;
    }
    for (size_t i = 0; i < failures->count; i++)
        free(failures->failures[i].message);
    failures->count = 0;
    failures->delivered = 0;
    return STEP_DONE;
}

enum status spec_expression_problem(const struct operator_spec *spec,
                                    const struct named_expression *named,
                                    const struct expression_problem *problem, struct error *err)
{
    return error_set(err, STATUS_INVALID,
                     "operator \"%s\": expression \"%.200s\" of \"%s\" at column %u: %s", spec->uid,
                     named->text, named->name != NULL ? named->name : "", problem->column,
                     problem->message);
}

enum status spec_expression_compile(const struct operator_spec *spec,
                                    const struct named_expression *named,
                                    const struct schema *schema,
                                    const struct expression_options *options,
                                    struct expression **ret_expression, struct error *err)
{
    struct expression_problem problem;
    if (expression_compile(named->text, schema, options, ret_expression, &problem) == STATUS_OK)
        return STATUS_OK;
    return spec_expression_problem(spec, named, &problem, err);
}
