/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PEERSHM_DEVICE_H
#define PEERSHM_DEVICE_H

int peershm_device_init(void);
void peershm_device_exit(void);

#endif /* PEERSHM_DEVICE_H */
