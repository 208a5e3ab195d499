/* The tables of clauses: see clauses.h. */
#include "compiler/clauses.h"

#include "common/base/nearest.h"
#include "common/config/watermark_options.h"

#include <string.h>

const char *const clause_emit_choices[] = {"each", "batch", "end", "changelog", "final", NULL};
const char *const clause_partition_choices[] = {"forward", "hash",      "rebalance",
                                                "rescale", "broadcast", NULL};
const char *const clause_on_error_choices[] = {"fail", "skip", "dead_letter", NULL};
const char *const clause_delivery_choices[] = {"at-least-once", "exactly-once", NULL};

#define EVERY_NODE (NODE_SOURCE | NODE_SELECT | NODE_SINK)

const struct clause_row clause_table[] = {
    [CLAUSE_SOURCE] = {"source", CLAUSE_CHOICE, NODE_SOURCE, false, NULL,
                       "source: {file: {path: /data/in}}", "Reads rows through a connector."},
    [CLAUSE_FROM] = {"from", CLAUSE_INPUTS, NODE_SELECT | NODE_SINK, false, NULL, "from: lines",
                     "The input: a node, or a list of nodes with equal columns (UNION ALL). "
                     "`node.errors` is the node's dead letters, `node.late` the rows that came "
                     "after their windows."},
    [CLAUSE_SINK] = {"sink", CLAUSE_CHOICE, NODE_SINK, false, NULL, "sink: print",
                     "Writes rows through a connector."},
    [CLAUSE_FORMAT] = {"format", CLAUSE_CHOICE, NODE_SOURCE | NODE_SINK, false, NULL,
                       "format: json", "How bytes become rows and rows bytes."},
    [CLAUSE_SCHEMA_COLUMNS] = {"schema", CLAUSE_SCHEMA, NODE_SOURCE, false, NULL,
                               "schema: {id: bigint not null, word: string}",
                               "The columns of a source: name and type, as in CREATE TABLE; "
                               "`type as expression` is a computed column (not computed, and so "
                               "without errors, where nobody reads it), `type metadata from 'key'` "
                               "what the connector says of the row."},
    [CLAUSE_WATERMARK] = {"watermark", CLAUSE_OPTIONS, NODE_SOURCE, false, NULL,
                          "watermark: {column: at, delay: 2s}",
                          "Event time of a source: the column that holds it, and how far it is "
                          "known to have come."},
    [CLAUSE_JOIN] = {"join", CLAUSE_CHOICE, NODE_SELECT, true, NULL,
                     "join: {inner: o.id = p.order_id}", "Joins two inputs."},
    [CLAUSE_UNNEST] = {"unnest", CLAUSE_COLUMNS, NODE_SELECT, false, NULL,
                       "unnest: {word: split(line)}",
                       "One row for each element of an ARRAY, in a new column; an empty list or "
                       "NULL gives no row."},
    [CLAUSE_SET] = {"set", CLAUSE_COLUMNS, NODE_SELECT, false, NULL, "set: {euro: cents / 100.0}",
                    "Adds or replaces columns, keeps the others."},
    [CLAUSE_WHERE] = {"where", CLAUSE_EXPRESSION, NODE_SELECT, false, NULL, "where: euro > 0",
                      "Keeps the rows for which the condition is true."},
    [CLAUSE_KEY_BY] = {"key_by", CLAUSE_NAMES, NODE_SELECT, false, NULL, "key_by: word",
                       "Columns whose values form the key of `aggregate` or `reduce`."},
    [CLAUSE_WINDOW] = {"window", CLAUSE_CHOICE, NODE_SELECT, false, NULL, "window: {tumbling: 1m}",
                       "Groups the rows of a key by time, for `aggregate`."},
    [CLAUSE_AGGREGATE] = {"aggregate", CLAUSE_COLUMNS, NODE_SELECT, false, NULL,
                          "aggregate: {count: count(*), total: sum(euro)}",
                          "Result per key: the key columns, with `window` `window_start` and "
                          "`window_end`, then these; without `key_by` one group at parallelism "
                          "1."},
    [CLAUSE_REDUCE] = {"reduce", CLAUSE_COLUMNS, NODE_SELECT, false, NULL,
                       "reduce: {euro: acc.euro + euro}",
                       "Folds the rows of a key: `acc.` is the row kept, bare names the new one; "
                       "columns not named take the new value."},
    [CLAUSE_PROCESS] = {"process", CLAUSE_CHOICE, NODE_SELECT, true, NULL, "process: my_function",
                        "A process function of a plug-in."},
    [CLAUSE_SELECT] = {"select", CLAUSE_COLUMNS, NODE_SELECT, false, NULL,
                       "select: {id, double_euro: euro * 2}",
                       "The columns of the result; a bare name is that column."},
    [CLAUSE_EMIT] = {"emit", CLAUSE_ENUM, NODE_SELECT, false, clause_emit_choices, "emit: batch",
                     "When a keyed node gives results: for each row (the default), the latest per "
                     "key for each batch, at the end of a bounded input, or as a changelog; with "
                     "`window` final, when the window ends (the default), and each and batch are "
                     "early results."},
    [CLAUSE_TTL] = {"ttl", CLAUSE_DURATION, NODE_SELECT, false, NULL, "ttl: 1h",
                    "State of a key that was not written for so long is forgotten."},
    [CLAUSE_DELIVERY] = {"delivery", CLAUSE_ENUM, NODE_SINK, false, clause_delivery_choices,
                         "delivery: at-least-once",
                         "Guarantee of a sink (exactly-once comes later)."},
    [CLAUSE_PARALLELISM] = {"parallelism", CLAUSE_NUMBER, EVERY_NODE, false, NULL, "parallelism: 4",
                            "Subtasks of the node."},
    [CLAUSE_PARTITION] = {"partition", CLAUSE_ENUM, NODE_SELECT | NODE_SINK, false,
                          clause_partition_choices, "partition: rebalance",
                          "How rows reach the node's subtasks: hash before `key_by`, forward at "
                          "equal parallelism, else rebalance."},
    [CLAUSE_ON_ERROR] = {"on_error", CLAUSE_ENUM, EVERY_NODE, false, clause_on_error_choices,
                         "on_error: skip",
                         "What a row that cannot be processed does: fail the job (the default), "
                         "be skipped and counted, or go to `node.errors`."},
    [CLAUSE_DESCRIPTION] = {"description", CLAUSE_TEXT, EVERY_NODE, false, NULL,
                            "description: counts the words", "A sentence for people."},
    [CLAUSE_WAS] = {"was", CLAUSE_TEXT, EVERY_NODE, true, NULL, "was: old_name",
                    "The former name of a renamed node, whose state it takes over."},
};

const struct clause_row job_key_table[] = {
    [JOB_KEY_VERSION] = {"version", CLAUSE_NUMBER, 0, false, NULL, "version: 1",
                         "Version of this form: 1."},
    [JOB_KEY_NAME] = {"name", CLAUSE_TEXT, 0, false, NULL, "name: wordcount", "Name of the job."},
    [JOB_KEY_PARAMETERS] = {"parameters", CLAUSE_OPTIONS, 0, false, NULL,
                            "parameters: {input, rate: 0}",
                            "Values given with --param; bare: required, else the default."},
    [JOB_KEY_CONFIG] = {"config", CLAUSE_OPTIONS, 0, false, NULL,
                        "config: {execution.checkpointing.interval: 10s}",
                        "Keys of docs/configuration.md for this job."},
    [JOB_KEY_PARALLELISM] = {"parallelism", CLAUSE_NUMBER, 0, false, NULL, "parallelism: 2",
                             "Parallelism of the nodes that name none."},
    [JOB_KEY_ON_ERROR] = {"on_error", CLAUSE_ENUM, 0, false, clause_on_error_choices,
                          "on_error: skip", "on_error of the nodes that name none: fail or skip."},
    [JOB_KEY_NODES] = {"nodes", CLAUSE_OPTIONS, 0, false, NULL, "nodes: {lines: {...}}",
                       "The nodes by name; their order means nothing."},
};

const char *const later_connectors[] = {"jdbc", "s3", NULL};
const char *const later_formats[] = {"protobuf", "parquet", NULL};

const char *const operator_role_names[] = {
    [ROLE_SOURCE] = "source",
    [ROLE_UNNEST] = "unnest",
    [ROLE_CALC] = "calc",
    [ROLE_WHERE] = "where",
    [ROLE_LOCAL_AGGREGATE] = "local_aggregate",
    [ROLE_AGGREGATE] = "aggregate",
    [ROLE_REDUCE] = "reduce",
    [ROLE_SELECT] = "select",
    [ROLE_SINK] = "sink",
    [ROLE_WATERMARK] = "watermark",
    [ROLE_WINDOW] = "window",
};

const struct option_spec *clause_options(enum clause clause)
{
    return clause == CLAUSE_WATERMARK ? watermark_options : NULL;
}

static int find_row(const struct clause_row *rows, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0)
            return i;
    }
    return -1;
}

static const char *nearest_row(const struct clause_row *rows, size_t count, const char *name)
{
    const char *names[CLAUSE_COUNT + JOB_KEY_COUNT];
    for (size_t i = 0; i < count; i++)
        names[i] = rows[i].name;
    return nearest_name(name, names, count);
}

int clause_find(const char *name)
{
    return find_row(clause_table, CLAUSE_COUNT, name);
}

int job_key_find(const char *name)
{
    return find_row(job_key_table, JOB_KEY_COUNT, name);
}

const char *clause_nearest(const char *name)
{
    return nearest_row(clause_table, CLAUSE_COUNT, name);
}

const char *job_key_nearest(const char *name)
{
    return nearest_row(job_key_table, JOB_KEY_COUNT, name);
}
