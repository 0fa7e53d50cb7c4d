// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open files of the device: which client a file stands for, which region a
 * command through it is for, and the events that are read from it.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include "device/file.h"
#include "registry/client.h"
#include "registry/directory.h"
#include "registry/event.h"
#include "registry/region.h"
#include "types.h"

/**
 * peershm_file_attached() - the region that the caller is attached to
 * @pf: through which file
 * @failure: says why not
 * @mask: what it means to do there, MAY_READ, MAY_WRITE or both
 * @client: set to the caller's client, a reference
 *
 * Returns: a reference to it, -ENOTCONN or -EACCES.
 */
struct peershm_region *peershm_file_attached(struct peershm_file *pf,
					     struct peershm_failure *failure,
					     int mask,
					     struct peershm_client **client)
{
	struct peershm_client *found = peershm_client_of(pf);
	struct peershm_region *region;

	if (!found)
		return ERR_PTR(-ENOTCONN);
	region = found->region;
	spin_lock(&region->registry_lock);
	if (found->mm != current->mm || !found->live)
		region = ERR_PTR(-ENOTCONN);
	else if (mask & MAY_WRITE && found->flags & PEERSHM_CLIENT_READ_ONLY)
		region = ERR_PTR(peershm_fail(failure, -EACCES,
					      PEERSHM_REASON_CLIENT_READ_ONLY,
					      0));
	else	/* A live client has a window, which is a user of the region. */
		peershm_region_get(region);
	spin_unlock(&found->region->registry_lock);
	if (IS_ERR(region))
		peershm_client_put(found);
	else
		*client = found;
	return region;
}

/* The calling process as a client of @region: a reference, or NULL. */
static struct peershm_client *acting_client(struct peershm_file *pf,
					    const struct peershm_region *region)
{
	struct peershm_client *client = peershm_client_of(pf);

	if (!client)
		return NULL;
	if (client->region == region && client->mm == current->mm &&
	    peershm_client_live(client))
		return client;
	peershm_client_put(client);
	return NULL;
}

/**
 * peershm_file_region() - the region that a command is for
 * @pf: through which file
 * @failure: says why not
 * @name: of the region; empty or NULL: it is given by @id
 * @id: of the region; 0: the one that the file is attached to
 * @access: what the caller means to do
 * @client: set to the calling process as a client of the region, a reference;
 *          NULL: the file does not make it one
 *
 * Returns: a reference, -ENOENT, -ENOTCONN or -EACCES.
 */
struct peershm_region *peershm_file_region(struct peershm_file *pf,
					   struct peershm_failure *failure,
					   const char *name, u64 id,
					   enum peershm_access access,
					   struct peershm_client **client)
{
	static const int masks[] = {
		[PEERSHM_ACCESS_READ] = MAY_READ,
		[PEERSHM_ACCESS_WRITE] = MAY_WRITE,
		[PEERSHM_ACCESS_OWNER] = 0,
	};
	bool by_name = name && name[0];
	struct peershm_region *region;

	if (access != PEERSHM_ACCESS_READ && !peershm_file_writable(pf))
		return ERR_PTR(peershm_fail(failure, -EACCES,
					    PEERSHM_REASON_DEVICE_READ_ONLY,
					    0));
	if (!by_name && !id)
		return peershm_file_attached(pf, failure, masks[access],
					     client);
	region = peershm_directory_find(name, by_name ? 0 : id, masks[access],
					failure);
	if (IS_ERR(region))
		return region;
	if (access == PEERSHM_ACCESS_OWNER && !peershm_region_owned(region)) {
		peershm_region_put(region);
		return ERR_PTR(peershm_fail(failure, -EACCES,
					    PEERSHM_REASON_NOT_OWNER, 0));
	}
	*client = acting_client(pf, region);
	return region;
}

int peershm_file_open(struct inode *inode, struct file *file)
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

int peershm_file_release(struct inode *inode, struct file *file)
{
	struct peershm_file *pf = file->private_data;
	struct peershm_region *watched = pf->reader.region;

	if (pf->client) {
		peershm_event_disconnect(pf->client->region, &pf->reader);
		peershm_client_put(pf->client);
	}
	peershm_event_reader_free(&pf->reader);
	if (watched)
		peershm_region_put_struct(watched);
	kfree(pf);
	return 0;
}

/*
 * Run @f under the lock of the file and the registry lock of the region whose
 * events the caller reads through it; -ENOTCONN if it reads none.
 */
static int with_source(struct peershm_file *pf,
		       int (*f)(struct peershm_region *region,
				struct peershm_event_reader *reader,
				struct peershm_event_step *step),
		       struct peershm_event_step *step)
{
	struct peershm_client *client;
	struct peershm_region *region;
	int ret = -ENOTCONN;
	bool mine;

	spin_lock(&pf->lock);
	client = pf->client;
	region = client ? client->region : pf->reader.region;
	if (region) {
		spin_lock(&region->registry_lock);
		/* A kernel thread may poll for the task that asked it to. */
		if (client)
			mine = client->live &&
			       (!current->mm || client->mm == current->mm);
		else
			mine = !current->mm || pf->reader.mm == current->mm;
		if (mine)
			ret = f(region, &pf->reader, step);
		spin_unlock(&region->registry_lock);
	}
	spin_unlock(&pf->lock);
	return ret;
}

static __poll_t readiness(struct peershm_file *pf)
{
	int mask = with_source(pf, peershm_event_readiness_locked, NULL);

	return mask < 0 ? EPOLLERR : (__force __poll_t)mask;
}

static size_t copy_record(const struct peershm_event_step *step,
			  struct iov_iter *to)
{
	size_t known = step->event.size;
	size_t copied = copy_to_iter(&step->event, known, to);

	if (copied == known)
		copied += iov_iter_zero(step->size - known, to);
	return copied;
}

/* Read as many whole records as fit. An error loses no record. */
static ssize_t read_records(struct peershm_file *pf, struct iov_iter *to,
			    bool wait)
{
	struct peershm_event_step step;
	ssize_t done = 0, ret = 0;
	size_t copied;

	/* Another thread may have it while it waits for its buffer. */
	if (!mutex_trylock(&pf->reader.read_mutex)) {
		if (!wait)
			return -EAGAIN;
		if (mutex_lock_interruptible(&pf->reader.read_mutex))
			return -ERESTARTSYS;
	}
	while ((ret = with_source(pf, peershm_event_peek_locked, &step)) > 0) {
		if (iov_iter_count(to) < step.size) {
			ret = -EINVAL;
			break;
		}
		copied = copy_record(&step, to);
		if (copied < step.size) {
			iov_iter_revert(to, copied);
			ret = -EFAULT;
			break;
		}
		with_source(pf, peershm_event_take_locked, &step);
		done += step.size;
	}
	mutex_unlock(&pf->reader.read_mutex);
	return done ?: ret;
}

ssize_t peershm_file_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct peershm_file *pf = iocb->ki_filp->private_data;
	bool wait = !(iocb->ki_filp->f_flags & O_NONBLOCK ||
		      iocb->ki_flags & IOCB_NOWAIT);
	ssize_t ret;

	if (iov_iter_count(to) <
	    max(READ_ONCE(pf->reader.record_size), PEERSHM_EVENT_LEAST))
		return readiness(pf) & EPOLLERR ? -ENOTCONN : -EINVAL;
	while ((ret = read_records(pf, to, wait)) == -EAGAIN && wait) {
		if (wait_event_interruptible(pf->reader.wait, readiness(pf)))
			return -ERESTARTSYS;
	}
	return ret;
}

__poll_t peershm_file_poll(struct file *file, struct poll_table_struct *table)
{
	struct peershm_file *pf = file->private_data;

	poll_wait(file, &pf->reader.wait, table);
	return readiness(pf);
}
