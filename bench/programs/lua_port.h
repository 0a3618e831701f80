// lua_port.h — what Lua's sources need to be compiled where longjmp and processes do not exist (WASI), put before each of them.
//
// The native program is built with it too, so that both run the same code. An error ends the program, and so does a yield; the script that is
// measured has neither. Processes and temporary files cannot be made.
#ifndef LUA_PORT_H
#define LUA_PORT_H
#include <stdio.h>
#include <stdlib.h>

#define LUAI_THROW(L, c) abort()
#define LUAI_TRY(L, c, a) \
    { a }
#define luai_jmpbuf int

#define LUA_TMPNAMBUFSIZE 32
#define lua_tmpnam(buffer, error) ((buffer)[0] = 0, (error) = 1)
static inline int port_system(const char *command) { return command ? -1 : 0; }
static inline FILE *port_tmpfile(void) { return NULL; }
#define system port_system
#define tmpfile port_tmpfile
#endif
