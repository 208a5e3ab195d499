/* Reference-counted bytes: see buffer.h. */
#include "common/base/buffer.h"

#include "common/base/allocate.h"

#include <string.h>

struct buffer *buffer_create(struct memory_account *account, uint32_t capacity)
{
    /* Not zeroed: a read buffer of 256 KiB is overwritten at once. */
    struct buffer *buffer =
        reallocate_array(NULL, sizeof(*buffer) + (size_t)capacity + BUFFER_PADDING, 1);
    atomic_init(&buffer->references, 1);
    buffer->size = 0;
    buffer->capacity = capacity;
    buffer->account = account;
    memset(buffer->bytes + capacity, 0, BUFFER_PADDING);
    if (account != NULL)
        memory_force(account, (size_t)capacity);
    return buffer;
}

void buffer_unref(struct buffer *buffer)
{
    if (buffer == NULL)
        return;
    if (atomic_fetch_sub_explicit(&buffer->references, 1, memory_order_acq_rel) != 1)
        return;
    if (buffer->account != NULL)
        memory_release(buffer->account, buffer->capacity);
    free(buffer);
}
