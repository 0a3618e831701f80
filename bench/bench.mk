# bench.mk — the rules of bench/, part of the Makefile. bench/jit.py builds the kernels itself, with the compilers that it compares.
comma := ,
ablated := sfi_verify x64_reclean x64_emit_int x64_raw x64_asm_finish x64_rm_of ldr_call
$B/bench/run: $(call objs,host,bench/run.c bench/profile.c) $B/o/libhost.a
# A compiler that leaves mechanisms out, for measuring them: see ablate.c.
$B/bench/run-ablate: $(call objs,host,bench/run.c bench/profile.c bench/ablate.c bench/ablate_layout.c) $B/o/libhost.a
$B/bench/run-ablate: wrap := $(addprefix -Wl$(comma)--wrap=,$(ablated))
$B/bench/run $B/bench/run-ablate:
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) -fuse-ld=lld -o $@ $^ $(wrap) -Wl,--as-needed $(host_libs)

.PHONY: bench-jit bench-peers
bench-jit: $B/bench/run $B/bench/run-ablate
	@B=$B bench/jit.py
# Cranelift for the comparison: the npm package carries wasmtime.
bench-peers:
	npm install --no-audit --no-fund --prefix $B/bench/npm @bytecodealliance/wizer@11.0.3
