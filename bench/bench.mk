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

.PHONY: bench bench-jit bench-peers
bench-jit: $B/bench/run $B/bench/run-ablate
	@B=$B bench/jit.py
# Cranelift for the comparison: the npm package carries wasmtime.
bench-peers:
	npm install --no-audit --no-fund --prefix $B/bench/npm @bytecodealliance/wizer@11.0.3

# ---- modules for measuring: bench/apps/NAME ----
bench_dirs := $(patsubst %/manifest,%,$(wildcard bench/apps/*/manifest))
bench_modules := $(foreach d,$(bench_dirs),$B/bench/modules/$(notdir $d).wasm)
$(foreach d,$(bench_dirs),$(eval $(call module,$d,$B/bench/modules/$(notdir $d).wasm)))

# ---- native twins: the same sources for this machine, by the same compiler at the same level ----
# $(call twin,NAME,FOLDER): build/bench/twin/NAME.o, whose one name is twin_NAME; see bench/rig/twin.c.
cflags_twin := $(base) -O2 -g $(freestanding) -fno-pic -fno-pie -fvisibility=hidden -Wno-unknown-attributes \
    -Wno-ignored-attributes
$(eval $(call variant,twin))
manifest_words = $(shell sed -n 's/^$1 *\(.*\.\)*//p' $2/manifest)
twin_exports = $(call manifest_words,export,$1) $(if $(shell grep -x 'kind driver' $1/manifest),driver_start driver_event,app_main)
twin_list = $(foreach w,$1,X($w))
define twin # $1 name, $2 folder, $3 the imports, where two have one name
$B/bench/twin/$1.o: $(call objs,twin,$(wildcard $2/*.c) $(call shared_c,$2)) bench/rig/twin.c bench/rig/rig.h $2/manifest \
    sasos/run/hostcall.def $B/o/twin.flags
	@$$(call say,TWIN,$$@)
	@mkdir -p $$(@D)
	$$Q$(CC) $(cflags_host) -fno-pie -DTWIN=twin_$(subst -,_,$1) -DTWIN_NAME='"$1"' '-DTWIN_EXPORTS=$(call twin_list,$(call twin_exports,$2))' \
	    '-DTWIN_IMPORTS=$(call twin_list,$(or $3,$(call manifest_words,import,$2)))' -MF $$@.d -c bench/rig/twin.c -o $$@.part
	$$Qld.lld -r -o $$@.all $$@.part $$(filter $B/o/twin/%.o,$$^)
	$$Qllvm-objcopy --keep-global-symbol=twin_$(subst -,_,$1) $$@.all $$@
	@rm -f $$@.part $$@.all
endef
$(eval $(call twin,blkload,bench/apps/blkload))
$(eval $(call twin,virtio-blk,drivers/virtio/blk))
$(eval $(call twin,nvme,drivers/nvme))
$(eval $(call twin,netload,bench/apps/netload))
$(eval $(call twin,virtio-net,drivers/virtio/net))
$(eval $(call twin,e1000e,drivers/e1000e))
# A twin is one instance: two ports have two of them.
$(eval $(call twin,virtio-net-b,drivers/virtio/net))
$(eval $(call twin,e1000e-b,drivers/e1000e))
$(eval $(call twin,netports,bench/apps/netports,a_net_attach a_net_submit b_net_attach b_net_submit))
$(eval $(call twin,caller,bench/apps/caller))
$(eval $(call twin,callee,bench/apps/callee))
rig_main := bench/rig/main.c bench/rig/crossings.c
rig_objs := $(call objs,host,$(filter-out bench/rig/twin.c $(rig_main),$(wildcard bench/rig/*.c))) $B/o/libhost.a

# Not position-independent: a twin's statics then have 32-bit addresses, as its module's have.
$B/bench/rig: $(call objs,host,bench/rig/main.c) $(foreach t,blkload netload netports virtio-blk nvme virtio-net virtio-net-b e1000e e1000e-b,$B/bench/twin/$t.o)
$B/bench/crossings: $(call objs,host,bench/rig/crossings.c) $(foreach t,caller callee,$B/bench/twin/$t.o)
$B/bench/rig $B/bench/crossings: $(rig_objs)
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) -fuse-ld=lld -no-pie -o $@ $^ -Wl,--as-needed $(host_libs)

# ---- the bench kernel: native twins of drivers in it (bench/guest/native.h); the kernel that is shipped has none ----
cflags_ktwin := $(filter-out -fno-omit-frame-pointer,$(cflags_kernel)) -fvisibility=hidden -Wno-unknown-attributes -Wno-ignored-attributes
$(eval $(call variant,ktwin))
cflags_kcalls0 := $(cflags_ktwin) -DNATIVE=0
cflags_kcalls1 := $(cflags_ktwin) -DNATIVE=1
$(eval $(call variant,kcalls0))
$(eval $(call variant,kcalls1))
define ktwin # $1 name, $2 folder, $3 the instance: its exports are called NAME_export
$B/bench/ktwin/$1.o: $(call objs,ktwin,$(wildcard $2/*.c) $(call shared_c,$2)) $(call objs,kcalls$3,bench/guest/calls.c) $2/manifest
	@$$(call say,TWIN,$$@)
	@mkdir -p $$(@D)
	$$Qld.lld -r -o $$@.all $$(filter %.o,$$^)
	$$Qllvm-objcopy $(foreach e,$(call twin_exports,$2),--redefine-sym $e=$(subst -,_,$1)_$e --keep-global-symbol=$e) $$@.all $$@
	@rm -f $$@.all
endef
$(eval $(call ktwin,virtio-blk,drivers/virtio/blk,0))
$(eval $(call ktwin,nvme,drivers/nvme,0))
$(eval $(call ktwin,virtio-net,drivers/virtio/net,0))
$(eval $(call ktwin,e1000e,drivers/e1000e,0))
$(eval $(call ktwin,virtio-net-b,drivers/virtio/net,1))
$(eval $(call ktwin,e1000e-b,drivers/e1000e,1))
ktwins := $(foreach t,virtio-blk nvme virtio-net virtio-net-b e1000e e1000e-b,$B/bench/ktwin/$t.o)
kernel_wrapped := $(addprefix --wrap=,ldr_instantiate ldr_call ldr_instance_free)
rings := bench/rings/rings.c bench/rings/rings.S
$B/bench/kernel.elf: sasos/kernel.ld $(kernel_objs) $(call objs,kernel,$(filter-out bench/guest/calls.c,$(wildcard bench/guest/*.c)) $(rings)) $(ktwins)
	@$(call say,LD,$@)
	$Q$(kernel_ld) $(kernel_wrapped) -T $< -o $@.all $(filter %.o,$^)
	$Qllvm-objcopy --strip-debug $@.all $@
	@rm -f $@.all

# The same in a virtual machine that has nothing else: bench/rings/vm.c makes it by KVM.
$B/bench/rings.bin: bench/rings/guest.ld $(call objs,kernel,bench/rings/guest.c $(rings))
	@$(call say,LD,$@)
	$Qld.lld -T $< --oformat binary -o $@ $(filter %.o,$^)
$B/bench/rings: $(call objs,host,bench/rings/vm.c)
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) -fuse-ld=lld -o $@ $^

# The guest's end of bulk transfers; bench/peers.py builds it for Linux.
bench_programs := $B/bench/stream.wasm
$(bench_programs): $B/bench/%.wasm: bench/programs/%.c $(wasi_flags)
	@$(call say,WASI,$@)
	@mkdir -p $(@D)
	$Q$(CC) $(wasi_cc) $< -o $@

# Counts guest instructions, inside QEMU.
$B/bench/count.so: bench/plugin/count.c
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) -std=gnu17 $(warn) -O2 -shared -fPIC -fuse-ld=lld -o $@ $<

do-test: $B/bench/rig $B/bench/crossings $B/bench/rings $B/bench/rings.bin $(bench_modules) $(bench_programs) $B/bench/kernel.elf $B/bench/count.so
bench: deps
	@$(MAKE) --no-print-directory do-bench
do-bench: all $B/bench/rig $B/bench/crossings $B/bench/rings $B/bench/rings.bin $B/bench/run $B/bench/run-ablate $B/bench/kernel.elf $B/bench/count.so $(bench_modules) $(bench_programs)
	@B=$B bench/bench.py
