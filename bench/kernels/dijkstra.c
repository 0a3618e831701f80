// dijkstra.c — shortest paths from n sources in a sparse graph of 4096 nodes in compressed rows, with a binary heap.
//
// Group: embedded
// Size: n = 50
#include "bench/kernels/kernel.h"

#define NODES 4096
#define DEGREE 6
struct entry {
    uint32_t distance, node;
};
static uint32_t target[NODES * DEGREE], weight[NODES * DEGREE], distance[NODES];
static struct entry heap[NODES * DEGREE + 1];
static uint32_t heap_size;

static void put(struct entry e) {
    uint32_t i = heap_size++;
    for (; i && e.distance < heap[(i - 1) / 2].distance; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = e;
}
static struct entry take(void) {
    struct entry top = heap[0], last = heap[--heap_size];
    uint32_t i = 0;
    for (uint32_t child; (child = 2 * i + 1) < heap_size; i = child) {
        if (child + 1 < heap_size && heap[child + 1].distance < heap[child].distance) child++;
        if (last.distance <= heap[child].distance) break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 73;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < NODES * DEGREE; i++) {
        target[i] = next_random(&seed) % NODES;
        weight[i] = next_random(&seed) % 1000 + 1;
    }
    for (uint32_t source = 0; source < n; source++) {
        for (uint32_t i = 0; i < NODES; i++) distance[i] = UINT32_MAX;
        distance[source] = 0;
        heap_size = 0;
        put((struct entry){0, source});
        while (heap_size) {
            struct entry e = take();
            if (e.distance != distance[e.node]) continue;
            for (uint32_t k = e.node * DEGREE; k < (e.node + 1) * DEGREE; k++) {
                uint32_t d = e.distance + weight[k];
                if (d < distance[target[k]]) {
                    distance[target[k]] = d;
                    put((struct entry){d, target[k]});
                }
            }
        }
        for (uint32_t i = 0; i < NODES; i++) sum = mix(sum, distance[i]);
    }
    return sum;
}
