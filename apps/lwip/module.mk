# module.mk — lwIP, from Debian's source package, for the module apps/lwip; a part of the Makefile.
lwip := $B/src/lwip-2.1.3/src
lwip_c := $(addprefix core/,init.c def.c dns.c inet_chksum.c ip.c mem.c memp.c netif.c pbuf.c raw.c stats.c tcp.c tcp_in.c tcp_out.c timeouts.c udp.c) \
    $(addprefix core/ipv4/,dhcp.c etharp.c icmp.c ip4.c ip4_addr.c ip4_frag.c) \
    $(addprefix core/ipv6/,ethip6.c icmp6.c inet6.c ip6.c ip6_addr.c ip6_frag.c mld6.c nd6.c) \
    netif/ethernet.c apps/sntp/sntp.c
objs.apps/lwip := $(patsubst %,$B/o/lwip/%.o,$(lwip_c))
lwip_flags := -Iapps/lwip/port -isystem $(lwip)/include
$(lwip)/Filelists.mk:
	@$(call say,FETCH,$@)
	$QB=$B .ci/source lwip >/dev/null
$(objs.apps/lwip): $B/o/lwip/%.o: $(lwip)/Filelists.mk $(wildcard apps/lwip/port/*.h) $(call track,$B/o/lwip.flags,$(cflags_wasm) $(lwip_flags))
	@$(call say,CC,$@)
	@mkdir -p $(@D)
	$Q$(CC) $(cflags_wasm) $(lwip_flags) -w -c $(lwip)/$* -o $@
$(call objs,wasm,$(wildcard apps/lwip/*.c)): cflags_wasm += $(lwip_flags)
$(call objs,wasm,$(wildcard apps/lwip/*.c)): $(lwip)/Filelists.mk
