# programs.mk — large programs for the tests of WASI, from Debian's source packages (.ci/source): Lua's interpreter and SQLite. They are configured
# for a machine without processes and longjmp (bench/programs/lua_port.h), not patched.
emulated := -D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS -lm -lwasi-emulated-signal -lwasi-emulated-process-clocks
$B/wasi/lua.wasm: bench/programs/lua_port.h .ci/source $(wasi_flags)
	@$(call say,WASI,$@)
	@mkdir -p $(@D)
	$Qsrc=$$(B=$B .ci/source lua5.4)/src && $(CC) $(wasi_cc) -std=gnu99 -w -isystem bench/programs/wasi -include $< \
	    $$(ls $$src/*.c | grep -v '/luac\.c$$') -o $@ $(emulated)
# The amalgamation that SQLite's own makefile assembles.
$B/gen/sqlite/sqlite3.c: .ci/source
	@$(call say,GEN,$@)
	@mkdir -p $(@D)
	$Qsrc=$$(realpath $$(B=$B .ci/source sqlite3)) && cd $(@D) && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -f $$src/main.mk TOP=$$src \
	    BCC='$(CC) -O1' TCC='$(CC)' NAWK=awk TCLSH_CMD=tclsh sqlite3.c >make.log 2>&1 || { tail -5 make.log; exit 1; }
$B/wasi/sql.wasm: tests/wasi/programs/sql.c $B/gen/sqlite/sqlite3.c $(wasi_flags)
	@$(call say,WASI,$@)
	@mkdir -p $(@D)
	$Q$(CC) $(wasi_cc) -w -I$B/gen/sqlite -DSQLITE_OS_OTHER=1 -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_TEMP_STORE=3 \
	    -DSQLITE_OMIT_WAL $(filter %.c,$^) -o $@ $(emulated)
do-test: $B/wasi/lua.wasm $B/wasi/sql.wasm
