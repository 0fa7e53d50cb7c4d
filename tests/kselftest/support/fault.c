/* SPDX-License-Identifier: GPL-2.0-only */
#include <unistd.h>

#include "fault.h"
#include "harness.h"

#define FAIL_NTH "/proc/thread-self/fail-nth"

void faults_on(void)
{
	static const char *const settings[][2] = {
		{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/failslab/verbose", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "/sys/kernel/debug/fail_page_alloc/min-order", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/verbose", "0" },
		{ "/sys/kernel/debug/fail_usercopy/verbose", "0" },
	};

	if (access(FAIL_NTH, W_OK))
		skip_because("this kernel has no fault injection (CONFIG_FAULT_INJECTION)");
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (file_write(settings[i][0], settings[i][1]))
			skip_because("%s cannot be set", settings[i][0]);
	}
}

void faults_of_slabs_on(void)
{
	faults_on();
	assert_ok(file_write("/sys/kernel/debug/fail_page_alloc/min-order", "20"));
}

int fault_arm(unsigned int nth)
{
	int fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	char text[16];

	if (fd < 0)
		return -errno;
	snprintf(text, sizeof(text), "%u", nth);
	if (pwrite(fd, text, strlen(text), 0) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

unsigned int fault_disarm(int armed)
{
	unsigned int left = 1;
	char text[16] = "";

	/* Reading the file passes a site itself. If that one failed, one was left before. */
	if (pread(armed, text, sizeof(text) - 1, 0) > 0)
		left = (unsigned int)strtoul(text, NULL, 10);
	pwrite(armed, "0", 1, 0);
	close(armed);
	return left;
}
