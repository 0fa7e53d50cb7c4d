/* SPDX-License-Identifier: GPL-2.0-only */
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define MAX_PEERS 64

struct order {
	peer_function function;
	size_t size;
	char arg[PEER_ARG_SIZE];
};

struct answer {
	long result;
	char arg[PEER_ARG_SIZE];
};

/* How long a peer may take to end by itself before it is killed (tests/coverage/exit.h). */
#ifndef PEER_END_MS
#define PEER_END_MS 0
#endif

struct client self = { .fd = -1 };
void (*peer_idle)(void);

static struct peer peers[MAX_PEERS];
static size_t nr_peers;

static void serve(int fd)
{
	static struct order order;
	static struct answer answer;
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	for (;;) {
		while (peer_idle && !poll(&pollfd, 1, PEER_IDLE_MS))
			peer_idle();
		if (read(fd, &order, sizeof(order)) != (ssize_t)sizeof(order))
			break;
		answer.result = order.function(order.arg);
		memcpy(answer.arg, order.arg, sizeof(answer.arg));
		if (write(fd, &answer, sizeof(answer)) != (ssize_t)sizeof(answer))
			break;
	}
	_exit(0);
}

/* A free place in peers[]. */
static struct peer *peer_place(void)
{
	for (size_t i = 0; i < nr_peers; i++) {
		if (peers[i].socket < 0)
			return &peers[i];
	}
	assert_true(nr_peers < MAX_PEERS);
	return &peers[nr_peers++];
}

struct peer *peer_new(void)
{
	pid_t parent = getpid();
	struct peer *p = peer_place();
	int pair[2];

	memset(p, 0, sizeof(*p));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	fflush(NULL);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		signal(SIGALRM, SIG_DFL); /* the deadline is the case's */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* The parent of the first process of a PID namespace is shown as 0. */
		if (getppid() && getppid() != parent)
			_exit(0);
		for (size_t i = 0; i < nr_peers; i++) {
			if (&peers[i] != p)
				close(peers[i].socket);
		}
		close(pair[0]);
		regions_forget();
		serve(pair[1]);
	}
	close(pair[1]);
	p->socket = pair[0];
	return p;
}

static bool give_order(struct peer *p, peer_function f, const void *arg, size_t size)
{
	struct order order = { .function = f, .size = size };

	if (size)
		memcpy(order.arg, arg, size);
	p->busy = true;
	return send(p->socket, &order, sizeof(order), MSG_NOSIGNAL) == (ssize_t)sizeof(order);
}

static long exit_now(void *arg)
{
	(void)arg;
	_exit(0);
}

static bool has_ended(void *arg)
{
	struct peer *p = arg;

	if (waitpid(p->pid, NULL, WNOHANG) != p->pid)
		return false;
	p->pid = 0;
	return true;
}

void peer_end(struct peer *p)
{
	if (PEER_END_MS && p->pid && !p->busy && give_order(p, exit_now, NULL, 0))
		test_until(has_ended, p, PEER_END_MS);
	close(p->socket);
	p->socket = -1;
	if (p->pid) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
		p->pid = 0;
	}
}

void peers_end(void)
{
	while (nr_peers > 0)
		peer_end(&peers[--nr_peers]);
}

void peer_start(struct peer *p, peer_function f, const void *arg, size_t size)
{
	assert_true(size <= PEER_ARG_SIZE);
	assert_true(give_order(p, f, arg, size));
}

long peer_finish_within(struct peer *p, void *arg, size_t size, unsigned int ms)
{
	struct pollfd pollfd = { .fd = p->socket, .events = POLLIN };
	struct answer answer;
	int n;

	do {
		n = poll(&pollfd, 1, (int)ms);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return -ETIMEDOUT;
	if (read(p->socket, &answer, sizeof(answer)) != (ssize_t)sizeof(answer))
		return -ESRCH;
	p->busy = false;
	if (size)
		memcpy(arg, answer.arg, size);
	return answer.result;
}

long peer_finish(struct peer *p, void *arg, size_t size)
{
	return peer_finish_within(p, arg, size, DEADLINE_MS);
}

long peer_call(struct peer *p, peer_function f, void *arg, size_t size)
{
	peer_start(p, f, arg, size);
	return peer_finish(p, arg, size);
}

struct attach_order {
	char region[PEERSHM_NAME_SIZE], name[PEERSHM_NAME_SIZE];
	uint32_t flags;
	struct peershm_attach at;
};

static long do_attach_order(void *arg)
{
	struct attach_order *a = arg;
	long err = client_attach(&self, a->region, a->name, a->flags);

	a->at = self.at;
	return err;
}

int peer_attach(struct peer *p, const char *region, const char *name, uint32_t flags)
{
	struct attach_order a = { .flags = flags };
	long err;

	snprintf(a.region, sizeof(a.region), "%s", region);
	snprintf(a.name, sizeof(a.name), "%s", name);
	err = peer_call(p, do_attach_order, &a, sizeof(a));
	p->at = a.at;
	memcpy(p->name, a.name, sizeof(p->name));
	return (int)err;
}

struct peer *peer_join_flags(const struct region *r, const char *name, uint32_t flags)
{
	struct peer *p = peer_new();

	assert_ok(peer_attach(p, r->name, name, flags));
	return p;
}

struct peer *peer_join(const struct region *r, const char *name)
{
	return peer_join_flags(r, name, 0);
}

static long do_detach_order(void *arg)
{
	(void)arg;
	return do_detach(self.fd);
}

int peer_detach(struct peer *p)
{
	return (int)peer_call(p, do_detach_order, NULL, 0);
}

struct ioctl_order {
	unsigned long command;
	char arg[1024];
};

static long do_ioctl_order(void *arg)
{
	struct ioctl_order *o = arg;

	return xioctl(self.fd, o->command, o->arg);
}

int peer_ioctl(struct peer *p, unsigned long command, void *arg, size_t size)
{
	struct ioctl_order o = { .command = command };
	long err;

	assert_true(size <= sizeof(o.arg));
	memcpy(o.arg, arg, size);
	err = peer_call(p, do_ioctl_order, &o, sizeof(o));
	memcpy(arg, o.arg, size);
	return (int)err;
}

struct range {
	uint64_t address, length, value;
	int flag;
	struct faults faults;
};

static long on_range(struct peer *p, peer_function f, struct range r)
{
	return peer_call(p, f, &r, sizeof(r));
}

static void write_words(volatile char *start, uint64_t length)
{
	for (uint64_t i = 0; i < length; i += SYSTEM_PAGE)
		*(volatile uint64_t *)(start + i) = i + 1;
}

static long do_write(void *arg)
{
	static char elsewhere[256 * KIB];
	struct range *r = arg;
	struct rusage before, after;

	/* Fault in all that the measurement itself touches. */
	memset(&before, 0, sizeof(before));
	memset(&after, 0, sizeof(after));
	getrusage(RUSAGE_SELF, &before);
	write_words(elsewhere, sizeof(elsewhere));
	getrusage(RUSAGE_SELF, &after);

	getrusage(RUSAGE_SELF, &before);
	write_words(at_address(r->address), r->length);
	getrusage(RUSAGE_SELF, &after);
	r->faults.minor = after.ru_minflt - before.ru_minflt;
	r->faults.major = after.ru_majflt - before.ru_majflt;
	return 0;
}

struct faults peer_write(struct peer *p, uint64_t address, uint64_t length)
{
	struct range r = { .address = address, .length = length, .faults = { -1, -1 } };

	assert_ok(peer_call(p, do_write, &r, sizeof(r)));
	return r.faults;
}

static sigjmp_buf touched;
static volatile sig_atomic_t touch_signal;

static void on_signal(int signal)
{
	touch_signal = signal;
	siglongjmp(touched, 1);
}

int touch(uint64_t address, bool write)
{
	struct sigaction action = { .sa_handler = on_signal }, bus, segv;
	volatile char *byte = at_address(address);

	touch_signal = 0;
	sigaction(SIGBUS, &action, &bus);
	sigaction(SIGSEGV, &action, &segv);
	if (sigsetjmp(touched, 1) == 0) {
		if (write)
			*byte = 1;
		else
			(void)*byte;
	}
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, &segv, NULL);
	return touch_signal;
}

static long do_touch(void *arg)
{
	struct range *r = arg;

	return touch(r->address, r->flag);
}

int peer_touch(struct peer *p, uint64_t address)
{
	return (int)on_range(p, do_touch, (struct range){ .address = address });
}

int peer_touch_write(struct peer *p, uint64_t address)
{
	return (int)on_range(p, do_touch, (struct range){ .address = address, .flag = 1 });
}

static long do_present(void *arg)
{
	struct range *r = arg;

	r->value = pagemap_present(r->address, r->length);
	return 0;
}

uint64_t peer_present(struct peer *p, uint64_t address, uint64_t length)
{
	struct range r = { .address = address, .length = length };

	assert_ok(peer_call(p, do_present, &r, sizeof(r)));
	return r.value;
}

static long do_load(void *arg)
{
	struct range *r = arg;

	r->value = *(volatile uint64_t *)at_address(r->address);
	return 0;
}

uint64_t peer_load(struct peer *p, uint64_t address)
{
	struct range r = { .address = address };

	assert_ok(peer_call(p, do_load, &r, sizeof(r)));
	return r.value;
}

static long do_store(void *arg)
{
	struct range *r = arg;

	*(volatile uint64_t *)at_address(r->address) = r->value;
	return 0;
}

void peer_store(struct peer *p, uint64_t address, uint64_t value)
{
	assert_ok(on_range(p, do_store, (struct range){ .address = address, .value = value }));
}

static long do_all_zero(void *arg)
{
	struct range *r = arg;
	const char *start = at_address(r->address);

	for (uint64_t i = 0; i < r->length; i += SYSTEM_PAGE) {
		if (*(const uint64_t *)(start + i) ||
		    *(const uint64_t *)(start + i + SYSTEM_PAGE - sizeof(uint64_t)))
			return 0;
	}
	return 1;
}

bool peer_all_zero(struct peer *p, uint64_t address, uint64_t length)
{
	struct range r = { .address = address, .length = length };
	long zero = peer_call(p, do_all_zero, &r, sizeof(r));

	assert_true(zero >= 0);
	return zero;
}

static long do_forget(void *arg)
{
	struct range *r = arg;

	return madvise(at_address(r->address), r->length, MADV_DONTNEED) ? -errno : 0;
}

void peer_forget(struct peer *p, uint64_t address, uint64_t length)
{
	assert_ok(on_range(p, do_forget, (struct range){ .address = address, .length = length }));
}

static long do_munmap(void *arg)
{
	struct range *r = arg;

	return munmap(at_address(r->address), r->length) ? -errno : 0;
}

int peer_munmap(struct peer *p, uint64_t address, uint64_t length)
{
	return (int)on_range(p, do_munmap, (struct range){ .address = address, .length = length });
}

static long do_mprotect(void *arg)
{
	struct range *r = arg;

	return mprotect(at_address(r->address), r->length, r->flag) ? -errno : 0;
}

int peer_mprotect(struct peer *p, uint64_t address, uint64_t length, int protection)
{
	return (int)on_range(
		p, do_mprotect,
		(struct range){ .address = address, .length = length, .flag = protection });
}

int move_mapping(uint64_t from, uint64_t length, uint64_t to)
{
	return mremap(at_address(from), length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
		      at_address(to)) == MAP_FAILED ?
		       -errno :
		       0;
}

static long do_move(void *arg)
{
	struct range *r = arg;

	return move_mapping(r->address, r->length, r->value);
}

int peer_move(struct peer *p, uint64_t from, uint64_t length, uint64_t to)
{
	return (int)on_range(p, do_move,
			     (struct range){ .address = from, .length = length, .value = to });
}

static long do_cover(void *arg)
{
	struct range *r = arg;

	return mmap(at_address(r->address), r->length, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED ?
		       -errno :
		       0;
}

void peer_cover(struct peer *p, uint64_t address, uint64_t length)
{
	assert_ok(on_range(p, do_cover, (struct range){ .address = address, .length = length }));
}

static long do_become(void *arg)
{
	const uint32_t *ids = arg;

	if (setgroups(0, NULL) || setresgid(ids[1], ids[1], ids[1]) ||
	    setresuid(ids[0], ids[0], ids[0]))
		return -errno;
	/* Its own /proc/self is not for root alone. */
	return prctl(PR_SET_DUMPABLE, 1) ? -errno : 0;
}

void peer_become(struct peer *p, uid_t user, gid_t group)
{
	uint32_t ids[2] = { user, group };

	assert_ok(peer_call(p, do_become, ids, sizeof(ids)));
}

static long do_enter_user_namespace(void *arg)
{
	(void)arg;
	/* Its own /proc/self is not for root alone. */
	return unshare(CLONE_NEWUSER) || prctl(PR_SET_DUMPABLE, 1) ? -errno : 0;
}

int peer_enter_user_namespace(struct peer *p)
{
	return (int)peer_call(p, do_enter_user_namespace, NULL, 0);
}

void peer_kill(struct peer *p)
{
	assert_int_equal(kill(p->pid, SIGKILL), 0);
	assert_int_equal(waitpid(p->pid, NULL, 0), p->pid);
	p->pid = 0;
}

void peer_stop(struct peer *p)
{
	int status;

	assert_int_equal(kill(p->pid, SIGSTOP), 0);
	assert_int_equal(waitpid(p->pid, &status, WUNTRACED), p->pid);
	assert_true(WIFSTOPPED(status));
}

void peer_continue(struct peer *p)
{
	assert_int_equal(kill(p->pid, SIGCONT), 0);
}

bool peer_runs(struct peer *p)
{
	if (p->pid && waitpid(p->pid, NULL, WNOHANG) == p->pid)
		p->pid = 0;
	return p->pid != 0;
}

void peers_join(const struct region *r, struct peer **peers, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		peers[i] = peer_join(r, name);
	}
}

long grow_self(void *length)
{
	return do_grow(self.fd, 0, *(uint64_t *)length, NULL);
}

int peer_grow(struct peer *p, uint64_t length)
{
	return (int)peer_call(p, grow_self, &length, sizeof(length));
}

void peer_has_all(struct peer *p, uint64_t address, uint64_t length)
{
	struct faults faults;

	assert_int_equal(peer_present(p, address, length), length);
	faults = peer_write(p, address, length);
	assert_int_equal(faults.minor, 0);
	assert_int_equal(faults.major, 0);
}

struct peershm_peer grow_and_report(const struct region *r, const struct peer *p, unsigned int ms)
{
	struct peershm_peer peers[8];
	struct peershm_grow g = { .size = sizeof(g), .region = r->id, .length = r->backing->step };

	memset(peers, POISON, sizeof(peers));
	g.report.peers = (uintptr_t)peers;
	g.report.nr_peers = 8;
	g.report.record_size = sizeof(*peers);
	g.report.timeout_ms = ms;
	assert_ok(xioctl(r->fd, PEERSHM_IOC_GROW, &g));
	for (uint32_t i = 0; i < g.report.nr_peers; i++) {
		if (peers[i].client == p->at.client)
			return peers[i];
	}
	fail_msg("no record of the client");
	return peers[0];
}

struct peer *peer_new_in_pid_namespace(void)
{
	int own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	struct peer *p;

	if (own < 0 || unshare(CLONE_NEWPID)) {
		close(own);
		skip_because("no PID namespaces");
	}
	p = peer_new();
	assert_int_equal(setns(own, CLONE_NEWPID), 0);
	close(own);
	return p;
}

static long exec_sleep(void *arg)
{
	(void)arg;
	execl("/bin/sleep", "sleep", "300", NULL);
	execl("/bin/busybox", "sleep", "300", NULL);
	return -errno;
}

/* The kernel names a process after the file that it executes. */
static bool has_another_name(void *arg)
{
	const struct peer *p = arg;
	char path[32], own[32] = "", name[32] = "";
	FILE *f = fopen("/proc/self/comm", "re");

	if (!f || !fgets(own, sizeof(own), f))
		return false;
	fclose(f);
	snprintf(path, sizeof(path), "/proc/%d/comm", p->pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		name[0] = '\0';
	fclose(f);
	return name[0] && strcmp(name, own) != 0;
}

void peer_exec(struct peer *p)
{
	peer_start(p, exec_sleep, NULL, 0);
	assert_true(test_until(has_another_name, p, DEADLINE_MS));
}
