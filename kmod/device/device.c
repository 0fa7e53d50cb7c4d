// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/peershm: open files, commands and mappings.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <uapi/linux/peershm.h>

#include "command/attach.h"
#include "registry/client.h"
#include "window/control.h"
#include "device/device.h"
#include "registry/event.h"
#include "registry/header.h"
#include "window/map.h"
#include "registry/region.h"
#include "memory/reserve.h"
#include "registry/root.h"
#include "registry/size.h"
#include "window/window.h"
#include "types.h"

/* A command: its struct may grow, but never be less than it first was. */
struct command {
	unsigned int nr;
	size_t size;
	size_t min_size;
	long (*run)(struct peershm_file *pf, void *arg);
	void (*undo)(struct peershm_file *pf, void *arg);
};

#define COMMAND(nr_, type, last, run_, ...) \
	{ \
		.nr = nr_, \
		.size = sizeof(struct type), \
		.min_size = offsetofend(struct type, last), \
		.run = run_, \
		__VA_ARGS__ \
	}

static const struct command commands[] = {
	COMMAND(PEERSHM_IOC_CREATE, peershm_create, region,
		peershm_region_create, .undo = peershm_region_uncreate),
	COMMAND(PEERSHM_IOC_ATTACH, peershm_attach, root_generation,
		peershm_attach_command, .undo = peershm_attach_undo),
	COMMAND(PEERSHM_IOC_DETACH, peershm_detach, flags,
		peershm_detach_command),
	COMMAND(PEERSHM_IOC_GROW, peershm_grow, report, peershm_size_grow),
	COMMAND(PEERSHM_IOC_PEER_MAP, peershm_peer_map, report,
		peershm_map_command),
	COMMAND(PEERSHM_IOC_SHRINK, peershm_shrink, old_size,
		peershm_size_shrink),
	COMMAND(PEERSHM_IOC_SET_ROOT, peershm_set_root, name,
		peershm_root_set),
	COMMAND(PEERSHM_IOC_GET_ROOT, peershm_get_root, info, peershm_root_get),
	COMMAND(PEERSHM_IOC_ROOTS, peershm_roots, reserved, peershm_root_list),
	COMMAND(PEERSHM_IOC_CLIENTS, peershm_clients, reserved,
		peershm_client_list),
	COMMAND(PEERSHM_IOC_RESOLVE, peershm_resolve, reserved,
		peershm_client_resolve),
	COMMAND(PEERSHM_IOC_REGIONS, peershm_regions, reserved,
		peershm_region_list),
	COMMAND(PEERSHM_IOC_STAT, peershm_stat, info, peershm_region_stat),
	COMMAND(PEERSHM_IOC_UNLINK, peershm_unlink, name,
		peershm_region_unlink),
	COMMAND(PEERSHM_IOC_SET_RESERVE, peershm_set_reserve, reserve,
		peershm_reserve_command),
	COMMAND(PEERSHM_IOC_WATCH, peershm_watch, region, peershm_event_watch),
};

/* Room for the struct of any command. */
union argument {
	__u32 size;
	struct peershm_create create;
	struct peershm_attach attach;
	struct peershm_detach detach;
	struct peershm_grow grow;
	struct peershm_peer_map peer_map;
	struct peershm_shrink shrink;
	struct peershm_set_root set_root;
	struct peershm_get_root get_root;
	struct peershm_roots roots;
	struct peershm_clients clients;
	struct peershm_resolve resolve;
	struct peershm_regions regions;
	struct peershm_stat stat;
	struct peershm_unlink unlink;
	struct peershm_set_reserve set_reserve;
	struct peershm_watch watch;
};

/* The ABI's layout is for ever. */
static_assert(sizeof(struct peershm_header_client) == 128);
static_assert(sizeof(struct peershm_header) == 184);
static_assert(sizeof(struct peershm_create) == 120);
static_assert(sizeof(struct peershm_attach) == 216);
static_assert(sizeof(struct peershm_detach) == 8);
static_assert(sizeof(struct peershm_peer) == 88);
static_assert(sizeof(struct peershm_map_report) == 32);
static_assert(sizeof(struct peershm_grow) == 72);
static_assert(sizeof(struct peershm_peer_map) == 136);
static_assert(sizeof(struct peershm_shrink) == 32);
static_assert(sizeof(struct peershm_set_root) == 112);
static_assert(sizeof(struct peershm_root_info) == 80);
static_assert(sizeof(struct peershm_get_root) == 96);
static_assert(sizeof(struct peershm_roots) == 32);
static_assert(sizeof(struct peershm_client_info) == 112);
static_assert(sizeof(struct peershm_clients) == 32);
static_assert(sizeof(struct peershm_resolve) == 96);
static_assert(sizeof(struct peershm_region_info) == 176);
static_assert(sizeof(struct peershm_regions) == 24);
static_assert(sizeof(struct peershm_stat) == 256);
static_assert(sizeof(struct peershm_unlink) == 80);
static_assert(sizeof(struct peershm_watch) == 16);
static_assert(sizeof(struct peershm_event) == 128);
static_assert(sizeof(struct peershm_set_reserve) == 24);

/**
 * peershm_copy_array() - copy records to user space
 * @to: user address
 * @from: records
 * @n: how many
 * @size: of one
 */
int peershm_copy_array(u64 to, const void *from, u32 n, size_t size)
{
	if (n && copy_to_user(u64_to_user_ptr(to), from, n * size))
		return -EFAULT;
	return 0;
}

static const struct command *find_command(unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].nr == nr)
			return &commands[i];
	return NULL;
}

static long device_ioctl(struct file *file, unsigned int nr, unsigned long uarg)
{
	const struct command *command = find_command(nr);
	struct peershm_file *pf = file->private_data;
	void __user *user = (void __user *)uarg;
	union argument arg = {};
	size_t known;
	u32 size;
	long ret;

	if (!command)
		return -ENOTTY;
	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < command->min_size)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&arg, command->size, user, size);
	if (ret)
		return ret;
	arg.size = size;

	/* An answer that cannot be given is an error before anything is done. */
	known = min_t(size_t, size, command->size);
	if (copy_to_user(user, &arg, known))
		return -EFAULT;
	ret = command->run(pf, &arg);
	if (!ret && copy_to_user(user, &arg, known)) {
		if (command->undo)
			command->undo(pf, &arg);
		ret = -EFAULT;
	}
	return ret;
}

static int mmap_header(const struct peershm_region *region,
		       struct vm_area_struct *vma)
{
	if (vma->vm_flags & VM_WRITE)
		return -EACCES;
	vm_flags_clear(vma, VM_MAYWRITE);
	vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);
	return peershm_header_mmap(region, vma);
}

/* What a client maps by itself: header and control. */
static int mmap_pages(struct peershm_file *pf, u64 offset,
		      struct vm_area_struct *vma)
{
	struct peershm_client *client = peershm_client_of(pf);
	struct peershm_region *region;
	int err = -EINVAL;

	if (!client)
		return -ENOTCONN;
	region = peershm_client_region(pf, MAY_READ);
	if (IS_ERR(region)) {
		err = PTR_ERR(region);
		goto put_client;
	}
	/* Another thread may have attached the file anew meanwhile. */
	if (region != client->region)
		err = -ENOTCONN;
	else if (offset == PEERSHM_HEADER_OFFSET)
		err = mmap_header(region, vma);
	else if (offset >= PEERSHM_CONTROL_OFFSET)
		err = peershm_control_mmap(region,
					   offset - PEERSHM_CONTROL_OFFSET,
					   client, vma);
	peershm_region_put(region);
put_client:
	peershm_client_put(client);
	return err;
}

/* In ATTACH: the window. The attaching task keeps the file's client in place. */
static int mmap_window(struct peershm_file *pf, struct vm_area_struct *vma)
{
	struct peershm_client *client = peershm_client_of(pf);
	int err;

	if (!client)
		return -ENOTCONN;
	err = peershm_window_mmap(client, vma);
	peershm_client_put(client);
	return err;
}

/* Runs under the caller's mmap lock: see the lock order in main.c. */
static int device_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct peershm_file *pf = file->private_data;
	u64 offset = (u64)vma->vm_pgoff << PAGE_SHIFT;

	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (!offset && READ_ONCE(pf->attacher) == current)
		return mmap_window(pf, vma);
	return mmap_pages(pf, offset, vma);
}

static int device_open(struct inode *inode, struct file *file)
{
	struct peershm_file *pf;

	pf = kzalloc(sizeof(*pf), GFP_KERNEL_ACCOUNT);
	if (!pf)
		return -ENOMEM;
	pf->file = file;
	spin_lock_init(&pf->lock);
	peershm_event_reader_init(&pf->reader);
	file->private_data = pf;
	return nonseekable_open(inode, file);
}

static int device_release(struct inode *inode, struct file *file)
{
	struct peershm_file *pf = file->private_data;

	if (pf->client) {
		peershm_event_disconnect(pf->client->region, &pf->reader);
		peershm_client_put(pf->client);
	}
	peershm_event_reader_free(&pf->reader);
	kfree(pf);
	return 0;
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.read_iter = peershm_event_read,
	.poll = peershm_event_poll,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = device_mmap,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "peershm",
	.fops = &device_fops,
	.mode = 0666,	/* each region has its own owner, group and mode */
};

int peershm_device_init(void)
{
	return misc_register(&device);
}

void peershm_device_exit(void)
{
	misc_deregister(&device);
}
