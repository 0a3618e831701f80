// clocks.c — clocks go forward, by about as much as is slept; numbers that are no clocks are refused.
#include "check.h"
#include <time.h>
#include <unistd.h>

static uint64_t at(unsigned id) {
    __wasi_timestamp_t t = 0;
    SAME(__wasi_clock_time_get(id, 1, &t), 0);
    return t;
}

int main(void) {
    __wasi_timestamp_t t;
    for (unsigned id = 0; id < 4; id++) {
        SAME(__wasi_clock_res_get(id, &t), 0);
        TRUE(t > 0 && t < 1000000000);
        uint64_t first = at(id), second = at(id);
        TRUE(second >= first);
    }
    TRUE(time(NULL) > 1600000000); // the machine has a clock
    SAME(__wasi_clock_res_get(4, &t), __WASI_ERRNO_INVAL);
    SAME(__wasi_clock_time_get(4, 1, &t), __WASI_ERRNO_INVAL);
    SAME(__wasi_clock_time_get(0xffffffff, 1, &t), __WASI_ERRNO_INVAL);
    SAME(__wasi_clock_time_get(1, 1, BAD), __WASI_ERRNO_FAULT);
    SAME(__wasi_clock_res_get(1, BAD), __WASI_ERRNO_FAULT);

    uint64_t wall = at(__WASI_CLOCKID_MONOTONIC), cpu = at(__WASI_CLOCKID_PROCESS_CPUTIME_ID);
    SAME(usleep(30000), 0);
    cpu = at(__WASI_CLOCKID_PROCESS_CPUTIME_ID) - cpu;
    wall = at(__WASI_CLOCKID_MONOTONIC) - wall;
    TRUE(wall >= 30000000);
    TRUE(cpu < wall); // sleeping is not computing
    CHECK_END();
}
