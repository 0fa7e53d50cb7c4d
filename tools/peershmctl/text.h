/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names come from other users, and may hold any bytes but '/' and the control characters of
 * ASCII: what is no UTF-8 makes JSON invalid, and a terminal obeys the controls of UTF-8 (C1).
 */
#ifndef PEERSHMCTL_TEXT_H
#define PEERSHMCTL_TEXT_H

/*
 * The text with each byte that is not part of a printable character as "\xNN", and a backslash,
 * too, so that `printf %b` gives the text again. The locale's encoding is to be UTF-8. The caller
 * frees it; NULL without memory.
 */
char *text_escape(const char *text);

#endif /* PEERSHMCTL_TEXT_H */
