/* The inside of the model: see model_state.h. */
#ifndef TESTS_KIT_MODEL_PARTS_H
#define TESTS_KIT_MODEL_PARTS_H

#include "common/base/random.h"
#include "tests/kit/model_state.h"

#define MODEL_STATE_MAX 16

struct model_entry {
    char *key; /* padded as key_batch promises */
    uint32_t key_size;
    uint64_t hash;
    char *subkey;
    uint32_t subkey_size;
    char *slot;
};

struct model_state {
    struct state state;
    struct state_descriptor descriptor;
    char *name;
    struct schema *schema;
    struct model_keyed *keyed;
    struct model_entry *entries;
    size_t count;
    size_t capacity;
    bool is_registered;
    bool is_scanning;
    size_t scan_at;
    size_t scan_end;
    struct ranged *ranged; /* a scan over a range: what scan_at counts; else NULL */
};

/* An entry in a range, with the storage bytes of subkey and key. */
struct ranged {
    struct text order;
    size_t index;
};

struct model_keyed {
    struct keyed_state keyed;
    struct random random;
    bool is_hesitant;
    uint32_t state_count;
    struct model_state states[MODEL_STATE_MAX];
    struct timer *timers; /* by kind, time, key, namespace; their bytes are owned */
    size_t timer_count;
    size_t timer_capacity;
    struct timer popped;
};

/* Chooses what this call does: a step, and for STEP_DONE how many of `left` entries. */
enum step model_hesitate(struct model_state *model, uint32_t left, uint32_t *ret_count);
void model_free_entry(const struct model_state *model, struct model_entry *entry);
void model_end_scan(struct model_state *model);

/* model_range.c: of struct state_ops. */
enum step model_scan_range(struct state *state, const struct state_range *range, struct error *err);
enum step model_remove_range(struct state *state, const struct state_range *range,
                             struct error *err);
enum step model_find_subkey(struct state *state, const struct state_range *range, bool *ret_found,
                            const char **ret_subkey, uint32_t *ret_size, struct error *err);

/* Padded as key_batch promises. */
char *model_copy_key(const char *bytes, uint32_t size);
int model_compare_keys(const char *a, uint32_t a_size, const char *b, uint32_t b_size);

/* model_timers.c */
enum step model_set_timer(struct keyed_state *keyed, const struct timer *timer, struct error *err);
enum step model_delete_timer(struct keyed_state *keyed, const struct timer *timer,
                             struct error *err);
void model_timers_copy(struct model_keyed *keyed, const struct model_keyed *from);
void model_timers_done(struct model_keyed *keyed);
void model_timers_format(const struct model_keyed *keyed, struct text *out);

#endif
