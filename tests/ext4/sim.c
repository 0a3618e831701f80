// sim.c — the simulated disk (apps/ext4/disk.h), the client's channel (apps/ext4/channel.h), and the kernel's calls. See sim.h.
#include "tests/ext4/sim.h"
#include "apps/ext4/channel.h"
#include "apps/ext4/disk.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define ARENA (8ull << 30) // address space; touched pages count
#define RECORDS (1u << 20)

struct sim sim;
uint8_t *sim_channel;
static struct {
    uint8_t *base;
    size_t used; // shared
} * memory;
static uint64_t seed;
static int64_t clock_ns = 1700000000ll * 1000000000;

void *arena(size_t bytes) {
    if (!memory) {
        uint8_t *p = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        assert(p != MAP_FAILED);
        memory = (void *)p;
        memory->base = p;
        memory->used = 4096;
    }
    uint8_t *p = memory->base + memory->used;
    memory->used += (bytes + 63) & ~(size_t)63;
    assert(memory->used <= ARENA);
    return p;
}

void sim_seed(uint64_t s) { seed = s * 0x9e3779b97f4a7c15u + 1; }

uint32_t sim_random(uint32_t below) {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)((seed * 0x2545f4914f6cdd1du >> 32) % below);
}

void sim_load(const char *path) {
    FILE *f = fopen(path, "rb");
    assert(f);
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    rewind(f);
    sim.disk = arena(size);
    sim.sectors = size / DISK_SECTOR;
    size_t got = fread(sim.disk, 1, size, f);
    assert(got == size);
    fclose(f);
    if (!sim.record) {
        sim.record = arena(RECORDS * sizeof *sim.record);
        sim.records = arena(sizeof *sim.records);
        sim_channel = arena(SIM_CHANNEL);
    }
}

void sim_save(const char *path) {
    FILE *f = fopen(path, "wb");
    assert(f);
    size_t put = fwrite(sim.disk, DISK_SECTOR, sim.sectors, f);
    assert(put == sim.sectors);
    fclose(f);
}

void sim_cut(const uint8_t *before, uint32_t cut) {
    memcpy(sim.disk, before, sim.sectors * DISK_SECTOR);
    uint32_t safe = 0; // writes complete when this many records were there are safe
    for (uint32_t i = 0; i < cut; i++)
        if (sim.record[i].count == 0 && sim.record[i].done <= cut) safe = i + 1;
    uint32_t mood = sim_random(4); // all, none, or any part of what may be lost
    for (uint32_t i = 0; i < cut; i++) {
        const struct sim_record *r = &sim.record[i];
        bool sure = r->done < safe;
        if (!sure && r->sector <= 2 && 2 < r->sector + r->count &&
            sim_random(2)) { // see sim.h: the superblock is not torn
            memcpy(sim.disk + r->sector * DISK_SECTOR, r->data, (size_t)r->count * DISK_SECTOR);
            continue;
        }
        if (!sure && r->sector <= 2 && 2 < r->sector + r->count) continue;
        for (uint32_t s = 0; s < r->count; s++)
            if (sure || mood == 0 || (mood > 1 && sim_random(8) < 4 * (mood - 1)))
                memcpy(sim.disk + (r->sector + s) * DISK_SECTOR, r->data + (size_t)s * DISK_SECTOR,
                       DISK_SECTOR);
    }
}

// ---- apps/ext4/disk.h ----

const char *disk_open(struct disk *out) {
    static uint8_t cache[4u << 20] __attribute__((aligned(64)));
    *out = (struct disk){.memory = cache, .size = sizeof cache, .sectors = sim.sectors, .block = 1};
    return NULL;
}

void disk_start(enum disk_op op, uint64_t sector, uint32_t count, uint8_t *buffer, struct disk_io *io) {
    sim.transfers++;
    if (sim.failing || sector > sim.sectors || count > sim.sectors - sector ||
        count > DISK_TRANSFER_MAX) {
        io->error = -7;
        return;
    }
    io->pending++;
    uint8_t *there = sim.disk + sector * DISK_SECTOR;
    size_t bytes = (size_t)count * DISK_SECTOR;
    if (op == DISK_READ) {
        memcpy(buffer, there, bytes);
        sim.bytes_read += bytes;
        return;
    }
    assert((op == DISK_FLUSH) == (count == 0));
    if (bytes) memcpy(there, buffer, bytes);
    if (!sim.logging) return;
    assert(*sim.records < RECORDS);
    struct sim_record *r = &sim.record[(*sim.records)++];
    *r = (struct sim_record){.sector = sector, .count = count, .done = UINT32_MAX, .io = io};
    if (count) r->data = memcpy(arena(bytes), buffer, bytes);
}

bool disk_narrow(struct disk *disk, uint64_t first, uint64_t count) {
    (void)disk, (void)first, (void)count;
    return false;
}
void disk_kick(void) {}

int32_t disk_wait(struct disk_io *io) {
    for (uint32_t i = sim.logging ? *sim.records : 0; i-- && io->pending;) {
        struct sim_record *r = &sim.record[i];
        if (r->io != io || r->done != UINT32_MAX) continue;
        r->done = *sim.records;
        io->pending--;
    }
    int32_t error = io->error;
    *io = (struct disk_io){0}; // reads are not in the log
    return error;
}

// ---- apps/ext4/channel.h and the kernel ----

int32_t channel_of_caller(void) { return 1; }
uint8_t *channel_base(uint32_t channel, uint32_t *out_size) {
    (void)channel;
    *out_size = SIM_CHANNEL;
    return sim_channel;
}
uint32_t channel_dead(void) { return 0; }

int32_t sasos_arg(uint32_t index, char *buffer, uint32_t size) {
    (void)index, (void)buffer, (void)size;
    return -4; // E_NOENT: the whole disk
}
int64_t sasos_wall_ns(void) { return clock_ns += 1000000; }

void log_line(const char *format, ...) {
    (void)format; // what the module says of a damaged image is not asked for here
    if (!getenv("SIM_LOG")) return;
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}
void com_err(const char *who, long error, const char *format, ...) {
    log_line("%s: %ld: %s", who, error, format);
}
