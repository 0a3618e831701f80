# module.mk — libext2fs from Debian's source package of e2fsprogs (.ci/source), for the module ext4 and for the power-cut simulator, which
# runs the module's own sources in a Linux process. Its configure script is not run: apps/ext4/config has what that would make.
e2fs := $B/src/e2fsprogs-1.47.0
e2fs_gen := $B/gen/e2fsprogs
e2fs_lib := alloc alloc_sb alloc_stats alloc_tables atexit badblocks bitmaps bitops blkmap64_ba blkmap64_rb blknum block bmap \
    check_desc closefs crc16 crc32c csum dblist dblist_dir dirblock dirhash dir_iterate expanddir ext_attr extent fallocate \
    fileio freefs gen_bitmap gen_bitmap64 get_num_dirs hashmap i_block icount ind_block initialize inline inline_data inode \
    io_manager link lookup mkdir mkjournal mmp newdir nls_utf8 openfs orphan punch rbtree read_bb res_gdt rw_bitmaps sha512 \
    swapfs symlink unlink valid_blk
e2fs_src := $(e2fs_lib:%=lib/ext2fs/%) e2fsck/recovery e2fsck/revoke debugfs/journal
e2fs_include := -isystem apps/ext4/config -isystem $(e2fs_gen) -isystem $(e2fs)/lib -isystem $(e2fs)/lib/ext2fs
e2fs_own := $(e2fs_include) -isystem $(e2fs)/e2fsck -isystem $(e2fs)/debugfs -DDEBUGFS -std=gnu11 -w
ext4_wasm := --target=wasm32-wasi -mbulk-memory -msign-ext -mnontrapping-fptoint -ftls-model=local-exec -fvisibility=hidden
ext4_libc := /usr/lib/wasm32-wasi/libc.a /usr/lib/llvm-14/lib/clang/14.0.6/lib/wasi/libclang_rt.builtins-wasm32.a
objs.apps/ext4 := $B/o/e2fs-wasm.a $(ext4_libc)
sim_flags := -g -fno-omit-frame-pointer $(sanitise) -D_GNU_SOURCE

$(e2fs_gen)/ready: .ci/source apps/ext4/module.mk
	@$(call say,GEN,$@)
	@B=$B .ci/source e2fsprogs >/dev/null && mkdir -p $(e2fs_gen)/ext2fs
	$Qawk -f $(e2fs)/lib/et/et_h.awk outfile=$(e2fs_gen)/ext2fs/ext2_err.h outfn=ext2_err.h $(e2fs)/lib/ext2fs/ext2_err.et.in
	$Q$(CC) $(e2fs_own) -O1 -o $(e2fs_gen)/crc32c $(e2fs)/lib/ext2fs/gen_crc32ctable.c
	$Q$(e2fs_gen)/crc32c >$(e2fs_gen)/crc32c_table.h
	@touch $@
$B/o/e2fs-wasm/%.o: $(e2fs_gen)/ready $(wildcard apps/ext4/config/*.h apps/ext4/config/*/*.h)
	@$(call say,CC,$@)
	@mkdir -p $(@D)
	$Q$(CC) $(e2fs_own) $(ext4_wasm) -O2 -c $(e2fs)/$*.c -o $@
$B/o/e2fs-sim/%.o: $(e2fs_gen)/ready $(wildcard apps/ext4/config/*.h apps/ext4/config/*/*.h)
	@$(call say,CC,$@)
	@mkdir -p $(@D)
	$Q$(CC) $(e2fs_own) -ffunction-sections -g -O1 -c $(e2fs)/$*.c -o $@
$B/o/e2fs-wasm.a: $(e2fs_src:%=$B/o/e2fs-wasm/%.o)
	$(archive)
$B/o/e2fs-sim.a: $(e2fs_src:%=$B/o/e2fs-sim/%.o)
	$(archive)

# The module's own sources, twice.
$B/o/wasm/apps/ext4/%.c.o: apps/ext4/%.c $(e2fs_gen)/ready $(call track,$B/o/ext4.flags,$(ext4_wasm) $(e2fs_include))
	@$(call say,CC,$@)
	@mkdir -p $(@D)
	$Q$(CC) $(base) $(ext4_wasm) $(e2fs_include) -O2 -c $< -o $@
$B/o/sim/%.c.o: %.c $(e2fs_gen)/ready $(call track,$B/o/sim.flags,$(sim_flags) $(e2fs_include))
	@$(call say,CC,$@)
	@mkdir -p $(@D)
	$Q$(CC) $(base) $(sim_flags) $(e2fs_include) -O1 -Wno-unknown-attributes -Wno-ignored-attributes -c $< -o $@
ext4_sim := $(filter-out %/disk.c %/channel.c %/libc.c,$(wildcard apps/ext4/*.c)) $(wildcard tests/ext4/*.c)
$B/test/ext4-sim: $(ext4_sim:%=$B/o/sim/%.o) $B/o/e2fs-sim.a
	@$(call say,LD,$@)
	@mkdir -p $(@D)
	$Q$(CC) $(sanitise) -fuse-ld=lld -Wl,--gc-sections -o $@ $^
do-test: $B/test/ext4-sim
