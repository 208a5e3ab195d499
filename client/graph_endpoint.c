/* Other connectors for a graph: see graph_endpoint.h. */
#include "client/graph_endpoint.h"

#include "common/base/allocate.h"

#include <stdlib.h>
#include <string.h>

static bool belongs_to_connector(const char *key)
{
    return strncmp(key, "connector", 9) == 0 || strncmp(key, "format", 6) == 0;
}

void graph_endpoint_replace(struct operator_spec *spec, const char *connector)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < spec->setting_count; i++) {
        struct setting *setting = &spec->settings[i];
        if (strcmp(setting->key, "connector") == 0) {
            free(setting->value);
            setting->value = copy_text(connector);
        } else if (belongs_to_connector(setting->key)) {
            free(setting->key);
            free(setting->value);
            continue;
        }
        spec->settings[kept++] = *setting;
    }
    spec->setting_count = kept;
}
