# The escape range. Every tests/fuzz/camp_X.c is a campaign: build/fuzz/X.
fuzz_main := $(wildcard tests/fuzz/camp_*.c)
fuzz_lib := $(filter-out $(fuzz_main) tests/fuzz/speed.c,$(wildcard tests/fuzz/*.c tests/fuzz/*.S)) \
    $(addprefix tests/host/verify_,case.c rows.c policy.c stub.c)
fuzz_bins := $(patsubst tests/fuzz/camp_%.c,$B/fuzz/%,$(fuzz_main))
fuzz_lib_objs := $(call objs,host,$(fuzz_lib))

$B/o/libfuzz.a: $(fuzz_lib_objs) $(call track,$B/o/fuzz.list,$(fuzz_lib_objs))
	$(archive)
# Those which look for steps outside of arrays, with the sanitizers.
fuzz_asan := $B/fuzz/tables $B/fuzz/calls
$B/fuzz/calls: $(call objs,test,tests/fuzz/calls/kernel.c)
$(filter-out $(fuzz_asan),$(fuzz_bins)): $B/fuzz/%: $B/o/host/tests/fuzz/camp_%.c.o $B/o/libfuzz.a $B/o/libhost.a
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) -fuse-ld=lld -o $@ $^ -Wl,--as-needed $(host_libs) -lcapstone
$(fuzz_asan): $B/fuzz/%: $(call objs,test,tests/fuzz/camp_%.c $(filter tests/fuzz/%,$(fuzz_lib))) $B/o/libtest.a
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) $(sanitise) -fuse-ld=lld -o $@ $^ -Wl,--as-needed $(host_libs) -lcapstone

# The verifier alone, as others link it.
$B/fuzz/speed: $(call objs,host,tests/fuzz/speed.c) $B/host/libsfiverify.a
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) -fuse-ld=lld -o $@ $^

# The corpus of tests/verify, as tests/escape asks for it.
$B/fuzz/cases: $B/o/host/tests/fuzz/mutants/corpus.c.o $B/o/libfuzz.a $B/o/libhost.a
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) -fuse-ld=lld -o $@ $^ -Wl,--as-needed $(host_libs)

# libFuzzer's target, with all that it reaches.
cflags_libfuzzer := $(cflags_test) -fsanitize=fuzzer-no-link
$(eval $(call variant,libfuzzer))
decode_objs := $(call objs,libfuzzer,tests/fuzz/decode/target.c $(jit) $(ldr) $(host_lib))
$B/fuzz/decode.bin: $(decode_objs) $(call track,$B/o/decode.list,$(decode_objs))
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) $(sanitise) -fsanitize=fuzzer -fuse-ld=lld -o $@ $(filter %.o,$^) -lm

# What the campaigns start from: modules as they come, and generated ones.
corpus_wat := $(wildcard $(addprefix tests/,$(addsuffix /*.wat,wat ir opt escape fuzz/miscompiles)))
$B/fuzz/corpus.list: $(corpus_wat) $(modules) $(testmods) $B/fuzz/wasmgen $(call track,$B/o/corpus.list,$(corpus_wat))
	@$(call say,CORPUS,$(@D)/corpus)
	@rm -rf $(@D)/corpus; mkdir -p $(@D)/corpus
	$Qfor f in $(corpus_wat); do wat2wasm --no-check --enable-tail-call --enable-threads $$f \
	    -o $(@D)/corpus/$$(basename $$(dirname $$f))-$$(basename $$f .wat).wasm || exit 1; done
	$Qcp $(filter %.wasm,$^) $(@D)/corpus
	$Q$B/fuzz/wasmgen --seed 7 --items 48 --corpus $(@D)/corpus >/dev/null
	@rm -f $(@D)/corpus/*.sfi; ls $(@D)/corpus >$@

fuzz_all := $(fuzz_bins) $B/fuzz/decode.bin $B/fuzz/corpus.list $B/fuzz/cases $B/fuzz/speed
fuzz: deps
	@$(MAKE) --no-print-directory do-fuzz
do-fuzz: all $(fuzz_all) $(testmods) $B/boot/probe.elf $B/boot/ktest.elf $B/boot/spec.elf $B/test/ext4-sim
	@tests/fuzz/fuzz.py --report $(if $(TIME),--time='$(TIME)') $(if $(SEED),--seed='$(SEED)') $(if $(ONLY),--only='$(ONLY)')
do-test: $(fuzz_all)
.PHONY: do-fuzz
