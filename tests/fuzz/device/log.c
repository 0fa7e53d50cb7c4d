/* SPDX-License-Identifier: GPL-2.0-only */
/* Reads the kernel log, and looks for what must not be in it. */
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define MAX_PATTERNS 64

static regex_t patterns[MAX_PATTERNS];
static unsigned int nr_patterns;
static int log_fd = -1;

/* Patterns are extended regular expressions, one a line; '#' begins a comment. */
bool log_open(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[512];

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file) && nr_patterns < MAX_PATTERNS) {
		line[strcspn(line, "\n")] = '\0';
		if (*line && *line != '#' &&
		    !regcomp(&patterns[nr_patterns], line, REG_EXTENDED | REG_NOSUB))
			nr_patterns++;
	}
	fclose(file);
	log_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return log_fd >= 0 && nr_patterns && lseek(log_fd, 0, SEEK_END) >= 0;
}

/* The next forbidden line since the last call, or NULL. */
const char *log_finding(void)
{
	static char record[8192];
	ssize_t n;

	for (;;) {
		char *text;

		n = read(log_fd, record, sizeof(record) - 1);
		if (n <= 0)
			return NULL;
		record[n] = '\0';
		text = strchr(record, ';');
		text = text ? text + 1 : record;
		text[strcspn(text, "\n")] = '\0';
		for (unsigned int i = 0; i < nr_patterns; i++)
			if (!regexec(&patterns[i], text, 0, NULL, 0))
				return text;
	}
}
