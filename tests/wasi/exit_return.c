// exit_return.c — the value that main returns is the status.
// exit: 42
int main(void) { return 42; }
