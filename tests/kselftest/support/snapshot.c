/* SPDX-License-Identifier: GPL-2.0-only */
#include "harness.h"

#define MAX_CLIENTS 32

struct snapshot {
	const struct client *witness;
	int nr_clients;
	struct peershm_region_info info;
	struct peershm_client_info clients[MAX_CLIENTS];
	char header[];
};

static void fill(struct snapshot *s)
{
	memset(s->clients, 0, sizeof(s->clients));
	assert_ok(do_stat(s->witness->fd, 0, NULL, &s->info));
	s->nr_clients = do_clients(s->witness->fd, 0, s->clients, MAX_CLIENTS);
	assert_true(s->nr_clients >= 1 && s->nr_clients <= MAX_CLIENTS);
	assert_ok(header_copy(s->witness, s->header));
}

/* For the caller to free. */
static struct snapshot *snapshot_of(const struct client *witness)
{
	struct snapshot *s = calloc(1, sizeof(*s) + witness->at.header_length);

	assert_non_null(s);
	s->witness = witness;
	fill(s);
	return s;
}

struct snapshot *snapshot_take(const struct client *witness)
{
	struct snapshot *s = snapshot_of(witness);

	test_cleanup(free, s);
	return s;
}

uint64_t snapshot_generation(const struct snapshot *s)
{
	return s->info.generation;
}

void snapshot_again(struct snapshot *s)
{
	fill(s);
}

static bool is_settled(void *arg)
{
	const struct client *witness = arg;
	struct peershm_client_info infos[MAX_CLIENTS];
	struct peershm_region_info info;
	int n = do_clients(witness->fd, 0, infos, MAX_CLIENTS);

	if (n < 0 || n > MAX_CLIENTS || do_stat(witness->fd, 0, NULL, &info) ||
	    info.reserved > info.reserve)
		return false;
	for (int i = 0; i < n; i++)
		if (infos[i].mapped != info.active)
			return false;
	return true;
}

bool snapshot_settled(const struct snapshot *s)
{
	return test_until(is_settled, (void *)s->witness, DEADLINE_MS);
}

void snapshot_same_but_count_(struct snapshot *s, const char *file, int line)
{
	struct peershm_header *h = (void *)s->header;
	struct snapshot *now = snapshot_of(s->witness);

	s->info.generation = now->info.generation;
	h->generation = ((struct peershm_header *)now->header)->generation;
	free(now);
	snapshot_same_(s, file, line);
}

void snapshot_same_(const struct snapshot *s, const char *file, int line)
{
	const struct peershm_header *h = (const void *)s->header;
	struct snapshot *now = snapshot_of(s->witness);
	const char *changed = NULL;

	/* seq may differ: it also counts changes that were undone. */
	((struct peershm_header *)now->header)->seq = h->seq;
	if (memcmp(&s->info, &now->info, sizeof(s->info)) != 0)
		changed = "what STAT says";
	else if (s->nr_clients != now->nr_clients ||
		 memcmp(s->clients, now->clients, sizeof(s->clients)) != 0)
		changed = "what CLIENTS says";
	else if (memcmp(s->header, now->header, s->witness->at.header_length) != 0)
		changed = "the header";
	if (changed)
		print_error("%s changed (size %llu then %llu, generation %llu then %llu)\n",
			    changed, (unsigned long long)s->info.active,
			    (unsigned long long)now->info.active, (unsigned long long)h->generation,
			    (unsigned long long)((struct peershm_header *)now->header)->generation);
	free(now);
	if (changed)
		_fail(file, line);
}
