/* SPDX-License-Identifier: GPL-2.0-only */
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "silent_fs.h"

#define FILE_NODE 2

static void answer(int device, uint64_t unique, int error, const void *data, size_t size)
{
	char buffer[512];
	struct fuse_out_header out = { .error = error, .unique = unique };

	out.len = (uint32_t)(sizeof(out) + size);
	memcpy(buffer, &out, sizeof(out));
	if (size)
		memcpy(buffer + sizeof(out), data, size);
	if (write(device, buffer, out.len) < 0)
		return; /* nobody waits for this answer any more */
}

static struct fuse_attr attributes(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.size = node == FILE_NODE ? 1 << 30 : 0,
		.mode = node == FILE_NODE ? S_IFREG | 0666 : S_IFDIR | 0777,
		.nlink = 1,
		.blksize = 4096,
	};
}

static void serve_request(struct silent_fs *fs, const struct fuse_in_header *in)
{
	switch (in->opcode) {
	case FUSE_INIT: {
		struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION,
					     .minor = 31,
					     /* a process that waits for read-ahead can be killed */
					     .max_readahead = 1 << 17,
					     .flags = FUSE_ASYNC_READ,
					     .max_write = 4096 };

		answer(fs->device, in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_LOOKUP: {
		struct fuse_entry_out out = { .nodeid = FILE_NODE,
					      .entry_valid = 1000,
					      .attr_valid = 1000,
					      .attr = attributes(FILE_NODE) };

		answer(fs->device, in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_GETATTR: {
		struct fuse_attr_out out = { .attr_valid = 1000, .attr = attributes(in->nodeid) };

		answer(fs->device, in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_OPEN: {
		struct fuse_open_out out = { .fh = 1 };

		answer(fs->device, in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_READ:
		if (__atomic_load_n(&fs->errors, __ATOMIC_RELAXED)) {
			__atomic_sub_fetch(&fs->errors, 1, __ATOMIC_RELAXED);
			answer(fs->device, in->unique, -EIO, NULL, 0);
		} else {
			__atomic_add_fetch(&fs->asked, 1, __ATOMIC_RELEASE);
		}
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		answer(fs->device, in->unique, -ENOSYS, NULL, 0);
	}
}

static void *serve_silently(void *arg)
{
	struct silent_fs *fs = arg;
	static char request[1 << 17];

	while (read(fs->device, request, sizeof(request)) > 0)
		serve_request(fs, (const struct fuse_in_header *)request);
	return NULL;
}

static void unmount(void *arg)
{
	struct silent_fs *fs = arg;

	umount2(fs->mountpoint, MNT_FORCE | MNT_DETACH);
	rmdir(fs->mountpoint);
	close(fs->device);
}

struct silent_fs *silent_fs_new(int errors)
{
	static struct silent_fs fs;
	pthread_t thread;
	char options[96];

	memset(&fs, 0, sizeof(fs));
	fs.errors = errors;
	fs.device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fs.device < 0)
		skip_because("no /dev/fuse");
	snprintf(fs.mountpoint, sizeof(fs.mountpoint), "/tmp/silent-%d", (int)getpid());
	snprintf(fs.path, sizeof(fs.path), "/tmp/silent-%d/file", (int)getpid());
	assert_int_equal(mkdir(fs.mountpoint, 0700), 0);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fs.device);
	assert_int_equal(mount("silent", fs.mountpoint, "fuse", 0, options), 0);
	test_cleanup(unmount, &fs);
	assert_int_equal(pthread_create(&thread, NULL, serve_silently, &fs), 0);
	pthread_detach(thread);
	return &fs;
}

static bool was_asked(void *arg)
{
	const struct silent_fs *fs = arg;

	return __atomic_load_n(&fs->asked, __ATOMIC_ACQUIRE) > 0;
}

bool silent_fs_asked(struct silent_fs *fs)
{
	return test_until(was_asked, fs, DEADLINE_MS);
}

void silent_fs_give_up(struct silent_fs *fs)
{
	assert_int_equal(umount2(fs->mountpoint, MNT_FORCE | MNT_DETACH), 0);
}
