/* Slots to bytes and back, and what may change between schemas: see state_value.h. */
#include "taskmanager/state/state_value.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#define VALUE_FORMAT   1
#define VALUE_HAS_TIME 0x80
#define SLOT_SIZE_MAX  30000
#define TYPE_NAME_SIZE 200

/* Bytes in a slot; 0 for what is kept as struct state_bytes. */
static uint32_t field_width(enum type_kind kind)
{
    return type_is_view(kind) ? 0 : (uint32_t)type_value_size(kind);
}

static enum status layout_init(struct value_layout *layout, const struct schema *schema,
                               struct error *err)
{
    uint32_t *offsets = allocate_array(schema->column_count + 1, sizeof(uint32_t));
    uint32_t at = (schema->column_count + 7) / 8;
    bool has_bytes = false;
    uint32_t slot_alignment = 8;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const uint32_t width = field_width(schema->columns[i].type.kind);
        const uint32_t alignment = width == 0 ? 8 : width;
        if (alignment > slot_alignment)
            slot_alignment = alignment;
        at = (at + alignment - 1) & ~(alignment - 1);
        offsets[i] = at;
        at += width == 0 ? (uint32_t)sizeof(struct state_bytes) : width;
        has_bytes = has_bytes || width == 0;
    }
    at = (at + slot_alignment - 1) & ~(slot_alignment - 1);
    if (at > SLOT_SIZE_MAX) {
        free(offsets);
        return error_set(err, STATUS_LIMIT,
                         "a state with %u fields needs %u bytes a slot, at most %d are possible: "
                         "use fewer fields",
                         schema->column_count, at, SLOT_SIZE_MAX);
    }
    *layout = (struct value_layout){
        .size = at,
        .field_count = schema->column_count,
        .offsets = offsets,
        .has_bytes = has_bytes,
        .schema = schema,
    };
    return STATUS_OK;
}

static bool is_widened(struct type from, struct type to)
{
    if (from.nullable && !to.nullable)
        return false;
    from.nullable = to.nullable;
    if (type_equals(from, to, true))
        return true;
    if (type_is_integer(from.kind) && type_is_integer(to.kind))
        return field_width(from.kind) < field_width(to.kind);
    if (from.kind == TYPE_FLOAT && to.kind == TYPE_DOUBLE)
        return true;
    if (from.kind == TYPE_DECIMAL && to.kind == TYPE_DECIMAL)
        return from.scale == to.scale && from.precision <= to.precision;
    if (type_is_string(from.kind) && to.kind == TYPE_STRING)
        return true;
    return (from.kind == TYPE_CHAR || from.kind == TYPE_VARCHAR) && to.kind == TYPE_VARCHAR &&
           from.length <= to.length;
}

static int32_t find_field(const struct schema *schema, uint32_t field_id)
{
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (schema->columns[i].field_id == field_id)
            return (int32_t)i;
    }
    return -1;
}

static enum status refuse(const struct schema_column *old, const struct schema_column *new,
                          struct error *err)
{
    struct text SCOPED_TEXT_BUFFER old_type;
    struct text SCOPED_TEXT_BUFFER new_type;
    text_init(&old_type, TYPE_NAME_SIZE);
    text_init(&new_type, TYPE_NAME_SIZE);
    type_format(old->type, &old_type);
    type_format(new->type, &new_type);
    return error_set(err, STATUS_INVALID,
                     "field %s (id %u) was %s in the checkpoint and is %s now; a field may become "
                     "nullable or wider, all else needs a new field id",
                     new->name, new->field_id, old_type.bytes, new_type.bytes);
}

/* Which fields values of an old schema fill. */
static enum status make_plan(const struct schema *old, const struct schema *current,
                             struct state_field_plan **ret_plan, struct error *err)
{
    for (uint32_t i = 0; i < current->column_count; i++) {
        const struct schema_column *column = &current->columns[i];
        const int32_t from = find_field(old, column->field_id);
        if (from >= 0 && !is_widened(old->columns[from].type, column->type))
            return refuse(&old->columns[from], column, err);
        if (from < 0 && !column->type.nullable)
            return error_set(err, STATUS_INVALID,
                             "field %s (id %u) is not in the checkpoint and NOT NULL; a field that "
                             "is added must be nullable",
                             column->name, column->field_id);
    }
    struct state_field_plan *plan = allocate_array(old->column_count + 1, sizeof(*plan));
    for (uint32_t i = 0; i < old->column_count; i++) {
        const enum type_kind kind = old->columns[i].type.kind;
        plan[i] = (struct state_field_plan){
            .target = find_field(current, old->columns[i].field_id),
            .width = field_width(kind),
            .from = kind,
        };
    }
    *ret_plan = plan;
    return STATUS_OK;
}

static bool same_fields(const struct schema *a, const struct schema *b)
{
    if (!schema_equals(a, b, true))
        return false;
    for (uint32_t i = 0; i < a->column_count; i++) {
        if (a->columns[i].field_id != b->columns[i].field_id)
            return false;
    }
    return true;
}

enum status state_value_codec_init(struct state_value_codec *codec,
                                   const struct schema *const *old_schemas, uint32_t old_count,
                                   const struct schema *current, bool has_ttl, struct error *err)
{
    *codec = (struct state_value_codec){.has_ttl = has_ttl};
    const bool is_new = old_count == 0 || !same_fields(old_schemas[old_count - 1], current);
    const uint32_t count = old_count + (is_new ? 1 : 0);
    if (count > STATE_SCHEMA_VERSION_MAX)
        return error_set(err, STATUS_LIMIT, "the schema was changed more than %d times",
                         STATE_SCHEMA_VERSION_MAX);
    codec->versions = allocate_array(count, sizeof(*codec->versions));
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
        struct state_schema_version *version = &codec->versions[codec->version_count++];
        version->schema = schema_ref(i < old_count ? old_schemas[i] : current);
        status = make_plan(version->schema, current, &version->plan, err);
    }
    if (status == STATUS_OK)
        status = layout_init(&codec->layout, codec->versions[count - 1].schema, err);
    if (status != STATUS_OK)
        state_value_codec_done(codec);
    return status;
}

void state_value_codec_done(struct state_value_codec *codec)
{
    for (uint32_t i = 0; i < codec->version_count; i++) {
        schema_unref(codec->versions[i].schema);
        free(codec->versions[i].plan);
    }
    free(codec->versions);
    free(codec->layout.offsets);
    *codec = (struct state_value_codec){0};
}

void state_value_encode(const struct state_value_codec *codec, const void *slot, int64_t write_ms,
                        struct text *out)
{
    const struct value_layout *layout = &codec->layout;
    const uint32_t version = codec->version_count - 1;
    char head[11] = {(char)(VALUE_FORMAT | (codec->has_ttl ? VALUE_HAS_TIME : 0)), (char)version,
                     (char)(version >> 8)};
    memcpy(head + 3, &write_ms, sizeof(write_ms));
    text_append_bytes(out, head, codec->has_ttl ? 11 : 3);
    text_append_bytes(out, slot, (layout->field_count + 7) / 8);
    const struct state_field_plan *plan = codec->versions[version].plan;
    for (uint32_t i = 0; i < layout->field_count; i++) {
        if (slot_is_null(slot, i))
            continue;
        const char *field = (const char *)slot + layout->offsets[i];
        if (plan[i].width != 0) {
            text_append_bytes(out, field, plan[i].width);
            continue;
        }
        struct state_bytes bytes;
        memcpy(&bytes, field, sizeof(bytes));
        text_append_bytes(out, &bytes.size, sizeof(bytes.size));
        if (bytes.size > 0)
            text_append_bytes(out, bytes.bytes, bytes.size);
    }
}

static void store_widened(const struct state_field_plan *plan, enum type_kind to, const char *from,
                          void *field)
{
    const uint32_t to_width = field_width(to);
    if (plan->from == TYPE_FLOAT && to == TYPE_DOUBLE) {
        float value;
        memcpy(&value, from, sizeof(value));
        const double wide = (double)value;
        memcpy(field, &wide, sizeof(wide));
    } else if (plan->width < to_width) {
        /* Little-endian two's complement: the sign fills the rest. */
        memset(field, (from[plan->width - 1] & 0x80) != 0 ? 0xff : 0, to_width);
        memcpy(field, from, plan->width);
    } else {
        memcpy(field, from, to_width);
    }
}

static enum status corrupt(struct error *err)
{
    return error_set(err, STATUS_CORRUPT, "a value in the state is damaged");
}

static enum status decode_fields(const struct state_value_codec *codec,
                                 const struct state_schema_version *version, const char *at,
                                 const char *end, void *slot, struct arena *arena,
                                 struct error *err)
{
    const struct value_layout *layout = &codec->layout;
    const uint32_t count = version->schema->column_count;
    const char *nulls = at;
    if ((size_t)(end - at) < (count + 7) / 8)
        return corrupt(err);
    at += (count + 7) / 8;
    for (uint32_t i = 0; i < count; i++) {
        const struct state_field_plan *plan = &version->plan[i];
        if (slot_is_null(nulls, i))
            continue;
        uint32_t size = plan->width;
        if (size == 0) {
            if ((size_t)(end - at) < sizeof(size))
                return corrupt(err);
            memcpy(&size, at, sizeof(size));
            at += sizeof(size);
        }
        if ((size_t)(end - at) < size)
            return corrupt(err);
        if (plan->target >= 0) {
            const uint32_t target = (uint32_t)plan->target;
            void *field = slot_field(layout, slot, target);
            slot_set_null(slot, target, false);
            if (plan->width == 0)
                state_slot_set_bytes(field, at, size, arena);
            else
                store_widened(plan, layout->schema->columns[target].type.kind, at, field);
        }
        at += size;
    }
    return at == end ? STATUS_OK : corrupt(err);
}

enum status state_value_decode(const struct state_value_codec *codec, const void *bytes,
                               size_t size, void *slot, int64_t *ret_write_ms, struct arena *arena,
                               struct error *err)
{
    const unsigned char *head = bytes;
    if (size < 3 || (head[0] & ~VALUE_HAS_TIME) != VALUE_FORMAT)
        return corrupt(err);
    const uint32_t version = head[1] | (uint32_t)head[2] << 8;
    if (version >= codec->version_count)
        return corrupt(err);
    size_t taken = 3;
    int64_t write_ms = -1;
    if ((head[0] & VALUE_HAS_TIME) != 0) {
        if (!state_value_write_ms(bytes, size, &write_ms))
            return corrupt(err);
        taken = 11;
    }
    const uint32_t field_count = codec->layout.field_count;
    for (uint32_t i = 0; i < field_count; i++)
        slot_set_null(slot, i, true);
    TRY(decode_fields(codec, &codec->versions[version], (const char *)bytes + taken,
                      (const char *)bytes + size, slot, arena, err));
    *ret_write_ms = write_ms;
    return STATUS_OK;
}

bool state_value_write_ms(const void *bytes, size_t size, int64_t *ret_write_ms)
{
    if (size < 11 || *(const unsigned char *)bytes != (VALUE_FORMAT | VALUE_HAS_TIME))
        return false;
    memcpy(ret_write_ms, (const char *)bytes + 3, sizeof(*ret_write_ms));
    return true;
}

void state_slot_release(const struct value_layout *layout, void *slot, struct arena *arena)
{
    if (!layout->has_bytes)
        return;
    for (uint32_t i = 0; i < layout->field_count; i++) {
        if (field_width(layout->schema->columns[i].type.kind) != 0)
            continue;
        struct state_bytes *field = slot_field(layout, slot, i);
        if (field->bytes != NULL)
            arena_give_bytes(arena, field->bytes, field->capacity);
        *field = (struct state_bytes){0};
    }
}

void state_slot_set_bytes(struct state_bytes *field, const void *bytes, uint32_t size,
                          struct arena *arena)
{
    if (size > field->capacity) {
        /* Grows by half again, so that values that grow slowly are not copied each time. */
        const uint32_t wanted = field->capacity == 0 ? size : size + size / 2;
        const uint32_t capacity = (uint32_t)arena_bytes_capacity(wanted);
        char *memory = arena_take_bytes(arena, capacity);
        memcpy(memory, bytes, size); /* before the old piece goes: bytes may lie in it */
        if (field->bytes != NULL)
            arena_give_bytes(arena, field->bytes, field->capacity);
        *field = (struct state_bytes){.bytes = memory, .size = size, .capacity = capacity};
        return;
    }
    if (size > 0)
        memmove(field->bytes, bytes, size);
    field->size = size;
}
