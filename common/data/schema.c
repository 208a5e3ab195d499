/* Schemas: see schema.h. One block of memory holds the schema, its nested types and all names. */
#include "common/data/schema.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <string.h>

/* Where the next nested node and the next name go within the block. */
struct layout {
    struct type_field *fields;
    char *names;
};

static void measure_type(struct type type, unsigned depth, size_t *field_count, size_t *name_bytes)
{
    CHECK(depth <= TYPE_DEPTH_MAX);
    *field_count += type.child_count;
    for (uint32_t i = 0; i < type.child_count; i++) {
        *name_bytes += strlen(type.children[i].name) + 1;
        measure_type(type.children[i].type, depth + 1, field_count, name_bytes);
    }
}

static const char *place_name(struct layout *layout, const char *name)
{
    const size_t size = strlen(name) + 1;
    const char *placed = memcpy(layout->names, name, size);
    layout->names += size;
    return placed;
}

static struct type place_type(struct layout *layout, struct type type)
{
    if (type.child_count == 0) {
        type.children = NULL;
        return type;
    }
    struct type_field *fields = layout->fields;
    layout->fields += type.child_count;
    for (uint32_t i = 0; i < type.child_count; i++) {
        fields[i].name = place_name(layout, type.children[i].name);
        fields[i].type = place_type(layout, type.children[i].type);
    }
    type.children = fields;
    return type;
}

struct schema *schema_create(const struct schema_column *columns, uint32_t count,
                             int32_t event_time)
{
    CHECK(event_time >= -1 && event_time < (int32_t)count);
    size_t field_count = 0;
    size_t name_bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        name_bytes += strlen(columns[i].name) + 1;
        measure_type(columns[i].type, 1, &field_count, &name_bytes);
    }
    struct schema *schema = allocate(sizeof(*schema) + count * sizeof(schema->columns[0]) +
                                     field_count * sizeof(struct type_field) + name_bytes);
    struct layout layout = {.fields = (struct type_field *)(void *)&schema->columns[count]};
    layout.names = (char *)(layout.fields + field_count);
    atomic_init(&schema->references, 1);
    schema->column_count = count;
    schema->event_time = event_time;
    for (uint32_t i = 0; i < count; i++) {
        schema->columns[i] = (struct schema_column){
            .name = place_name(&layout, columns[i].name),
            .type = place_type(&layout, columns[i].type),
            .field_id = columns[i].field_id != 0 ? columns[i].field_id : i + 1,
        };
    }
    return schema;
}

struct schema *schema_ref(const struct schema *schema)
{
    /* Only the count changes: who holds a const schema may keep it. */
    struct schema *kept = (struct schema *)(uintptr_t)schema;
    atomic_fetch_add_explicit(&kept->references, 1, memory_order_relaxed);
    return kept;
}

void schema_unref(struct schema *schema)
{
    if (schema != NULL &&
        atomic_fetch_sub_explicit(&schema->references, 1, memory_order_acq_rel) == 1)
        free(schema);
}

int32_t schema_find(const struct schema *schema, const char *name)
{
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (strcmp(schema->columns[i].name, name) == 0)
            return (int32_t)i;
    }
    return -1;
}

bool schema_equals(const struct schema *a, const struct schema *b, bool with_nullability)
{
    if (a == b)
        return true;
    if (a->column_count != b->column_count)
        return false;
    for (uint32_t i = 0; i < a->column_count; i++) {
        if (strcmp(a->columns[i].name, b->columns[i].name) != 0 ||
            !type_equals(a->columns[i].type, b->columns[i].type, with_nullability))
            return false;
    }
    return true;
}

void schema_format(const struct schema *schema, struct text *out)
{
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (i > 0)
            text_append(out, ", ");
        type_format_name(schema->columns[i].name, out);
        text_append_char(out, ' ');
        type_format(schema->columns[i].type, out);
    }
}
