/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The calls that a program can make, one entry each. A command of the device is its name, how
 * often it is used, and the fields of its struct.
 */
#include "calls.h"
#include "program.h"

#define ARG(name, kind)           \
	{                         \
#name, kind, 0, 0 \
	}
#define FIELD(type, member, kind)                                       \
	{                                                               \
#member, kind, offsetof(struct peershm_##type, member), \
			sizeof(((struct peershm_##type *)0)->member)    \
	}

#define COMMAND(lower, upper, weight_, ...)                                          \
	{                                                                            \
		.name = #lower, .weight = (weight_), .command = PEERSHM_IOC_##upper, \
		.symbol = "PEERSHM_IOC_" #upper, .type = "struct peershm_" #lower,   \
		.size = sizeof(struct peershm_##lower), .args = {                    \
			ARG(file, A_FILE),                                           \
			ARG(at, A_POINT),                                            \
			ARG(size, A_STRUCT_SIZE),                                    \
			ARG(tail, A_TAIL),                                           \
			ARG(fail, A_FAIL),                                           \
			__VA_ARGS__                                                  \
		}                                                                    \
	}
#define CALL(name_, weight_, ...)                                                                \
	{                                                                                        \
		.name = #name_, .weight = (weight_), .run = run_##name_, .args = { __VA_ARGS__ } \
	}
#define REPORT(type)                                                                \
	FIELD(type, report.peers, AN_ARRAY), FIELD(type, report.nr_peers, A_COUNT), \
		FIELD(type, report.record_size, A_RECORD_SIZE),                     \
		FIELD(type, report.timeout_ms, A_TIMEOUT)

/* run_open() calls do_open() with the first three elements of an array, and so on. */
#define RUN(name, ...)                            \
	static long run_##name(const uint64_t *v) \
	{                                         \
		(void)v;                          \
		return do_##name(__VA_ARGS__);    \
	}
#define V1 v[0]
#define V2 V1, v[1]
#define V3 V2, v[2]
#define V4 V3, v[3]
#define V5 V4, v[4]
#define V6 V5, v[5]
#define V7 V6, v[6]

RUN(open, V3)
RUN(close, V1)
RUN(dup, V2)
RUN(send, V1)
RUN(receive, V1)
RUN(raw, V3)
RUN(mmap, V7)
RUN(munmap, V2)
RUN(mprotect, V3)
RUN(mremap, V5)
RUN(madvise, V3)
RUN(mlock, V3)
RUN(mlockall, V1)
RUN(mseal, V2)
RUN(msync, V3)
RUN(mincore, V2)
RUN(mbind, V4)
RUN(remap_file_pages, V4)
RUN(load, V1)
RUN(store, V2)
RUN(read, V4)
RUN(write, V3)
RUN(poll, V3)
RUN(epoll, V3)
RUN(file, V3)
RUN(vm_read, V3)
RUN(vm_write, V3)
RUN(io, V3)
RUN(futex, V2)
RUN(uffd, V4)
RUN(uffd_fill, V3)
RUN(kill, V2)
RUN(yield, V1)
RUN(setfsuid, V1)
RUN(limit, V2)
RUN(timer, V2)
RUN(parameter, V2)
RUN(reclaim)
RUN(fork, V1)

const struct operation operations[] = {
	COMMAND(create, CREATE, 25, FIELD(create, flags, A_RESERVED),
		FIELD(create, name, A_REGION_NAME), FIELD(create, capacity, A_CAPACITY),
		FIELD(create, base, A_BASE), FIELD(create, backing, A_BACKING),
		FIELD(create, mode, A_MODE), FIELD(create, max_clients, A_COUNT),
		FIELD(create, reserved, A_RESERVED), FIELD(create, reserve, A_SIZE)),
	COMMAND(attach, ATTACH, 40, FIELD(attach, flags, A_FLAGS),
		FIELD(attach, region_name, A_REGION_NAME),
		FIELD(attach, client_name, A_CLIENT_NAME),
		FIELD(attach, event_size, A_RECORD_SIZE)),
	COMMAND(detach, DETACH, 15, FIELD(detach, flags, A_RESERVED)),
	COMMAND(grow, GROW, 50, FIELD(grow, flags, A_FLAGS), FIELD(grow, region, A_REGION),
		FIELD(grow, length, A_LENGTH), REPORT(grow)),
	COMMAND(peer_map, PEER_MAP, 50, FIELD(peer_map, flags, A_FLAGS),
		FIELD(peer_map, region, A_REGION), FIELD(peer_map, offset, A_SIZE),
		FIELD(peer_map, length, A_LENGTH), FIELD(peer_map, pid, A_PID),
		FIELD(peer_map, reserved, A_RESERVED), FIELD(peer_map, name, A_CLIENT_NAME),
		REPORT(peer_map)),
	COMMAND(shrink, SHRINK, 40, FIELD(shrink, flags, A_FLAGS), FIELD(shrink, region, A_REGION),
		FIELD(shrink, new_size, A_SIZE), FIELD(shrink, cookie, A_COOKIE),
		FIELD(shrink, timeout_ms, A_TIMEOUT)),
	COMMAND(set_root, SET_ROOT, 30, FIELD(set_root, flags, A_FLAGS),
		FIELD(set_root, region, A_REGION), FIELD(set_root, expected, AN_ADDRESS),
		FIELD(set_root, root, AN_ADDRESS), FIELD(set_root, expected_generation, A_COUNT),
		FIELD(set_root, name, A_ROOT_NAME)),
	COMMAND(get_root, GET_ROOT, 12, FIELD(get_root, flags, A_RESERVED),
		FIELD(get_root, region, A_REGION), FIELD(get_root, info.name, A_ROOT_NAME)),
	COMMAND(roots, ROOTS, 12, FIELD(roots, flags, A_RESERVED), FIELD(roots, region, A_REGION),
		FIELD(roots, roots, AN_ARRAY), FIELD(roots, nr_roots, A_COUNT),
		FIELD(roots, record_size, A_RECORD_SIZE)),
	COMMAND(set_reserve, SET_RESERVE, 15, FIELD(set_reserve, flags, A_RESERVED),
		FIELD(set_reserve, region, A_REGION), FIELD(set_reserve, reserve, A_SIZE)),
	COMMAND(watch, WATCH, 15, FIELD(watch, flags, A_RESERVED),
		FIELD(watch, region, A_REGION_ID), FIELD(watch, event_size, A_RECORD_SIZE)),
	COMMAND(info, INFO, 5, FIELD(info, flags, A_RESERVED), FIELD(info, backings, AN_ARRAY),
		FIELD(info, nr_backings, A_COUNT), FIELD(info, record_size, A_RECORD_SIZE)),
	COMMAND(clients, CLIENTS, 20, FIELD(clients, flags, A_RESERVED),
		FIELD(clients, region, A_REGION), FIELD(clients, clients, AN_ARRAY),
		FIELD(clients, nr_clients, A_COUNT), FIELD(clients, record_size, A_RECORD_SIZE)),
	COMMAND(resolve, RESOLVE, 25, FIELD(resolve, flags, A_FLAGS),
		FIELD(resolve, region, A_REGION), FIELD(resolve, name, A_CLIENT_NAME),
		FIELD(resolve, pid, A_PID), FIELD(resolve, reserved, A_RESERVED)),
	COMMAND(regions, REGIONS, 15, FIELD(regions, flags, A_RESERVED),
		FIELD(regions, regions, AN_ARRAY), FIELD(regions, nr_regions, A_COUNT),
		FIELD(regions, record_size, A_RECORD_SIZE)),
	COMMAND(stat, STAT, 20, FIELD(stat, flags, A_RESERVED), FIELD(stat, region, A_REGION),
		FIELD(stat, name, A_REGION_NAME)),
	COMMAND(unlink, UNLINK, 12, FIELD(unlink, flags, A_RESERVED),
		FIELD(unlink, region, A_REGION), FIELD(unlink, name, A_REGION_NAME)),

	CALL(open, 30, ARG(to, A_FILE), ARG(flags, AN_OPEN_FLAG), ARG(fail, A_FAIL)),
	CALL(close, 20, ARG(file, A_FILE)),
	CALL(dup, 8, ARG(file, A_FILE), ARG(to, A_FILE)),
	CALL(send, 6, ARG(file, A_FILE)),
	CALL(receive, 8, ARG(to, A_FILE)),
	CALL(raw, 4, ARG(file, A_FILE), ARG(command, A_COMMAND), ARG(at, A_POINT)),
	CALL(mmap, 40, ARG(file, A_FILE), ARG(address, AN_ADDRESS), ARG(length, A_RANGE),
	     ARG(protection, A_PROTECTION), ARG(flags, A_MAP_FLAGS), ARG(offset, A_MAP_OFFSET),
	     ARG(fail, A_FAIL)),
	CALL(munmap, 25, ARG(address, AN_ADDRESS), ARG(length, A_RANGE)),
	CALL(mprotect, 25, ARG(address, AN_ADDRESS), ARG(length, A_RANGE),
	     ARG(protection, A_PROTECTION)),
	CALL(mremap, 20, ARG(address, AN_ADDRESS), ARG(old_length, A_RANGE), ARG(length, A_RANGE),
	     ARG(flags, A_REMAP_FLAGS), ARG(to, AN_ADDRESS)),
	CALL(madvise, 40, ARG(address, AN_ADDRESS), ARG(length, A_RANGE), ARG(advice, AN_ADVICE)),
	CALL(mlock, 10, ARG(address, AN_ADDRESS), ARG(length, A_RANGE), ARG(how, A_SMALL)),
	CALL(mlockall, 3, ARG(flags, A_SMALL)),
	CALL(mseal, 1, ARG(address, AN_ADDRESS), ARG(length, A_RANGE)),
	CALL(msync, 5, ARG(address, AN_ADDRESS), ARG(length, A_RANGE), ARG(flags, A_SMALL)),
	CALL(mincore, 4, ARG(address, AN_ADDRESS), ARG(length, A_RANGE)),
	CALL(mbind, 4, ARG(address, AN_ADDRESS), ARG(length, A_RANGE), ARG(mode, A_SMALL),
	     ARG(flags, A_SMALL)),
	CALL(remap_file_pages, 8, ARG(address, AN_ADDRESS), ARG(length, A_RANGE),
	     ARG(page_offset, A_SMALL), ARG(flags, A_SMALL)),
	CALL(load, 30, ARG(address, AN_ADDRESS)),
	CALL(store, 40, ARG(address, AN_ADDRESS), ARG(value, A_SMALL)),
	CALL(read, 25, ARG(file, A_FILE), ARG(at, A_POINT), ARG(length, A_STRUCT_SIZE),
	     ARG(fail, A_FAIL)),
	CALL(write, 4, ARG(file, A_FILE), ARG(at, A_POINT), ARG(length, A_STRUCT_SIZE)),
	CALL(poll, 10, ARG(file, A_FILE), ARG(events, AN_EVENT_MASK), ARG(timeout, A_SMALL)),
	CALL(epoll, 8, ARG(file, A_FILE), ARG(how, A_SMALL), ARG(events, AN_EVENT_MASK)),
	CALL(file, 6, ARG(file, A_FILE), ARG(what, A_SMALL), ARG(n, A_SIZE)),
	CALL(vm_read, 6, ARG(pid, A_PID), ARG(address, AN_ADDRESS), ARG(length, A_RANGE)),
	CALL(vm_write, 6, ARG(pid, A_PID), ARG(address, AN_ADDRESS), ARG(length, A_RANGE)),
	CALL(io, 12, ARG(how, A_SMALL), ARG(address, AN_ADDRESS), ARG(length, A_RANGE)),
	CALL(futex, 5, ARG(address, AN_ADDRESS), ARG(value, A_SMALL)),
	CALL(uffd, 8, ARG(address, AN_ADDRESS), ARG(length, A_RANGE), ARG(mode, A_SMALL),
	     ARG(wait, A_RESERVED)),
	CALL(uffd_fill, 5, ARG(address, AN_ADDRESS), ARG(length, A_RANGE), ARG(how, A_SMALL)),
	CALL(kill, 1, ARG(process, A_PROCESS), ARG(signal, A_SIGNAL)),
	CALL(yield, 8, ARG(us, A_SMALL)),
	CALL(setfsuid, 4, ARG(uid, A_USER)),
	CALL(limit, 4, ARG(what, A_SMALL), ARG(value, A_SIZE)),
	CALL(parameter, 1, ARG(which, A_SMALL), ARG(value, A_COUNT)),
	CALL(reclaim, 1),
	CALL(timer, 6, ARG(us, A_TIME), ARG(restart, A_RESERVED)),
	/* the child makes the next `calls` calls */
	CALL(fork, 1, ARG(wait, A_RESERVED), ARG(calls, A_SMALL)),
};

const unsigned int nr_operations = sizeof(operations) / sizeof(operations[0]);

static long run_command(const struct operation *o, const uint64_t *v)
{
	char bytes[1024] = { 0 };

	for (const struct argument *a = o->args + NR_COMMAND_ARGS;
	     a < o->args + MAX_ARGS && a->name; a++) {
		uint64_t value = v[a - o->args];

		if (a->kind == AN_ARRAY)
			value = array(value);
		if (a->size == PEERSHM_NAME_SIZE)
			memcpy(bytes + a->offset, at_address(value), a->size);
		else
			memcpy(bytes + a->offset, &value, a->size);
	}
	return do_command(v[ARG_FILE], o->command, v[ARG_AT], v[ARG_SIZE], v[ARG_TAIL], v[ARG_FAIL],
			  bytes, o->size);
}

long op_run(const struct op *op)
{
	const struct operation *o = &operations[op->operation];
	uint64_t args[MAX_ARGS];

	op_resolve(op, args);
	return o->run ? o->run(args) : run_command(o, args);
}

bool op_is_fork(const struct op *op)
{
	return operations[op->operation].run == run_fork;
}

bool op_is_uffd(const struct op *op)
{
	return operations[op->operation].run == run_uffd;
}
