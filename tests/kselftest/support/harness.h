/* SPDX-License-Identifier: GPL-2.0-only */
/* All that a test of the device needs. */
#ifndef PEERSHM_TEST_HARNESS_H
#define PEERSHM_TEST_HARNESS_H

#include "test.h"

#include "backing.h"
#include "case.h"
#include "device.h"
#include "memory.h"
#include "peer.h"
#include "snapshot.h"

#endif
