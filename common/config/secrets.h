/*
 * Secrets: what `${secret:NAME}` stands for.
 *
 * In the job graph, the job store, checkpoints and plans a secret is only ever its reference. The
 * process that opens a connector puts the values into its own copy of the graph, anew at each
 * deployment and at each start of an enumerator: a connector finds them in the settings of its
 * spec like any other value, and nothing else needs to know. Whoever resolved a graph keeps it to
 * itself: such a copy is never encoded, stored or shown.
 *
 * NAME is looked up as a file NAME in security.secrets.dir (the form of Kubernetes and compose
 * secrets; one line end at its end is not part of the value), then in the environment as
 * MILLSTREAM_SECRET_NAME: with NAME as written, then in capitals with _ for every character that
 * is no letter or digit.
 */
#ifndef COMMON_CONFIG_SECRETS_H
#define COMMON_CONFIG_SECRETS_H

#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>

#define SECRET_NAME_BYTES_MAX  200
#define SECRET_VALUE_BYTES_MAX 65536

struct job_graph;
struct operator_spec;

/* Where this process finds secrets. */
struct secret_places {
    const char *directory; /* NULL: none */
    /* NULL: getenv; a table in tests. */
    const char *(*get_env)(void *context, const char *name);
    void *env_context;
};

/* Does the value hold a reference? */
bool secret_is_in(const char *value);

/* The value with every reference replaced, on the heap. A secret that is missing or malformed gives
 * STATUS_INVALID (no restart will help) with NAME, this host and both places where it was looked
 * for. Reads files. */
enum status secret_resolve(const struct secret_places *places, const char *value, char **ret_value,
                           struct error *err) MUST_CHECK;

/* Replaces the references in the options of a source's or sink's connector and format; other
 * operators have none. The message names node and option. On failure some may be replaced. */
enum status secrets_resolve_operator(const struct secret_places *places, struct operator_spec *spec,
                                     struct error *err) MUST_CHECK;
/* The same for every operator of the graph. */
enum status secrets_resolve_graph(const struct secret_places *places, struct job_graph *graph,
                                  struct error *err) MUST_CHECK;

#endif
