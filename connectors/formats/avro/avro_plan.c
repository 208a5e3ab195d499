/* Matching Avro schemas with columns: see avro_plan.h. */
#include "connectors/formats/avro/avro_plan.h"

#include "common/base/allocate.h"

#include <string.h>

#define PLAN_DEPTH_MAX (TYPE_DEPTH_MAX * 2)

static enum status plan_value(struct avro_plan *plan, const struct avro_schema *avro,
                              struct type type, enum avro_direction direction, unsigned depth,
                              struct error *err);

void avro_plan_done(struct avro_plan *plan)
{
    if (plan->parts != NULL) {
        for (uint32_t i = 0; i < plan->avro->count; i++)
            avro_plan_done(&plan->parts[i]);
    }
    free(plan->parts);
    free(plan->places);
    *plan = (struct avro_plan){0};
}

static enum status does_not_fit(const struct avro_schema *avro, struct type type,
                                enum avro_direction direction, struct error *err)
{
    struct text text SCOPED_TEXT_BUFFER;
    text_init(&text, 400);
    avro_schema_describe(avro, &text);
    text_append(&text,
                direction == AVRO_READ ? " of Avro cannot be read as " : " of Avro cannot hold ");
    type_format(type, &text);
    return error_set(err, STATUS_INVALID, "%s", text.bytes);
}

/* ---- simple values ---- */

static bool fits_logical(const struct avro_schema *avro, struct type type,
                         enum avro_direction direction)
{
    switch (avro->logical) {
    case AVRO_DECIMAL:
        return type.kind == TYPE_DECIMAL &&
               (direction == AVRO_READ ? avro->scale <= type.scale : type.scale <= avro->scale);
    case AVRO_DATE:
        return type.kind == TYPE_DATE;
    case AVRO_TIME_MILLIS:
    case AVRO_TIME_MICROS:
        return type.kind == TYPE_TIME;
    case AVRO_TIMESTAMP_MILLIS:
    case AVRO_TIMESTAMP_MICROS:
        return type_is_timestamp(type.kind);
    case AVRO_PLAIN:
        break;
    }
    return false;
}

/* Reading widens as the specification says, and narrows integers with a check. */
static bool fits_read(enum avro_kind kind, enum type_kind type)
{
    switch (kind) {
    case AVRO_BOOLEAN:
        return type == TYPE_BOOLEAN;
    case AVRO_INT:
    case AVRO_LONG:
        return type_is_integer(type) || type == TYPE_FLOAT || type == TYPE_DOUBLE;
    case AVRO_FLOAT:
        return type == TYPE_FLOAT || type == TYPE_DOUBLE;
    case AVRO_DOUBLE:
        return type == TYPE_DOUBLE;
    case AVRO_BYTES:
    case AVRO_STRING:
        return type_is_view(type);
    case AVRO_FIXED:
        return type == TYPE_BYTES;
    case AVRO_ENUM:
        return type_is_string(type);
    case AVRO_NULL:
    case AVRO_ARRAY:
    case AVRO_MAP:
    case AVRO_RECORD:
    case AVRO_UNION:
        break;
    }
    return false;
}

static bool fits_write(enum avro_kind kind, enum type_kind type)
{
    switch (kind) {
    case AVRO_BOOLEAN:
        return type == TYPE_BOOLEAN;
    case AVRO_INT:
        return type_is_integer(type) && type != TYPE_BIGINT;
    case AVRO_LONG:
        return type_is_integer(type);
    case AVRO_FLOAT:
        return type == TYPE_FLOAT;
    case AVRO_DOUBLE:
        return type == TYPE_FLOAT || type == TYPE_DOUBLE;
    case AVRO_BYTES:
        return type_is_view(type);
    case AVRO_STRING:
    case AVRO_ENUM:
        return type_is_string(type);
    case AVRO_FIXED:
        return type == TYPE_BYTES;
    case AVRO_NULL:
    case AVRO_ARRAY:
    case AVRO_MAP:
    case AVRO_RECORD:
    case AVRO_UNION:
        break;
    }
    return false;
}

static bool fits(const struct avro_schema *avro, struct type type, enum avro_direction direction)
{
    if (avro->logical != AVRO_PLAIN && fits_logical(avro, type, direction))
        return true;
    /* Dates and times may be read as their numbers. */
    if (avro->logical != AVRO_PLAIN && direction == AVRO_WRITE)
        return false;
    return direction == AVRO_READ ? fits_read(avro->kind, type.kind)
                                  : fits_write(avro->kind, type.kind);
}

/* ---- composed values ---- */

static int32_t find_field(const struct type_field *fields, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(fields[i].name, name) == 0)
            return (int32_t)i;
    }
    return -1;
}

static bool takes_null(const struct avro_schema *avro)
{
    if (avro->kind == AVRO_NULL)
        return true;
    for (uint32_t i = 0; avro->kind == AVRO_UNION && i < avro->count; i++) {
        if (avro->parts[i]->kind == AVRO_NULL)
            return true;
    }
    return false;
}

static enum status check_all_placed(const struct avro_schema *avro, const struct type_field *fields,
                                    uint32_t count, struct error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        bool is_placed = false;
        for (uint32_t k = 0; k < avro->count && !is_placed; k++)
            is_placed = strcmp(avro->names[k], fields[i].name) == 0;
        if (!is_placed)
            return error_set(err, STATUS_INVALID,
                             "column \"%s\": record %s has no field of that name", fields[i].name,
                             avro->name);
    }
    return STATUS_OK;
}

static enum status plan_record(struct avro_plan *plan, const struct avro_schema *avro,
                               const struct type_field *fields, uint32_t count,
                               enum avro_direction direction, unsigned depth, struct error *err)
{
    plan->parts = allocate_array(avro->count + 1, sizeof(*plan->parts));
    plan->places = allocate_array(avro->count + 1, sizeof(*plan->places));
    for (uint32_t i = 0; i < avro->count; i++)
        plan->parts[i].avro = avro->parts[i];
    for (uint32_t i = 0; i < avro->count; i++) {
        const int32_t place = plan->places[i] = find_field(fields, count, avro->names[i]);
        if (place < 0 && direction == AVRO_WRITE && !takes_null(avro->parts[i]))
            return error_set(err, STATUS_INVALID,
                             "field \"%s\" of record %s has no column, and takes no null",
                             avro->names[i], avro->name);
        if (place < 0)
            continue; /* skipped, or null */
        if (plan_value(&plan->parts[i], avro->parts[i], fields[place].type, direction, depth + 1,
                       err) != STATUS_OK)
            return error_wrap(err, err->code, "column \"%s\"", avro->names[i]);
    }
    return direction == AVRO_WRITE ? check_all_placed(avro, fields, count, err) : STATUS_OK;
}

/* Reading: every branch must fit. Writing: one must. */
static enum status plan_union(struct avro_plan *plan, const struct avro_schema *avro,
                              struct type type, enum avro_direction direction, unsigned depth,
                              struct error *err)
{
    plan->parts = allocate_array(avro->count, sizeof(*plan->parts));
    bool has_place = false;
    for (uint32_t i = 0; i < avro->count; i++) {
        struct avro_plan *part = &plan->parts[i];
        part->avro = avro->parts[i];
        if (part->avro->kind == AVRO_NULL)
            continue;
        if (has_place && direction == AVRO_WRITE)
            continue;
        const enum status status =
            plan_value(part, avro->parts[i], type, direction, depth + 1, err);
        if (status == STATUS_OK) {
            has_place = true;
            continue;
        }
        if (direction == AVRO_READ)
            return status;
        avro_plan_done(part);
        part->avro = avro->parts[i];
    }
    return has_place ? STATUS_OK : does_not_fit(avro, type, direction, err);
}

static enum status plan_value(struct avro_plan *plan, const struct avro_schema *avro,
                              struct type type, enum avro_direction direction, unsigned depth,
                              struct error *err)
{
    plan->avro = avro;
    plan->type = type;
    if (depth > PLAN_DEPTH_MAX)
        return error_set(err, STATUS_INVALID, "nested more than %d deep", PLAN_DEPTH_MAX);
    if (avro->kind == AVRO_UNION)
        return plan_union(plan, avro, type, direction, depth, err);
    if (avro->kind == AVRO_RECORD && type.kind == TYPE_ROW)
        return plan_record(plan, avro, type.children, type.child_count, direction, depth, err);
    const bool is_map = avro->kind == AVRO_MAP && type.kind == TYPE_MAP &&
                        type_is_string(type.children[0].type.kind);
    if (is_map || (avro->kind == AVRO_ARRAY && type.kind == TYPE_ARRAY)) {
        plan->parts = allocate(sizeof(*plan->parts));
        return plan_value(plan->parts, avro->parts[0], type.children[is_map ? 1 : 0].type,
                          direction, depth + 1, err);
    }
    return fits(avro, type, direction) ? STATUS_OK : does_not_fit(avro, type, direction, err);
}

enum status avro_plan_init(struct avro_plan *plan, const struct avro_schema *avro,
                           const struct type_field *columns, uint32_t column_count,
                           enum avro_direction direction, struct error *err)
{
    if (avro->kind != AVRO_RECORD)
        return error_set(err, STATUS_INVALID,
                         "the Avro schema must be a record, whose fields are the columns");
    *plan = (struct avro_plan){
        .avro = avro,
        .type = {.kind = TYPE_ROW, .child_count = (uint16_t)column_count, .children = columns}};
    const enum status status = plan_record(plan, avro, columns, column_count, direction, 0, err);
    if (status != STATUS_OK)
        avro_plan_done(plan);
    return status;
}
