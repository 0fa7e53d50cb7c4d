# SPDX-License-Identifier: GPL-2.0-only
#
# Programs for users. In the build tree they find the library beside them; what is installed
# is linked again, without that path.

peershmctl := $(call objects,tools/peershmctl/*.c)
demo := $(call objects,tools/demo/*.c)

$(BUILD)/peershmctl $(BUILD)/peershm-demo: rpath = $(beside)
$(BUILD)/peershmctl $(BUILD)/install/peershmctl: $(peershmctl) $(BUILD)/libpeershm.so.0
	$(call say,LD,$@)
	$(call link,$(rpath),-ljson-c)

$(BUILD)/peershm-demo: $(demo) $(BUILD)/libpeershm.so.0
	$(call say,LD,$@)
	$(call link,$(rpath))

##  tools        build/peershmctl and build/peershm-demo
tools: $(BUILD)/peershmctl $(BUILD)/peershm-demo
	@:
