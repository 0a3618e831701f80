// memory.c — linear memories: pages in the window from 0, in the owner's slot and in those of the instances that import it.
//
// Every length and address here is a module's claim: sums are taken in 64 bits and compared with the current size before
// anything is touched. A failed growth leaves everything as it was. The current size is one word in each context.
#include "loader/private.h"

bool ldr_mapping_add(struct ldr_mapping **list, uint32_t *count, uint32_t *room,
                     struct ldr_mapping add) {
    if (*count == *room) {
        uint32_t more = *room ? *room * 2 : 1;
        struct ldr_mapping *p = ldr_plat_alloc(more * sizeof *p);
        if (!p) return false;
        if (*count) memcpy(p, *list, *count * sizeof *p);
        if (*room) ldr_plat_free(*list, *room * sizeof *p);
        *list = p;
        *room = more;
    }
    (*list)[(*count)++] = add;
    return true;
}
void ldr_mapping_remove(struct ldr_mapping *list, uint32_t *count, const struct ldr_instance *inst) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *count; i++)
        if (list[i].inst != inst) list[kept++] = list[i];
    *count = kept;
}

static unsigned map_flags(const struct ldr_instance *owner) {
    return LDR_MAP_WRITE | (owner->store->policy == LDR_STORE ? LDR_MAP_SHARABLE : 0u);
}
static void publish(const struct ldr_memory *mem) {
    for (uint32_t i = 0; i < mem->mappings; i++)
        *(uint32_t *)ldr_context(mem->mapping[i].inst->window, SFI_CTX_MEM_PAGES) = mem->pages;
}

struct ldr_memory *ldr_memory_new(struct ldr_instance *owner, const struct wasm_limits *type,
                                  uint32_t limit) {
    struct ldr_memory *mem = ldr_plat_alloc(sizeof *mem);
    if (!mem) return NULL;
    mem->has_max = type->has_max;
    mem->shared = type->shared;
    mem->declared_max = type->max;
    mem->max = type->has_max && type->max < limit ? type->max : limit;
    if (!ldr_mapping_add(&mem->mapping, &mem->mappings, &mem->room, (struct ldr_mapping){owner, 0}) ||
        ldr_memory_grow(mem, type->min) == UINT32_MAX) {
        ldr_memory_delete(mem);
        return NULL;
    }
    return mem;
}
void ldr_memory_delete(struct ldr_memory *mem) {
    if (!mem) return;
    if (mem->room) ldr_plat_free(mem->mapping, mem->room * sizeof *mem->mapping);
    ldr_plat_free(mem, sizeof *mem);
}
bool ldr_memory_import(struct ldr_memory *mem, struct ldr_instance *inst) {
    uint64_t size = (uint64_t)mem->pages * LDR_WASM_PAGE;
    if (size && ldr_plat_share(inst->window, 0, mem->mapping[0].inst->window, 0, size) != LDR_OK)
        return false;
    if (!ldr_mapping_add(&mem->mapping, &mem->mappings, &mem->room, (struct ldr_mapping){inst, 0}))
        return false;
    publish(mem);
    return true;
}
void ldr_memory_leave(struct ldr_memory *mem, struct ldr_instance *inst) {
    ldr_mapping_remove(mem->mapping, &mem->mappings, inst);
}

uint32_t ldr_memory_grow(struct ldr_memory *mem, uint32_t by) {
    uint32_t old = mem->pages;
    if (by > mem->max || old > mem->max - by) return UINT32_MAX;
    int64_t at = (int64_t)old * LDR_WASM_PAGE;
    uint64_t size = (uint64_t)by * LDR_WASM_PAGE;
    const struct ldr_mapping *owner = &mem->mapping[0];
    if (size) {
        if (ldr_plat_map(owner->inst->window, at, size, map_flags(owner->inst)) != LDR_OK)
            return UINT32_MAX;
        for (uint32_t i = 1; i < mem->mappings; i++)
            if (ldr_plat_share(mem->mapping[i].inst->window, at, owner->inst->window, at, size) !=
                LDR_OK) {
                while (i--) ldr_plat_unmap(mem->mapping[i].inst->window, at, size);
                return UINT32_MAX;
            }
    }
    mem->pages = old + by;
    publish(mem);
    return old;
}

void ldr_memory_reset(struct ldr_memory *mem, uint32_t pages) {
    const struct ldr_mapping *owner = &mem->mapping[0];
    LDR_ASSERT(mem->mappings == 1 && pages <= mem->pages);
    uint64_t keep = (uint64_t)pages * LDR_WASM_PAGE, had = (uint64_t)mem->pages * LDR_WASM_PAGE;
    if (had > keep) ldr_plat_unmap(owner->inst->window, (int64_t)keep, had - keep);
    mem->pages = pages;
    publish(mem);
    memset((void *)owner->inst->window, 0, keep);
}

void *ldr_memory_at(struct ldr_instance *inst, uint32_t at, uint64_t size) {
    uint64_t have = inst->memory ? (uint64_t)inst->memory->pages * LDR_WASM_PAGE : 0;
    if (size <= have && at <= have - size) return (void *)(inst->window + at);
    for (uint32_t i = 0; i < inst->extents; i++)
        if (at >= inst->extent[i].at && size <= inst->extent[i].size &&
            at - inst->extent[i].at <= inst->extent[i].size - size)
            return (void *)(inst->window + at);
    return NULL;
}
static void publish_extent(struct ldr_instance *inst) {
    uint32_t at = 0, size = 0;
    for (uint32_t i = 0; i < inst->extents; i++)
        if (inst->extent[i].size > size) at = inst->extent[i].at, size = inst->extent[i].size;
    inst->priv->extent_at = at;
    inst->priv->extent_size = size;
}
bool ldr_memory_extend(struct ldr_instance *inst, uint32_t at, uint32_t size) {
    uint32_t n = inst->extents;
    LDR_ASSERT(size && at >= SFI_DMA_BASE && size <= 0u - at);
    LDR_ASSERT(n == 0 || at >= inst->extent[n - 1].at + inst->extent[n - 1].size);
    if (n && at == inst->extent[n - 1].at + inst->extent[n - 1].size) {
        inst->extent[n - 1].size += size;
    } else {
        if (n == LDR_EXTENTS_MAX) return false;
        inst->extent[n].at = at;
        inst->extent[n].size = size;
        inst->extents++;
    }
    publish_extent(inst);
    return true;
}
void ldr_memory_retract(struct ldr_instance *inst, uint32_t at) {
    while (inst->extents && inst->extent[inst->extents - 1].at >= at) inst->extents--;
    if (inst->extents) {
        uint32_t start = inst->extent[inst->extents - 1].at;
        if (inst->extent[inst->extents - 1].size > at - start)
            inst->extent[inst->extents - 1].size = at - start;
    }
    publish_extent(inst);
}

bool ldr_memory_init(struct ldr_instance *inst, uint32_t segment, uint32_t dst, uint32_t src,
                     uint32_t n) {
    const struct wasm_data *d = &inst->m->data[segment];
    uint32_t size = inst->data_dropped[segment] ? 0 : d->size;
    void *to = ldr_memory_at(inst, dst, n);
    if (!to || (uint64_t)src + n > size) return false;
    if (n) memcpy(to, inst->code->bytes + d->start + src, n);
    return true;
}
