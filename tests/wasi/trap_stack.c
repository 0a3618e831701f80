// trap_stack.c — so does recursion without an end. (The C stack is below the data, so its overflow is an access below address 0.)
// trap: memory
static int sink;
__attribute__((noinline)) static int down(int n) {
    volatile char frame[4096];
    frame[n & 4095] = (char)n;
    return n == -1 ? 0 : down(n + 1) + frame[(n * 7) & 4095];
}
int main(void) {
    sink = down(0);
    return sink;
}
