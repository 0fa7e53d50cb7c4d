/* SPDX-License-Identifier: GPL-2.0-only */
/* A region on the unit tests' fake device, so that measuring read sections needs no module. */
#include "../../../tests/unit/fake_device.h"

#include "sections.h"

PEERSHM_API struct peershm *bench_open(void)
{
	struct peershm_options options = { .capacity = 1 << 30 };
	struct peershm *handle = NULL;

	pshm_system = &fake_system;
	return peershm_open(&handle, "bench", "bench", PEERSHM_CREATE, &options) ? NULL : handle;
}
