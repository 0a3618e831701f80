// trap_memory.c — a wild pointer ends the program only.
// trap: memory
int main(void) {
    volatile int *wild = (volatile int *)0x7ffffff0u;
    return *wild;
}
