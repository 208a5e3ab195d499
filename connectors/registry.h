/* The built-in connectors and formats: what the daemons, the compiler and the client link. */
#ifndef CONNECTORS_REGISTRY_H
#define CONNECTORS_REGISTRY_H

#include "common/api/connector.h"

/* Static, any thread. Plug-ins will be added by whoever builds a larger registry from it. */
const struct connector_registry *connector_registry_builtin(void);

#endif
