/*
 * Control messages as bytes (protobuf, proto/control.proto): the only place where they meet.
 *
 * Unknown fields of a later MINOR are ignored; an unknown kind is STATUS_UNSUPPORTED. What comes in
 * is checked for the maxima here, so that nobody behind it meets more.
 */
#ifndef COMMON_RPC_MESSAGE_CODEC_H
#define COMMON_RPC_MESSAGE_CODEC_H

#include "common/base/text.h"
#include "common/rpc/message.h"

#define MESSAGE_BYTES_MAX   (64 * 1024 * 1024)
#define MESSAGE_TARGET_MAX  65536
#define MESSAGE_TASK_MAX    65536
#define MESSAGE_TEXT_MAX    8192 /* bytes of one name, address or reason */
#define MESSAGE_SPLIT_MAX   1024
#define MESSAGE_CHANNEL_MAX 65536 /* of one task */

/* Appends the bytes to out, whose maximum should be MESSAGE_BYTES_MAX. */
void message_encode(const struct message *message, struct text *out);
enum status message_decode(const void *bytes, size_t size, struct message **ret_message,
                           struct error *err) MUST_CHECK;

#endif
