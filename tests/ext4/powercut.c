// powercut.c — the power-cut simulator: the ext4 module's own sources on a disk in memory (sim.h), against a model.
//
//   ext4-sim run IMAGE SEED STEPS CUTS FOLDER     random operations, then CUTS power cuts at random instants
//   ext4-sim damage IMAGE SEED TIMES              damages the image at random, mounts and uses it, as often as that: it must end
//
// After a cut the disk must be such that
//   1. the module mounts it (replaying the journal), finds a state that the model was in between the last acknowledged fs_sync() and the
//      cut, and after fs_detach() `e2fsck -fn` has nothing to say;
//   2. `e2fsck -fy` replays the journal and asks nothing; then `e2fsck -fn` has nothing to say, and the module finds such a state too.
// A state: names, kinds and sizes as they were between two operations; data those or newer ones (they are written in place).
#include "drivers/sdk/fs.h"
#include "tests/ext4/sim.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define X(name, parameters, text) int32_t name parameters;
FS_CALLS(X)
#undef X
int32_t library_start(void);

#define DIRS 4u   // the root and three that come and go
#define NAMES 14u // in each
#define SLOTS (DIRS * NAMES)
#define FILES 128u
#define SIZE_MAX_FILE (1u << 20)
#define PATH_AT FS_DATA
#define PATH2_AT (FS_DATA + 4096)
#define STRUCT_AT (FS_DATA + 8192)
#define BUFFER_AT (FS_DATA + 12288)

struct content {
    uint32_t size;
    uint8_t bytes[];
};
struct state {
    uint32_t begun; // records in the log when the next operation began
    bool dir[DIRS];
    uint8_t slot[SLOTS];         // 0: nothing; file number; or LINK
    struct content *file[FILES]; // by number; 0 is not used
};
#define LINK 255u
static struct state *states; // shared; states[i]: after i operations
static uint32_t *count;      // of states
static uint32_t *synced; // by operation: records there were when a sync had ended, 0: it is none
static uint32_t steps;

static const char *path_of(uint32_t slot) {
    static char text[4][300];
    static unsigned turn;
    char *t = text[turn++ % 4];
    static const char *dirs[DIRS] = {"", "one/", "two/", "two/three-with-a-rather-long-name/"};
    uint32_t n = slot % NAMES;
    int at = sprintf(t, "%sfile-%u", dirs[slot / NAMES], n);
    if (n == 7) memset(t + at, 'x', 200), t[at + 200] = 0;
    return t;
}
static const char *dir_path(uint32_t d) {
    static const char *dirs[DIRS] = {".", "one", "two", "two/three-with-a-rather-long-name"};
    return dirs[d];
}

static uint32_t put(uint32_t at, const char *text) {
    memcpy(sim_channel + at, text, strlen(text));
    return (uint32_t)strlen(text);
}
static int32_t open_at(const char *path, uint32_t flags) {
    return fs_open(FS_ROOT, PATH_AT, put(PATH_AT, path), flags);
}

static void need(bool ok, const char *what, int32_t got) {
    if (ok) return;
    fprintf(stderr, "not as expected: %s: %d\n", what, got);
    abort();
}

// ---- the model and the module in step ----

static struct content *changed(const struct content *old, uint32_t size) {
    struct content *c = arena(sizeof *c + size);
    memset(c->bytes, 0, size);
    c->size = size;
    if (old) memcpy(c->bytes, old->bytes, old->size < size ? old->size : size);
    return c;
}

static uint8_t free_file(const struct state *s) {
    bool used[FILES] = {true};
    for (uint32_t i = 0; i < SLOTS; i++)
        if (s->slot[i] < FILES) used[s->slot[i]] = true;
    for (uint32_t start = sim_random(FILES - 1), i = 0; i < FILES - 1; i++) {
        uint32_t f = 1 + (start + i) % (FILES - 1);
        if (!used[f]) return (uint8_t)f;
    }
    abort();
}

static void write_file(struct state *s, uint32_t slot) {
    if (s->slot[slot] == LINK) return;
    int32_t h = open_at(path_of(slot), FS_READ | FS_WRITE | FS_CREATE);
    if (!s->dir[slot / NAMES]) {
        need(h == FS_ENOENT, "open without directory", h);
        return;
    }
    if (h == FS_ENOSPC && !s->slot[slot]) return;
    need(h >= 0, "open", h);
    bool made = s->slot[slot] == 0;
    if (made) {
        s->slot[slot] = free_file(s);
        s->file[s->slot[slot]] = changed(NULL, 0);
        if (sim_random(2)) { // leave it empty
            need(fs_close(h) == 0, "close", 0);
            return;
        }
        // Making and writing are two operations.
        states[*count] = *s;
        synced[*count] = 0;
        s->begun = states[*count].begun = *sim.records;
        ++*count;
    }
    struct content *old = s->file[s->slot[slot]];
    uint32_t kind = sim_random(10),
             n = 1 + sim_random(kind == 0  ? 300000
                                : kind < 4 ? 20000
                                           : 3000),
             at;
    if (kind < 5)
        at = old->size;
    else if (kind < 9)
        at = old->size ? sim_random(old->size) : 0;
    else
        at = old->size + sim_random(100000);
    if (at + n > SIZE_MAX_FILE) at = 0;
    struct content *c = changed(old, at + n > old->size ? at + n : old->size);
    for (uint32_t i = 0; i < n; i++) c->bytes[at + i] = (uint8_t)sim_random(256);
    memcpy(sim_channel + BUFFER_AT, c->bytes + at, n);
    int32_t got = fs_write(h, kind < 5 && at == old->size ? FS_END : at, BUFFER_AT, n);
    if (got == FS_ENOSPC || (got >= 0 && got < (int32_t)n)) { // a full disk: what was written is there
        uint32_t done = got < 0 ? 0 : (uint32_t)got;
        struct content *part = changed(old, done && at + done > old->size ? at + done : old->size);
        memcpy(part->bytes + at, c->bytes + at, done);
        c = part;
    } else {
        need(got == (int32_t)n, "write", got);
    }
    s->file[s->slot[slot]] = c;
    need(fs_close(h) == 0, "close", 0);
}

static void cut_file(struct state *s, uint32_t slot) {
    if (s->slot[slot] == 0 || s->slot[slot] == LINK) return;
    int32_t h = open_at(path_of(slot), FS_WRITE);
    need(h >= 0, "open", h);
    struct content *old = s->file[s->slot[slot]];
    uint32_t size = sim_random(4) ? sim_random(old->size + 1) : old->size + sim_random(50000);
    if (size > SIZE_MAX_FILE) size = 0;
    int32_t got = fs_truncate(h, size);
    need(got == 0, "truncate", got);
    s->file[s->slot[slot]] = changed(old, size);
    need(fs_close(h) == 0, "close", 0);
}

static void two_names(struct state *s, uint32_t from, uint32_t to, bool link) {
    uint32_t a = put(PATH_AT, path_of(from)), b = put(PATH2_AT, path_of(to));
    int32_t got = link ? fs_link(FS_ROOT, PATH_AT, a, FS_ROOT, PATH2_AT, b, FS_NOFOLLOW)
                       : fs_rename(FS_ROOT, PATH_AT, a, FS_ROOT, PATH2_AT, b);
    bool there = s->dir[from / NAMES] && s->dir[to / NAMES];
    if (!there || !s->slot[from]) {
        need(got == FS_ENOENT, "rename or link of nothing", got);
        return;
    }
    if (link && s->slot[to]) {
        need(got == FS_EEXIST, "link to a name that is taken", got);
        return;
    }
    if (link && s->slot[from] == LINK) { // two names of a symbolic link: the model has no word for it
        if (got == 0) fs_unlink(FS_ROOT, PATH2_AT, b);
        return;
    }
    if (got == FS_ENOSPC) return;
    need(got == 0, link ? "link" : "rename", got);
    bool same = s->slot[from] < LINK && s->slot[from] == s->slot[to];
    s->slot[to] = s->slot[from];
    if (!link && from != to && !same) s->slot[from] = 0;
}

static void remove_name(struct state *s, uint32_t slot) {
    int32_t got = fs_unlink(FS_ROOT, PATH_AT, put(PATH_AT, path_of(slot)));
    need(got == (s->slot[slot] ? 0 : FS_ENOENT), "unlink", got);
    s->slot[slot] = 0;
}

static void open_and_remove(struct state *s, uint32_t slot) {
    static int32_t kept = -1;
    if (kept >= 0) need(fs_close(kept) == 0, "close", 0);
    kept = -1;
    if (s->slot[slot] == 0 || s->slot[slot] == LINK) return;
    kept = open_at(path_of(slot), FS_READ | FS_WRITE);
    need(kept >= 0, "open", kept);
    uint8_t file = s->slot[slot];
    remove_name(s, slot);
    for (uint32_t i = 0; i < SLOTS; i++)
        if (s->slot[i] == file) return; // it has another name
    memset(sim_channel + BUFFER_AT, 'k', 5000);
    if (!sim_random(2)) return;
    // Into a file without a name. A cut may bring the name back, and then what went into the file's own last block is there.
    int32_t got = fs_write(kept, FS_END, BUFFER_AT, 5000);
    need(got > 0 || got == FS_ENOSPC, "write without a name", got);
    if (got < 0) return;
    struct content *old = s->file[file], *c = changed(old, old->size + (uint32_t)got);
    memset(c->bytes + old->size, 'k', (uint32_t)got);
    s->file[file] = c;
}

static void directory(struct state *s, uint32_t d) {
    uint32_t n = put(PATH_AT, dir_path(d));
    bool empty = !(d == 2 && s->dir[3]);
    for (uint32_t i = 0; i < NAMES; i++) empty &= !s->slot[d * NAMES + i];
    if (s->dir[d] && sim_random(3)) return;
    int32_t got = s->dir[d] ? fs_rmdir(FS_ROOT, PATH_AT, n) : fs_mkdir(FS_ROOT, PATH_AT, n);
    if (!s->dir[d]) {
        bool parent = d != 3 || s->dir[2];
        if (got == FS_ENOSPC) return;
        need(got == (parent ? 0 : FS_ENOENT), "mkdir", got);
        s->dir[d] = parent;
    } else {
        need(got == (empty ? 0 : FS_ENOTEMPTY), "rmdir", got);
        s->dir[d] = !empty;
    }
}

static void symlink_at(struct state *s, uint32_t slot) {
    if (s->slot[slot] || !s->dir[slot / NAMES]) return;
    char target[200];
    uint32_t n = (uint32_t)sprintf(target, "target-of-%u", slot);
    if (slot % 2) memset(target + n, 'y', 100), n += 100; // too long for the inode
    memcpy(sim_channel + PATH2_AT, target, n);
    int32_t got = fs_symlink(PATH2_AT, n, FS_ROOT, PATH_AT, put(PATH_AT, path_of(slot)));
    if (got == FS_ENOSPC) return;
    need(got == 0, "symlink", got);
    s->slot[slot] = LINK;
}

static void step(struct state *s) {
    uint32_t slot = sim_random(SLOTS), other = sim_random(SLOTS);
    switch (sim_random(20)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6: write_file(s, slot); break;
    case 7:
    case 8: cut_file(s, slot); break;
    case 9:
    case 10: remove_name(s, slot); break;
    case 11:
    case 12: two_names(s, slot, other, false); break;
    case 13: two_names(s, slot, other, true); break;
    case 14: directory(s, 1 + sim_random(DIRS - 1)); break;
    case 15: symlink_at(s, slot); break;
    case 16: open_and_remove(s, slot); break;
    default: {
        int32_t got = fs_sync(FS_ROOT);
        need(got == 0, "sync", got);
        synced[*count] = *sim.records + 1; // acknowledged
    }
    }
}

static void work(void) {
    int32_t got = library_start();
    need(got == 0, "mounting", got);
    need(fs_attach() == 0, "attach", 0);
    sim.logging = true;
    struct state s = {.dir = {true}};
    states[0] = s;
    *count = 1;
    synced[0] = 1;
    for (uint32_t i = 0; i < steps; i++) {
        states[*count - 1].begun = *sim.records;
        synced[*count] = 0;
        step(&s);
        states[*count] = s;
        states[*count].begun = *sim.records;
        ++*count;
    }
}

// ---- what is found after a cut ----

struct found {
    bool dir[DIRS];
    int32_t kind[SLOTS]; // -1: nothing; enum fs_type
    struct content *content[SLOTS];
    uint64_t inode[SLOTS];
};

static void look(struct found *f) {
    for (uint32_t d = 0; d < DIRS; d++)
        f->dir[d] = fs_stat_path(FS_ROOT, PATH_AT, put(PATH_AT, dir_path(d)), 0, STRUCT_AT) == 0;
    for (uint32_t i = 0; i < SLOTS; i++) {
        f->kind[i] = -1;
        int32_t got = fs_stat_path(FS_ROOT, PATH_AT, put(PATH_AT, path_of(i)), FS_NOFOLLOW, STRUCT_AT);
        need(got == 0 || got == FS_ENOENT, "stat", got);
        if (got) continue;
        struct fs_stat st;
        memcpy(&st, sim_channel + STRUCT_AT, sizeof st);
        f->kind[i] = (int32_t)st.type;
        f->inode[i] = st.inode;
        if (st.type != FS_REGULAR) continue;
        need(st.size <= 2 * SIZE_MAX_FILE, "size", (int32_t)st.size);
        f->content[i] = changed(NULL, (uint32_t)st.size);
        int32_t h = open_at(path_of(i), FS_READ);
        need(h >= 0, "open", h);
        got = fs_read(h, 0, BUFFER_AT, (uint32_t)st.size);
        need(got == (int32_t)st.size, "read", got);
        memcpy(f->content[i]->bytes, sim_channel + BUFFER_AT, st.size);
        need(fs_close(h) == 0, "close", 0);
    }
}

// The bytes are those of state `j` or newer ones of the same file.
static bool bytes_fit(const struct content *got, uint32_t j, uint8_t file, uint32_t last) {
    const struct content *c = states[j].file[file];
    if (got->size != c->size) return false;
    for (uint32_t i = 0; i < got->size; i++) {
        bool fits = got->bytes[i] == c->bytes[i];
        for (uint32_t t = j + 1; t <= last && !fits; t++) {
            const struct content *later = states[t].file[file];
            fits = later && i < later->size && later->bytes[i] == got->bytes[i];
        }
        if (!fits) return false;
    }
    return true;
}

static bool is_state(const struct found *f, uint32_t j, uint32_t last, char *why) {
    const struct state *s = &states[j];
    for (uint32_t d = 0; d < DIRS; d++)
        if (f->dir[d] != s->dir[d]) return sprintf(why, "directory %u", d), false;
    for (uint32_t i = 0; i < SLOTS; i++) {
        int32_t kind = s->slot[i] == 0      ? -1
                       : s->slot[i] == LINK ? (int32_t)FS_SYMLINK
                                            : (int32_t)FS_REGULAR;
        if (f->kind[i] != kind)
            return sprintf(why, "%.40s: kind %d", path_of(i), f->kind[i]), false;
        if (kind != FS_REGULAR) continue;
        if (!bytes_fit(f->content[i], j, s->slot[i], last))
            return sprintf(why, "%.40s: contents (size %u, expected %u)", path_of(i),
                           f->content[i]->size, s->file[s->slot[i]]->size),
                   false;
        for (uint32_t k = 0; k < i; k++)
            if (f->kind[k] == FS_REGULAR && (f->inode[k] == f->inode[i]) != (s->slot[k] == s->slot[i]))
                return sprintf(why, "%.40s: names of one file", path_of(i)), false;
    }
    return true;
}

static int check(uint32_t cut, const char *path, const char *which) {
    sim.logging = false;
    int32_t got = library_start();
    if (got) return fprintf(stderr, "cut %u, %s: not mounted: %d\n", cut, which, got), 1;
    need(fs_attach() == 0, "attach", 0);
    static struct found f;
    look(&f);
    uint32_t first = 0, last = 0;
    for (uint32_t i = 0; i < *count; i++) {
        if (synced[i] && synced[i] - 1 <= cut) first = i;
        if (i == 0 || states[i - 1].begun <= cut) last = i;
    }
    char why[400] = "", latest[400] = "";
    bool fits = false;
    for (uint32_t j = last + 1; j-- > first && !fits;) {
        fits = is_state(&f, j, last, why);
        if (!fits) memcpy(latest, why, sizeof why);
    }
    if (!fits)
        return fprintf(stderr, "cut %u, %s: no state of [%u, %u] fits; compared with %u: %s\n", cut,
                       which, first, last, first, latest),
               1;
    need(fs_detach() == 0, "detach", 0);
    sim_save(path);
    return 0;
}

static int shell(const char *format, const char *path) {
    char command[600];
    snprintf(command, sizeof command, format, path);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

// Nothing but the journal's replay, the list of orphans, the superblock's sums, and extent trees that could be smaller is in its output.
#define FSCK_SILENT                                          \
    "e2fsck -fy '%s' >'%s.log' 2>&1; s=$?; [ $s -le 1 ] && " \
    "! sed '/^Free [a-z]* count wrong (/{N;d}' '%s.log' | "  \
    "grep -E '[?] yes|UNEXPECTED|ERROR|uperblock' | grep -qv 'Optimize[?] yes'"

static int silent_fsck(const char *path) {
    char command[900];
    snprintf(command, sizeof command, FSCK_SILENT, path, path, path);
    return system(command) ? 1 : 0;
}

static int in_child(int (*what)(uint32_t, const char *, const char *), uint32_t cut,
                    const char *path, const char *which) {
    pid_t pid = fork();
    if (pid == 0) _exit(what(cut, path, which));
    int status = 0;
    waitpid(pid, &status, 0);
    return !WIFEXITED(status) || WEXITSTATUS(status);
}

static int one_cut(const uint8_t *before, uint32_t cut, const char *folder) {
    char path[300], copy[300];
    snprintf(path, sizeof path, "%s/cut.img", folder);
    snprintf(copy, sizeof copy, "%s/replayed.img", folder);
    sim_cut(before, cut);
    sim_save(path);
    int bad = in_child(check, cut, copy, "by the module");
    if (!bad && shell("e2fsck -fn '%s' >/dev/null 2>&1", copy)) {
        fprintf(stderr, "cut %u: e2fsck -fn complains after the module's replay\n", cut);
        shell("e2fsck -fn '%s' >&2 2>&1", copy);
        bad = 1;
    }
    if (silent_fsck(path) || shell("e2fsck -fn '%s' >/dev/null 2>&1", path)) {
        fprintf(stderr, "cut %u: e2fsck -fy had to repair something\n", cut);
        shell("cat '%s.log' >&2", path);
        return 1;
    }
    sim_load(path);
    return bad | in_child(check, cut, copy, "by e2fsck");
}

static int run(const char *image, uint64_t seed, uint32_t cuts, const char *folder) {
    sim_load(image);
    states = arena(2 * (steps + 2) * sizeof *states);
    synced = arena(2 * (steps + 2) * sizeof *synced);
    count = arena(sizeof *count);
    uint64_t bytes = sim.sectors * 512;
    uint8_t *before = memcpy(arena(bytes), sim.disk, bytes);
    sim_seed(seed);
    pid_t pid = fork();
    if (pid == 0) {
        work();
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status)) return fprintf(stderr, "the work failed\n"), 1;
    uint32_t flushes = 0, bad = 0;
    for (uint32_t i = 0; i < *sim.records; i++) flushes += sim.record[i].count == 0;
    sim_seed(seed + 1000003);
    uint8_t *disk = sim.disk;
    for (uint32_t i = 0; i < cuts; i++) {
        sim.disk = disk;
        bad += (uint32_t)one_cut(before, sim_random(*sim.records + 1), folder);
    }
    printf("%u operations, %u transfers, %u flushes, %u cuts, %u bad\n", *count - 1, *sim.records,
           flushes, cuts, bad);
    return bad != 0;
}

// ---- damaged images ----

// Some bytes that are not zero, most of them at the disk's begin, where the metadata are, become others.
static void damage(void) {
    uint64_t bytes = sim.sectors * 512;
    for (uint32_t n = 1 + sim_random(200); n; n--) {
        uint64_t span = sim_random(4) ? bytes / 8 : bytes;
        uint8_t *b;
        uint32_t tries = 0;
        do b = sim.disk + 1024 + sim_random((uint32_t)span - 1024);
        while (*b == 0 && ++tries < 500);
        *b = sim_random(4) ? (uint8_t)sim_random(256) : (uint8_t)(*b ^ 1u << sim_random(8));
    }
}

static void use(uint32_t dir_depth, const char *path) {
    static uint8_t list[65536];
    int32_t d = open_at(path, FS_READ);
    if (d < 0 || dir_depth > 3) return;
    int32_t n = fs_read_dir(d, 0, BUFFER_AT, sizeof list);
    fs_close(d);
    if (n <= 0) return;
    memcpy(list, sim_channel + BUFFER_AT, (size_t)n);
    uint32_t seen = 0;
    for (int32_t at = 0; at < n && seen < 40; seen++) {
        struct fs_dirent e;
        memcpy(&e, list + at, sizeof e);
        char inner[1024];
        int length = snprintf(inner, sizeof inner, "%s/%.*s", path, e.name_length,
                              (char *)list + at + sizeof e);
        at += e.size;
        if (length >= (int)sizeof inner || (e.name_length <= 2 && inner[length - 1] == '.'))
            continue;
        int32_t h = open_at(inner, FS_READ | FS_WRITE);
        if (h >= 0) {
            fs_read(h, 0, BUFFER_AT, 1u << 20);
            fs_write(h, sim_random(1u << 20), BUFFER_AT, 5000);
            fs_truncate(h, sim_random(100000));
            fs_close(h);
        }
        if (sim_random(2)) fs_unlink(FS_ROOT, PATH_AT, put(PATH_AT, inner));
        use(dir_depth + 1, inner);
    }
}

static int damaged(const char *image, uint64_t seed, uint32_t times) {
    sim_load(image);
    uint64_t bytes = sim.sectors * 512;
    uint8_t *before = memcpy(arena(bytes), sim.disk, bytes);
    uint32_t mounted = 0, trapped = 0, hung = 0;
    for (uint32_t i = 0; i < times; i++) {
        memcpy(sim.disk, before, bytes);
        sim_seed(seed + i);
        damage();
        pid_t pid = fork();
        if (pid == 0) {
            alarm(60);
            if (library_start() || fs_attach()) _exit(2);
            use(0, ".");
            open_at("new", FS_WRITE | FS_CREATE);
            fs_sync(FS_ROOT);
            fs_detach();
            _exit(0);
        }
        int status = 0;
        waitpid(pid, &status, 0);
        bool late = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
        bool well = WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 2);
        if (!well) fprintf(stderr, "seed %llu: status %x\n", (unsigned long long)seed + i, status);
        hung += late;
        trapped += !late && !well;
        mounted += well && WEXITSTATUS(status) == 0;
    }
    printf("%u damaged images: %u mounted and used, %u traps, %u without an end\n", times, mounted,
           trapped, hung);
    return hung != 0;
}

int main(int argc, char **argv) {
    if (argc == 7 && !strcmp(argv[1], "run")) {
        steps = (uint32_t)atoi(argv[4]);
        return run(argv[2], strtoull(argv[3], NULL, 10), (uint32_t)atoi(argv[5]), argv[6]);
    }
    if (argc == 5 && !strcmp(argv[1], "damage"))
        return damaged(argv[2], strtoull(argv[3], NULL, 10), (uint32_t)atoi(argv[4]));
    fprintf(stderr, "see tests/ext4/powercut.c\n");
    return 2;
}
