# bench.mk — the rules of bench/, part of the Makefile. bench/jit.py builds the kernels itself, with the compilers that it compares.
$B/bench/run: $(call objs,host,bench/run.c bench/profile.c) $B/o/libhost.a
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) -fuse-ld=lld -o $@ $^ -Wl,--as-needed $(host_libs)

.PHONY: bench-jit bench-peers
bench-jit: $B/bench/run
	@B=$B bench/jit.py
# Cranelift for the comparison: the npm package carries wasmtime. Nothing else is done with it.
bench-peers:
	npm install --no-audit --no-fund --prefix $B/bench/npm @bytecodealliance/wizer@11.0.3
