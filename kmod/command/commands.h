/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The commands, for the table in device.c. @arg is the command's struct in
 * kernel memory. A check looks at that, and at no region. A command for a
 * region is given a reference to it, and to the caller's client there, if any.
 */
#ifndef PEERSHM_COMMANDS_H
#define PEERSHM_COMMANDS_H

struct peershm_client;
struct peershm_file;
struct peershm_region;

int peershm_create_check(void *arg);
long peershm_create_run(struct peershm_file *pf, void *arg);
void peershm_create_undo(struct peershm_file *pf, void *arg);

int peershm_attach_check(void *arg);
long peershm_attach_run(struct peershm_file *pf, void *arg);
void peershm_attach_undo(struct peershm_file *pf, void *arg);
int peershm_detach_check(void *arg);
long peershm_detach_run(struct peershm_file *pf, void *arg);

int peershm_regions_check(void *arg);
long peershm_regions_run(struct peershm_file *pf, void *arg);

int peershm_watch_check(void *arg);
long peershm_watch_run(struct peershm_file *pf, void *arg);

int peershm_info_check(void *arg);
long peershm_info_run(struct peershm_file *pf, void *arg);

#define PEERSHM_REGION_COMMAND(verb) \
	int peershm_ ## verb ## _check(void *arg); \
	long peershm_ ## verb ## _run(struct peershm_region *region, \
				      struct peershm_client *client, void *arg)

PEERSHM_REGION_COMMAND(grow);
PEERSHM_REGION_COMMAND(peer_map);
PEERSHM_REGION_COMMAND(shrink);
PEERSHM_REGION_COMMAND(set_root);
PEERSHM_REGION_COMMAND(get_root);
PEERSHM_REGION_COMMAND(roots);
PEERSHM_REGION_COMMAND(clients);
PEERSHM_REGION_COMMAND(resolve);
PEERSHM_REGION_COMMAND(stat);
PEERSHM_REGION_COMMAND(unlink);
PEERSHM_REGION_COMMAND(set_reserve);

#endif /* PEERSHM_COMMANDS_H */
