/*
 * Format avro: a record of Apache Avro in each message, its fields matched to the columns by name.
 *
 * The schema that the bytes were written with is that of `schema` or `schema_file`, else the one
 * that the columns give. With `prefix: confluent` a message begins with a zero byte and a schema's
 * number (four bytes, most significant first; Confluent's wire format), and the schemas are files
 * NUMBER.avsc in the directory `schemas`; one that is new is looked for when it is met.
 */
#include "connectors/formats/avro/avro_plan.h"
#include "connectors/formats/formats.h"

#include "common/base/allocate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PREFIX_BYTES 5
#define WRITERS_MAX  1000

enum avro_option {
    AVRO_OPTION_SCHEMA,
    AVRO_OPTION_SCHEMA_FILE,
    AVRO_OPTION_PREFIX,
    AVRO_OPTION_SCHEMAS,
    AVRO_OPTION_SCHEMA_ID,
    AVRO_OPTION_COUNT
};
enum avro_prefix { AVRO_PREFIX_NONE, AVRO_PREFIX_CONFLUENT };

static const char *const prefixes[] = {"none", "confluent", NULL};

static const struct option_spec options[] = {
    [AVRO_OPTION_SCHEMA] = {.name = "schema",
                            .type = OPTION_STRING,
                            .help = "The Avro schema as JSON; without it and schema_file the one "
                                    "that the columns give."},
    [AVRO_OPTION_SCHEMA_FILE] = {.name = "schema_file",
                                 .type = OPTION_STRING,
                                 .help = "A file that holds the schema, on every host."},
    [AVRO_OPTION_PREFIX] = {.name = "prefix",
                            .type = OPTION_ENUM,
                            .fallback = "none",
                            .choices = prefixes,
                            .help = "confluent: a zero byte and the schema's number stand in front "
                                    "of each record."},
    [AVRO_OPTION_SCHEMAS] = {.name = "schemas",
                             .type = OPTION_STRING,
                             .help = "For reading with `prefix: confluent`: a directory of files "
                                     "NUMBER.avsc, on every host."},
    [AVRO_OPTION_SCHEMA_ID] = {.name = "schema_id",
                               .type = OPTION_INT,
                               .min = 1,
                               .max = INT32_MAX,
                               .help = "For writing with `prefix: confluent`: the schema's "
                                       "number."},
    {.name = NULL},
};

/* A schema that records were written with. */
struct writer {
    uint32_t id;
    struct avro_document *document;
    struct avro_plan plan;
};

struct avro {
    struct schema *schema;     /* the columns; owned */
    struct type_field *fields; /* the same, as the fields of a ROW */
    enum avro_direction direction;
    enum avro_prefix prefix;
    char *directory; /* of schemas; NULL: none */
    struct writer *writers;
    size_t writer_count;
    size_t writer_capacity;
    uint32_t written_id;
};

/* ---- schemas ---- */

static enum status read_file(const char *path, struct text *out, struct error *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "read Avro schema %s", path);
    char piece[4096];
    ssize_t count;
    while ((count = read(fd, piece, sizeof(piece))) > 0 && !out->overflowed)
        text_append_bytes(out, piece, (size_t)count);
    const int reason = errno;
    (void)close(fd); /* it was only read */
    if (count < 0)
        return error_set_errno(err, reason, "read Avro schema %s", path);
    return out->overflowed
               ? error_set(err, STATUS_INVALID, "Avro schema %s is above %zu bytes", path, out->max)
               : STATUS_OK;
}

static enum status parse_file(const char *path, struct avro_document **ret_document,
                              struct error *err)
{
    struct text text SCOPED_TEXT_BUFFER;
    text_init(&text, AVRO_SCHEMA_BYTES_MAX);
    TRY(read_file(path, &text, err));
    if (avro_schema_parse(text.bytes, text.size, ret_document, err) != STATUS_OK)
        return error_wrap(err, err->code, "%s", path);
    return STATUS_OK;
}

/* Takes the document. */
static enum status add_writer(struct avro *avro, uint32_t id, struct avro_document *document,
                              struct error *err)
{
    struct writer writer = {.id = id, .document = document};
    const enum status status =
        avro->writer_count >= WRITERS_MAX
            ? error_set(err, STATUS_LIMIT, "more than %d Avro schemas", WRITERS_MAX)
            : avro_plan_init(&writer.plan, avro_document_root(document), avro->fields,
                             avro->schema->column_count, avro->direction, err);
    if (status != STATUS_OK) {
        avro_document_destroy(document);
        return status;
    }
    array_push(avro->writers, avro->writer_count, avro->writer_capacity) = writer;
    return STATUS_OK;
}

static const struct avro_plan *find_writer(const struct avro *avro, uint32_t id)
{
    for (size_t i = 0; i < avro->writer_count; i++) {
        if (avro->writers[i].id == id)
            return &avro->writers[i].plan;
    }
    return NULL;
}

/* A small file on this host: read where it is first met. */
static const struct avro_plan *load_writer(struct avro *avro, uint32_t id, struct error *err)
{
    SCOPED_TEXT char *path = format_text("%s/%u.avsc", avro->directory, id);
    struct avro_document *document = NULL;
    if (parse_file(path, &document, err) != STATUS_OK ||
        add_writer(avro, id, document, err) != STATUS_OK)
        return NULL;
    return &avro->writers[avro->writer_count - 1].plan;
}

/* ---- opening ---- */

static enum status check_options(const struct option_value *values, enum avro_direction direction,
                                 struct error *err)
{
    const bool has_schema =
        values[AVRO_OPTION_SCHEMA].text != NULL || values[AVRO_OPTION_SCHEMA_FILE].text != NULL;
    const bool is_confluent = values[AVRO_OPTION_PREFIX].integer == AVRO_PREFIX_CONFLUENT;
    if (values[AVRO_OPTION_SCHEMA].text != NULL && values[AVRO_OPTION_SCHEMA_FILE].text != NULL)
        return error_set(err, STATUS_INVALID, "schema and schema_file: say one of them");
    if (direction == AVRO_READ && is_confluent && values[AVRO_OPTION_SCHEMAS].text == NULL)
        return error_set(err, STATUS_INVALID,
                         "prefix: confluent needs `schemas`, a directory of files NUMBER.avsc");
    if (direction == AVRO_READ && is_confluent && has_schema)
        return error_set(err, STATUS_INVALID,
                         "prefix: confluent reads the schema that each record names, in `schemas`: "
                         "remove schema");
    if (direction == AVRO_WRITE && is_confluent && !values[AVRO_OPTION_SCHEMA_ID].is_set)
        return error_set(err, STATUS_INVALID,
                         "prefix: confluent needs `schema_id`, the number of the schema");
    return STATUS_OK;
}

static enum status add_own_schema(struct avro *avro, const struct option_value *values,
                                  struct error *err)
{
    struct avro_document *document = NULL;
    const char *text = values[AVRO_OPTION_SCHEMA].text;
    const char *path = values[AVRO_OPTION_SCHEMA_FILE].text;
    if (text != NULL)
        TRY(avro_schema_parse(text, strlen(text), &document, err));
    else if (path != NULL)
        TRY(parse_file(path, &document, err));
    else
        TRY(avro_schema_derive(avro->schema, &document, err));
    return add_writer(avro, 0, document, err);
}

static void avro_close(void *self)
{
    struct avro *avro = self;
    for (size_t i = 0; i < avro->writer_count; i++) {
        avro_plan_done(&avro->writers[i].plan);
        avro_document_destroy(avro->writers[i].document);
    }
    free(avro->writers);
    free(avro->directory);
    free(avro->fields);
    schema_unref(avro->schema);
    *avro = (struct avro){0};
}

static enum status open_with(struct avro *avro, const struct operator_spec *spec,
                             const struct schema *schema, enum avro_direction direction,
                             struct error *err)
{
    struct option_value values[AVRO_OPTION_COUNT];
    TRY(options_from_settings(options, spec->settings, spec->setting_count, "format.", values,
                              err));
    TRY(check_options(values, direction, err));
    *avro = (struct avro){
        .schema = schema_ref(schema),
        .fields = allocate_array(schema->column_count + 1, sizeof(*avro->fields)),
        .direction = direction,
        .prefix = (enum avro_prefix)values[AVRO_OPTION_PREFIX].integer,
        .written_id = (uint32_t)values[AVRO_OPTION_SCHEMA_ID].integer,
    };
    for (uint32_t i = 0; i < schema->column_count; i++)
        avro->fields[i] =
            (struct type_field){avro->schema->columns[i].name, avro->schema->columns[i].type};
    enum status status = STATUS_OK;
    if (direction == AVRO_READ && avro->prefix == AVRO_PREFIX_CONFLUENT)
        avro->directory = copy_text(values[AVRO_OPTION_SCHEMAS].text);
    else
        status = add_own_schema(avro, values, err);
    if (status != STATUS_OK)
        avro_close(avro);
    return status;
}

static enum status open_reading(void *self, const struct operator_spec *spec,
                                const struct schema *schema, struct error *err)
{
    return open_with(self, spec, schema, AVRO_READ, err);
}

static enum status open_writing(void *self, const struct operator_spec *spec,
                                const struct schema *schema, struct error *err)
{
    return open_with(self, spec, schema, AVRO_WRITE, err);
}

static enum status check_settings(const struct operator_spec *spec, const struct schema *schema,
                                  bool is_source, struct error *err)
{
    struct avro avro;
    TRY(open_with(&avro, spec, schema, is_source ? AVRO_READ : AVRO_WRITE, err));
    avro_close(&avro);
    return STATUS_OK;
}

/* ---- messages ---- */

/* The plan for the message, with the cursor behind its prefix; NULL and ret_error. */
static const struct avro_plan *choose_plan(struct avro *avro, struct avro_cursor *cursor,
                                           struct decode_error *ret_error)
{
    const uint32_t start = cursor->position;
    const uint32_t size = cursor->limit - start;
    if (avro->prefix == AVRO_PREFIX_NONE)
        return &avro->writers[0].plan;
    const uint8_t *bytes = (const uint8_t *)cursor->buffer->bytes + start;
    if (size < PREFIX_BYTES || bytes[0] != 0) {
        (void)decode_failed(ret_error, start, size,
                            size < PREFIX_BYTES
                                ? "%u bytes hold no Confluent prefix (a zero byte and four of the "
                                  "schema's number)"
                                : "the message does not begin with the zero byte of Confluent's "
                                  "prefix: say `prefix: none` if there is none",
                            size);
        return NULL;
    }
    const uint32_t id =
        (uint32_t)bytes[1] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 8 | bytes[4];
    const struct avro_plan *plan = find_writer(avro, id);
    struct error err;
    if (plan == NULL)
        plan = load_writer(avro, id, &err);
    if (plan == NULL)
        (void)decode_failed(ret_error, start, size, "schema %u: %s", id, err.message);
    cursor->position += PREFIX_BYTES;
    return plan;
}

static enum decode avro_decode(void *self, struct buffer *buffer, uint32_t offset, uint32_t size,
                               bool is_end, struct batch_builder *out, uint32_t *ret_consumed,
                               struct decode_error *ret_error)
{
    (void)is_end; /* the bytes are one message */
    struct avro *avro = self;
    struct avro_cursor cursor = {.buffer = buffer, .position = offset, .limit = offset + size};
    *ret_consumed = 0;
    if (size == 0)
        return DECODE_DONE;
    if (batch_builder_is_full(out))
        return DECODE_FULL;
    *ret_consumed = size;
    const struct avro_plan *plan = choose_plan(avro, &cursor, ret_error);
    if (plan == NULL)
        return DECODE_ERROR;
    if (avro_decode_record(plan, &cursor, out) && cursor.position == cursor.limit) {
        batch_builder_end_row(out, ROW_INSERT);
        return DECODE_DONE;
    }
    batch_builder_undo_row(out);
    const char *column = cursor.column;
    const char *what = cursor.is_short             ? "the message ends within the record"
                       : cursor.message[0] != '\0' ? cursor.message
                                                   : "bytes are left behind the record";
    return decode_failed(ret_error, offset, size,
                         "%s%s%s%s at byte %u of the message; is it "
                         "written with another schema?",
                         column != NULL ? "column \"" : "", column != NULL ? column : "",
                         column != NULL ? "\": " : "", what, cursor.position - offset);
}

static enum status avro_encode(void *self, const struct batch *batch, uint32_t row,
                               struct text *out, struct error *err)
{
    const struct avro *avro = self;
    if (avro->prefix == AVRO_PREFIX_CONFLUENT) {
        const uint32_t id = avro->written_id;
        const char prefix[PREFIX_BYTES] = {0, (char)(id >> 24), (char)(id >> 16), (char)(id >> 8),
                                           (char)id};
        text_append_bytes(out, prefix, PREFIX_BYTES);
    }
    return avro_encode_record(&avro->writers[0].plan, batch, row, out, err);
}

const struct format format_avro = {
    .abi_size = sizeof(struct format),
    .name = "avro",
    .help = "One record of Apache Avro in each message, its fields matched to the columns by name.",
    .options = options,
    .file_extension = "avro",
    .decoder = {.instance_size = sizeof(struct avro),
                .open = open_reading,
                .decode = avro_decode,
                .close = avro_close},
    .encoder = {.instance_size = sizeof(struct avro),
                .open = open_writing,
                .encode = avro_encode,
                .close = avro_close},
    .needs_messages = true,
    .check_settings = check_settings,
};
