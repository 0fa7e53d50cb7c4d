/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mapping a handle's control pages, and making what its read sections need. */
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <stdlib.h>

#include "control.h"

static pthread_mutex_t control_lock = PTHREAD_MUTEX_INITIALIZER;

void pshm_control_lock(void)
{
	pthread_mutex_lock(&control_lock);
}

void pshm_control_unlock(void)
{
	pthread_mutex_unlock(&control_lock);
}

/* The index of this client's entry in the header. */
static int own_entry(const struct peershm *handle, uint32_t *entry)
{
	struct peershm_header_client client;

	for (uint32_t i = 0;; i++) {
		int live = pshm_header_client(handle->header, handle->header_length, i, &client);

		if (live == -ENOENT)
			return pshm_fail(-ENOTCONN, "no part of the window is mapped any more");
		if (live < 0)
			return pshm_fail(live, NULL);
		if (live && client.id == handle->client_id) {
			*entry = i;
			return 0;
		}
	}
}

/* The caller holds the lock. */
static int make_sections(struct peershm *handle)
{
	struct peershm_header header;
	struct pshm_sections *s;
	int err;

	if (handle->sections)
		return 0;
	err = pshm_header_read(handle->header, handle->header_length, &header);
	if (err)
		return pshm_fail(err, NULL);
	s = pshm_alloc(sizeof(*s));
	if (!s)
		return pshm_fail(-ENOMEM, NULL);
	s->page_length = handle->control_length / (1 + (size_t)header.max_clients);
	s->slot_taken = pshm_alloc(pshm_control_slots(s) * sizeof(*s->slot_taken));
	if (!s->slot_taken || pshm_control_slots(s) <= FIRST_OWN_SLOT) {
		err = s->slot_taken ? -EIO : -ENOMEM;
		free(s->slot_taken);
		free(s);
		return pshm_fail(err, NULL);
	}
	pthread_mutex_init(&s->shared.lock, NULL);
	handle->sections = s;
	return 0;
}

static int map_own_failed(int err, const struct peershm *handle)
{
	if (err == -EACCES && handle->read_only)
		return pshm_fail(err,
				 "this process may open %s for reading only, so it cannot write to "
				 "its control page that it is in a read section",
				 PEERSHM_DEVICE);
	return pshm_fail(err, NULL);
}

/* The caller holds the lock. Readers need this client's own page. */
int pshm_control_map_own(struct peershm *handle)
{
	struct pshm_sections *s;
	struct pshm_page_start *start;
	uint32_t entry = 0;
	void *map;
	int err;

	err = make_sections(handle);
	s = handle->sections;
	if (err || s->own_page)
		return err;
	err = own_entry(handle, &entry);
	if (err)
		return err;
	err = pshm_device_map_control(handle->fd, (1 + (uint64_t)entry) * s->page_length,
				      s->page_length, true, &map);
	if (err)
		return map_own_failed(err, handle);
	s->uses_fences = pshm_membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED) != 0;
	start = map;
	__atomic_store_n(&start->mode, s->uses_fences ? MODE_FENCE : MODE_BARRIER,
			 __ATOMIC_RELAXED);
	s->own_page = map;
	return 0;
}

/* Takes the lock. Waiters need every client's page. */
int pshm_control_map_all(struct peershm *handle)
{
	struct pshm_sections *s;
	void *map;
	int err;

	pshm_control_lock();
	err = make_sections(handle);
	s = handle->sections;
	if (!err && !s->all_pages) {
		err = pshm_device_map_control(handle->fd, 0, handle->control_length, true, &map);
		if (err)
			pshm_fail(err, NULL);
		else
			s->all_pages = map;
	}
	pshm_control_unlock();
	return err;
}

void pshm_control_close(struct peershm *handle)
{
	struct pshm_sections *s = handle->sections;

	handle->sections = NULL;
	/* A child of fork has no mapping of them. */
	if (handle->epoch == pshm_process_epoch()) {
		pshm_device_unmap_control(s->own_page, s->page_length);
		pshm_device_unmap_control(s->all_pages, handle->control_length);
	}
	free(s->slot_taken);
	free(s);
}
