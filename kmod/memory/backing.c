// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of a region: a file on a mount of tmpfs or hugetlbfs that nobody
 * else sees. The core mm owns its pages; this file allocates them ahead of
 * use, so that no client's access ever has to, and gives them back.
 */
#include <linux/atomic.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/huge_mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uidgid.h>

#include <uapi/linux/peershm.h>

#include "memory/backing.h"
#include "memory/fill.h"

static ulong max_bytes;
module_param(max_bytes, ulong, 0644);
MODULE_PARM_DESC(max_bytes,
		 "bytes of all small and thp regions together (0: half of the memory); huge pages are limited by their pool");

static uint hugetlb_group;
module_param(hugetlb_group, uint, 0644);
MODULE_PARM_DESC(hugetlb_group,
		 "group ID whose members, beside those with CAP_IPC_LOCK, may make regions of huge pages from the pool");

/* The kinds of backing, as the module numbers them. */
enum { SMALL, THP, HUGETLB_2M, HUGETLB_1G };

/*
 * One kind of backing. Written at init and exit alone.
 */
static struct backing {
	u32 id;			/* enum peershm_backing */
	const char *fs;
	const char *options;
	unsigned long page_size;
	unsigned long align;	/* of a window, for the widest page tables */
	bool pool;		/* its pages come from a pool of their own */
	struct vfsmount *mnt;	/* NULL: not on this machine */
} backings[PEERSHM_NR_BACKINGS] = {
	[SMALL] = {
		.id = PEERSHM_SMALL,
		.fs = "tmpfs",
		.options = "huge=never,size=0,nr_inodes=0",
		.page_size = PAGE_SIZE,
		.align = PAGE_SIZE,
	},
	[THP] = {
		.id = PEERSHM_THP,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	/*
	 * Not huge=within_size: fallocate() sets the size last, so that would
	 * give small pages. The sizes are multiples of a huge page instead.
	 */
		.fs = "tmpfs",
		.options = "huge=always,size=0,nr_inodes=0",
		.page_size = HPAGE_PMD_SIZE,
		.align = HPAGE_PMD_SIZE,
#endif
	},
	[HUGETLB_2M] = {
		.id = PEERSHM_HUGETLB_2M,
		.fs = "hugetlbfs",
		.options = "pagesize=2M,mode=1777",
		.page_size = SZ_2M,
		.align = SZ_1G,		/* page tables are shared then */
		.pool = true,
	},
	[HUGETLB_1G] = {
		.id = PEERSHM_HUGETLB_1G,
		.fs = "hugetlbfs",
		.options = "pagesize=1G,mode=1777",
		.page_size = SZ_1G,
		.align = SZ_1G,
		.pool = true,
	},
};

/* Bytes of all regions whose backing has no pool, with their reserves. */
static atomic64_t total_bytes;

/**
 * peershm_backing_find() - the module's number of a kind of backing
 * @id: enum peershm_backing, from user space
 *
 * Returns: a number for the other functions, or -EINVAL.
 */
int peershm_backing_find(u32 id)
{
	unsigned int i;

	for (i = 0; i < PEERSHM_NR_BACKINGS; i++)
		if (backings[i].id == id)
			return i;
	return -EINVAL;
}

u32 peershm_backing_id(unsigned int backing)
{
	return backings[backing].id;
}

bool peershm_backing_available(unsigned int backing)
{
	return backings[backing].mnt;
}

/**
 * peershm_backing_list() - the kinds of backing that this machine has
 * @infos: PEERSHM_NR_BACKINGS of them, to fill
 *
 * Returns: how many there are.
 */
u32 peershm_backing_list(struct peershm_backing_info *infos)
{
	const struct backing *b;
	u32 n = 0;

	for (b = backings; b < backings + PEERSHM_NR_BACKINGS; b++)
		if (b->mnt)
			infos[n++] = (struct peershm_backing_info){
				.backing = b->id,
				.flags = b->pool ? PEERSHM_BACKING_POOL : 0,
				.page_size = b->page_size,
				.alignment = b->align,
			};
	return n;
}

unsigned long peershm_backing_page_size(unsigned int backing)
{
	return backings[backing].page_size;
}

unsigned long peershm_backing_align(unsigned int backing)
{
	return backings[backing].align;
}

/**
 * peershm_backing_pooled() - do its pages come from a pool of their own?
 * @backing: an available kind
 */
bool peershm_backing_pooled(unsigned int backing)
{
	return backings[backing].pool;
}

/* Whose members may make regions of huge pages from the pool. */
gid_t peershm_backing_group(void)
{
	return READ_ONCE(hugetlb_group);
}

/**
 * peershm_backing_permitted() - may the caller have such memory set aside?
 * @backing: an available kind
 *
 * A region keeps pages of the pool for as long as it has its name, and its
 * reserve is charged to no hugetlb cgroup: that takes what SHM_HUGETLB takes.
 */
bool peershm_backing_permitted(unsigned int backing)
{
	kgid_t group = make_kgid(&init_user_ns, peershm_backing_group());

	if (!backings[backing].pool || capable(CAP_IPC_LOCK))
		return true;
	return gid_valid(group) && in_group_p(group);
}

/**
 * peershm_backing_limit() - bytes that all regions without a pool may have
 */
u64 peershm_backing_limit(void)
{
	return READ_ONCE(max_bytes) ?:
	       (u64)totalram_pages() << (PAGE_SHIFT - 1);
}

static bool charge(unsigned int backing, u64 bytes)
{
	if (backings[backing].pool)
		return true;
	if (atomic64_add_return(bytes, &total_bytes) <= peershm_backing_limit())
		return true;
	atomic64_sub(bytes, &total_bytes);
	return false;
}

static void uncharge(unsigned int backing, u64 bytes)
{
	if (!backings[backing].pool)
		atomic64_sub(bytes, &total_bytes);
}

/*
 * The region's owner, group and mode decide who may do what with its memory,
 * not what a security module makes of the file. And nobody is to reach the file
 * through a window: "append only" keeps remap_file_pages() from mapping anew
 * what can be written (beyond the size, on hugetlbfs) and MADV_REMOVE from
 * punching holes, but not us from what grow and shrink do.
 */
static void make_private(struct file *file)
{
	struct inode *inode = file_inode(file);

	inode_lock(inode);
	inode->i_flags |= S_PRIVATE | S_APPEND;
	inode_unlock(inode);
}

/* An unnamed inode of hugetlbfs, as a file that shows the region's name. */
static struct file *open_hugetlb(struct backing *b, const char *name)
{
	struct path root = { .mnt = b->mnt, .dentry = b->mnt->mnt_root };
	struct file *tmp, *file;
	struct inode *inode;

	tmp = file_open_root(&root, ".", O_TMPFILE | O_RDWR | O_LARGEFILE,
			     0666);
	if (IS_ERR(tmp))
		return tmp;

	inode = file_inode(tmp);
	ihold(inode);
	file = alloc_file_pseudo(inode, b->mnt, name, O_RDWR | O_LARGEFILE,
				 inode->i_fop);
	if (IS_ERR(file))
		iput(inode);
	fput(tmp);
	return file;
}

static struct file *open_shmem(struct backing *b, const char *name, loff_t size)
{
	return shmem_file_setup_with_mnt(b->mnt, name, size,
					 PEERSHM_SHMEM_NORESERVE);
}

static struct file *open_file(struct backing *b, const char *name, loff_t size)
{
	struct file *file = b->pool ? open_hugetlb(b, name) :
				      open_shmem(b, name, size);

	/* An inode that cannot be allocated is "no space" to file systems. */
	if (PTR_ERR_OR_ZERO(file) == -ENOSPC)
		return ERR_PTR(-ENOMEM);
	if (!IS_ERR(file))
		make_private(file);
	return file;
}

/**
 * peershm_backing_open() - make an empty file of a kind of backing
 * @backing: an available kind
 * @name: what /proc/PID/maps shows
 */
struct file *peershm_backing_open(unsigned int backing, const char *name)
{
	return open_file(&backings[backing], name, 0);
}

/**
 * peershm_backing_open_control() - make the file of a region's control pages
 * @name: what /proc/PID/maps shows
 * @size: in bytes, a multiple of PAGE_SIZE
 */
struct file *peershm_backing_open_control(const char *name, size_t size)
{
	return open_file(&backings[SMALL], name, size);
}

/* What lies below it is accessible. Nothing is freed. */
static void set_size(struct file *file, u64 size)
{
	struct inode *inode = file_inode(file);

	inode_lock(inode);
	i_size_write(inode, size);
	inode_unlock(inode);
}

/*
 * To a smaller size, or the same: unmap and free what lies beyond. Page tables
 * that clients share go then, where hugetlb_fault() may just look at one.
 */
static int truncate(const struct backing *b, struct file *file,
		    struct rw_semaphore *tables_rwsem, u64 size)
{
	struct iattr attr = { .ia_valid = ATTR_SIZE, .ia_size = size };
	struct inode *inode = file_inode(file);
	int err;

	if (PEERSHM_FAULTS_LOOK_UNLOCKED && b->pool)
		down_write(tables_rwsem);
	inode_lock(inode);
	err = peershm_notify_change(file->f_path.dentry, &attr);
	inode_unlock(inode);
	if (PEERSHM_FAULTS_LOOK_UNLOCKED && b->pool)
		up_write(tables_rwsem);
	return err;
}

/*
 * The first step of a grow is short and each further one longer, so that a grow
 * that a timer interrupts again and again allocates something each time. If it was
 * interrupted a moment ago, it begins with a page: fallocate() gives back what it
 * has allocated when a signal comes, so a slow machine might never get to the end
 * of more. In a longer step several CPUs fill memory ahead of fallocate(); if a signal comes
 * before fallocate() gets there, what they filled is freed again. No step is
 * longer than AHEAD: memory pressure could swap out the first pages before
 * fallocate() gets there.
 */
#define FIRST_STEP (64 * PAGE_SIZE)
#define AHEAD SZ_32M

/* What one call of fallocate() allocates: all of it, or nothing. */
static u64 piece_of(const struct backing *b)
{
	return b->pool ? b->page_size :
			 max_t(u64, PEERSHM_ALLOC_PIECE, b->page_size);
}

static int allocate_step(const struct backing *b, struct file *file, u64 *start,
			 u64 end)
{
	u64 piece = piece_of(b);
	u64 length;
	int err;

	while (*start < end) {
		/* In newer kernels only a fatal signal interrupts tmpfs. */
		if (signal_pending(current))
			return -EINTR;
		length = min(end - *start, piece);
		err = vfs_fallocate(file, FALLOC_FL_KEEP_SIZE, *start, length);
		if (err)
			return err;
		if (!b->pool)
			peershm_fill(file, *start, *start + length);
		*start += length;
		cond_resched();
	}
	return 0;
}

static int allocate_steps(const struct backing *b, struct file *file,
			  u64 *start, u64 end, bool interrupted)
{
	u64 step = interrupted ? b->page_size :
				 max_t(u64, FIRST_STEP, b->page_size);
	u64 longest = max_t(u64, AHEAD, 2 * piece_of(b));
	bool ahead = !b->pool;
	int err = 0;
	u64 stop;

	while (!err && *start < end) {
		stop = min(end, *start + step);
		if (ahead)
			ahead = peershm_fill_ahead(file, *start, stop,
						   piece_of(b));
		err = allocate_step(b, file, start, stop);
		step = min(4 * step, longest);
	}
	return err;
}

/*
 * At the limit of the memory cgroup a grow fails, and no process is killed:
 * __GFP_RETRY_MAYFAIL does that. fallocate() takes the gfp mask of the file, so
 * that is changed for as long as the caller keeps others from changing the size.
 * Page faults that bring pages back from swap use the same mask meanwhile. A
 * process whose fault gets no memory because of that takes the fault again.
 */
static int allocate(const struct backing *b, struct file *file, u64 *start,
		    u64 end, bool interrupted)
{
	struct address_space *mapping = file->f_mapping;
	gfp_t gfp = mapping_gfp_mask(mapping);
	int err;

	if (!b->pool)
		mapping_set_gfp_mask(mapping, gfp | __GFP_RETRY_MAYFAIL |
					      __GFP_NOWARN);
	err = allocate_steps(b, file, start, end, interrupted);
	if (!b->pool)
		mapping_set_gfp_mask(mapping, gfp);
	/* What was filled ahead of it. */
	if (err && !b->pool)
		shmem_truncate_range(file_inode(file), *start, end - 1);
	return err;
}

/**
 * peershm_backing_grow() - allocate and zero memory, then make it accessible
 * @backing: kind
 * @file: of it
 * @tables_rwsem: held for writing while page tables of it are taken away
 * @old_size: its size
 * @ready: up to where memory is allocated, not less
 * @new_size: the size wanted
 * @interrupted: a grow of it was, a moment ago
 *
 * The memory is charged to the caller's memory cgroup. The caller keeps others
 * from changing the size. May sleep for as long as the zeroing takes. A signal
 * or task work ends it with -ERESTARTSYS: what is allocated by then stays, but
 * for a caller with a limit on file sizes, and the restarted call goes on from
 * there. On -ENOSPC nothing has changed. Any other error frees what lies beyond
 * the old size, that which lay ready, too.
 */
struct peershm_grown peershm_backing_grow(unsigned int backing, struct file *file,
					  struct rw_semaphore *tables_rwsem,
					  u64 old_size, u64 ready, u64 new_size,
					  bool interrupted)
{
	const struct backing *b = &backings[backing];
	struct peershm_grown grown = { .ready = ready };
	/*
	 * A limit on file sizes is not meant for memory, and would send
	 * SIGXFSZ. It is only looked at beyond the file's size. While that is
	 * larger, clients can write to what is being allocated: it must not
	 * stay as a reserve.
	 */
	bool limited = new_size > rlimit(RLIMIT_FSIZE);
	bool keep;

	if (new_size <= ready) {
		set_size(file, new_size);
		return grown;
	}
	grown.err = -ENOSPC;
	if (!charge(backing, new_size - ready))
		return grown;

	if (limited)
		set_size(file, new_size);
	grown.err = allocate(b, file, &grown.ready, new_size, interrupted);
	if (!grown.err) {
		set_size(file, new_size);
		return grown;
	}
	keep = grown.err == -EINTR && !limited && !fatal_signal_pending(current);
	if (!keep && !truncate(b, file, tables_rwsem, old_size)) {
		grown.ready = old_size;
		grown.freed = true;
	}
	uncharge(backing, new_size - grown.ready);
	if (grown.err == -EINTR)
		grown.err = -ERESTARTSYS;
	/* An empty pool of huge pages is out of memory, too. */
	if (grown.err == -ENOSPC)
		grown.err = -ENOMEM;
	return grown;
}

/**
 * peershm_backing_reserve() - allocate and zero memory beyond the size
 * @backing: kind
 * @file: of it
 * @ready: up to where it is allocated
 * @end: up to where it is to be; no more than PEERSHM_ALLOC_PIECE further, or a
 *       single page
 *
 * What has been allocated stays, also on an error. For a kernel thread, in which
 * no signal is ever pending. The caller keeps others from changing the size.
 */
int peershm_backing_reserve(unsigned int backing, struct file *file, u64 *ready, u64 end)
{
	int err;

	if (!charge(backing, end - *ready))
		return -ENOSPC;
	err = allocate(&backings[backing], file, ready, end, false);
	uncharge(backing, end - *ready);
	return err;
}

/**
 * peershm_backing_shrink() - unmap memory from every process and free it
 * @backing: kind
 * @file: of it
 * @tables_rwsem: held for writing while page tables of it are taken away
 * @old_size: its size, with what lies ready beyond it
 * @new_size: the size wanted, not larger
 *
 * Takes no process's mmap lock. The caller keeps others from changing the size.
 */
int peershm_backing_shrink(unsigned int backing, struct file *file,
			   struct rw_semaphore *tables_rwsem, u64 old_size,
			   u64 new_size)
{
	int err = truncate(&backings[backing], file, tables_rwsem, new_size);

	if (!err)
		uncharge(backing, old_size - new_size);
	return err;
}

/**
 * peershm_backing_release() - drop the region's reference to its memory
 * @backing: kind
 * @file: of it
 * @size: its size, with what lies ready beyond it
 */
void peershm_backing_release(unsigned int backing, struct file *file, u64 size)
{
	uncharge(backing, size);
	fput(file);
}

static int mount_backing(struct backing *b)
{
	struct file_system_type *type;
	struct vfsmount *mnt;
	char *options;

	if (!b->fs)
		return -ENODEV;
	type = get_fs_type(b->fs);
	if (!type)
		return -ENODEV;
	/* The parser writes into its options. */
	options = kstrdup(b->options, GFP_KERNEL);
	if (!options) {
		module_put(type->owner);
		return -ENOMEM;
	}
	mnt = vfs_kern_mount(type, 0, "peershm", options);
	kfree(options);
	module_put(type->owner);
	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	/* As the kernel's own mounts of these: no path leads here. */
	mnt->mnt_sb->s_flags |= SB_NOUSER;
	b->mnt = mnt;
	return 0;
}

int peershm_backing_init(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < PEERSHM_NR_BACKINGS; i++) {
		err = mount_backing(&backings[i]);
		/* A machine may be without some huge page size, not small. */
		if (err && (i == SMALL || err == -ENOMEM)) {
			peershm_backing_exit();
			return err;
		}
	}
	return 0;
}

void peershm_backing_exit(void)
{
	unsigned int i;

	for (i = 0; i < PEERSHM_NR_BACKINGS; i++) {
		if (backings[i].mnt)
			kern_unmount(backings[i].mnt);
		backings[i].mnt = NULL;
	}
}
