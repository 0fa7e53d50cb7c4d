# SPDX-License-Identifier: GPL-2.0-only
#
# The library, shared and static.

library := $(call objects,libpeershm/*.c)

$(BUILD)/libpeershm.so.0: $(library) libpeershm/libpeershm.map
	$(call say,LD,$@)
	$(Q)$(CC) $(cflags) $(LDFLAGS) -shared -Wl,-soname,$(@F) -Wl,-z,defs -Wl,-z,nodelete \
		-Wl,--version-script,libpeershm/libpeershm.map -o $@ $(library) $(urcu)

$(BUILD)/libpeershm.so: $(BUILD)/libpeershm.so.0
	$(Q)ln -sf $(<F) $@

$(BUILD)/libpeershm.a: $(library)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

##  lib          build/libpeershm.so.0 and build/libpeershm.a
lib: $(BUILD)/libpeershm.so $(BUILD)/libpeershm.a
	@:
