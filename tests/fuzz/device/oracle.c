/* SPDX-License-Identifier: GPL-2.0-only */
/* What must hold, whatever a program did. */
#include "calls.h"
#include "fuzz.h"

#define MAX_REGIONS 64

static __thread int probe = -1;
static __thread struct peershm_region_info before[X0 - P0];
static __thread bool there[X0 - P0];

void oracle_start(void)
{
	probe = open(PEERSHM_DEVICE, O_RDWR | O_CLOEXEC);
}

/* STAT of one of the regions that no other process knows the name of. */
static bool look(unsigned int slot, struct peershm_region_info *info)
{
	struct peershm_stat stat = { .size = sizeof(stat) };

	region_name(slot, stat.name);
	if (ioctl(probe, PEERSHM_IOC_STAT, &stat))
		return false;
	*info = stat.info;
	return true;
}

void oracle_before(void)
{
	for (unsigned int i = 0; i < X0 - P0; i++)
		there[i] = look(P0 + i, &before[i]);
}

/* After a call that failed, everything is as it was. */
void oracle_after(struct shared *shared, const struct op *op, long ret)
{
	const struct operation *o = &operations[op->operation];
	struct peershm_region_info now;
	int error = errno;

	if (!o->command || ret >= 0)
		return;
	/* The command was done, and copying its answer out was made to fail. */
	if (error == EFAULT && op->args[ARG_FAIL].n)
		return;
	/* The same, where the answer goes to memory that the command itself cuts off. */
	for (unsigned int i = ARG_AT; i < MAX_ARGS; i++)
		if (error == EFAULT && (i == ARG_AT || o->args[i].kind == AN_ARRAY) &&
		    (op->args[i].unit == PLACE || op->args[i].unit == PLACE_BYTE))
			return;
	for (unsigned int i = 0; i < X0 - P0; i++) {
		if (look(P0 + i, &now) != there[i]) {
			worker_fail(shared, "oracle: %s failed (errno %d), and region p%u %s",
				    o->name, error, i, there[i] ? "is gone" : "is there");
			return;
		}
		if (!there[i])
			continue;
		/* The generation counts attempts, too, and a worker of the kernel fills the reserve. */
		now.generation = before[i].generation;
		now.reserved = before[i].reserved;
		if (memcmp(&now, &before[i], sizeof(now)) != 0)
			worker_fail(shared, "oracle: %s failed (errno %d), and region p%u changed",
				    o->name, error, i);
	}
}

static const char *region_wrong(const struct peershm_region_info *info)
{
	if (info->active > info->capacity)
		return "a size beyond the capacity";
	if (!info->page_size || info->active % info->page_size || info->capacity % info->page_size)
		return "a size that is no multiple of the page size";
	if (info->nr_clients > info->max_clients)
		return "more clients than there may be";
	if (info->root && (info->root < info->base || info->root - info->base >= info->active))
		return "a root outside of the memory";
	if (!info->name[0] || info->name[PEERSHM_NAME_SIZE - 1])
		return "a bad name";
	return NULL;
}

/* What REGIONS answers agrees with itself. */
void oracle_registry(struct shared *shared)
{
	static __thread struct peershm_region_info infos[MAX_REGIONS];
	struct peershm_regions list = { .size = sizeof(list),
					.regions = (uint64_t)(uintptr_t)infos,
					.nr_regions = MAX_REGIONS,
					.record_size = sizeof(infos[0]) };
	const char *wrong;
	uint64_t end = 0;

	if (ioctl(probe, PEERSHM_IOC_REGIONS, &list))
		return;
	if (list.nr_regions > MAX_REGIONS)
		worker_fail(shared, "oracle: REGIONS gives more regions than max_regions");
	for (unsigned int i = 0; i < list.nr_regions && i < MAX_REGIONS; i++) {
		wrong = region_wrong(&infos[i]);
		if (!wrong && infos[i].base < end)
			wrong = "a base within another region";
		if (wrong)
			worker_fail(shared, "oracle: REGIONS gives %s", wrong);
		end = infos[i].base + infos[i].capacity;
	}
}
