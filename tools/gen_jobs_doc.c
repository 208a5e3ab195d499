/* Writes docs/jobs.md or docs/job.schema.json to stdout: gen_jobs_doc document|schema. */
#include "compiler/compile.h"
#include "connectors/registry.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, 4 * 1024 * 1024);
    if (argc == 2 && strcmp(argv[1], "schema") == 0) {
        compiler_write_schema(connector_registry_builtin(), &out);
    } else if (argc == 2 && strcmp(argv[1], "document") == 0) {
        compiler_write_document(connector_registry_builtin(), &out);
    } else {
        (void)fprintf(stderr, "usage: %s document|schema\n", argv[0]);
        return 2;
    }
    return fwrite(out.bytes, 1, out.size, stdout) == out.size ? 0 : 1;
}
