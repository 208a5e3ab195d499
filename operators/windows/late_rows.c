/* Late rows: see late_rows.h. */
#include "operators/windows/late_rows.h"

#include <string.h>

enum step late_rows_give(struct operator_env *env, const struct window_rows *rows, struct batch *in,
                         struct emitter *out)
{
    const uint32_t count = rows->counts[WINDOW_ROW_LATE];
    uint32_t output = 0;
    if (count == 0)
        return STEP_DONE;
    while (output < env->spec->output_count &&
           strcmp(env->spec->outputs[output].name, OUTPUT_LATE) != 0)
        output++;
    if (output < env->spec->output_count) {
        if (!emitter_has_room(out, output))
            return STEP_AGAIN;
        emitter_emit(out, output, window_rows_view(rows, in, WINDOW_ROW_LATE));
    }
    for (uint32_t i = 0; env->late != NULL && i < count; i++)
        late_counters_add(env->late, rows->late_ms[i]);
    return STEP_DONE;
}
