// SPDX-License-Identifier: GPL-2.0-only
/*
 * peershm: dynamically growing shared memory at one virtual address.
 *
 * Lock order, outermost first:
 *
 *   region list lock (region.c)
 *   region->resize
 *     mmap lock of a client
 *       core mm
 *       window operations lock (window.c)
 *       pf->lock
 *         region->registry
 *       windows lock (window.c)
 *
 * The mmap operation runs under the caller's mmap lock, and a VMA's open and
 * close under its process's: they take pf->lock, registry and what is named
 * below it, nothing else. User memory is copied with none of these held, and
 * no client's mmap lock is waited for with the resize lock held.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "backing.h"
#include "client.h"
#include "device.h"

static int __init peershm_init(void)
{
	int err;

	err = peershm_backing_init();
	if (err)
		return err;
	err = peershm_client_init();
	if (err)
		goto exit_backing;
	err = peershm_device_init();
	if (err)
		goto exit_client;
	return 0;

exit_client:
	peershm_client_exit();
exit_backing:
	peershm_backing_exit();
	return err;
}

static void __exit peershm_exit(void)
{
	peershm_device_exit();
	/* A VMA's close may still be on its way out of the module. */
	synchronize_rcu_tasks();
	peershm_client_exit();
	peershm_backing_exit();
}

module_init(peershm_init);
module_exit(peershm_exit);

MODULE_DESCRIPTION("Dynamically growing shared memory at one virtual address");
MODULE_LICENSE("GPL");
