/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls on memory, windows above all. */
#ifndef PEERSHM_FUZZ_MEMORY_H
#define PEERSHM_FUZZ_MEMORY_H

#include "state.h"

/* Calls stay inside the places and the arena: the rest is the fuzzer's own memory. */
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

	/* on the debug kernel, filling a GiB takes longer than a call may */
	if (outside(address, length) ||
	    ((file == NR_FILES || flags & (MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE)) &&
	     length > (1 << 20)))
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
	/* 100 and 101 poison pages, which the machine has lost for good then */
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
	/* MCL_CURRENT would lock the whole fuzzer */
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

/* I/O from and to a window. 0: write, 1: vmsplice, 2: read, else: vmsplice, and the pipe stays full. */
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

/* Userfaults of a range: an access gets SIGBUS, or with `wait` waits until a signal ends that. */
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

/* Resolve a userfault with a copy (0) or zeroes (1), or close the file (else). */
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

#endif
