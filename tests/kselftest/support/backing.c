/* SPDX-License-Identifier: GPL-2.0-only */
#include <unistd.h>

#include "harness.h"

struct backing backings[4] = {
	{ PEERSHM_SMALL, "small", 4 * KIB, 16 * MIB, 1 * GIB },
	{ PEERSHM_THP, "thp", 2 * MIB, 16 * MIB, 1 * GIB },
	{ PEERSHM_HUGETLB_2M, "hugetlb-2m", 2 * MIB, 16 * MIB, 1 * GIB },
	{ PEERSHM_HUGETLB_1G, "hugetlb-1g", 1 * GIB, 1 * GIB, 4 * GIB },
};
const struct backing *const small = &backings[0], *const thp = &backings[1],
			    *const hugetlb_2m = &backings[2], *const hugetlb_1g = &backings[3];

/* Where the system's pages are not 4 KiB, huge ones are not 2 MiB. */
__attribute__((constructor)) static void page_sizes_of_this_machine(void)
{
	long huge = file_number("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");

	backings[0].page = (uint64_t)sysconf(_SC_PAGESIZE);
	if (huge > 0)
		backings[1].page = (uint64_t)huge;
	if (thp->step < thp->page)
		backings[1].step = thp->page;
}

bool backing_is_hugetlb(const struct backing *b)
{
	return b->id == PEERSHM_HUGETLB_2M || b->id == PEERSHM_HUGETLB_1G;
}

long backing_free_pages(const struct backing *b)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%llukB/free_hugepages",
		 (unsigned long long)(b->page / KIB));
	return file_number(path);
}

void backing_needs(const struct backing *b, uint64_t bytes)
{
	long pages = (long)((bytes + b->page - 1) / b->page), there;

	if (!backing_is_hugetlb(b))
		return;
	there = backing_free_pages(b);
	if (there < pages)
		skip_because("%s: %ld free pages in the pool, %ld needed", b->name, there, pages);
}
