/* SPDX-License-Identifier: GPL-2.0-only */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

#define PARAMETERS "/sys/module/peershm/parameters"
#define CGROUPS "/sys/fs/cgroup"

int file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		err = -errno;
	close(fd);
	return err;
}

long file_number(const char *path)
{
	long number;
	FILE *f = fopen(path, "re");

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &number) != 1)
		number = -1;
	fclose(f);
	return number;
}

static long field_of(const char *path, const char *field)
{
	char name[64];
	long number;
	FILE *f = fopen(path, "re");

	if (!f)
		return -1;
	while (fscanf(f, "%63s %ld%*[^\n]", name, &number) == 2) {
		if (strcmp(name, field) == 0) {
			fclose(f);
			return number;
		}
	}
	fclose(f);
	return -1;
}

/*
 * Each CPU keeps up to 100 KiB of these counts to itself, an idle one for ever. Reading this file
 * adds them up. It gives an error if a sum is below zero, which is no matter here.
 */
long meminfo(const char *field)
{
	long kib;

	file_write("/proc/sys/vm/stat_refresh", "1");
	kib = field_of("/proc/meminfo", field);
	assert_true(kib >= 0);
	return kib * 1024;
}

struct limit {
	const char *field;
	long bytes;
};

static bool at_most(void *arg)
{
	const struct limit *l = arg;

	return meminfo(l->field) <= l->bytes;
}

static bool at_least(void *arg)
{
	const struct limit *l = arg;

	return meminfo(l->field) >= l->bytes;
}

bool meminfo_until_at_most(const char *field, long bytes, unsigned int ms)
{
	struct limit l = { field, bytes };

	return test_until(at_most, &l, ms);
}

bool meminfo_until_at_least(const char *field, long bytes, unsigned int ms)
{
	struct limit l = { field, bytes };

	return test_until(at_least, &l, ms);
}

uint64_t pagemap_present(uint64_t address, uint64_t length)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), entries[512], present = 0;
	uint64_t first = address / page, n = length / page, done = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	while (done < n) {
		size_t some = n - done < 512 ? n - done : 512;
		ssize_t got = pread(fd, entries, some * 8, (off_t)((first + done) * 8));

		if (got <= 0)
			break;
		some = (size_t)got / 8;
		for (size_t i = 0; i < some; i++)
			present += entries[i] >> 63 & 1;
		done += some;
	}
	close(fd);
	return present * page;
}

struct setting {
	char path[128];
	char text[256];
};

static bool setting_read(struct setting *s)
{
	FILE *f = fopen(s->path, "re");
	bool read = f && fgets(s->text, sizeof(s->text), f);

	if (f)
		fclose(f);
	return read;
}

static void setting_put_back(void *arg)
{
	struct setting *old = arg, now = *old;

	if (file_write(old->path, old->text) || !setting_read(&now) || strcmp(now.text, old->text))
		print_error("%s is not put back\n", old->path);
	free(old);
}

void setting_keep(const char *path)
{
	struct setting *old = calloc(1, sizeof(*old));

	assert_non_null(old);
	snprintf(old->path, sizeof(old->path), "%s", path);
	assert_true(setting_read(old));
	test_cleanup(setting_put_back, old);
}

void setting_set(const char *path, const char *text)
{
	setting_keep(path);
	assert_ok(file_write(path, text));
}

void parameter_set(const char *name, long value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), PARAMETERS "/%s", name);
	snprintf(text, sizeof(text), "%ld", value);
	setting_set(path, text);
}

long parameter(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), PARAMETERS "/%s", name);
	return file_number(path);
}

static void cgroup_remove(void *arg)
{
	peers_end(); /* a group with processes in it cannot be removed */
	rmdir(arg);
	free(arg);
}

const char *cgroup_new(void)
{
	static unsigned int number;
	char *group = NULL;

	if (access(CGROUPS "/cgroup.controllers", R_OK) != 0)
		skip_because("no cgroup2 on " CGROUPS);
	assert_true(asprintf(&group, CGROUPS "/t-%d-%u", (int)getpid(), ++number) > 0);
	assert_int_equal(mkdir(group, 0755), 0);
	test_cleanup(cgroup_remove, group);
	return group;
}

void cgroup_join(const char *group, pid_t pid)
{
	char path[256], text[32];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	snprintf(text, sizeof(text), "%d", (int)pid);
	assert_ok(file_write(path, text));
}

static bool is_frozen(void *arg)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/cgroup.events", (const char *)arg);
	return field_of(path, "frozen") == 1;
}

void cgroup_freeze(const char *group)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/cgroup.freeze", group);
	assert_ok(file_write(path, "1"));
	assert_true(test_until(is_frozen, (void *)(uintptr_t)group, DEADLINE_MS));
}

void cgroup_thaw(const char *group)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/cgroup.freeze", group);
	assert_ok(file_write(path, "0"));
}

void cgroup_end(const char *group)
{
	assert_int_equal(rmdir(group), 0);
}

long cgroups_held(void)
{
	long n = field_of(CGROUPS "/cgroup.stat", "nr_dying_descendants");

	assert_true(n >= 0);
	return n;
}

const char *memcg_new(uint64_t limit)
{
	char path[256], text[32];
	const char *memcg;

	file_write(CGROUPS "/cgroup.subtree_control", "+memory");
	memcg = cgroup_new();
	snprintf(path, sizeof(path), "%s/memory.max", memcg);
	if (access(path, W_OK) != 0)
		skip_because("no memory controller on " CGROUPS);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)limit);
	assert_ok(file_write(path, text));
	snprintf(path, sizeof(path), "%s/memory.swap.max", memcg);
	file_write(path, "0");
	return memcg;
}

void memcg_set(const char *memcg, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", memcg, file);
	assert_ok(file_write(path, text));
}

long memcg_event(const char *memcg, const char *event)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/memory.events", memcg);
	return field_of(path, event);
}
