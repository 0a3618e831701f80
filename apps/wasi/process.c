// process.c — arguments, environment, clocks, random bytes, exit.
//
// The words come from the configuration of this module's instance. Variables that begin with SASOS_ are options of the personality; the
// program does not see them. It sees LISTEN_FDS in addition, when there are preopened sockets.
#include "apps/wasi/wasi.h"

#define WORD_SIZE 4096u // as much as all words of an instance are together
#define PREFIX "SASOS_"

int64_t process_waited_ns;
bool process_running;
static int64_t started_ns;
static char word[WORD_SIZE + 1], program[64] = "program";

static bool starts_with(const char *s, const char *prefix) {
    while (*prefix && *s == *prefix) s++, prefix++;
    return !*prefix;
}

static int32_t terminated(int32_t length) {
    if (length >= 0) word[(uint32_t)length < WORD_SIZE ? (uint32_t)length : WORD_SIZE] = 0;
    return length;
}

bool option(const char *name, char *out, uint32_t size) {
    for (uint32_t i = 0; terminated(sasos_env(i, word, WORD_SIZE)) >= 0; i++) {
        const char *value = word + sizeof(PREFIX) - 1;
        if (!starts_with(word, PREFIX) || !starts_with(value, name)) continue;
        value += text_length(name);
        if (*value++ != '=') continue;
        uint32_t length = text_length(value);
        if (length >= size) length = size - 1;
        memcpy(out, value, length);
        out[length] = 0;
        return true;
    }
    return false;
}

// The next argument or variable in `word`; false at the end. *i starts at 0.
static bool next_word(bool environment, uint32_t *i) {
    if (!environment) {
        if ((*i)++) return terminated(sasos_arg(*i - 2, word, WORD_SIZE)) >= 0;
        memcpy(word, program, sizeof(program));
        return true;
    }
    if (*i == UINT32_MAX) return false;
    while (terminated(sasos_env((*i)++, word, WORD_SIZE)) >= 0)
        if (!starts_with(word, PREFIX)) return true;
    *i = UINT32_MAX;
    if (!socket_listeners) return false;
    static const char name[] = "LISTEN_FDS=";
    memcpy(word, name, sizeof(name) - 1);
    word[sizeof(name) - 1] = (char)('0' + socket_listeners);
    word[sizeof(name)] = 0;
    return true;
}

static int32_t sizes(bool environment, uint32_t out_count, uint32_t out_bytes) {
    uint32_t count = 0, bytes = 0;
    for (uint32_t i = 0; next_word(environment, &i); count++) bytes += text_length(word) + 1;
    int32_t error = caller_put(out_count, &count, sizeof(count));
    return error ? error : caller_put(out_bytes, &bytes, sizeof(bytes));
}

static int32_t words(bool environment, uint32_t pointers, uint32_t to) {
    for (uint32_t i = 0; next_word(environment, &i); pointers += 4) {
        uint32_t size = text_length(word) + 1;
        int32_t error = caller_put(pointers, &to, sizeof(to));
        if (!error) error = caller_put(to, word, size);
        if (error) return error;
        to += size;
    }
    return SUCCESS;
}

// The program is over: its connections end, and what it wrote goes to the disk.
static void end(void) {
    process_running = false;
    stdio_flush();
    fd_close_all();
    socket_flush();
    datafs_end();
    terminal_forget();
}

// An instance outlives its program and may get another one, or the same again: that one finds everything as at the start.
static int32_t channel = E_NOENT, life;

void process_enter(void) {
    if (channel < 0) channel = sasos_caller_channel();
    int32_t now = sasos_chan_generation((uint32_t)channel);
    if (now != life) {
        if (life) {
            end();
            fd_open_all();
        }
        started_ns = sasos_time_ns();
        process_waited_ns = 0;
        life = now;
        process_running = true;
    }
    terminal_look(false);
}

// It may have returned, trapped or been killed: not every end is a proc_exit().
int32_t WASI(library_left)(void) {
    if (life && sasos_chan_generation((uint32_t)channel) != life) end();
    return 0;
}

int32_t WASI(args_sizes_get)(uint32_t count, uint32_t bytes) { return sizes(false, count, bytes); }
int32_t WASI(args_get)(uint32_t pointers, uint32_t to) { return words(false, pointers, to); }
int32_t WASI(environ_sizes_get)(uint32_t count, uint32_t bytes) {
    return sizes(true, count, bytes);
}
int32_t WASI(environ_get)(uint32_t pointers, uint32_t to) { return words(true, pointers, to); }

// ---- Clocks ----
int32_t WASI(clock_res_get)(uint32_t id, uint32_t to) {
    uint64_t resolution = 1; // all are read from the time-stamp counter, in nanoseconds
    if (id > CLOCKID_THREAD_CPUTIME) return ERRNO_INVAL;
    return caller_put(to, &resolution, sizeof(resolution));
}

int32_t WASI(clock_time_get)(uint32_t id, uint64_t precision, uint32_t to) {
    (void)precision;
    if (id > CLOCKID_THREAD_CPUTIME) return ERRNO_INVAL;
    process_enter();
    int64_t now = id == CLOCKID_REALTIME ? sasos_wall_ns() : sasos_time_ns();
    if (id >= CLOCKID_PROCESS_CPUTIME) now -= started_ns + process_waited_ns;
    return caller_put(to, &now, sizeof(now));
}

// ---- Random bytes ----
int32_t WASI(random_get)(uint32_t to, uint32_t n) {
    while (n) {
        uint32_t part = n < WORD_SIZE ? n : WORD_SIZE;
        int32_t error = errno_of(sasos_random((uint8_t *)word, part));
        if (!error) error = caller_put(to, word, part);
        if (error) return error;
        to += part, n -= part;
    }
    return SUCCESS;
}

// ---- Ends ----
void WASI(proc_exit)(uint32_t status) {
    end(); // what it starts with is opened again for the next one
    sasos_caller_exit((int32_t)status);
}

// $signal: the default action of each, as there are no handlers. The status is the shell's: 128 + signal.
int32_t WASI(proc_raise)(uint32_t signal) {
    if (signal > SIGNAL_SYS) return ERRNO_INVAL;
    if (signal == SIGNAL_NONE || signal == SIGNAL_CHLD || signal == SIGNAL_CONT ||
        signal == SIGNAL_URG || signal == SIGNAL_WINCH)
        return SUCCESS;
    wasi_proc_exit(128 + signal);
    return SUCCESS;
}

int32_t WASI(sched_yield)(void) {
    wait_until(0, 0);
    return SUCCESS;
}

void process_start(void) { option("PROGRAM", program, sizeof(program)); }
