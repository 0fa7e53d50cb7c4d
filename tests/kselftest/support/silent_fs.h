/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A FUSE file system with one file, which can be opened but never read: reads get no answer.
 */
#ifndef PEERSHM_TEST_SILENT_FS_H
#define PEERSHM_TEST_SILENT_FS_H

#include <stdbool.h>

struct silent_fs {
	int device;
	char mountpoint[48];
	char path[64]; /* of the file */
	int errors;    /* so many further reads are answered with EIO */
	int asked;     /* how many reads it has left unanswered */
};

/*
 * Mounted until the end of the test; skips if there is no FUSE. Make peers first: they must
 * not have its device.
 */
struct silent_fs *silent_fs_new(int errors);

/* Wait until somebody waits for an answer; false if nobody does. */
bool silent_fs_asked(struct silent_fs *fs);

/* Whoever waits for an answer gets an error. */
void silent_fs_give_up(struct silent_fs *fs);

#endif
