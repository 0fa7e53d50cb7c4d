// SPDX-License-Identifier: GPL-2.0-only
/*
 * peershm: dynamically growing shared memory at one virtual address.
 *
 * Lock order, outermost first:
 *
 *   region->resize_mutex
 *   pf->reader.read_mutex
 *     mmap lock of a client
 *       region->tables_rwsem
 *         locks of the memory: of its inode, of its pages, i_mmap
 *       list_mutex (directory.c)
 *         pf->lock
 *           givers_lock (reserve.c)
 *           region->registry_lock
 *
 * The mmap operation runs under the caller's mmap lock. While user memory is
 * copied, none of these is held but the read_mutex of the file that is read. No
 * client's mmap lock is waited for while any other of them is held. A window's
 * release (window.c) is called with no lock held.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>

#include <uapi/linux/peershm.h>

#include "device/device.h"
#include "memory/backing.h"
#include "memory/parallel.h"
#include "memory/reserve.h"
#include "registry/deferred.h"
#include "registry/event.h"

static int __init peershm_init(void)
{
	int err;

	err = peershm_backing_init();
	if (err)
		return err;
	err = peershm_reserve_init();
	if (err)
		goto exit_backing;
	err = peershm_parallel_init();
	if (err)
		goto exit_reserve;
	err = peershm_deferred_init();
	if (err)
		goto exit_parallel;
	err = peershm_event_init();
	if (err)
		goto exit_deferred;
	err = peershm_device_init();
	if (err)
		goto exit_event;
	return 0;

exit_event:
	peershm_event_exit();
exit_deferred:
	peershm_deferred_exit();
exit_parallel:
	peershm_parallel_exit();
exit_reserve:
	peershm_reserve_exit();
exit_backing:
	peershm_backing_exit();
	return err;
}

static void __exit peershm_exit(void)
{
	peershm_device_exit();
	peershm_event_exit();
	peershm_deferred_exit();
	peershm_parallel_exit();
	/* The release of a window may still be on its way out of the module. */
	synchronize_rcu_tasks();
	peershm_reserve_exit();
	peershm_backing_exit();
}

module_init(peershm_init);
module_exit(peershm_exit);

MODULE_DESCRIPTION("Dynamically growing shared memory at one virtual address");
MODULE_LICENSE("GPL");
MODULE_VERSION(PEERSHM_VERSION_STRING);
