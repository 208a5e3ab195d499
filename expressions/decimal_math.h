/* Arithmetic of unscaled DECIMALs with a result type; false: the result does not fit (NULL). All
 * round half away from zero. Intermediates have 256 bits. */
#ifndef EXPRESSIONS_DECIMAL_MATH_H
#define EXPRESSIONS_DECIMAL_MATH_H

#include <stdbool.h>

struct decimal_shape {
    unsigned precision;
    unsigned scale;
};

bool decimal_rescale(__int128 value, unsigned scale, struct decimal_shape to, __int128 *ret_value);
/* a + b, or a - b. */
bool decimal_add(__int128 a, unsigned scale_a, __int128 b, unsigned scale_b, bool subtract,
                 struct decimal_shape to, __int128 *ret_value);
bool decimal_multiply(__int128 a, unsigned scale_a, __int128 b, unsigned scale_b,
                      struct decimal_shape to, __int128 *ret_value);
/* b is not 0. */
bool decimal_divide(__int128 a, unsigned scale_a, __int128 b, unsigned scale_b,
                    struct decimal_shape to, __int128 *ret_value);
/* The remainder of a truncated division, with the sign of a; b is not 0. */
bool decimal_modulo(__int128 a, unsigned scale_a, __int128 b, unsigned scale_b,
                    struct decimal_shape to, __int128 *ret_value);
double decimal_to_double(__int128 value, unsigned scale);
bool decimal_from_double(double value, struct decimal_shape to, __int128 *ret_value);

#endif
