/* SPDX-License-Identifier: GPL-2.0-only */
/* What must turn out true: each one is counted, and those that did not are told at the end. */
#ifndef DEMO_PROMISE_H
#define DEMO_PROMISE_H

#include <stdbool.h>

bool promise(bool kept, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Say how it went, if need be of a story that broke off; true if all was told and kept. */
bool promise_verdict(bool told);

#endif /* DEMO_PROMISE_H */
