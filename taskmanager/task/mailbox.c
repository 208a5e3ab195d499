/* A stack pushed by all and taken whole: taking reverses it. */
#include "taskmanager/task/mailbox.h"

#include "common/base/allocate.h"

struct mail *mail_create(enum mail_kind kind)
{
    struct mail *mail = allocate(sizeof(*mail));
    mail->kind = kind;
    return mail;
}

void mail_destroy(struct mail *mail)
{
    split_list_done(&mail->splits);
    free(mail);
}

void mailbox_put(struct mailbox *mailbox, struct mail *mail)
{
    struct mail *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    do {
        mail->next = newest;
    } while (!atomic_compare_exchange_weak(&mailbox->newest, &newest, mail));
}

struct mail *mailbox_take(struct mailbox *mailbox)
{
    if (atomic_load(&mailbox->newest) == NULL)
        return NULL;
    struct mail *mail = atomic_exchange(&mailbox->newest, NULL);
    struct mail *oldest = NULL;
    while (mail != NULL) {
        struct mail *next = mail->next;
        mail->next = oldest;
        oldest = mail;
        mail = next;
    }
    return oldest;
}

void mailbox_done(struct mailbox *mailbox)
{
    struct mail *mail = mailbox_take(mailbox);
    while (mail != NULL) {
        struct mail *next = mail->next;
        mail_destroy(mail);
        mail = next;
    }
}
