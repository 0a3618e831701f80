// setjmp.h — for the WebAssembly builds of the programs, which include it and use nothing of it (lua_port.h). wasi-libc has none.
