/* SPDX-License-Identifier: GPL-2.0-only */
/* Clients grow, shrink, attach, die, and move their windows at once, thousands of times over. */
#include <pthread.h>
#include <signal.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/harness.h"
#include "support/race.h"

#define MARK 0x6d61726b

/* How soon an entry of the registry has to be gone that nobody takes out, on a busy machine. */
#define SOON_MS 2000

/* Fewer rounds with huge pages, which take longer to clear. */
static void race_on_backing(const struct backing *b, const peer_function *functions, unsigned int n)
{
	backing_needs(b, 8 * b->page);
	race_run(region_new(b, GIB), functions, n, test_scale(b->id == PEERSHM_SMALL ? 2000 : 500));
}

/* Wait until CLIENTS says so, and the header, too, if this process has it mapped. */
static long until_clients(uint64_t region, int n)
{
	uint64_t end = now_ms() + SOON_MS;
	int got;

	do {
		got = do_clients(self.fd, region, NULL, 0);
		if (got == n && (!self.header || self.header->nr_clients == (uint32_t)n))
			return 0;
		sched_yield();
	} while (now_ms() < end);
	return got;
}

/* STAT, the header and the page tables agree about the size. */
static long check_size(const struct race *race, uint64_t capacity)
{
	struct peershm_region_info info;
	long err = do_stat(self.fd, 0, NULL, &info);
	uint64_t present;

	race_expect(err == 0, err);
	race_expect(self.header->size == info.active, self.header->size);
	present = pagemap_present(race->base, capacity);
	race_expect(present == info.active, present);
	return 0;
}

static long grower(void *arg)
{
	struct race *race = arg;

	race_ok(race_join(race, race->me ? "grower 1" : "grower 0"));
	for (unsigned int i = 0; i < race->rounds; i++) {
		uint64_t most = race->part / race->page;
		uint64_t length = (1 + test_random(&race->seed) % most) * race->page;
		struct peershm_peer_map m;
		struct peershm_grow g;

		race_together();
		race_stagger(&race->seed);
		race_ok(do_grow(self.fd, 0, length, &g));
		race_expect(g.new_size == g.old_size + length, g.new_size);
		race_expect(g.report.mapped == g.report.nr_peers, g.report.mapped);
		*(uint64_t *)at_address(race->base + g.old_size) = MARK + race->me;
		race_shared->values[race->me] = g.old_size;
		race_together();
		/* One grow began where the other ended, and nobody wrote over the other. */
		race_expect(race_shared->values[0] != race_shared->values[1], g.old_size);
		race_expect(!race_shared->values[0] || !race_shared->values[1], g.old_size);
		race_expect(*(uint64_t *)at_address(race->base + g.old_size) == MARK + race->me,
			    g.old_size);
		race_ok(check_size(race, 2 * race->part));
		race_together();
		if (race->me == i % 2) {
			race_ok(do_peer_map(self.fd, 0, &m));
			race_ok(do_shrink(self.fd, 0, 0, NULL));
		}
	}
	return 0;
}

CASES(two_clients_that_grow_at_once_get_a_part_each, SMALL | HUGETLB_2M)
{
	static const peer_function functions[] = { grower, grower };

	race_on_backing(b, functions, 2);
}

/* Grow while the other peer attaches; then check the region, and shrink it. */
static long grow_meanwhile(void *arg)
{
	struct race *race = arg;

	race_ok(race_join(race, "grower"));
	for (unsigned int i = 0; i < race->rounds; i++) {
		struct peershm_client_info infos[4];
		struct peershm_grow g;
		int n;

		race_together();
		race_stagger(&race->seed);
		race_ok(do_grow(self.fd, 0, race->part, &g));
		race_expect(g.new_size == race->part, g.new_size);
		race_together();
		race_ok(check_size(race, 2 * race->part));
		n = do_clients(self.fd, 0, infos, 4);
		race_expect(n == 2, n);
		race_expect(self.header->nr_clients == 2, self.header->nr_clients);
		for (int j = 0; j < n; j++)
			race_expect(infos[j].mapped == race->part, infos[j].mapped);
		race_together();
		race_ok(do_shrink(self.fd, 0, 0, NULL));
	}
	return 0;
}

static long attacher(void *arg)
{
	struct race *race = arg;

	for (unsigned int i = 0; i < race->rounds; i++) {
		uint64_t present;

		race_together();
		race_stagger(&race->seed);
		race_ok(race_join(race, "attacher"));
		race_expect(self.at.active == 0 || self.at.active == race->part, self.at.active);
		present = pagemap_present(race->base, self.at.active);
		race_expect(present == self.at.active, present);
		race_together();
		/* Now both are done: all of it is there, whoever was first. */
		present = pagemap_present(race->base, race->part);
		race_expect(present == race->part, present);
		race_together();
		client_leave(&self);
	}
	return 0;
}

CASES(a_client_that_attaches_during_a_grow_has_all_of_it, SMALL | HUGETLB_2M)
{
	static const peer_function functions[] = { grow_meanwhile, attacher };

	race_on_backing(b, functions, 2);
}

static long grow_while_others_die(void *arg)
{
	struct race *race = arg;

	race_ok(race_join(race, "grower"));
	for (unsigned int i = 0; i < race->rounds; i++) {
		struct peershm_grow g;

		race_expect(race_meet_two(), i);
		race_stagger(&race->seed);
		race_ok(do_grow(self.fd, 0, race->part, &g));
		race_expect(g.report.mapped + g.report.gone + g.report.deferred ==
				    g.report.nr_peers,
			    g.report.nr_peers);
		race_together();
		race_ok(until_clients(0, 1));
		race_expect(self.header->nr_clients == 1, self.header->nr_clients);
		race_ok(check_size(race, 2 * race->part));
		race_ok(do_shrink(self.fd, 0, 0, NULL));
		race_together();
	}
	return 0;
}

/* In each round a child that attaches, and exits during the grow of the other peer. */
static long parent_of_the_dying(void *arg)
{
	struct race *race = arg;
	int status;

	for (unsigned int i = 0; i < race->rounds; i++) {
		pid_t child = fork();

		race_expect(child >= 0, child);
		if (child == 0) {
			if (race_join(race, "dying") || !race_meet_two())
				_exit(1);
			race->seed += i;
			race_stagger(&race->seed);
			_exit(0);
		}
		race_expect(waitpid(child, &status, 0) == child, child);
		race_expect(status == 0, status);
		race_together();
		/* The next child comes after the other peer has seen that this one is gone. */
		race_together();
	}
	return 0;
}

CASES(a_client_that_exits_during_a_grow_is_gone_and_the_grow_succeeds, SMALL | HUGETLB_2M)
{
	static const peer_function functions[] = { grow_while_others_die, parent_of_the_dying };

	race_on_backing(b, functions, 2);
}

/* In a child: all that may be going on when it is killed. */
static void live_dangerously(const struct race *race, int started)
{
	char byte = 0;

	for (unsigned int i = 0;; i++) {
		if (race_join(race, "victim"))
			continue;
		do_grow(self.fd, 0, race->part, NULL);
		*(volatile uint64_t *)at_address(race->base + 8) = i;
		do_peer_map(self.fd, 0, NULL);
		do_set_root(self.fd, 0, 0, race->base);
		do_set_root(self.fd, 0, race->base, 0);
		do_shrink(self.fd, 0, race->page, NULL);
		if (i == 0 && write(started, &byte, 1) != 1)
			_exit(1);
		client_leave(&self);
	}
}

static long killer(void *arg)
{
	struct race *race = arg;
	struct client mine;

	race_ok(race_join(race, "survivor"));
	mine = self;
	race_ok(do_grow(mine.fd, 0, race->page, NULL));
	*(uint64_t *)at_address(race->base) = MARK;
	for (unsigned int i = 0; i < race->rounds; i++) {
		struct timespec pause = { .tv_nsec = test_random(&race->seed) % 3000000 };
		struct peershm_grow g;
		int ends[2];
		pid_t child;
		char byte;

		race_expect(pipe(ends) == 0, errno);
		child = fork();
		race_expect(child >= 0, child);
		if (child == 0)
			live_dangerously(race, ends[1]);
		race_expect(read(ends[0], &byte, 1) == 1, errno);
		nanosleep(&pause, NULL);
		kill(child, SIGKILL);
		race_expect(waitpid(child, NULL, 0) == child, child);
		close(ends[0]);
		close(ends[1]);

		race_ok(until_clients(0, 1));
		race_expect(*(uint64_t *)at_address(race->base) == MARK, i);
		race_expect(mine.header->nr_clients == 1, mine.header->nr_clients);
		race_expect((mine.header->seq & 1) == 0, mine.header->seq);
		race_ok(do_shrink(mine.fd, 0, race->page, NULL));
		race_ok(do_grow(mine.fd, 0, race->part, &g));
		race_expect(g.old_size == race->page, g.old_size);
		race_expect(pagemap_present(race->base, 2 * race->part) == race->page + race->part,
			    i);
		race_ok(do_shrink(mine.fd, 0, race->page, NULL));
	}
	return 0;
}

CASES(a_client_killed_at_any_moment_leaves_contents_and_other_clients, SMALL | HUGETLB_2M)
{
	static const peer_function functions[] = { killer };

	race_on_backing(b, functions, 1);
}

struct storm {
	const struct race *race;
	uint32_t seed;
	unsigned int thread, attached;
	long err;
};

static void *storm_thread(void *arg)
{
	struct storm *s = arg;
	int fd = device_open(O_RDWR);
	char name[PEERSHM_NAME_SIZE];

	snprintf(name, sizeof(name), "thread %u", s->thread);
	for (unsigned int i = 0; i < s->race->rounds && !s->err; i++) {
		int err = do_attach(fd, s->race->region, name, 0, NULL);

		/* Another thread of the process is a client, or its window is still there. */
		if (err == -EALREADY || err == -EADDRINUSE) {
			race_stagger(&s->seed);
			continue;
		}
		if (!err) {
			s->attached++;
			race_stagger(&s->seed);
			err = do_detach(fd);
		}
		s->err = err;
	}
	close(fd);
	return NULL;
}

static long storm(void *arg)
{
	unsigned int attached = 0;
	struct storm storms[4];
	pthread_t threads[4];

	for (unsigned int i = 0; i < 4; i++) {
		storms[i] = (struct storm){ arg, ((struct race *)arg)->seed + i, i, 0, 0 };
		race_ok(pthread_create(&threads[i], NULL, storm_thread, &storms[i]));
	}
	for (unsigned int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (unsigned int i = 0; i < 4; i++) {
		race_expect(storms[i].err == 0, storms[i].err);
		attached += storms[i].attached;
	}
	race_expect(attached > 0, attached);
	race_together();
	return 0;
}

static long resize_all_the_while(void *arg)
{
	struct race *race = arg;

	self.fd = device_open(O_RDWR);
	for (unsigned int i = 0; i < race->rounds; i++) {
		race_ok(do_grow(self.fd, race->id, race->part, NULL));
		race_ok(do_shrink(self.fd, race->id, 0, NULL));
	}
	race_together();
	return until_clients(race->id, 0);
}

CASE(threads_that_attach_and_detach_all_the_time_leave_no_client)
{
	static const peer_function functions[] = { storm, resize_all_the_while };
	struct region *r = region_new(small, GIB);

	race_run(r, functions, 2, test_scale(2000));
	assert_int_equal(region_nr_clients(r), 0);
	assert_int_equal(region_size(r), 0);
}

static long grow_against_shrink(void *arg)
{
	struct race *race = arg;
	const char *const names[] = { "grower", "shrinker" };

	race_ok(race_join(race, names[race->me]));
	for (unsigned int i = 0; i < race->rounds; i++) {
		uint64_t size;

		race_together();
		race_stagger(&race->seed);
		race_ok(race->me ? do_shrink(self.fd, 0, 0, NULL) :
				   do_grow(self.fd, 0, race->part, NULL));
		race_together();
		size = self.header->size;
		race_expect(size == 0 || size == race->part || size == 2 * race->part, size);
		race_ok(check_size(race, 2 * race->part));
		race_expect(touch(race->base + size, false) == SIGBUS, size);
		race_together();
		/* Half of the rounds begin with memory, half without. */
		if (race->me == 0) {
			race_ok(do_shrink(self.fd, 0, 0, NULL));
			if (i & 1)
				race_ok(do_grow(self.fd, 0, race->part, NULL));
		}
	}
	return 0;
}

CASES(a_grow_and_a_shrink_at_once_are_one_after_the_other, SMALL | HUGETLB_2M)
{
	static const peer_function functions[] = { grow_against_shrink, grow_against_shrink };

	race_on_backing(b, functions, 2);
}

/* Grow or shrink to some size, a few times, out of step with the others. */
static long resize(struct race *race)
{
	for (int i = 0; i < 8; i++) {
		uint64_t size = test_random(&race->seed) % 8 * race->part;
		bool grows = test_random(&race->seed) % 2;
		long err = grows ? do_grow_to(self.fd, 0, size + race->part, NULL) :
				   do_shrink(self.fd, 0, size, NULL);

		/* A shrink to more than the size fails. */
		race_expect(err == 0 || (!grows && err == -EINVAL), err);
	}
	return 0;
}

/*
 * Take page faults, and have the kernel walk the page tables (pagemap), while others fill and empty
 * them.
 */
static long look(struct race *race)
{
	for (int i = 0; i < 8; i++) {
		uint64_t place = test_random(&race->seed) % 8 * race->part;
		int signal = touch(race->base + place, test_random(&race->seed) % 2);

		race_expect(signal == 0 || signal == SIGBUS, signal);
		pagemap_present(race->base, 8 * race->part);
	}
	return 0;
}

static long resize_or_look(void *arg)
{
	static const char *const names[] = { "resizer 0", "resizer 1", "looker" };
	struct race *race = arg;

	race_ok(race_join(race, names[race->me]));
	for (unsigned int i = 0; i < race->rounds; i += 8) {
		struct peershm_peer_map m;

		race_together();
		race_ok(race->me < 2 ? resize(race) : look(race));
		race_together();
		race_ok(do_peer_map(self.fd, 0, &m));
		race_expect(m.report.mapped == m.report.nr_peers, m.report.mapped);
		race_together();
		race_ok(check_size(race, 8 * race->part));
	}
	return 0;
}

/* A grow maps memory in the peers while a shrink takes away their page tables. */
CASES(page_tables_go_while_others_fill_them_and_look, SMALL | HUGETLB_2M)
{
	static const peer_function functions[] = { resize_or_look, resize_or_look, resize_or_look };

	/* A page goes back to the pool only when nobody looks at it any more: so two more. */
	backing_needs(b, 10 * b->page);
	race_on_backing(b, functions, 3);
}

static long grow_past_torn_windows(void *arg)
{
	struct race *race = arg;

	race_ok(race_join(race, "grower"));
	for (unsigned int i = 0; i < race->rounds; i++) {
		struct peershm_grow g;

		race_together();
		race_stagger(&race->seed);
		race_ok(do_grow(self.fd, 0, race->part, &g));
		race_expect(g.report.mapped >= 1, g.report.mapped);
		race_ok(check_size(race, 2 * race->part));
		race_together();
		race_ok(do_shrink(self.fd, 0, 0, NULL));
	}
	return 0;
}

static long tear_window(void *arg)
{
	struct race *race = arg;
	void *window = at_address(race->base);
	size_t length = 2 * SYSTEM_PAGE;

	for (unsigned int i = 0; i < race->rounds; i++) {
		char *piece = (char *)window + test_random(&race->seed) % 8 * length;
		void *got = NULL;
		int err = 0;

		race_ok(race_join(race, "torn"));
		race_together();
		race_stagger(&race->seed);
		switch (test_random(&race->seed) % 5) {
		case 0:
			err = munmap(window, GIB);
			break;
		case 1:
			err = munmap(piece, length);
			break;
		case 2:
			err = mprotect(piece, length, PROT_NONE);
			break;
		case 3:
			got = mmap(piece, length, PROT_READ,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			break;
		case 4:
			got = mremap(piece, length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
				     at_address(ELSEWHERE));
			break;
		}
		race_expect(err == 0 && got != MAP_FAILED, errno);
		race_together();
		client_leave(&self);
		munmap(window, GIB);
		munmap(at_address(ELSEWHERE), length);
	}
	return 0;
}

CASE(a_window_torn_during_a_grow_harms_nobody_else)
{
	static const peer_function functions[] = { grow_past_torn_windows, tear_window };

	race_run(region_new(small, GIB), functions, 2, test_scale(2000));
}

/* Shrink and grow while windows are elsewhere; a peer map then gives them what they missed. */
static long grow_under_movers(void *arg)
{
	struct race *race = arg;

	race_ok(race_join(race, "grower"));
	for (unsigned int i = 0; i < race->rounds; i++) {
		struct peershm_peer_map m;

		race_together();
		race_stagger(&race->seed);
		race_ok(do_shrink(self.fd, 0, 0, NULL));
		race_ok(do_grow(self.fd, 0, race->part, NULL));
		race_together();
		race_ok(do_peer_map(self.fd, 0, &m));
		race_expect(m.report.mapped == m.report.nr_peers, m.report.mapped);
		race_together();
		race_ok(check_size(race, 2 * race->part));
	}
	return 0;
}

static long mover(void *arg)
{
	struct race *race = arg;

	race_ok(race_join(race, race->me == 1 ? "mover 1" : "mover 2"));
	for (unsigned int i = 0; i < race->rounds; i++) {
		int signal;

		race_together();
		race_stagger(&race->seed);
		race_ok(move_mapping(race->base, GIB, ELSEWHERE));
		signal = touch(ELSEWHERE, true);
		race_expect(signal == 0 || signal == SIGBUS, signal);
		race_ok(move_mapping(ELSEWHERE, GIB, race->base));
		race_together();
		race_together();
		race_ok(check_size(race, 2 * race->part));
	}
	return 0;
}

CASES(windows_moved_during_grows_are_mapped_when_they_are_back, SMALL | HUGETLB_2M)
{
	static const peer_function functions[] = { grow_under_movers, mover, mover };

	race_on_backing(b, functions, 3);
}
