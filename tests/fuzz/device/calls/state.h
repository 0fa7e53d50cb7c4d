/* SPDX-License-Identifier: GPL-2.0-only */
/* What a process knows while it makes calls, and the memory that it passes to them. */
#ifndef PEERSHM_FUZZ_STATE_H
#define PEERSHM_FUZZ_STATE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/futex.h>
#include <linux/peershm.h>
#include <linux/userfaultfd.h>

#define NR_FILES 8
#define NR_PROCESSES 4

/*
 * Slots of regions: two that all processes know, two of each process, and two
 * ranges of addresses without a region. A slot is also a place: a range of
 * addresses of PLACE_SIZE bytes where nothing else lies.
 */
enum slot {
	S0,
	S1,
	P0,
	P1,
	X0,
	X1,
	NR_SLOTS
};

#define PLACES 0x200000000000ULL
#define PLACE_SIZE (4ULL << 30)
#define ARENA 0x550000000000ULL /* where the module puts regions by itself */
#define ARENA_SIZE (256ULL << 30)

/* Pointers that are no address in a place. */
enum point {
	POINT_USUAL, /* a buffer; of an array, NULL */
	POINT_BUFFER,
	POINT_NULL,
	POINT_READONLY, /* can be read, not written */
	POINT_EDGE,	/* runs into an address where nothing is */
	POINT_HOLE,	/* nothing there */
	POINT_KERNEL,	/* not the process's */
	NR_POINTS
};

#define BUFFER_SIZE 65536

/* Known to all processes. */
struct common {
	uint64_t ids[(NR_SLOTS - P0) * NR_PROCESSES + P0]; /* of regions, 0: never made */
	pid_t pids[NR_PROCESSES];
	int budget; /* how many more pages may be poisoned */
};

/* Of a process; its threads share it. */
struct self {
	struct common *common;
	unsigned int process;
	int files[NR_FILES];
	uint64_t base[NR_SLOTS];
	int uffd;
	int epoll;
	int socket[2];
	int pipe[2];
	int zero;
	pid_t child;
	bool sealed; /* mseal(): something can never be unmapped */
	bool locked;
	bool piped;
	bool other_user;
	bool limited;
	bool timed;
	bool parameters; /* those of the module were changed */
};

/* Of a thread. */
struct own {
	sigjmp_buf escape;
	volatile sig_atomic_t may_escape;
	char *buffer;
	char *readonly; /* the same memory */
	int fail;	/* /proc/thread-self/fail-nth, or -1 */
};

#ifndef REPRODUCER
extern struct self self;
extern __thread struct own own;
#else
static struct self self;
static __thread struct own own;
#endif

static inline uint64_t page_size(void)
{
	static uint64_t size;

	if (!size)
		size = (uint64_t)sysconf(_SC_PAGESIZE);
	return size;
}

static inline long write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	long ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text)) < 0 ? -1 : 0;
	close(fd);
	return ret;
}

/* The index of a slot in ids: p0 and p1 are other regions in each process. */
static inline unsigned int id_index(unsigned int slot)
{
	return slot < P0 ? slot : P0 + self.process * (NR_SLOTS - P0) + slot - P0;
}

static inline uint64_t place(unsigned int slot)
{
	return PLACES + PLACE_SIZE * id_index(slot);
}

/* "p0-2": region p0 of process 2. */
static inline const char *region_name(unsigned int slot, char name[PEERSHM_NAME_SIZE])
{
	memset(name, 0, PEERSHM_NAME_SIZE);
	if (slot < P0)
		snprintf(name, PEERSHM_NAME_SIZE, "s%u", slot);
	else
		snprintf(name, PEERSHM_NAME_SIZE, "p%u-%u", slot - P0, self.process);
	return name;
}

static inline int file_of(uint64_t file)
{
	if (file < NR_FILES)
		return self.files[file];
	return file == NR_FILES ? self.zero : -1;
}

static inline uint64_t pid_of(uint64_t process)
{
	return (uint64_t)self.common->pids[process % NR_PROCESSES];
}

/*
 * A fault, or the signal of the supervisor for a call that takes too long, jumps back to guard().
 * SIGSEGV also comes when the kernel's copy of a signal frame is the copy that was told to fail.
 */
static inline void on_fault(int signal)
{
	if (own.may_escape)
		siglongjmp(own.escape, signal);
	if (signal != SIGUSR1)
		_exit(100 + signal);
}

static inline void on_timer(int signal)
{
	(void)signal;
}

#define guard() (own.may_escape = 1, sigsetjmp(own.escape, 0))
#define unguard() (own.may_escape = 0)

static inline long copy_guarded(void *to, const void *from, size_t n)
{
	if (guard() == 0)
		memcpy(to, from, n);
	unguard();
	return 0;
}

/* The nth allocation, or copy from or to user space, fails until fail_end(). */
static inline void fail_begin(uint64_t nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", (unsigned int)nth);

	if (nth && own.fail >= 0 && pwrite(own.fail, text, (size_t)n, 0) < 0)
		own.fail = -1;
}

static inline void fail_end(uint64_t nth)
{
	int error = errno;

	/* The write itself may be the copy that fails: then the failure has been used up. */
	if (nth && own.fail >= 0 && pwrite(own.fail, "0", 1, 0) < 0 && errno != EFAULT)
		own.fail = -1;
	errno = error;
}

/* An address as `at` asks for, with n bytes copied there if they can be. */
static inline void *point_at(uint64_t at, const void *bytes, size_t n, size_t skip)
{
	char *end = own.buffer + BUFFER_SIZE;

	switch (at) {
	case POINT_USUAL:
	case POINT_BUFFER:
		return memcpy(own.buffer + skip, bytes, n);
	case POINT_NULL:
		return NULL;
	case POINT_READONLY:
		memcpy(own.buffer + skip, bytes, n);
		return own.readonly + skip;
	case POINT_EDGE:
		return memcpy(end - n / 2, bytes, n / 2);
	case POINT_HOLE:
		return end + 1;
	case POINT_KERNEL:
		return (void *)(uintptr_t)0xffff888000100000ULL;
	}
	copy_guarded((void *)(uintptr_t)at, bytes, n);
	return (void *)(uintptr_t)at;
}

/* An array in an argument: 0 or NULL, a point, or an address. */
static inline uint64_t array(uint64_t at)
{
	static const char nothing[256];

	if (!at || at == POINT_NULL)
		return 0;
	return (uint64_t)(uintptr_t)point_at(at, nothing, sizeof(nothing), BUFFER_SIZE / 2);
}

#endif
