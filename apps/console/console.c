// console.c — the operator's console: commands at a terminal, answered from what the kernel lets an observer see and a controller do.
//
// An application without any power of its own: `observe` and `control` are grants (without control it only shows). Its terminal is channel
// 0 (drivers/sdk/tty.h). With the argument "screen" its output goes to the machine's console instead (grant `console`), so that one serial line
// carries the log, the output and, through a uart driver on the same port, the input. It ends never; when the terminal's driver is
// restarted it begins a new line.
#include "apps/console/line.h"
#include "drivers/sdk/sasos.h"
#include "drivers/sdk/tty.h"

__attribute__((import_module("tty"), import_name("tty_attach"))) int32_t tty_attach(void);
__attribute__((import_module("tty"), import_name("tty_submit"))) int32_t tty_submit(void);

#define OUT_SIZE 8192u
#define WORDS 4u
#define PROMPT "sasos> "
#define RETRY_NS 100000000ll
#define DUMPED 1000u // events of the trace

static struct {
    struct tty_channel *tty;
    struct ring input, output;
    int32_t generation;
    bool screen; // output to the machine's console
    struct line line;
    char bytes[OUT_SIZE];
    struct text out;
} con;

// ---- the terminal ----

// Sends what has been put together; waits for room. What a dead terminal does not take is lost.
static void flush(void) {
    uint32_t done = 0;
    if (con.screen) {
        sasos_console_write(con.bytes, con.out.length);
        con.out.length = 0;
        return;
    }
    while (done < con.out.length && !con.output.broken) {
        uint32_t n = tty_put(&con.output, con.tty->output, (const uint8_t *)con.bytes + done,
                             con.out.length - done);
        done += n;
        if (tty_submit() < 0) break;
        if (n == 0 && sasos_wait(SASOS_EVENT_CHANNEL(0), 10 * RETRY_NS) <= 0) break;
    }
    con.out.length = 0;
}

// Until the driver is there. False: it is not a terminal's.
static void attach(void) {
    for (;;) {
        con.generation = sasos_chan_generation(0);
        ring_init(&con.input, &con.tty->input_ring, TTY_RING);
        ring_init(&con.output, &con.tty->output_ring, TTY_RING);
        if (con.generation > 0 && con.tty->info.version == TTY_INFO_VERSION && tty_attach() == 0)
            return;
        sasos_wait(SASOS_EVENT_CHANNEL(0), RETRY_NS);
    }
}

static void say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    text_vformat(&con.out, format, args);
    va_end(args);
    text_format(&con.out, "\r\n");
    if (con.out.length > OUT_SIZE / 2) flush();
}

// ---- what there is to see ----

static bool domain(uint32_t index, struct sasos_dom_info *out) {
    return sasos_dom_info(index, out, sizeof(*out)) > 0;
}

static bool same(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

static bool find(const char *name, struct sasos_dom_info *out) {
    for (uint32_t i = 0; domain(i, out); i++)
        if (same(out->name, name)) return true;
    say("There is no module %s; `domains` lists them.", name);
    return false;
}

static const char *kind_text(uint32_t kind) {
    static const char *const text[] = {"driver", "app", "library", "program"};
    return kind < sizeof(text) / sizeof(text[0]) ? text[kind] : "?";
}

static const char *state_text(uint32_t state) {
    static const char *const text[] = {"not loaded", "starting", "running", "restarting", "ended"};
    return state < sizeof(text) / sizeof(text[0]) ? text[state] : "?";
}

static void put_size(uint64_t bytes) {
    if (bytes >= 10ull << 20)
        text_format(&con.out, "%luM", bytes >> 20);
    else
        text_format(&con.out, "%luK", bytes >> 10);
}

static void put_seconds(uint64_t ns) {
    uint64_t s = ns / 1000000000, ms = ns / 1000000 % 1000;
    text_format(&con.out, "%lu.%c%c%c", s, (int)('0' + ms / 100), (int)('0' + ms / 10 % 10),
                (int)('0' + ms % 10));
}

static void cmd_domains(char **word) {
    (void)word;
    struct sasos_dom_info d;
    say("NAME             KIND     STATE       LIVES FAULTS CPU s       MEMORY   DMA      DEVICE");
    for (uint32_t i = 0; domain(i, &d); i++) {
        uint32_t from = con.out.length;
        text_format(&con.out, "%s", d.name);
        text_pad(&con.out, from, 17);
        text_format(&con.out, "%s", kind_text(d.kind));
        text_pad(&con.out, from, 26);
        text_format(&con.out, "%s", state_text(d.state));
        text_pad(&con.out, from, 38);
        text_format(&con.out, "%u", d.lives);
        text_pad(&con.out, from, 44);
        text_format(&con.out, "%u", d.faults);
        text_pad(&con.out, from, 51);
        put_seconds(d.cpu_ns);
        text_pad(&con.out, from, 63);
        put_size(d.memory);
        text_pad(&con.out, from, 72);
        put_size(d.dma);
        text_pad(&con.out, from, 81);
        if (d.vendor)
            text_format(&con.out, "%x:%x.%u %x:%x", d.rid >> 8, d.rid >> 3 & 31, d.rid & 7,
                        d.vendor, d.device);
        say("");
    }
}

static void cmd_show(char **word) {
    struct sasos_dom_info d;
    struct sasos_sys_info s;
    if (!find(word[1], &d) || sasos_sys_info(&s, sizeof(s)) <= 0) return;
    say("%s (%s.wasm), a %s: %s", d.name, d.file, kind_text(d.kind), state_text(d.state));
    text_format(&con.out, "  memory      ");
    put_size(d.memory);
    text_format(&con.out, " of ");
    put_size(d.memory_max);
    say("");
    if (d.dma_max) {
        text_format(&con.out, "  DMA pages   ");
        put_size(d.dma);
        text_format(&con.out, " of ");
        put_size(d.dma_max);
        say("");
    }
    if (d.vendor)
        say("  device      %x:%x.%u, %x:%x, %lu interrupts", d.rid >> 8, d.rid >> 3 & 31, d.rid & 7,
            d.vendor, d.device, d.interrupts);
    say("  channels    %u", d.channels);
    say("  handles     %u of %u", d.handles, d.handles_max);
    text_format(&con.out, "  time        ");
    put_seconds(d.cpu_ns);
    text_format(&con.out, " s of CPU, last on CPU %u", d.cpu);
    if (d.state == SASOS_RUNNING) {
        text_format(&con.out, ", running for ");
        put_seconds(s.time_ns - d.started_ns);
        text_format(&con.out, " s");
    }
    say("");
    say("  lives       %u, of which %u ended by a fault", d.lives, d.faults);
    if (d.log_dropped) say("  log         %u lines dropped", d.log_dropped);
    if (d.end[0]) say("  last end    %s", d.end);
    for (uint32_t i = 0; i < d.counters && i < SASOS_COUNTERS_MAX; i++) {
        uint32_t from = con.out.length;
        text_format(&con.out, "  %s", d.counter[i].name);
        text_pad(&con.out, from, 14);
        say("%ld", d.counter[i].value);
    }
}

static void cmd_devices(char **word) {
    (void)word;
    struct sasos_dom_info d;
    bool any = false;
    for (uint32_t i = 0; domain(i, &d); i++)
        if (d.vendor) {
            say("%x:%x.%u  %x:%x  held by %s", d.rid >> 8, d.rid >> 3 & 31, d.rid & 7, d.vendor,
                d.device, d.name);
            any = true;
        }
    if (!any) say("No module holds a device.");
}

static void cmd_memory(char **word) {
    (void)word;
    struct sasos_sys_info s;
    struct sasos_dom_info d;
    if (sasos_sys_info(&s, sizeof(s)) <= 0) return;
    uint64_t modules = 0;
    for (uint32_t i = 0; domain(i, &d); i++) modules += d.memory + d.dma;
    say("%lu MiB, %lu MiB free; %lu MiB are modules' memory; the kernel holds %lu objects",
        s.memory >> 20, s.memory_free >> 20, modules >> 20, s.kernel_objects);
}

static void cmd_system(char **word) {
    (void)word;
    struct sasos_sys_info s;
    if (sasos_sys_info(&s, sizeof(s)) <= 0) return;
    say("%s, %u CPUs%s", s.cpu, s.cpus, s.flags & SASOS_HYPERVISOR ? ", under a hypervisor" : "");
    text_format(&con.out, "running for ");
    put_seconds(s.time_ns);
    say(" s");
    say("DMA is %s (%s)%s; %lu accesses blocked, %lu commands to the unit, %lu unexpected "
        "interrupts",
        s.flags & SASOS_DMA_FENCED ? "fenced" : "NOT FENCED", s.iommu,
        s.flags & SASOS_FENCE_PROVED ? ", as a self-test proved" : "", s.dma_faults, s.dma_commands,
        s.interrupts_unexpected);
}

static void cmd_counters(char **word) {
    struct sasos_dom_info d;
    (void)word;
    for (uint32_t i = 0; domain(i, &d); i++)
        for (uint32_t k = 0; k < d.counters && k < SASOS_COUNTERS_MAX; k++) {
            uint32_t from = con.out.length;
            text_format(&con.out, "%s.%s", d.name, d.counter[k].name);
            text_pad(&con.out, from, 40);
            say("%ld", d.counter[k].value);
        }
}

static void put_name(uint32_t index) {
    struct sasos_dom_info d;
    text_format(&con.out, "%s", domain(index, &d) ? d.name : "-");
}

// Each channel once, at its client; then what the kernel has of the rings of devices.
static void cmd_rings(char **word) {
    (void)word;
    struct sasos_dom_info d;
    say("SERVER           CLIENT           PAGES  LIVES (SERVER, CLIENT)");
    for (uint32_t i = 0; domain(i, &d); i++)
        for (uint32_t k = 0; k < d.channels && k < SASOS_CHANNELS_MAX; k++) {
            const struct sasos_channel_info *c = &d.channel[k];
            uint32_t from = con.out.length;
            if (c->server) continue;
            put_name(c->peer);
            text_pad(&con.out, from, 17);
            text_format(&con.out, "%s", d.name);
            text_pad(&con.out, from, 34);
            text_format(&con.out, "%u", c->pages);
            text_pad(&con.out, from, 41);
            say("%u, %u", c->peer_life, c->life);
        }
    for (uint32_t i = 0; domain(i, &d); i++)
        for (uint32_t k = 0; k < SASOS_RINGS_MAX; k++) {
            const struct sasos_ring_info *r = &d.ring[k];
            if (r->size)
                say("%s, queue %u: %u entries, published %u, used %u, in flight %u%s", d.name, k,
                    r->size, r->published, r->used, (uint16_t)(r->published - r->used),
                    r->broken ? ", BROKEN" : "");
        }
}

static void cmd_faults(char **word) {
    (void)word;
    struct sasos_dom_info d;
    bool any = false;
    for (uint32_t i = 0; domain(i, &d); i++)
        if (d.faults) {
            say("%s: %u; the last: %s", d.name, d.faults, d.end);
            any = true;
        }
    if (!any) say("No module has failed.");
}

// The last KiB of the log, or as many as asked for.
static void cmd_log(char **word) {
    uint64_t want = 0;
    for (const char *c = word[1]; c && *c >= '0' && *c <= '9' && want < 1000; c++)
        want = want * 10 + (uint64_t)(*c - '0');
    struct sasos_sys_info s;
    if (sasos_sys_info(&s, sizeof(s)) <= 0) return;
    want = want ? want << 10 : 2048;
    uint64_t from = s.log_next - s.log_first > want ? s.log_next - want : s.log_first;
    bool first = from != s.log_first; // cut: its first line is not whole
    while (from < s.log_next) {
        static char part[1024];
        int64_t next = sasos_log_read(from, part, sizeof(part));
        if (next <= (int64_t)from) break;
        for (const char *c = part; *c; c++) {
            if (!first && *c == '\n') text_char(&con.out, '\r');
            if (!first) text_char(&con.out, *c);
            if (*c == '\n') first = false;
        }
        flush();
        from = (uint64_t)next;
    }
}

static void order(const char *name, uint32_t operation, const char *what) {
    uint32_t length = 0;
    while (name && name[length]) length++;
    int32_t r = sasos_dom_control(name, length, operation);
    if (r == 0)
        say("%s%s%s", what, name ? " " : "", name ? name : "");
    else if (r == E_DENIED)
        say("This console may only look: its module has no `control` line in the configuration.");
    else if (r == E_NOENT)
        say("There is no module %s; `domains` lists them.", name);
    else
        say("Refused (%d).", r);
}

static void put_trace(const struct sasos_trace *t) {
    static const struct {
        const char *text, *value, *more;
    } kinds[] = {
#define X(name, text, value, more) {text, value, more},
        SASOS_TRACES(X)
#undef X
    };
    uint32_t from = con.out.length;
    text_format(&con.out, "%lu us  CPU %u", t->time_ns / 1000, t->cpu);
    text_pad(&con.out, from, 24);
    if (t->module == SASOS_TRACE_KERNEL)
        text_format(&con.out, "kernel");
    else
        put_name(t->module);
    text_pad(&con.out, from, 41);
    if (t->kind >= sizeof(kinds) / sizeof(kinds[0])) return say("event %u", t->kind);
    text_format(&con.out, "%s", kinds[t->kind].text);
    if (t->kind == SASOS_TRACE_CALL_ERROR)
        text_format(&con.out, " %s: %d", sasos_call_name(t->value), (int)t->more);
    else if (t->kind == SASOS_TRACE_GRANT || t->kind == SASOS_TRACE_DMA_FAULT)
        text_format(&con.out, " 0x%lx, %u", t->value, t->more);
    else if (kinds[t->kind].value[0])
        text_format(&con.out, " %ld", (int64_t)t->value);
    if (t->kind == SASOS_TRACE_WAKE) text_format(&con.out, " on CPU %u", t->more);
    say("");
}

static void cmd_trace(char **word) {
    static struct sasos_trace t[64];
    struct sasos_sys_info s;
    if (word[1] && same(word[1], "on")) return order(NULL, SASOS_TRACE_ON, "tracing");
    if (word[1] && same(word[1], "off"))
        return order(NULL, SASOS_TRACE_OFF, "not tracing any more");
    if (word[1] && !same(word[1], "dump")) return say("usage: trace [on|off|dump]");
    if (sasos_sys_info(&s, sizeof(s)) <= 0) return;
    if (!word[1]) return say("The trace is %s.", s.flags & SASOS_TRACING ? "on" : "off");
    // The newest up to now: it goes on while this console writes.
    uint64_t end = 0;
    for (int32_t n; (n = sasos_trace_read(end, t, 64)) > 0 && t[0].time_ns <= s.time_ns;)
        end = t[n - 1].number + 1;
    uint64_t number = end > DUMPED ? end - DUMPED : 0;
    for (int32_t n; number < end && (n = sasos_trace_read(number, t, 64)) > 0;)
        for (int32_t i = 0; i < n && (number = t[i].number + 1) <= end; i++) put_trace(&t[i]);
}

// ---- what there is to do ----

static void cmd_start(char **word) { order(word[1], SASOS_START, "starting"); }
static void cmd_stop(char **word) { order(word[1], SASOS_STOP, "stopping"); }
static void cmd_kill(char **word) { order(word[1], SASOS_KILL, "killing"); }
static void cmd_restart(char **word) { order(word[1], SASOS_RESTART, "restarting"); }
static void cmd_poweroff(char **word) {
    (void)word;
    order(NULL, SASOS_POWER_OFF, "powering off");
}
static void cmd_reboot(char **word) {
    (void)word;
    order(NULL, SASOS_REBOOT, "rebooting");
}
static void cmd_help(char **word);

static const struct command {
    const char *name, *argument, *text;
    void (*run)(char **word);
    bool needs; // the argument
} commands[] = {
    {"domains", "", "all modules: state, lives, faults, time, memory, device", cmd_domains, false},
    {"show", "NAME", "one module, with its counters and how it ended last", cmd_show, true},
    {"devices", "", "which module holds which PCI function", cmd_devices, false},
    {"memory", "", "how much there is, and who has it", cmd_memory, false},
    {"system", "", "processor, uptime, and whether DMA is fenced", cmd_system, false},
    {"counters", "", "what the modules count", cmd_counters, false},
    {"rings", "", "which modules share pages, and where devices' rings are", cmd_rings, false},
    {"faults", "", "which modules failed, and how", cmd_faults, false},
    {"trace", "[on|off|dump]",
     "the newest events: interrupts, wake-ups, errors of calls, grants, ends", cmd_trace, false},
    {"log", "[KiB]", "the end of the system log", cmd_log, false},
    {"start", "NAME", "starts a module of the configuration that is not running", cmd_start, true},
    {"load", "NAME", "the same", cmd_start, true},
    {"stop", "NAME", "stops it", cmd_stop, true},
    {"kill", "NAME", "ends it as if it had failed: its restart policy decides what comes next",
     cmd_kill, true},
    {"restart", "NAME", "stops and starts it", cmd_restart, true},
    {"poweroff", "", "stops everything in order and switches the machine off", cmd_poweroff, false},
    {"reboot", "", "likewise, and starts it again", cmd_reboot, false},
    {"help", "", "this list", cmd_help, false},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void cmd_help(char **word) {
    (void)word;
    for (uint32_t i = 0; i < COMMANDS; i++) {
        uint32_t from = con.out.length;
        text_format(&con.out, "  %s %s", commands[i].name, commands[i].argument);
        text_pad(&con.out, from, 24);
        say("%s", commands[i].text);
    }
    say("Tab completes, the arrow keys go through the history.");
}

// ---- lines ----

static uint32_t split(char *text, char **word) {
    uint32_t n = 0;
    while (n < WORDS) {
        while (*text == ' ') *text++ = 0;
        if (!*text) break;
        word[n++] = text;
        while (*text && *text != ' ') text++;
    }
    return n;
}

static void execute(char *text) {
    char *word[WORDS + 1] = {0};
    uint32_t n = split(text, word);
    if (n == 0) return;
    for (uint32_t i = 0; i < COMMANDS; i++) {
        if (!same(commands[i].name, word[0])) continue;
        if (n > 2 || (commands[i].needs && n < 2) || (!commands[i].argument[0] && n > 1))
            say("usage: %s %s", commands[i].name, commands[i].argument);
        else
            commands[i].run(word);
        return;
    }
    say("There is no command %s; `help` lists them.", word[0]);
}

// The rest of `name` if it begins with the `length` bytes at `part`, else NULL.
static const char *rest(const char *name, const char *part, uint32_t length) {
    for (uint32_t i = 0; i < length; i++)
        if (name[i] != part[i]) return NULL; // at its end too: part has no 0
    return name + length;
}

// Completes the first word from the commands and the second from the modules, when only one fits; else shows which ones do.
static void complete(struct line *l) {
    uint32_t start = l->length;
    if (l->cursor != l->length) return;
    while (start && l->text[start - 1] != ' ') start--;
    struct sasos_dom_info d;
    const char *found = NULL;
    static char kept[SASOS_NAME];
    uint32_t matches = 0;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; start ? domain(i, &d) : i < COMMANDS; i++) {
            const char *name = start ? d.name : commands[i].name,
                       *r = rest(name, l->text + start, l->length - start);
            if (!r) continue;
            if (pass == 1) say("%s", name);
            if (pass == 0 && matches++ == 0) {
                uint32_t n = 0;
                while (r[n] && n < SASOS_NAME - 1) kept[n] = r[n], n++;
                kept[n] = 0;
                found = kept;
            }
        }
        if (matches == 1) {
            line_insert(l, found, &con.out);
            line_insert(l, " ", &con.out);
        }
        if (matches < 2) return;
        if (pass == 0) say("");
    }
    line_show(l, &con.out);
}

int32_t SASOS_EXPORT(app_main)(void) {
    char argument[8];
    con.out = (struct text){con.bytes, OUT_SIZE, 0};
    con.screen = sasos_arg(0, argument, sizeof(argument)) == 6;
    con.tty = (struct tty_channel *)(uintptr_t)sasos_chan_map(0);
    if (!con.tty || sasos_chan_size(0) < sizeof(*con.tty)) {
        log_line("it needs a terminal: connect tty DRIVER 16K");
        return 1;
    }
    attach();
    say("SASOS: `help` lists the commands.");
    line_start(&con.line, PROMPT, &con.out);
    for (;;) {
        flush();
        uint8_t bytes[64];
        uint32_t n = tty_take(&con.input, con.tty->input, bytes, sizeof(bytes));
        for (uint32_t i = 0; i < n; i++) {
            enum line_event event = line_key(&con.line, bytes[i], &con.out);
            if (event == LINE_TAB) complete(&con.line);
            if (event != LINE_READY) continue;
            execute(con.line.text);
            line_start(&con.line, PROMPT, &con.out);
        }
        if (n) continue;
        tty_submit(); // room for input again
        sasos_wait(SASOS_EVENT_CHANNEL(0), -1);
        if (sasos_chan_generation(0) != con.generation) {
            attach();
            line_start(&con.line, PROMPT, &con.out);
        }
    }
}
