// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/peershm: the table of commands, and mappings.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <uapi/linux/peershm.h>

#include "command/commands.h"
#include "device/device.h"
#include "device/file.h"
#include "registry/client.h"
#include "registry/header.h"
#include "registry/region.h"
#include "window/control.h"
#include "window/window.h"
#include "types.h"

/*
 * A command. Its struct may grow, but never be less than it first was. @check
 * looks at the arguments, and at no region; it need not say why it fails. A command
 * for a region has @run, and gets the region that it may use so, and the caller's
 * client there or NULL; one for the open file has @run_file. @undo takes back what
 * @run_file did when the caller cannot be told.
 */
struct command {
	unsigned int nr;
	size_t size;
	size_t min_size;
	int (*check)(void *arg);
	enum peershm_access access;
	bool by_name;			/* or by id: as struct region_choice */
	long (*run)(struct peershm_region *region,
		    struct peershm_client *client, void *arg);
	long (*run_file)(struct peershm_file *pf, void *arg);
	void (*undo)(struct peershm_file *pf, void *arg);
};

/* What the structs of all commands for a region begin with. */
struct region_choice {
	__u32 size;
	__u32 flags;
	struct peershm_failure failure;
	__u64 region;
	char name[PEERSHM_NAME_SIZE];	/* of those that have by_name */
};

#define COMMAND(nr_, type, last, verb, ...) \
	{ \
		.nr = nr_, \
		.size = sizeof(struct type) + \
			BUILD_BUG_ON_ZERO(!SAYS_WHY(type)), \
		.min_size = offsetofend(struct type, last), \
		.check = peershm_ ## verb ## _check, \
		__VA_ARGS__ \
	}

/* Is what says which region it is where struct region_choice has it? */
#define SAYS_WHY(type) \
	(offsetof(struct type, failure) == \
		 offsetof(struct region_choice, failure))
#define CHOOSES_BY_ID(type) \
	(offsetof(struct type, region) == \
		 offsetof(struct region_choice, region) && \
	 sizeof_field(struct type, region) == sizeof(u64))
#define CHOOSES_BY_NAME(type) \
	(offsetof(struct type, name) == offsetof(struct region_choice, name) && \
	 sizeof_field(struct type, name) == PEERSHM_NAME_SIZE)

#define REGION_COMMAND(nr_, type, last, verb, access_, ...) \
	COMMAND(nr_, type, last, verb, .run = peershm_ ## verb ## _run, \
		.access = (access_) + \
			  BUILD_BUG_ON_ZERO(!CHOOSES_BY_ID(type)), \
		__VA_ARGS__)

/* For a region that is given by its name, or by its id if that is empty. */
#define NAMED_REGION_COMMAND(nr_, type, last, verb, access_) \
	REGION_COMMAND(nr_, type, last, verb, access_, \
		       .by_name = true + \
				  BUILD_BUG_ON_ZERO(!CHOOSES_BY_NAME(type)))

#define FILE_COMMAND(nr_, type, last, verb, ...) \
	COMMAND(nr_, type, last, verb, .run_file = peershm_ ## verb ## _run, \
		__VA_ARGS__)

static const struct command commands[] = {
	FILE_COMMAND(PEERSHM_IOC_CREATE, peershm_create, region, create,
		     .undo = peershm_create_undo),
	FILE_COMMAND(PEERSHM_IOC_ATTACH, peershm_attach, reserved, attach,
		     .undo = peershm_attach_undo),
	FILE_COMMAND(PEERSHM_IOC_DETACH, peershm_detach, failure, detach),
	REGION_COMMAND(PEERSHM_IOC_GROW, peershm_grow, report.reserved, grow,
		       PEERSHM_ACCESS_WRITE),
	REGION_COMMAND(PEERSHM_IOC_PEER_MAP, peershm_peer_map, report.reserved,
		       peer_map, PEERSHM_ACCESS_WRITE),
	REGION_COMMAND(PEERSHM_IOC_SHRINK, peershm_shrink, reserved, shrink,
		       PEERSHM_ACCESS_WRITE),
	REGION_COMMAND(PEERSHM_IOC_SET_ROOT, peershm_set_root, name, set_root,
		       PEERSHM_ACCESS_WRITE),
	REGION_COMMAND(PEERSHM_IOC_GET_ROOT, peershm_get_root, info.name, get_root,
		       PEERSHM_ACCESS_READ),
	REGION_COMMAND(PEERSHM_IOC_ROOTS, peershm_roots, record_size, roots,
		       PEERSHM_ACCESS_READ),
	REGION_COMMAND(PEERSHM_IOC_CLIENTS, peershm_clients, record_size,
		       clients, PEERSHM_ACCESS_READ),
	REGION_COMMAND(PEERSHM_IOC_RESOLVE, peershm_resolve, reserved, resolve,
		       PEERSHM_ACCESS_READ),
	FILE_COMMAND(PEERSHM_IOC_REGIONS, peershm_regions, record_size,
		     regions),
	NAMED_REGION_COMMAND(PEERSHM_IOC_STAT, peershm_stat,
			     info.root_generation, stat, PEERSHM_ACCESS_READ),
	NAMED_REGION_COMMAND(PEERSHM_IOC_UNLINK, peershm_unlink, name, unlink,
			     PEERSHM_ACCESS_OWNER),
	REGION_COMMAND(PEERSHM_IOC_SET_RESERVE, peershm_set_reserve, reserve,
		       set_reserve, PEERSHM_ACCESS_WRITE),
	FILE_COMMAND(PEERSHM_IOC_WATCH, peershm_watch, reserved, watch),
	FILE_COMMAND(PEERSHM_IOC_INFO, peershm_info, max_bytes, info),
};

/* Room for the struct of any command. */
union argument {
	__u32 size;
	struct region_choice choice;
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
	struct peershm_info info;
};

/* The ABI's layout is for ever. */
static_assert(sizeof(struct peershm_header_client) == 112);
static_assert(sizeof(struct peershm_header) == 192);
static_assert(sizeof(struct peershm_create) == 136);
static_assert(sizeof(struct peershm_attach) == 240);
static_assert(sizeof(struct peershm_detach) == 24);
static_assert(sizeof(struct peershm_peer) == 88);
static_assert(sizeof(struct peershm_map_report) == 40);
static_assert(sizeof(struct peershm_grow) == 96);
static_assert(sizeof(struct peershm_peer_map) == 160);
static_assert(sizeof(struct peershm_shrink) == 64);
static_assert(sizeof(struct peershm_set_root) == 128);
static_assert(sizeof(struct peershm_root_info) == 80);
static_assert(sizeof(struct peershm_get_root) == 112);
static_assert(sizeof(struct peershm_roots) == 48);
static_assert(sizeof(struct peershm_client_info) == 112);
static_assert(sizeof(struct peershm_clients) == 48);
static_assert(sizeof(struct peershm_resolve) == 112);
static_assert(sizeof(struct peershm_region_info) == 176);
static_assert(sizeof(struct peershm_regions) == 40);
static_assert(sizeof(struct peershm_stat) == 272);
static_assert(sizeof(struct peershm_unlink) == 96);
static_assert(sizeof(struct peershm_watch) == 40);
static_assert(sizeof(struct peershm_event) == 128);
static_assert(sizeof(struct peershm_set_reserve) == 40);
static_assert(sizeof(struct peershm_backing_info) == 24);
static_assert(sizeof(struct peershm_info) == 104);
static_assert(sizeof(struct peershm_failure) == 16);

static const struct command *find_command(unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].nr == nr)
			return &commands[i];
	return NULL;
}

static long run_command(const struct command *command, struct peershm_file *pf,
			union argument *arg)
{
	struct peershm_client *client = NULL;
	struct peershm_region *region;
	long ret;

	ret = command->check(arg);
	if (ret)
		return ret;
	if (command->run_file)
		return command->run_file(pf, arg);
	region = peershm_file_region(pf, &arg->choice.failure,
				     command->by_name ? arg->choice.name : NULL,
				     arg->choice.region, command->access,
				     &client);
	if (IS_ERR(region))
		return PTR_ERR(region);
	ret = command->run(region, client, arg);
	if (client)
		peershm_client_put(client);
	peershm_region_put(region);
	return ret;
}

/* Errors that the commands give for one reason each, if they name none. */
static u32 usual_reason(long err)
{
	switch (err) {
	case -EINVAL:
		return PEERSHM_REASON_ARGUMENT;
	case -ENOTCONN:
		return PEERSHM_REASON_NO_WINDOW;
	default:
		return PEERSHM_REASON_NONE;
	}
}

/* Only for who can still be told: the command itself has failed anyway. */
static long say_why(void __user *user, struct peershm_failure *failure, long err)
{
	struct region_choice __user *choice = user;

	if (!failure->reason)
		failure->reason = usual_reason(err);
	if (copy_to_user(&choice->failure, failure, sizeof(*failure)))
		return -EFAULT;
	return err;
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
	memset(&arg.choice.failure, 0, sizeof(arg.choice.failure));

	/* An answer that cannot be given is an error before anything is done. */
	known = min_t(size_t, size, command->size);
	if (copy_to_user(user, &arg, known))
		return -EFAULT;
	ret = run_command(command, pf, &arg);
	if (ret)
		return say_why(user, &arg.choice.failure, ret);
	if (copy_to_user(user, &arg, known)) {
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
	struct peershm_failure unused;
	struct peershm_client *client;
	struct peershm_region *region;
	int err = -EINVAL;

	region = peershm_file_attached(pf, &unused, MAY_READ, &client);
	if (IS_ERR(region))
		return PTR_ERR(region);
	if (offset == PEERSHM_HEADER_OFFSET)
		err = mmap_header(region, vma);
	else if (offset >= PEERSHM_CONTROL_OFFSET)
		err = peershm_control_mmap(region,
					   offset - PEERSHM_CONTROL_OFFSET,
					   client, vma);
	peershm_client_put(client);
	peershm_region_put(region);
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

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.open = peershm_file_open,
	.release = peershm_file_release,
	.read_iter = peershm_file_read,
	.poll = peershm_file_poll,
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
