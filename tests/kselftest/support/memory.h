/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory of the machine: counters, files of numbers, cgroups. */
#ifndef PEERSHM_TEST_MEMORY_H
#define PEERSHM_TEST_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The number a file holds, -1 if it cannot be read. */
long file_number(const char *path);

/* Write text to a file: 0 or a negative errno value. */
int file_write(const char *path, const char *text);

/* A field of /proc/meminfo in bytes; a name of a line with its colon. */
long meminfo(const char *field);

/* Wait until that field is at most, or at least, `bytes`. */
bool meminfo_until_at_most(const char *field, long bytes, unsigned int ms);
bool meminfo_until_at_least(const char *field, long bytes, unsigned int ms);

/* Bytes from address of which pagemap says that they are present. */
uint64_t pagemap_present(uint64_t address, uint64_t length);

/* After the test this file of one line, such as those in /proc/sys, has its text of now again. */
void setting_keep(const char *path);
void setting_set(const char *path, const char *text); /* the same, and write to it */

/* The same for a parameter of the module. */
void parameter_set(const char *name, long value);
long parameter(const char *name);

/* A cgroup, removed after the test; skips if there is none. */
const char *cgroup_new(void);
void cgroup_join(const char *group, pid_t pid);
void cgroup_freeze(const char *group); /* and wait until it is */
void cgroup_thaw(const char *group);
void cgroup_end(const char *group); /* remove it now */
long cgroups_held(void);	    /* that were removed, and something still refers to */

/* A memory cgroup with a limit, removed after the test; skips if there is none. */
const char *memcg_new(uint64_t limit);
void memcg_set(const char *memcg, const char *file, const char *text);
long memcg_event(const char *memcg, const char *event);

#endif
