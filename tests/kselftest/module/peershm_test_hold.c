// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests alone: hold the mmap lock of a process. Who writes "PID MS" to
 * /dev/peershm_test_hold holds it for writing, for so many milliseconds or until
 * it is killed. `held` counts the locks that are held now.
 */
#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/uaccess.h>

static atomic_t held = ATOMIC_INIT(0);

static int held_get(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%d\n", atomic_read(&held));
}

static const struct kernel_param_ops held_ops = {
	.get = held_get,
};
module_param_cb(held, &held_ops, NULL, 0444);
MODULE_PARM_DESC(held, "locks that are held now");

static struct mm_struct *mm_of(int nr)
{
	struct pid *pid = find_get_pid(nr);
	struct task_struct *task = get_pid_task(pid, PIDTYPE_TGID);
	struct mm_struct *mm = NULL;

	if (task) {
		mm = get_task_mm(task);
		put_task_struct(task);
	}
	put_pid(pid);
	return mm;
}

static ssize_t hold_write(struct file *file, const char __user *user,
			  size_t count, loff_t *pos)
{
	struct mm_struct *mm;
	unsigned int ms;
	char text[32];
	int nr;

	if (count >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, user, count))
		return -EFAULT;
	text[count] = '\0';
	if (sscanf(text, "%d %u", &nr, &ms) != 2)
		return -EINVAL;
	mm = mm_of(nr);
	if (!mm)
		return -ESRCH;
	if (mmap_write_lock_killable(mm)) {
		mmput(mm);
		return -EINTR;
	}
	atomic_inc(&held);
	schedule_timeout_killable(msecs_to_jiffies(ms));
	atomic_dec(&held);
	mmap_write_unlock(mm);
	mmput(mm);
	return count;
}

static const struct file_operations hold_fops = {
	.owner = THIS_MODULE,
	.write = hold_write,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "peershm_test_hold",
	.fops = &hold_fops,
	.mode = 0600,
};

module_misc_device(device);

MODULE_DESCRIPTION("Holds the mmap lock of a process, for the tests of peershm");
MODULE_LICENSE("GPL");
