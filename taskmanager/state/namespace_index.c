/* Treaps of namespaces: see namespace_index.h. */
#include "taskmanager/state/namespace_index.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <string.h>

void namespace_index_init(struct namespace_index *index, struct arena *arena,
                          struct key_group_range groups, uint32_t link_offset)
{
    CHECK(groups.first <= groups.last);
    *index = (struct namespace_index){.arena = arena, .groups = groups, .link_offset = link_offset};
    index->roots = allocate_array(groups.last - groups.first + 1U, sizeof(*index->roots));
}

static size_t node_size(uint32_t size)
{
    return sizeof(struct namespace_node) + size;
}

static void free_node(struct namespace_index *index, struct namespace_node *node)
{
    arena_give_bytes(index->arena, node, node_size(node->size));
}

void namespace_index_done(struct namespace_index *index)
{
    if (index->roots == NULL)
        return;
    for (uint32_t i = 0; i <= index->groups.last - index->groups.first; i++) {
        /* Rotates left children up, so that no stack is needed. */
        struct namespace_node *node = index->roots[i];
        while (node != NULL) {
            struct namespace_node *left = node->left;
            if (left != NULL) {
                node->left = left->right;
                left->right = node;
                node = left;
                continue;
            }
            struct namespace_node *right = node->right;
            free_node(index, node);
            node = right;
        }
    }
    free(index->roots);
    index->roots = NULL;
}

static int compare(const struct namespace_node *node, const char *bytes, uint32_t size)
{
    const uint32_t both = node->size < size ? node->size : size;
    const int order = memcmp(node->bytes, bytes, both);
    return order != 0 ? order : (node->size > size) - (node->size < size);
}

/* What is before the bytes goes to the left, what is behind to the right; none is equal. */
static void split(struct namespace_node *node, const char *bytes, uint32_t size,
                  struct namespace_node **left, struct namespace_node **right)
{
    while (node != NULL) {
        if (compare(node, bytes, size) < 0) {
            *left = node;
            left = &node->right;
            node = node->right;
        } else {
            *right = node;
            right = &node->left;
            node = node->left;
        }
    }
    *left = NULL;
    *right = NULL;
}

static void join(struct namespace_node **link, struct namespace_node *left,
                 struct namespace_node *right)
{
    while (left != NULL && right != NULL) {
        if (left->priority >= right->priority) {
            *link = left;
            link = &left->right;
            left = left->right;
        } else {
            *link = right;
            link = &right->left;
            right = right->left;
        }
    }
    *link = left != NULL ? left : right;
}

static struct namespace_node *add_node(struct namespace_index *index, uint32_t group,
                                       const char *bytes, uint32_t size)
{
    struct namespace_node *node = arena_take_bytes(index->arena, node_size(size));
    node->priority = (uint32_t)(key_hash(bytes, size) >> 32);
    node->group = group;
    node->first = 0;
    node->size = size;
    memcpy(node->bytes, bytes, size);
    struct namespace_node **link = &index->roots[group - index->groups.first];
    while (*link != NULL && (*link)->priority >= node->priority)
        link = compare(*link, bytes, size) < 0 ? &(*link)->right : &(*link)->left;
    split(*link, bytes, size, &node->left, &node->right);
    *link = node;
    return node;
}

void namespace_index_add(struct namespace_index *index, void *entry, uint32_t group,
                         const char *bytes, uint32_t size)
{
    CHECK(group >= index->groups.first && group <= index->groups.last);
    struct namespace_node *node = index->roots[group - index->groups.first];
    for (int order; node != NULL && (order = compare(node, bytes, size)) != 0;)
        node = order < 0 ? node->right : node->left;
    if (node == NULL)
        node = add_node(index, group, bytes, size);
    struct namespace_link *link = namespace_link_of(index, entry);
    DCHECK(link->node == NULL);
    const uint32_t ref = arena_ref(entry);
    *link = (struct namespace_link){.node = node, .next = node->first};
    if (node->first != 0)
        namespace_link_of(index, arena_cell(index->arena, node->first))->previous = ref;
    node->first = ref;
}

static void remove_node(struct namespace_index *index, struct namespace_node *node)
{
    struct namespace_node **link = &index->roots[node->group - index->groups.first];
    while (*link != node)
        link = compare(*link, node->bytes, node->size) < 0 ? &(*link)->right : &(*link)->left;
    join(link, node->left, node->right);
    free_node(index, node);
}

void namespace_index_remove(struct namespace_index *index, void *entry)
{
    struct namespace_link *link = namespace_link_of(index, entry);
    struct namespace_node *node = link->node;
    if (node == NULL)
        return;
    link->node = NULL;
    if (link->next != 0)
        namespace_link_of(index, arena_cell(index->arena, link->next))->previous = link->previous;
    if (link->previous != 0)
        namespace_link_of(index, arena_cell(index->arena, link->previous))->next = link->next;
    else
        node->first = link->next;
    if (node->first == 0)
        remove_node(index, node);
}

struct namespace_node *namespace_index_find(const struct namespace_index *index, uint32_t group,
                                            const char *bytes, uint32_t size, bool is_after)
{
    struct namespace_node *node = index->roots[group - index->groups.first];
    struct namespace_node *found = NULL;
    while (node != NULL) {
        const int order = bytes == NULL ? 1 : compare(node, bytes, size);
        if (order > 0 || (order == 0 && !is_after)) {
            found = node;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return found;
}
