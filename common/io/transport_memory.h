/* What only the twin in memory can do: faults on demand, for tests and the simulator. */
#ifndef COMMON_IO_TRANSPORT_MEMORY_H
#define COMMON_IO_TRANSPORT_MEMORY_H

#include "common/io/transport.h"

/* While held, frames wait in the queues of their connections (and fill them). */
void transport_memory_hold(struct transport *transport, bool is_held);
/* Closes every connection, as if the network broke. */
void transport_memory_cut(struct transport *transport, const char *reason);
/* Drops every nth frame from now on, silently; 0: none. */
void transport_memory_drop(struct transport *transport, uint32_t every_nth);

#endif
