/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The calls that a fuzzed program consists of, and the little that a process
 * knows while it makes them. The fuzzer includes this file; a reproducer that
 * it writes has it pasted in, so it uses nothing but the system and the ABI.
 */
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
	int budget; /* of pages that may be poisoned */
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
	bool sealed; /* something cannot be unmapped any more */
	bool locked;
	bool piped;
	bool other_user;
	bool limited;
	bool timed;
	bool parameters; /* of the module are not as they were at first */
};

/* Of a thread. */
struct own {
	sigjmp_buf escape;
	volatile sig_atomic_t may_escape;
	char *buffer;
	char *readonly; /* the same memory */
	int fail;	/* what makes an allocation of the thread fail, or -1 */
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

/* Slots of a process are its own. */
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
 * A fault, or a nudge of a call that takes too long, ends what guard() began. Where an access
 * of the kernel is to fail, it may be the one to a signal's frame: that is a SIGSEGV, too.
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

	/* which may be what fails, and then nothing is left to fail */
	if (nth && own.fail >= 0 && pwrite(own.fail, "0", 1, 0) < 0 && errno != EFAULT)
		own.fail = -1;
	errno = error;
}

/* Memory at the point, of that many bytes, and what is to be in it. */
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

/* What a process learns from an answer. */
static inline void learn(unsigned long command, const void *arg)
{
	const struct peershm_create *create = arg;
	const struct peershm_attach *attach = arg;
	char name[PEERSHM_NAME_SIZE];

	for (unsigned int slot = 0; slot < X0; slot++) {
		region_name(slot, name);
		if (command == PEERSHM_IOC_CREATE && !strcmp(create->name, name))
			self.common->ids[id_index(slot)] = create->region;
		if (command == PEERSHM_IOC_ATTACH && !strcmp(attach->region_name, name)) {
			self.common->ids[id_index(slot)] = attach->region;
			if (attach->base == place(slot) ||
			    (attach->base >= ARENA && attach->base < ARENA + ARENA_SIZE))
				self.base[slot] = attach->base;
		}
	}
}

/*
 * A command: `size` bytes at `at`, of which `known` are given; `tail`: what follows; `fail`: which
 * of its allocations and copies fails.
 */
static inline long do_command(uint64_t file, unsigned long command, uint64_t at, uint64_t size,
			      uint64_t tail, uint64_t fail, const void *arg, size_t known)
{
	char bytes[2048];
	size_t length = known;
	void *address;
	uint32_t said;
	long ret;

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, arg, known);
	said = size ? (uint32_t)size : (uint32_t)known;
	memcpy(bytes, &said, sizeof(said));
	if (said > length)
		length = said < sizeof(bytes) ? said : sizeof(bytes);
	if (tail)
		bytes[length - 1] = (char)tail;
	address = point_at(at, bytes, length, 0);
	fail_begin(fail);
	ret = ioctl(file_of(file), command, address);
	fail_end(fail);
	if (!ret && at <= POINT_BUFFER && said >= known)
		learn(command, address);
	return ret;
}

static inline long do_raw(uint64_t file, uint64_t command, uint64_t at)
{
	static const char bytes[64] = { 64 };

	return ioctl(file_of(file), command, point_at(at, bytes, sizeof(bytes), 0));
}

static inline long keep_file(uint64_t to, int fd)
{
	if (fd < 0)
		return -1;
	if (to >= NR_FILES) {
		close(fd);
		return 0;
	}
	if (self.files[to] >= 0)
		close(self.files[to]);
	self.files[to] = fd;
	return 0;
}

static inline long do_open(uint64_t to, uint64_t flags, uint64_t fail)
{
	int fd;

	fail_begin(fail);
	fd = open(PEERSHM_DEVICE, (int)(flags & (O_ACCMODE | O_NONBLOCK)) | O_CLOEXEC);
	fail_end(fail);
	return keep_file(to, fd);
}

static inline long do_close(uint64_t file)
{
	int fd = file_of(file);

	if (file >= NR_FILES)
		return 0;
	self.files[file] = -1;
	return close(fd);
}

static inline long do_dup(uint64_t file, uint64_t to)
{
	return keep_file(to, fcntl(file_of(file), F_DUPFD_CLOEXEC, 0));
}

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* Through a socket that all processes have. */
static inline long do_send(uint64_t file)
{
	union control control = { .header = { .cmsg_level = SOL_SOCKET,
					      .cmsg_type = SCM_RIGHTS,
					      .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct iovec byte = { .iov_base = "", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &byte,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fd = file_of(file);

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	return sendmsg(self.socket[0], &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static inline long do_receive(uint64_t to)
{
	union control control;
	char byte;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fd;

	memset(&control, 0, sizeof(control));
	if (recvmsg(self.socket[1], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return -1;
	if (message.msg_controllen < CMSG_LEN(sizeof(int)))
		return -1;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return keep_file(to, fd);
}

/* Never outside of the places: the rest is the program's own memory. */
static inline bool outside(uint64_t address, uint64_t length)
{
	uint64_t places = PLACES + PLACE_SIZE * (P0 + (NR_SLOTS - P0) * NR_PROCESSES);

	return !(address >= PLACES && address < places && length <= places - address) &&
	       !(address >= ARENA && address < ARENA + ARENA_SIZE &&
		 length <= ARENA + ARENA_SIZE - address);
}

static inline void *at_address(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

static inline long outside_error(void)
{
	errno = EFAULT;
	return -1;
}

static inline long do_mmap(uint64_t file, uint64_t address, uint64_t length, uint64_t protection,
			   uint64_t flags, uint64_t offset, uint64_t fail)
{
	void *map;

	/* filling a GiB takes longer than a call may, under the checkers */
	if (outside(address, length) ||
	    (flags & (MAP_ANONYMOUS | MAP_POPULATE) && length > (1 << 20)))
		return outside_error();
	fail_begin(fail);
	map = mmap(at_address(address), length, (int)protection, (int)flags | MAP_FIXED,
		   flags & MAP_ANONYMOUS ? -1 : file_of(file), (off_t)offset);
	fail_end(fail);
	return map == MAP_FAILED ? -1 : 0;
}

static inline long do_munmap(uint64_t address, uint64_t length)
{
	return outside(address, length) ? outside_error() : munmap(at_address(address), length);
}

static inline long do_mprotect(uint64_t address, uint64_t length, uint64_t protection)
{
	return outside(address, length) ? outside_error() :
					  mprotect(at_address(address), length, (int)protection);
}

static inline long do_mremap(uint64_t address, uint64_t old_length, uint64_t length, uint64_t flags,
			     uint64_t to)
{
	void *map;

	if (outside(address, old_length) || outside(to, length))
		return outside_error();
	map = mremap(at_address(address), old_length, length, (int)flags, at_address(to));
	if (map == MAP_FAILED)
		return -1;
	if (outside((uint64_t)(uintptr_t)map, length))
		munmap(map, length);
	return 0;
}

static inline long do_madvise(uint64_t address, uint64_t length, uint64_t advice)
{
	if (outside(address, length))
		return outside_error();
	/* a poisoned page is gone for good */
	if ((advice == 100 || advice == 101) &&
	    __atomic_sub_fetch(&self.common->budget, 1, __ATOMIC_RELAXED) < 0)
		return 0;
	return madvise(at_address(address), length, (int)advice);
}

static inline long do_mlock(uint64_t address, uint64_t length, uint64_t how)
{
	if (outside(address, length))
		return outside_error();
	if (how == 2)
		return munlock(at_address(address), length);
	return (long)mlock2(at_address(address), length, (unsigned int)how);
}

static inline long do_mlockall(uint64_t flags)
{
	/* not what is mapped already: that is the whole fuzzer */
	flags &= ~(uint64_t)MCL_CURRENT;
	self.locked |= flags;
	return flags ? mlockall((int)flags) : munlockall();
}

static inline long do_mseal(uint64_t address, uint64_t length)
{
	long ret;

	if (outside(address, length))
		return outside_error();
	ret = syscall(462 /* mseal */, at_address(address), length, 0UL);
	if (!ret)
		self.sealed = true;
	return ret;
}

static inline long do_msync(uint64_t address, uint64_t length, uint64_t flags)
{
	return outside(address, length) ? outside_error() :
					  msync(at_address(address), length, (int)flags);
}

static inline long do_mincore(uint64_t address, uint64_t length)
{
	if (outside(address, length) || length / page_size() > BUFFER_SIZE)
		return outside_error();
	return mincore(at_address(address), length, (unsigned char *)own.buffer);
}

static inline long do_mbind(uint64_t address, uint64_t length, uint64_t mode, uint64_t flags)
{
	unsigned long nodes = 1;

	if (outside(address, length))
		return outside_error();
	return syscall(SYS_mbind, at_address(address), length, mode, &nodes, 8 * sizeof(nodes),
		       flags);
}

static inline long do_remap_file_pages(uint64_t address, uint64_t length, uint64_t page_offset,
				       uint64_t flags)
{
	if (outside(address, length))
		return outside_error();
	return syscall(SYS_remap_file_pages, at_address(address), length, 0UL, page_offset, flags);
}

static inline long do_load(uint64_t address)
{
	long value = -1;

	if (guard() == 0)
		value = *(volatile uint8_t *)at_address(address);
	unguard();
	return value;
}

static inline long do_store(uint64_t address, uint64_t value)
{
	long ret = -1;

	if (outside(address, 1))
		return outside_error();
	if (guard() == 0) {
		*(volatile uint8_t *)at_address(address) = (uint8_t)value;
		ret = 0;
	}
	unguard();
	return ret;
}

static inline long do_read(uint64_t file, uint64_t at, uint64_t length, uint64_t fail)
{
	static const char nothing[256];
	void *to;
	long ret;

	if (file >= NR_FILES || (at < NR_POINTS && length > BUFFER_SIZE / 2))
		return -1;
	to = point_at(at, nothing, sizeof(nothing), 0);
	fail_begin(fail);
	ret = read(file_of(file), to, length);
	fail_end(fail);
	return ret;
}

static inline long do_write(uint64_t file, uint64_t at, uint64_t length)
{
	static const char nothing[256];

	if (file >= NR_FILES || (at < NR_POINTS && length > BUFFER_SIZE / 2))
		return -1;
	return write(file_of(file), point_at(at, nothing, sizeof(nothing), 0), length);
}

static inline long do_poll(uint64_t file, uint64_t events, uint64_t timeout)
{
	struct pollfd poller = { .fd = file_of(file), .events = (short)events };

	return poll(&poller, 1, (int)(timeout % 3));
}

static inline long do_epoll(uint64_t file, uint64_t how, uint64_t events)
{
	struct epoll_event event = { .events = (uint32_t)events };

	if (self.epoll < 0)
		self.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (how < EPOLL_CTL_ADD || how > EPOLL_CTL_MOD)
		return epoll_wait(self.epoll, &event, 1, 0);
	return epoll_ctl(self.epoll, (int)how, file_of(file), &event);
}

/* What can be done to any file, and what the device is to refuse. */
static inline long do_file(uint64_t file, uint64_t what, uint64_t n)
{
	int fd = file_of(file);

	if (file >= NR_FILES)
		return -1;
	switch (what) {
	case 0:
		return lseek(fd, (off_t)n, SEEK_SET);
	case 1:
		return ftruncate(fd, (off_t)n);
	case 2:
		return fallocate(fd, 0, 0, (off_t)n);
	case 3:
		return fsync(fd);
	case 4:
		return fcntl(fd, F_SETFL, n & O_NONBLOCK);
	case 5:
		return fcntl(fd, F_SETFD, 0);
	default:
		return fcntl(fd, F_GETFL);
	}
}

static inline long do_vm_read(uint64_t pid, uint64_t address, uint64_t length)
{
	struct iovec here = { .iov_base = own.buffer, .iov_len = BUFFER_SIZE };
	struct iovec there = { .iov_base = at_address(address), .iov_len = length };

	return process_vm_readv((pid_t)pid, &here, 1, &there, 1, 0);
}

static inline long do_vm_write(uint64_t pid, uint64_t address, uint64_t length)
{
	struct iovec here = { .iov_base = own.buffer, .iov_len = BUFFER_SIZE };
	struct iovec there = { .iov_base = at_address(address), .iov_len = length };

	if (outside(address, length))
		return outside_error();
	return process_vm_writev((pid_t)pid, &here, 1, &there, 1, 0);
}

static inline void pipe_drain(void)
{
	while (read(self.pipe[0], own.buffer, BUFFER_SIZE) > 0)
		;
}

/* I/O from and to a window: 0 write, 1 vmsplice, 2 read, else vmsplice that stays. */
static inline long do_io(uint64_t how, uint64_t address, uint64_t length)
{
	struct iovec data = { .iov_base = at_address(address), .iov_len = length };
	long ret;

	if (outside(address, length))
		return outside_error();
	switch (how) {
	case 0:
		ret = write(self.pipe[1], data.iov_base, length);
		pipe_drain();
		return ret;
	case 1:
		ret = vmsplice(self.pipe[1], &data, 1, SPLICE_F_NONBLOCK);
		pipe_drain();
		return ret;
	case 2:
		return read(self.zero, data.iov_base, length < 65536 ? length : 65536);
	default:
		self.piped = true;
		return vmsplice(self.pipe[1], &data, 1, SPLICE_F_NONBLOCK);
	}
}

static inline long do_futex(uint64_t address, uint64_t value)
{
	struct timespec soon = { .tv_nsec = 100000 };

	return syscall(SYS_futex, at_address(address), value & 1 ? FUTEX_WAIT : FUTEX_WAKE,
		       value >> 1, &soon, NULL, 0);
}

/* Userfaults of a range: SIGBUS unless `wait`, then a nudge ends the waiting. */
static inline long do_uffd(uint64_t address, uint64_t length, uint64_t mode, uint64_t wait)
{
	struct uffdio_api api = { .api = UFFD_API, .features = wait ? 0 : UFFD_FEATURE_SIGBUS };
	struct uffdio_register range = { .range = { .start = address, .len = length },
					 .mode = mode };

	if (outside(address, length))
		return outside_error();
	if (!mode)
		return ioctl(self.uffd, UFFDIO_UNREGISTER, &range.range);
	if (self.uffd < 0) {
		self.uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
		if (ioctl(self.uffd, UFFDIO_API, &api))
			return -1;
	}
	return ioctl(self.uffd, UFFDIO_REGISTER, &range);
}

/* Resolve one, or close the whole with how 2. */
static inline long do_uffd_fill(uint64_t address, uint64_t length, uint64_t how)
{
	struct uffdio_copy copy = { .dst = address,
				    .src = (uint64_t)(uintptr_t)own.buffer,
				    .len = length < BUFFER_SIZE ? length : BUFFER_SIZE };
	struct uffdio_zeropage zero = { .range = { .start = address, .len = length } };
	int fd = self.uffd;

	if (how == 0)
		return ioctl(fd, UFFDIO_COPY, &copy);
	if (how == 1)
		return ioctl(fd, UFFDIO_ZEROPAGE, &zero);
	self.uffd = -1;
	return close(fd);
}

static inline long do_kill(uint64_t process, uint64_t signal)
{
	pid_t pid = self.common->pids[process % NR_PROCESSES];

	return pid > 1 ? kill(pid, (int)signal) : -1;
}

static inline long do_yield(uint64_t us)
{
	struct timespec time = { .tv_nsec = (long)(us % 2000) * 1000 };

	return us ? nanosleep(&time, NULL) : sched_yield();
}

static inline long do_setfsuid(uint64_t uid)
{
	self.other_user = true;
	return setfsuid((uid_t)uid);
}

/* What the process may have: 0 file size, 1 locked memory, 2 open files, 3 address space. */
static inline long do_limit(uint64_t what, uint64_t value)
{
	static const int limits[] = { RLIMIT_FSIZE, RLIMIT_MEMLOCK, RLIMIT_NOFILE, RLIMIT_AS };
	int resource = limits[what % (sizeof(limits) / sizeof(limits[0]))];
	struct rlimit limit;

	if (getrlimit(resource, &limit))
		return -1;
	limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
	self.limited = true;
	return setrlimit(resource, &limit);
}

static inline void unlimit(void)
{
	static const int limits[] = { RLIMIT_FSIZE, RLIMIT_MEMLOCK, RLIMIT_NOFILE, RLIMIT_AS };
	struct rlimit limit;

	for (unsigned int i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (getrlimit(limits[i], &limit))
			continue;
		limit.rlim_cur = limit.rlim_max;
		setrlimit(limits[i], &limit);
	}
}

/* A signal comes that soon, amid what is done then; its handler lets it start over, or not. */
static inline long do_timer(uint64_t us, uint64_t restart)
{
	struct sigaction action = { .sa_handler = on_timer, .sa_flags = restart ? SA_RESTART : 0 };
	struct itimerval time = { .it_value = { .tv_usec = (suseconds_t)(us % 50000) } };

	self.timed = true;
	sigaction(SIGALRM, &action, NULL);
	return setitimer(ITIMER_REAL, &time, NULL);
}

/* Parameters of the module: what there may be at first, so that the machine has enough. */
static const struct {
	const char *name;
	uint64_t at_first;
} parameters[] = {
	{ "max_regions", 32 },
	{ "max_clients", 16 },
	{ "max_bytes", 384 << 20 },
	{ "max_user_regions", 64 },
	{ "max_user_capacity", 1ULL << 40 },
	{ "max_user_bytes", 0 },
	{ "max_user_clients", 128 },
};

#define NR_PARAMETERS (sizeof(parameters) / sizeof(parameters[0]))

static inline long set_parameter(unsigned int which, uint64_t value)
{
	char path[96], text[24];

	snprintf(path, sizeof(path), "/sys/module/peershm/parameters/%s", parameters[which].name);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return write_file(path, text);
}

/* Not beyond what it is at first. */
static inline long do_parameter(uint64_t which, uint64_t value)
{
	unsigned int n = (unsigned int)(which % NR_PARAMETERS);
	uint64_t most = parameters[n].at_first ? parameters[n].at_first : 384 << 20;

	self.parameters = true;
	return set_parameter(n, value < most ? value : most);
}

static inline void parameters_as_at_first(void)
{
	for (unsigned int i = 0; i < NR_PARAMETERS; i++)
		set_parameter(i, parameters[i].at_first);
}

/* The system takes back what it can: reserves, too. */
static inline long do_reclaim(void)
{
	return write_file("/proc/sys/vm/drop_caches", "2");
}

static inline void reap(bool now)
{
	if (self.child <= 0)
		return;
	if (now)
		kill(self.child, SIGKILL);
	/* who is nudged waits no longer for a child that is stuck */
	while (waitpid(self.child, NULL, 0) < 0 && errno == EINTR)
		kill(self.child, SIGKILL);
	self.child = 0;
}

/* 0 in the child. A process has at most one. */
static inline long do_fork(uint64_t wait)
{
	pid_t pid;

	reap(true);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		own.fail = -1; /* that is the parent's */
	}
	if (pid > 0) {
		self.child = pid;
		if (wait)
			reap(false);
	}
	return pid;
}

/* Before a program: nothing is mapped, open, locked or watched. */
static inline void calls_reset(void)
{
	uint64_t own = PLACE_SIZE * (NR_SLOTS - P0);

	reap(true);
	if (self.timed)
		setitimer(ITIMER_REAL, &(struct itimerval){ .it_value = { .tv_sec = 0 } }, NULL);
	if (self.limited)
		unlimit();
	if (self.parameters)
		parameters_as_at_first();
	for (unsigned int i = 0; i < NR_FILES; i++)
		if (self.files[i] >= 0)
			do_close(i);
	if (self.uffd >= 0)
		close(self.uffd);
	if (self.epoll >= 0)
		close(self.epoll);
	self.uffd = self.epoll = -1;
	if (self.locked)
		munlockall();
	if (self.other_user)
		setfsuid(geteuid());
	munmap(at_address(PLACES), PLACE_SIZE * P0);
	munmap(at_address(place(P0)), own);
	munmap(at_address(ARENA), ARENA_SIZE);
	if (self.piped)
		pipe_drain();
	self.locked = self.other_user = self.piped = self.limited = self.timed = false;
	self.parameters = false;
	for (unsigned int slot = 0; slot < NR_SLOTS; slot++)
		self.base[slot] = place(slot);
}

/* Of each thread. */
static inline void calls_start_thread(void)
{
	int memory = memfd_create("fuzz", MFD_CLOEXEC);
	char *hole = mmap(NULL, BUFFER_SIZE + page_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (memory < 0 || hole == MAP_FAILED || ftruncate(memory, BUFFER_SIZE))
		_exit(99);
	own.buffer =
		mmap(hole, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory, 0);
	own.readonly = mmap(NULL, BUFFER_SIZE, PROT_READ, MAP_SHARED, memory, 0);
	if (own.buffer != hole || own.readonly == MAP_FAILED)
		_exit(99);
	close(memory);
	own.fail = open("/proc/thread-self/fail-nth", O_WRONLY | O_CLOEXEC);
}

/* Once: every allocation can fail, and that it does is no news for the kernel log. */
static inline void calls_prepare(void)
{
	static const char *const settings[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	char path[64];

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", settings[i][0]);
		if (write_file(path, settings[i][1]))
			fprintf(stderr, "no failures: %s cannot be set\n", path);
	}
	parameters_as_at_first();
}

/* Of each process, before its threads. */
static inline void calls_start(struct common *common, unsigned int process, const int sockets[2])
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGUSR1 };
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	self.common = common;
	self.process = process;
	self.socket[0] = sockets[0];
	self.socket[1] = sockets[1];
	self.uffd = self.epoll = -1;
	memset(self.files, -1, sizeof(self.files));
	self.zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	if (self.zero < 0 || pipe2(self.pipe, O_CLOEXEC | O_NONBLOCK))
		_exit(99);
	for (unsigned int i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigaction(faults[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	common->pids[process] = getpid();
	for (unsigned int slot = 0; slot < NR_SLOTS; slot++)
		self.base[slot] = place(slot);
}
