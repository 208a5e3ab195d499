/* Release on leaving the scope: SCOPED(batch_unref) struct batch *batch = ...; */
#ifndef COMMON_BASE_SCOPED_H
#define COMMON_BASE_SCOPED_H

#define SCOPED(release) __attribute__((cleanup(release##_at)))

/* Once per type, beside its release function (which accepts NULL). */
#define DEFINE_SCOPED(type, release)                                                               \
    static inline __attribute__((unused)) void release##_at(type **slot)                           \
    {                                                                                              \
        release(*slot);                                                                            \
    }

/* Hands a scoped pointer over to a new owner. */
#define take_pointer(slot)                                                                         \
    __extension__({                                                                                \
        __typeof__(*(slot)) taken_ = *(slot);                                                      \
        *(slot) = NULL;                                                                            \
        taken_;                                                                                    \
    })

#endif
