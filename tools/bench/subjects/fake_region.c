/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A region on a device that is none, so that the bench needs no module. */
#include "../../../tests/unit/fake_device.h"

#include "sections.h"

PEERSHM_API struct peershm *bench_open(void)
{
	struct peershm_options options = { .capacity = 1 << 30 };
	struct peershm *handle = NULL;

	pshm_system = &fake_system;
	return peershm_open(&handle, "bench", "bench", PEERSHM_CREATE, &options) ? NULL : handle;
}
