/* XXH3 inlined into the caller, which matters for short keys; a system header, as its casts are
 * not ours. */
#ifndef COMMON_DATA_XXH3_INLINE_H
#define COMMON_DATA_XXH3_INLINE_H

#pragma GCC system_header

#define XXH_INLINE_ALL
#include <xxhash.h>

#endif
