# The escape range. Every tests/fuzz/camp_X.c is a campaign: build/fuzz/X.
fuzz_main := $(wildcard tests/fuzz/camp_*.c)
fuzz_lib := $(filter-out $(fuzz_main),$(wildcard tests/fuzz/*.c tests/fuzz/*.S)) \
    $(addprefix tests/host/verify_,case.c rows.c policy.c)
fuzz_bins := $(patsubst tests/fuzz/camp_%.c,$B/fuzz/%,$(fuzz_main))
fuzz_lib_objs := $(call objs,host,$(fuzz_lib))

$B/o/libfuzz.a: $(fuzz_lib_objs) $(call track,$B/o/fuzz.list,$(fuzz_lib_objs))
	$(archive)
$(fuzz_bins): $B/fuzz/%: $B/o/host/tests/fuzz/camp_%.c.o $B/o/libfuzz.a $B/o/libhost.a
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) -fuse-ld=lld -o $@ $^ -Wl,--as-needed $(host_libs) -lcapstone

fuzz: deps
	@$(MAKE) --no-print-directory do-fuzz
do-fuzz: all $(fuzz_bins)
	@tests/fuzz/fuzz.py $(if $(TIME),--time '$(TIME)') $(if $(SEED),--seed '$(SEED)') $(if $(ONLY),--only '$(ONLY)')
do-test: $(fuzz_bins)
.PHONY: do-fuzz
