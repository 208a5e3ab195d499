/* What a resumable call tells its caller. */
#ifndef COMMON_API_STEP_H
#define COMMON_API_STEP_H

enum step {
    STEP_DONE,   /* the call is complete: give me the next input                         */
    STEP_AGAIN,  /* no room, or the turn is over: same call again before any other       */
    STEP_WAIT,   /* as STEP_AGAIN, but only after a wake: something outside must happen  */
    STEP_FAILED, /* err says why; the task fails and is restarted by policy              */
};

#endif
