/*
 * Format json: one object a line, its fields by the columns' names (RFC 8259).
 *
 * Unknown fields are ignored, a missing one is NULL, of a field that occurs twice the last counts.
 * Values are strict: no number from a string and none the other way. Integers are exact to 64 bits.
 * DATE, TIME and timestamps are strings ("2024-01-31 10:00:00.123"; timestamps: "epoch_ms" makes
 * them numbers), BYTES are base64. ROW is an object, MAP one with any fields, ARRAY an array.
 */
#include "connectors/formats/json.h"

const struct option_spec json_options[] = {
    [JSON_TIMESTAMPS] = {.name = "timestamps",
                         .type = OPTION_ENUM,
                         .fallback = "sql",
                         .choices = timestamp_form_choices,
                         .help = "Timestamps as \"2024-01-31 10:00:00.123\" or as numbers of "
                                 "milliseconds since 1970."},
    {.name = NULL},
};

enum status json_check_schema(const struct schema *schema, bool is_source, struct error *err)
{
    (void)is_source;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (scalar_text_supports(schema->columns[i].type, true))
            continue;
        struct text type;
        text_init(&type, 200);
        type_format(schema->columns[i].type, &type);
        (void)error_set(err, STATUS_UNSUPPORTED,
                        "column \"%s\": format json has no form for %s: no intervals, and keys of "
                        "a MAP must be strings",
                        schema->columns[i].name, type.bytes);
        text_done(&type);
        return STATUS_UNSUPPORTED;
    }
    return STATUS_OK;
}

const struct format format_json = {
    .abi_size = sizeof(struct format),
    .name = "json",
    .help = "One JSON object a line, its fields matched to the columns by name.",
    .options = json_options,
    .file_extension = "json",
    .decoder = {sizeof(struct json_decoder), json_decoder_open, json_decode, json_decoder_close,
                NULL, NULL},
    .encoder = {sizeof(struct json_encoder), json_encoder_open, json_encode, json_encoder_close},
    .check_schema = json_check_schema,
    .ends_rows_with_newline = true,
};
