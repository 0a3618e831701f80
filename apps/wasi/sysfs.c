// sysfs.c — the state of the system as files at /sys, for an instance that is granted `observe`; with `control` it can be changed too.
//
//   domains.json   the machine and every domain of the configuration        metrics   the same as Prometheus' text format
//   log            the newest part of the system log                        control   takes orders, one a write: start, stop, kill or
//                                                                                     restart NAME; poweroff; reboot
//
// A file's text is made when it is read from its begin and stays for the reads behind that; it has no size in advance. There is one
// such text: two descriptors that are read in turns may each see it made anew.
#include "apps/wasi/walk.h"
#include "apps/wasi/wasi.h"

#define TEXT_SIZE 196608u // all that 32 domains can say
#define LOG_TAIL 65536u

enum { ROOT, DOMAINS, METRICS, LOG, CONTROL, FILES_END };
static const char *const names[] = {
    [DOMAINS] = "domains.json", [METRICS] = "metrics", [LOG] = "log", [CONTROL] = "control"};
#define NODE_MASK 15u // a handle: the node, and above it a number that no other open() got
static uint32_t opened, files_end = FILES_END;

static struct {
    char *text;
    uint32_t length, handle; // whose it is
} now;

// ---- Writing text ----
static void put_n(const char *s, uint32_t n) {
    if (n > TEXT_SIZE - now.length) n = TEXT_SIZE - now.length;
    memcpy(now.text + now.length, s, n);
    now.length += n;
}
static void put(const char *s) { put_n(s, text_length(s)); }
static void put_unsigned(uint64_t v) {
    char digits[20];
    uint32_t n = sizeof(digits);
    do {
        digits[--n] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    put_n(digits + n, (uint32_t)sizeof(digits) - n);
}
static void put_signed(int64_t v) {
    if (v < 0) put("-");
    put_unsigned(v < 0 ? -(uint64_t)v : (uint64_t)v);
}
static void put_hex4(uint32_t v) {
    for (int shift = 12; shift >= 0; shift -= 4) put_n(&"0123456789abcdef"[v >> shift & 15], 1);
}
// Names and sentences: of the kernel's and of modules' making, so nothing is expected of them.
static void put_quoted(const char *s, uint32_t most) {
    put("\"");
    for (uint32_t i = 0; i < most && s[i]; i++) {
        if (s[i] == '"' || s[i] == '\\') put("\\");
        put_n((uint8_t)s[i] < 32 ? "?" : &s[i], 1);
    }
    put("\"");
}
#define QUOTED(field) put_quoted(field, sizeof(field))
// ,"name":value
static void member(const char *name, uint64_t value) {
    put(",\"");
    put(name);
    put("\":");
    put_unsigned(value);
}
static void member_text(const char *name, const char *text, uint32_t most) {
    put(",\"");
    put(name);
    put("\":");
    put_quoted(text, most);
}

// ---- domains.json ----
static const char *const kinds[] = {"driver", "app", "library", "program"};
static const char *const states[] = {"not loaded", "starting", "running", "restarting", "ended"};

static void json_domain(const struct sasos_dom_info *d) {
    put("{\"name\":");
    QUOTED(d->name);
    member_text("file", d->file, sizeof(d->file));
    if (d->kind < sizeof(kinds) / sizeof(kinds[0])) member_text("kind", kinds[d->kind], 16);
    if (d->state < sizeof(states) / sizeof(states[0])) member_text("state", states[d->state], 16);
    member("lives", d->lives);
    member("faults", d->faults);
    put(",\"status\":");
    put_signed(d->status);
    member("channels", d->channels);
    if (d->vendor) {
        put(",\"pci\":\"");
        put_hex4(d->vendor);
        put(":");
        put_hex4(d->device);
        put("\"");
    }
    member("memory", d->memory);
    member("memory_max", d->memory_max);
    member("dma", d->dma);
    member("dma_max", d->dma_max);
    member("cpu_ns", d->cpu_ns);
    member("started_ns", d->started_ns);
    member("interrupts", d->interrupts);
    member("log_dropped", d->log_dropped);
    put(",\"counters\":{");
    for (uint32_t i = 0; i < d->counters && i < SASOS_COUNTERS_MAX; i++) {
        if (i) put(",");
        QUOTED(d->counter[i].name);
        put(":");
        put_signed(d->counter[i].value);
    }
    put("}");
    member_text("end", d->end, sizeof(d->end));
    put("}");
}

static void json(const struct sasos_sys_info *s) {
    struct sasos_dom_info d;
    put("{\"system\":{\"cpu\":");
    QUOTED(s->cpu);
    member_text("iommu", s->iommu, sizeof(s->iommu));
    member("time_ns", s->time_ns);
    member("wall_ns", (uint64_t)s->wall_ns);
    member("memory", s->memory);
    member("memory_free", s->memory_free);
    member("kernel_objects", s->kernel_objects);
    member("dma_faults", s->dma_faults);
    member("dma_commands", s->dma_commands);
    member("interrupts_unexpected", s->interrupts_unexpected);
    member("dma_fenced", s->flags & SASOS_DMA_FENCED ? 1 : 0);
    member("fence_proved", s->flags & SASOS_FENCE_PROVED ? 1 : 0);
    member("cpus", s->cpus);
    put("},\"domains\":[");
    for (uint32_t i = 0; sasos_dom_info(i, &d, sizeof(d)) > 0; i++) {
        if (i) put(",\n");
        json_domain(&d);
    }
    put("]}\n");
}

// ---- metrics ----
static void metric(const char *name, const char *type) {
    put("# TYPE ");
    put(name);
    put(" ");
    put(type);
    put("\n");
}
static void sample(const char *name, uint64_t value) {
    put(name);
    put(" ");
    put_unsigned(value);
    put("\n");
}
static void put_seconds(uint64_t ns) {
    char digits[9];
    put_unsigned(ns / 1000000000);
    for (uint32_t i = 9, left = (uint32_t)(ns % 1000000000); i-- > 0; left /= 10)
        digits[i] = (char)('0' + left % 10);
    put(".");
    put_n(digits, 9);
}
enum field { CPU, MEMORY, DMA, LIVES, FAULTS, INTERRUPTS, UP, COUNTERS, FIELDS };
static const struct {
    const char *name, *type;
} fields[FIELDS] = {
    [CPU] = {"sasos_domain_cpu_seconds_total", "counter"},
    [MEMORY] = {"sasos_domain_memory_bytes", "gauge"},
    [DMA] = {"sasos_domain_dma_bytes", "gauge"},
    [LIVES] = {"sasos_domain_starts_total", "counter"},
    [FAULTS] = {"sasos_domain_faults_total", "counter"},
    [INTERRUPTS] = {"sasos_domain_interrupts_total", "counter"},
    [UP] = {"sasos_domain_up", "gauge"},
    [COUNTERS] = {"sasos_domain_counter", "untyped"},
};
static void domain_label(const struct sasos_dom_info *d, enum field f) {
    put(fields[f].name);
    put("{domain=");
    QUOTED(d->name);
}
static void metrics(const struct sasos_sys_info *s) {
    struct sasos_dom_info d;
    metric("sasos_uptime_seconds", "gauge");
    put("sasos_uptime_seconds ");
    put_seconds(s->time_ns);
    put("\n");
    metric("sasos_memory_bytes", "gauge");
    sample("sasos_memory_bytes", s->memory);
    metric("sasos_memory_free_bytes", "gauge");
    sample("sasos_memory_free_bytes", s->memory_free);
    metric("sasos_kernel_objects", "gauge");
    sample("sasos_kernel_objects", s->kernel_objects);
    metric("sasos_dma_faults_total", "counter");
    sample("sasos_dma_faults_total", s->dma_faults);
    for (enum field f = 0; f < FIELDS; f++) {
        metric(fields[f].name, fields[f].type);
        for (uint32_t i = 0; sasos_dom_info(i, &d, sizeof(d)) > 0; i++) {
            const uint64_t value[] = {[MEMORY] = d.memory,         [DMA] = d.dma,
                                      [LIVES] = d.lives,           [FAULTS] = d.faults,
                                      [INTERRUPTS] = d.interrupts, [UP] = d.state == SASOS_RUNNING};
            for (uint32_t c = 0; f == COUNTERS && c < d.counters && c < SASOS_COUNTERS_MAX; c++) {
                domain_label(&d, f);
                put(",name=");
                QUOTED(d.counter[c].name);
                put("} ");
                put_signed(d.counter[c].value);
                put("\n");
            }
            if (f == COUNTERS) continue;
            domain_label(&d, f);
            put("} ");
            if (f == CPU)
                put_seconds(d.cpu_ns);
            else
                put_unsigned(value[f]);
            put("\n");
        }
    }
}

static void newest_log(const struct sasos_sys_info *s) {
    uint64_t from = s->log_next - s->log_first > LOG_TAIL ? s->log_next - LOG_TAIL : s->log_first;
    while (TEXT_SIZE - now.length > 1) {
        int64_t next = sasos_log_read(from, now.text + now.length, TEXT_SIZE - now.length);
        uint32_t n = next < 0 ? 0 : text_length(now.text + now.length);
        if (!n) break;
        now.length += n;
        from = (uint64_t)next;
    }
}

// ---- The file system ----
static uint8_t type(uint32_t node) {
    return node & NODE_MASK ? FILETYPE_REGULAR_FILE : FILETYPE_DIRECTORY;
}

static bool lookup(uint32_t dir, const char *name, uint32_t n, uint32_t *out) {
    (void)dir;
    for (*out = ROOT + 1; *out < files_end; (*out)++)
        if (text_same(names[*out], text_length(names[*out]), name, n)) return true;
    return false;
}

static const struct walk_tree tree = {type, lookup, NULL};

static int32_t open(const struct vfs_path *p, uint32_t oflags, bool read, bool write,
                    uint32_t *out_handle, uint8_t *out_type) {
    (void)read;
    int32_t error = walk(&tree, p, out_handle);
    if (!error && *out_handle == CONTROL && !(oflags & (OFLAGS_DIRECTORY | OFLAGS_EXCL))) {
        *out_type = FILETYPE_REGULAR_FILE; // truncated and appended to as one likes
        return SUCCESS;
    }
    error = walk_open(&tree, p, oflags, write, out_handle, out_type);
    if (!error && *out_handle != ROOT) *out_handle |= ++opened << 4;
    return error;
}

static void close(uint32_t handle) { (void)handle; }

static int32_t stat(uint32_t handle, struct witx_filestat *out) {
    uint64_t ns = (uint64_t)sasos_wall_ns();
    *out = (struct witx_filestat){.ino = (handle & NODE_MASK) + 1,
                                  .filetype = type(handle),
                                  .nlink = 1,
                                  .atim = ns,
                                  .mtim = ns,
                                  .ctim = ns};
    return SUCCESS;
}

static int32_t stat_path(const struct vfs_path *p, struct witx_filestat *out) {
    uint32_t node;
    int32_t error = walk(&tree, p, &node);
    return error ? error : stat(node, out);
}

static int32_t read(uint32_t handle, uint64_t at, uint8_t *to, uint32_t n, uint32_t *out_n) {
    *out_n = 0;
    if ((handle & NODE_MASK) == CONTROL) return SUCCESS;
    if (!at || now.handle != handle) {
        struct sasos_sys_info s = {.time_ns = 0};
        int32_t error = sasos_sys_info(&s, sizeof(s));
        if (error < 0) return errno_of(error);
        now.handle = handle;
        now.length = 0;
        if ((handle & NODE_MASK) == DOMAINS)
            json(&s);
        else if ((handle & NODE_MASK) == METRICS)
            metrics(&s);
        else
            newest_log(&s);
    }
    *out_n = at >= now.length ? 0 : now.length - at < n ? (uint32_t)(now.length - at) : n;
    if (*out_n) memcpy(to, now.text + at, *out_n);
    return SUCCESS;
}

static const char *const orders[] = {
    [SASOS_START] = "start ",     [SASOS_STOP] = "stop ",         [SASOS_KILL] = "kill ",
    [SASOS_RESTART] = "restart ", [SASOS_POWER_OFF] = "poweroff", [SASOS_REBOOT] = "reboot",
};

// A line with one order. Written as a whole, or not at all.
static int32_t write(uint32_t handle, uint64_t at, const uint8_t *from, uint32_t n, uint32_t *out_n) {
    const char *text = (const char *)from;
    uint32_t length = n;
    (void)at;
    if ((handle & NODE_MASK) != CONTROL) return ERRNO_ROFS;
    if (length && text[length - 1] == '\n') length--;
    for (uint32_t op = 0; op < sizeof(orders) / sizeof(orders[0]); op++) {
        uint32_t word = text_length(orders[op]);
        bool named = op < SASOS_POWER_OFF;
        if (length < word || !text_same(text, word, orders[op], word) || named != (length > word))
            continue;
        *out_n = n;
        return errno_of(sasos_dom_control(text + word, length - word, op));
    }
    return ERRNO_INVAL;
}

static int32_t readdir(uint32_t dir, uint64_t cookie, struct vfs_entry *out) {
    (void)dir;
    if (cookie >= files_end - 1) return ERRNO_NOENT;
    const char *name = names[cookie + 1];
    *out = (struct vfs_entry){.next = cookie + 1,
                              .ino = cookie + 2,
                              .type = FILETYPE_REGULAR_FILE,
                              .length = (uint8_t)text_length(name)};
    memcpy(out->name, name, out->length);
    return SUCCESS;
}

static const struct vfs sysfs = {.dev = 3,
                                 .root = ROOT,
                                 .open = open,
                                 .close = close,
                                 .stat = stat,
                                 .stat_path = stat_path,
                                 .read = read,
                                 .write = write,
                                 .readdir = readdir};

const struct vfs *sysfs_start(void) {
    struct sasos_sys_info s;
    if (sasos_sys_info(&s, sizeof(s)) < 0 || !(now.text = more_memory(TEXT_SIZE))) return NULL;
    if (sasos_dom_control("", 0, UINT32_MAX) == E_DENIED) files_end = CONTROL;
    return &sysfs;
}
