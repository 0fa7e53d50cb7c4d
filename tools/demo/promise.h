/* SPDX-License-Identifier: GPL-2.0-only */
/* Claims that the demo checks: they are counted, and those that were false are printed at the end. */
#ifndef DEMO_PROMISE_H
#define DEMO_PROMISE_H

#include <stdbool.h>

bool promise(bool kept, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints the outcome. True: the story was told to its end, and every promise was kept. */
bool promise_verdict(bool told);

#endif /* DEMO_PROMISE_H */
