/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes that peershmctl reads and writes. */
#include <stdlib.h>
#include <string.h>

#include "../../../tools/peershmctl/size.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	char written[SIZE_TEXT];
	uint64_t bytes, again;

	if (!text)
		return 0;
	if (size_parse(text, &bytes)) {
		size_format(bytes, written);
		if (strnlen(written, sizeof(written)) == sizeof(written))
			abort();
		/* what was written can be read again, and differs by rounding at most */
		if (size_parse(written, &again) &&
		    (again > bytes ? again - bytes : bytes - again) > bytes / 100)
			abort();
	}
	free(text);
	return 0;
}
