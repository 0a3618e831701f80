# SASOS: one Makefile, everything out of tree in build/. `make help` lists the verbs, V=1 shows the commands.
#
# Sources are found by wildcard per folder, so that a new file needs no edit here. Every source is compiled once per variant
# that needs it, into build/o/VARIANT/:
#   host    release tools for Linux           test    the same code under ASan + UBSan, for tests/host
#   kernel  freestanding, ring 0, no SSE      efi     the boot application (PE32+)
#   wasm    modules: drivers and applications
# Conventions:
#   sfi-jit/host/sfi-X.c, loader/tools/X.c    has a main(): build/host/sfi-X, build/host/X
#   tests/host/test_X.c                       has a main(): build/test/test_X; other files there go into every test
#   drivers/**/NAME/manifest, apps/NAME/manifest   a module: build/modules/NAME.wasm (drivers/virtio/blk: virtio-blk)
#   tests/modules/NAME/manifest               a module for tests only (*.c, or one *.wat): build/testmod/NAME.wasm
#   drivers/**/NAME/*.rs                      a driver in Rust, for tests only, where the compiler is: build/testmod/NAME.wasm
MAKEFLAGS += --no-builtin-rules --no-builtin-variables
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc) # -jN on the command line wins
endif
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all
SHELL := /bin/sh
export LC_ALL := C.UTF-8
export SOURCE_DATE_EPOCH ?= 1700000000

B := build
CC := clang
CONF ?= apps/demo.conf
V ?= 0
ifeq ($(V),1)
Q :=
say = :
else
Q := @
say = printf '  %-6s %s\n' $1 $2
endif

# $(call all_c,FOLDERS) = the C and assembly sources in them.
all_c = $(sort $(foreach d,$1,$(wildcard $d/*.c $d/*.S)))
# $(call objs,VARIANT,SOURCES)
objs = $(patsubst %,$B/o/$1/%.o,$2)
# $(call track,FILE,WORDS) = FILE, which is rewritten whenever WORDS change: what is made from a list of
# files depends on it, so that a file that went away is noticed too.
track = $1$(shell mkdir -p $(dir $1); [ "$$(cat $1 2>&1)" = '$(strip $2)' ] || echo '$(strip $2)' >$1)

# ---- sources ----
jit := $(call all_c,sfi-jit $(addprefix sfi-jit/,wasm ir opt x64 verify))
verify := $(filter sfi-jit/verify/%,$(jit))
ldr := $(call all_c,loader $(filter-out loader/tools,$(patsubst %/,%,$(wildcard loader/*/))))
host_main := $(wildcard sfi-jit/host/sfi-*.c)
host_lib := $(filter-out $(host_main),$(call all_c,sfi-jit/host))
tool_main := $(wildcard loader/tools/*.c)
kernel := $(call all_c,sasos $(patsubst %/,%,$(wildcard sasos/*/ sasos/*/*/)))
efi := $(wildcard efi/*.c)
test_main := $(wildcard tests/host/test_*.c)
test_lib := $(filter-out $(test_main),$(call all_c,tests/host))
example_dirs := drivers/virtio/dice
rust_dirs := $(patsubst %/,%,$(sort $(dir $(wildcard drivers/*/*/*.rs))))
module_dirs := $(filter-out $(rust_dirs) $(example_dirs),$(patsubst %/manifest,%,$(wildcard drivers/*/manifest drivers/*/*/manifest apps/*/manifest)))
testmod_dirs := $(patsubst %/manifest,%,$(wildcard tests/modules/*/manifest)) $(example_dirs)

# ---- how a file is compiled, by variant ----
warn := -Wall -Wextra -Werror
base := -std=gnu17 $(warn) -I. -MMD -MP -ffile-prefix-map=$(CURDIR)=.
freestanding := -ffreestanding -nostdlibinc -fno-stack-protector
sanitise := -fsanitize=address,undefined -fno-sanitize-recover=all
cflags_host := $(base) -O2 -g -fno-omit-frame-pointer -D_GNU_SOURCE
cflags_test := $(base) -O1 -g -fno-omit-frame-pointer -D_GNU_SOURCE $(sanitise)
cflags_kernel := $(base) -O2 -g -fno-omit-frame-pointer $(freestanding) --target=x86_64-unknown-none-elf \
    -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-pic -fno-asynchronous-unwind-tables \
    -ffunction-sections -fdata-sections -mretpoline
cflags_efi := $(base) -O2 $(freestanding) --target=x86_64-unknown-windows -fshort-wchar -mno-red-zone \
    -mno-stack-arg-probe -mgeneral-regs-only
cflags_wasm := $(base) -O2 $(freestanding) --target=wasm32 -mbulk-memory -msign-ext -mnontrapping-fptoint -matomics \
    -fvisibility=hidden

define variant # an object is made again when its source, a header or its flags change
$B/o/$1/%.c.o: %.c $(call track,$B/o/$1.flags,$(cflags_$1))
	@$$(call say,CC,$$@)
	@mkdir -p $$(@D)
	$$Q$(CC) $$(cflags_$1) -c $$< -o $$@
$B/o/$1/%.S.o: %.S $B/o/$1.flags
	@$$(call say,AS,$$@)
	@mkdir -p $$(@D)
	$$Q$(CC) $$(cflags_$1) -Wno-unused-command-line-argument -c $$< -o $$@
endef
$(foreach v,host test kernel efi wasm,$(eval $(call variant,$v)))

# ---- verbs ----
host_bins := $(patsubst sfi-jit/host/%.c,$B/host/%,$(host_main))
tool_bins := $(patsubst loader/tools/%.c,$B/host/%,$(tool_main))
test_bins := $(patsubst tests/host/%.c,$B/test/%,$(test_main))
products := $(host_bins) $(tool_bins) $(if $(verify),$B/host/libsfiverify.a)
ifneq ($(efi),)
products += $B/boot/boot.efi
endif
ifneq ($(wildcard tests/boot/stub/*.c),)
products += $B/boot/stub.efi $B/boot/stub.img
endif
ifneq ($(wildcard sasos/kernel.ld),)
products += $B/kernel/kernel.elf $B/kernel/kernel.sym $B/boot/BOOTX64.EFI $B/sasos.img
endif

.PHONY: all demo do-demo run test check format dis deps clean help do-run do-test do-check bench fuzz gdb appliance do-appliance verify-image grow-image
all: $(products)

# The packages come first: nothing else of these verbs works without them.
run demo test check: deps
	@$(MAKE) --no-print-directory do-$@
do-run: all
	@tests/boot/qemu.py run $(if $(DISK),--disk '$(DISK)') $(if $(PORT),--port '$(PORT)') $(if $(IOMMU),--iommu '$(IOMMU)')
do-demo: all
	@tests/boot/qemu.py demo $(if $(DISK),--disk '$(DISK)') $(if $(IOMMU),--iommu '$(IOMMU)')
do-test: all $(test_bins)
	@tests/run
do-check: all
	@tests/run tests/check
deps:
	@.ci/deps $(if $(filter test,$(MAKECMDGOALS)),rustc libstd-rust-dev-wasm32) $(if $(filter bench,$(MAKECMDGOALS)),wrk)
dis: $B/kernel/kernel.dis
format:
	$Qclang-format -i $(shell git ls-files '*.c' '*.h')
clean:
	$Qrm -rf $B
help:
	@echo 'make all      build the tools, the modules, the kernel and the disk image (build/sasos.img)'
	@echo 'make run      boot the default appliance under OVMF in QEMU: a status page at http://localhost:8080; PORT=n, DISK=path (ext4; default: a generated one)'
	@echo '              IOMMU=intel|amd|none, SMP=2, ACCEL=tcg|kvm'
	@echo 'make demo     a disk read through a sandboxed driver, two attacks caught: DISK=path (only read; default: a generated one), and as for run'
	@echo 'make test     every test; the last line says N passed, N failed'
	@echo 'make fuzz     the escape range: every campaign once; TIME=seconds SEED=n ONLY=name for more or less of it; ONLY=kill: 5000 kills; ONLY=net: hostile clients and packets'
	@echo 'make appliance   a WASI program as a bootable VM image: APP=prog.wasm ARGS= ENV= FILES=dir DATA=64M LISTEN=tcp:8080'
	@echo '               NET=dhcp MEMORY=64M STDIN=console SYSLOG=host CONFIG=file OUT=name SIGN=key,cert'
	@echo 'make verify-image   what an image holds, who signed it, what each module is granted: IMAGE=file.img'
	@echo 'make grow-image   more room for its data, with what is in it: IMAGE=file.img DATA=1G'
	@echo 'make gdb      the demonstration under gdb, with the symbols of the kernel and, by "sasos modules", of compiled modules'
	@echo 'make check    the walls between the parts, formatting, the kernel image (part of make test)'
	@echo 'make dis      build/kernel/kernel.dis, the disassembly of the kernel'
	@echo 'make format   clang-format all tracked sources'
	@echo 'make bench    what isolation costs, against native twins: ONLY=part,…, QUICK=1; build/bench/report.html'
	@echo 'make bench-jit  compiled code against native and other engines: QUICK=1, ONLY=kernel,…, see bench/jit.py'
	@echo 'make deps     install the Debian packages that are missing (make run, test and check do it too)'
	@echo 'make clean    remove build/'
	@echo 'V=1 shows the commands. CONF=path is the configuration in the image (default apps/demo.conf).'
gdb: all
	@tests/boot/qemu.py gdb $(if $(DISK),--disk '$(DISK)')
# Variables of the command line are in the environment of recipes, in whatever quotes they came.
appliance: deps
	@$(MAKE) --no-print-directory do-appliance
do-appliance: all
	@efi/appliance make --from-environment
verify-image: all
	@efi/appliance verify '$(or $(IMAGE),$(error make verify-image: which one? IMAGE=file.img))'
grow-image: all
	@efi/appliance grow '$(or $(IMAGE),$(error make grow-image: which one? IMAGE=file.img))' '$(or $(DATA),$(error make grow-image: to what size? DATA=1G))'

# ---- host tools and the verifier as a library ----
host_objs := $(call objs,host,$(jit) $(ldr) $(host_lib))
test_objs := $(call objs,test,$(jit) $(ldr) $(host_lib) $(test_lib))
verify_objs := $(call objs,host,$(verify))
define archive
	@$(call say,AR,$@)
	@mkdir -p $(@D); rm -f $@
	$Qllvm-ar rcsD $@ $(filter %.o,$^)
endef
$B/o/libhost.a: $(host_objs) $(call track,$B/o/host.list,$(host_objs))
	$(archive)
$B/o/libtest.a: $(test_objs) $(call track,$B/o/test.list,$(test_objs))
	$(archive)
$B/host/libsfiverify.a: $(verify_objs) $(call track,$B/o/verify.list,$(verify_objs))
	$(archive)
host_libs := -lm -lZydis
$(host_bins): $B/host/%: $B/o/host/sfi-jit/host/%.c.o $B/o/libhost.a
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) -fuse-ld=lld -o $@ $< $B/o/libhost.a -Wl,--as-needed $(host_libs)
# The image tools need only what they are made of, so that a module can be packed before a compiler exists.
$(tool_bins): $B/host/%: $B/o/host/loader/tools/%.c.o $(call objs,host,$(wildcard loader/pack/*.c loader/tools/lib/*.c))
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) -fuse-ld=lld -o $@ $^
$B/host/sasos-config: $(call objs,host,sasos/run/config.c loader/manifest.c loader/words.c)
$(test_bins): $B/test/%: $B/o/test/tests/host/%.c.o $B/o/libtest.a
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) $(sanitise) -fuse-ld=lld -o $@ $(filter %.o,$^) $B/o/libtest.a -Wl,--as-needed -lcmocka $(host_libs)

# ---- kernel ----
kernel_objs := $(call objs,kernel,$(kernel) $(jit) $(ldr))
kernel_ld := ld.lld -static -nostdlib --build-id=none -z max-page-size=4096 -z noexecstack --no-dynamic-linker \
    --gc-sections --fatal-warnings
$B/kernel/kernel.elf: sasos/kernel.ld $(kernel_objs) $(call track,$B/o/kernel.list,$(kernel_objs))
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(kernel_ld) -T $< -o $@ $(filter %.o,$^)
# What rides in the boot image: without DWARF, with the symbol table that a panic's backtrace reads.
$B/kernel/kernel.boot.elf: $B/kernel/kernel.elf
	$Qllvm-objcopy --strip-debug $< $@
$B/kernel/kernel.sym: $B/kernel/kernel.elf
	$Qllvm-nm -n $< >$@
$B/kernel/kernel.dis: $B/kernel/kernel.elf
	$Qllvm-objdump -d --no-show-raw-insn $< >$@

# Kernels for tests: one that looks at what the boot application hands over, the kernel's core with a program of
# tests in the place of modules, and the same with the loader and the runner of the specification's tests.
$B/boot/probe.elf: tests/boot/probe/probe.ld $(call objs,kernel,$(wildcard tests/boot/probe/*.c))
core := $(filter-out sasos/run/%,$(kernel)) $(wildcard sasos/run/thread.c sasos/run/sched.c sasos/run/*.S)
$B/boot/ktest.elf: sasos/kernel.ld $(call objs,kernel,$(core) $(wildcard tests/boot/ktest/*.c))
$B/boot/spec.elf: sasos/kernel.ld $(call objs,kernel,$(core) $(jit) $(ldr) sasos/run/plat.c sasos/run/fault.c \
    sfi-jit/host/spec.c $(wildcard tests/boot/spec/*.c))
$B/boot/probe.elf $B/boot/ktest.elf $B/boot/spec.elf:
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(kernel_ld) -T $< -o $@ $(filter %.o,$^)

# ---- modules ----
# Shared sources: drivers/sdk goes into every module, drivers/virtio/*.c into every drivers/virtio/X.
# Text modules are not checked: some of the tests' are invalid, and refusing them is the system's business.
wasm_ld := wasm-ld --no-entry --gc-sections --stack-first -z stack-size=65536 --fatal-warnings
module_name = $(subst /,-,$(patsubst apps/%,%,$(patsubst drivers/%,%,$(patsubst tests/modules/%,%,$1))))
shared_c = $(wildcard drivers/sdk/*.c $(dir $1)*.c)
# A folder's module.mk may set objs.FOLDER: more objects, of third-party sources.
-include $(wildcard apps/*/module.mk)
define module # $1 its folder, $2 what to build
$2: $1/manifest $B/host/sasos-manifest $(call objs,wasm,$(wildcard $1/*.c) $(call shared_c,$1)) $(objs.$1) $(wildcard $1/*.wat)
	@$$(call say,WASM,$$@)
	@mkdir -p $$(@D)
ifneq ($(wildcard $1/*.wat),)
	$$Qwat2wasm --no-check --debug-names $$(filter %.wat,$$^) -o $$@.tmp
else
	$$Q$(wasm_ld) $$(filter %.o,$$^) $$(filter %.a,$$^) -o $$@.tmp
endif
	$$Q$B/host/sasos-manifest $$@.tmp $1/manifest $$@
	@rm -f $$@.tmp
endef
modules := $(foreach d,$(module_dirs),$B/modules/$(call module_name,$d).wasm)
testmods := $(foreach d,$(testmod_dirs),$B/testmod/$(call module_name,$d).wasm)
$(foreach d,$(module_dirs),$(eval $(call module,$d,$B/modules/$(call module_name,$d).wasm)))
$(foreach d,$(testmod_dirs),$(eval $(call module,$d,$B/testmod/$(call module_name,$d).wasm)))
all: $(modules)
# Debian's compiler is meant, not one that happens to come first in PATH: only that one is sure to have the target's library.
RUSTC ?= /usr/bin/rustc
rust_flags := --edition 2021 --target wasm32-unknown-unknown --crate-type cdylib --crate-name driver -D warnings \
    --remap-path-prefix $(CURDIR)=. -C opt-level=2 -C panic=abort -C lto -C linker=wasm-ld -C linker-flavor=wasm-ld \
    -C link-args='$(wordlist 2,99,$(wasm_ld))'
rustmods := $(if $(wildcard $(RUSTC)),$(foreach d,$(rust_dirs),$B/testmod/$(call module_name,$d).wasm))
define rust_module
$B/testmod/$(call module_name,$1).wasm: $(wildcard $1/*.rs drivers/sdk/*.rs) $1/manifest $B/host/sasos-manifest
	@$$(call say,RUST,$$@)
	@mkdir -p $$(@D)
	$$Q$(RUSTC) $$(rust_flags) -o $$@.tmp $$<
	$$Q$B/host/sasos-manifest $$@.tmp $1/manifest $$@
	@rm -f $$@.tmp
endef
$(foreach d,$(rust_dirs),$(eval $(call rust_module,$d)))
do-test: $(testmods) $(rustmods) $B/boot/probe.elf $B/boot/ktest.elf $B/boot/spec.elf

# ---- WASI programs ----
# Built as any WASI program is, against Debian's wasi-libc: apps/NAME without a manifest (build/modules/NAME.wasm; its folder site/ is
# packed as build/modules/NAME.tar) and the test set's tests/wasi/NAME.c (build/wasi/NAME.wasm). For the tests, the former are also built for this
# machine (build/test/NAME), and build/test/wasi-bed runs a program with the personality in a Linux process.
wasi_cc := --target=wasm32-wasi -std=gnu17 $(warn) -Wno-unused-result -O2 -I. -mbulk-memory -msign-ext -mnontrapping-fptoint \
    -ftls-model=local-exec -Wl,-z,stack-size=1048576 -Wl,--stack-first -Wl,--strip-debug
wasi_apps := $(filter-out $(notdir $(module_dirs)),$(patsubst apps/%/main.c,%,$(wildcard apps/*/main.c)))
wasi_modules := $(foreach a,$(wasi_apps),$B/modules/$a.wasm $(patsubst %,$B/modules/$a.tar,$(wildcard apps/$a/site)))
wasi_progs := $(patsubst tests/wasi/%.c,$B/wasi/%.wasm,$(wildcard tests/wasi/*.c))
wasi_flags := $(call track,$B/o/wasi.flags,$(wasi_cc))
$(wasi_progs): $B/wasi/%.wasm: tests/wasi/%.c $(wildcard tests/wasi/*.h) $(wasi_flags)
define wasi_app # $1 its name
$B/modules/$1.wasm: $(wildcard apps/$1/*.c apps/$1/*.h) $(wasi_flags)
$B/modules/$1.tar: apps/$1/site $(wildcard apps/$1/site/*)
	@$$(call say,TAR,$$@)
	@mkdir -p $$(@D)
	$$Qtar --format=ustar --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime=@$(SOURCE_DATE_EPOCH) -cf $$@ -C $$< .
$B/test/$1: $(call objs,test,$(wildcard apps/$1/*.c))
	@$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$Q$(CC) $(sanitise) -fuse-ld=lld -o $$@ $$^
endef
$(foreach a,$(wasi_apps),$(eval $(call wasi_app,$a)))
$(wasi_progs) $(patsubst %,$B/modules/%.wasm,$(wasi_apps)):
	@$(call say,WASI,$@)
	@mkdir -p $(@D)
	$Q$(CC) $(wasi_cc) $(filter %.c,$^) -o $@
$B/test/wasi-bed: $B/o/host/tests/wasi/bed/bed.c.o $B/o/libhost.a
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) -fuse-ld=lld -o $@ $^ -Wl,--as-needed $(host_libs)
$B/test/test_http: $(call objs,test,apps/httpd/http.c)
$B/test/test_wasi_calls: $(call objs,test,$(wildcard apps/wasi/*.c))
$(call objs,test,$(wildcard apps/wasi/*.c) tests/host/test_wasi_calls.c): cflags_test += -Wno-unknown-attributes -Wno-ignored-attributes
all: $(wasi_modules)
do-test: $(wasi_progs) $B/test/wasi-bed $(patsubst %,$B/test/%,$(wasi_apps))

# ---- boot image and disk ----
efi_ld := lld-link -nologo -subsystem:efi_application -nodefaultlib -entry:efi_main -timestamp:0
$B/boot/boot.efi: $(call objs,efi,$(efi))
$B/boot/stub.efi: $(call objs,efi,$(wildcard tests/boot/stub/*.c) $(filter efi/lib%.c,$(efi)))
$B/boot/boot.efi $B/boot/stub.efi:
	@$(call say,LINK,$@)
	@mkdir -p $(@D)
	$Q$(efi_ld) $^ -out:$@
# Modules are compiled when an image is made, so that a boot need not: the kernel verifies this code like its own compiler's.
code := $(patsubst %.wasm,%.code,$(filter %.wasm,$(modules) $(wasi_modules)))
$(code): %.code: %.wasm $B/host/sfi-compile
	@$(call say,SFI,$@)
	$Q$B/host/sfi-compile $< $@
all: $(code)
$B/boot/modules.pack: $(modules) $(code) $B/host/sasos-pack $(call track,$B/o/modules.list,$(modules) $(code))
	@$(call say,PACK,$@)
	@mkdir -p $(@D)
	$Q$B/host/sasos-pack $@ $(filter %.wasm %.code,$^)
$B/boot/BOOTX64.EFI: $B/boot/boot.efi $B/kernel/kernel.boot.elf $B/boot/modules.pack $(CONF) $B/host/sasos-mkboot \
    $(call track,$B/o/conf.list,$(CONF))
	@$(call say,MKBOOT,$@)
	$Q$B/host/sasos-mkboot $@ $< .kernel=$B/kernel/kernel.boot.elf .modules=$B/boot/modules.pack .config=$(CONF)
# FAT file systems with the one file that firmware looks for; mtools takes their dates from SOURCE_DATE_EPOCH.
$B/boot/esp.img: $B/boot/BOOTX64.EFI
$B/boot/stub.img: $B/boot/stub.efi
$B/boot/esp.img $B/boot/stub.img:
	@$(call say,ESP,$@)
	$Qefi/mkesp $@ $<
$B/sasos.img: $B/boot/esp.img $B/host/sasos-mkimage
	@$(call say,IMAGE,$@)
	$Q$B/host/sasos-mkimage $@ $<

include tests/wasi/programs/programs.mk
include tests/fuzz/fuzz.mk
include bench/bench.mk
-include $(shell find $B/o -name '*.d' 2>/dev/null)
