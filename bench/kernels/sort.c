// sort.c — n 32-bit keys sorted twice: quicksort (median of three, insertion sort below 12) and heapsort.
//
// Group: embedded
// Size: n = 160000
#include "bench/kernels/kernel.h"

#define MOST 400000
static uint32_t quick[MOST], heap[MOST];

static void swap(uint32_t *a, uint32_t *b) {
    uint32_t t = *a;
    *a = *b;
    *b = t;
}
static void quicksort(uint32_t *a, int32_t low, int32_t high) {
    while (high - low > 12) {
        int32_t middle = low + (high - low) / 2, i = low, j = high;
        if (a[middle] < a[low]) swap(&a[middle], &a[low]);
        if (a[high] < a[low]) swap(&a[high], &a[low]);
        if (a[high] < a[middle]) swap(&a[high], &a[middle]);
        uint32_t pivot = a[middle];
        while (i <= j) {
            while (a[i] < pivot) i++;
            while (pivot < a[j]) j--;
            if (i <= j) swap(&a[i++], &a[j--]);
        }
        if (j - low < high - i) {
            quicksort(a, low, j);
            low = i;
        } else {
            quicksort(a, i, high);
            high = j;
        }
    }
    for (int32_t i = low + 1; i <= high; i++) {
        uint32_t v = a[i];
        int32_t j = i;
        for (; j > low && v < a[j - 1]; j--) a[j] = a[j - 1];
        a[j] = v;
    }
}
static void sift(uint32_t *a, uint32_t i, uint32_t n) {
    uint32_t v = a[i];
    for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && a[child] < a[child + 1]) child++;
        if (a[child] <= v) break;
        a[i] = a[child];
    }
    a[i] = v;
}

uint64_t kernel(uint32_t n) {
    uint32_t seed = 61;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) quick[i] = heap[i] = next_random(&seed);
    quicksort(quick, 0, (int32_t)n - 1);
    for (uint32_t i = n / 2; i-- > 0;) sift(heap, i, n);
    for (uint32_t i = n; i-- > 1;) {
        swap(&heap[0], &heap[i]);
        sift(heap, 0, i);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (quick[i] != heap[i]) return 0;
        sum = mix(sum, quick[i]);
    }
    return sum;
}
