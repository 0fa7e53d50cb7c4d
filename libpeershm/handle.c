/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handles: checking one, and what it knows without asking the kernel. */
#include <errno.h>

#include "internal.h"

static int check(const struct peershm *handle)
{
	if (!handle)
		return pshm_fail(-EINVAL, "the handle is NULL");
	if (handle->epoch != pshm_process_epoch() && handle->reattach_error)
		return pshm_fail(-ENOTCONN,
				 "this child of fork could not attach again to region %s: %s",
				 handle->region_name, pshm_sentence(-handle->reattach_error));
	if (handle->epoch != pshm_process_epoch())
		return pshm_fail(-ENOTCONN,
				 "the handle was opened by the parent of this process: open the "
				 "region after fork() and daemon(), or with PEERSHM_REATTACH");
	return 0;
}

static int check_window(const struct peershm *handle)
{
	int err = check(handle);

	if (!err && !handle->header)
		err = pshm_fail(-ENOTCONN,
				"the handle was opened without a client name and has no window");
	return err;
}

int pshm_handle_check(const struct peershm *handle)
{
	pshm_forget();
	return check(handle);
}

int pshm_handle_check_window(const struct peershm *handle)
{
	pshm_forget();
	return check_window(handle);
}

/* For functions that return a pointer or a size: sets errno if it returns false. */
bool pshm_handle_usable(const struct peershm *handle)
{
	int err = check(handle);

	if (err)
		errno = -err;
	return !err;
}

static bool has_window(const struct peershm *handle)
{
	int err = check_window(handle);

	if (err)
		errno = -err;
	return !err;
}

PEERSHM_API void *peershm_base(const struct peershm *handle)
{
	return has_window(handle) ? (void *)(uintptr_t)handle->base : NULL;
}

PEERSHM_API uint64_t peershm_capacity(const struct peershm *handle)
{
	return pshm_handle_usable(handle) ? handle->capacity : 0;
}

PEERSHM_API uint64_t peershm_page_size(const struct peershm *handle)
{
	return pshm_handle_usable(handle) ? handle->page_size : 0;
}

PEERSHM_API uint64_t peershm_client_id(const struct peershm *handle)
{
	return pshm_handle_usable(handle) ? handle->client_id : 0;
}

PEERSHM_API const char *peershm_client_name(const struct peershm *handle)
{
	return pshm_handle_usable(handle) && handle->client_id ? handle->client_name : NULL;
}

PEERSHM_API const struct peershm_header *peershm_header(const struct peershm *handle)
{
	return has_window(handle) ? handle->header : NULL;
}
