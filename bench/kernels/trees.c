// trees.c — binary trees in an arena: build to a depth, walk, throw away, and a search tree with insertions and look-ups. Pointers and recursion.
//
// Group: embedded
// Size: n = 16
#include "bench/kernels/kernel.h"

#define NODES (1u << 19)
struct node {
    struct node *left, *right;
    uint32_t key;
};
static struct node arena[NODES];
static uint32_t used;

static struct node *new_node(uint32_t key) {
    struct node *p = &arena[used++];
    p->left = p->right = NULL;
    p->key = key;
    return p;
}
static struct node *build(uint32_t depth, uint32_t key) {
    struct node *p = new_node(key);
    if (depth) {
        p->left = build(depth - 1, 2 * key);
        p->right = build(depth - 1, 2 * key + 1);
    }
    return p;
}
static uint32_t count(const struct node *p) { return p ? 1 + count(p->left) + count(p->right) : 0; }
static uint64_t walk(const struct node *p, uint64_t sum) {
    if (!p) return sum;
    return walk(p->right, mix(walk(p->left, sum), p->key));
}
static void insert(struct node **root, uint32_t key) {
    while (*root) {
        if ((*root)->key == key) return;
        root = key < (*root)->key ? &(*root)->left : &(*root)->right;
    }
    *root = new_node(key);
}

uint64_t kernel(uint32_t n) {
    uint64_t sum = 0;
    for (uint32_t depth = 4; depth <= n; depth += 2)
        for (uint32_t i = 0; i < 1u << (n - depth); i++) {
            used = 0;
            struct node *p = build(depth, 1);
            sum = mix(sum, count(p) + i);
        }
    struct node *root = NULL;
    uint32_t seed = 71;
    used = 0;
    for (uint32_t i = 0; i < 20000; i++) insert(&root, next_random(&seed));
    for (uint32_t i = 0; i < 60000; i++) {
        const struct node *p = root;
        uint32_t key = next_random(&seed), steps = 0;
        for (; p; p = key < p->key ? p->left : p->right) steps++;
        sum = mix(sum, steps);
    }
    return walk(root, sum);
}
