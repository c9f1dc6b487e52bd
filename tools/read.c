/* Reading a stream to its end. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "tools/tool.h"

enum { BLOCK = 65536 };

char *
tool_read_all(FILE *f, size_t *n)
{
	size_t capacity = 0;
	char *text = NULL;

	for (*n = 0;;) {
		if (capacity - *n < 2) {
			char *grown = capacity > SIZE_MAX / 2 - BLOCK ? NULL : realloc(text, 2 * capacity + BLOCK);

			if (grown == NULL) {
				free(text);
				errno = ENOMEM;
				return NULL;
			}
			text = grown;
			capacity = 2 * capacity + BLOCK;
		}
		size_t got = fread(text + *n, 1, capacity - *n - 1, f);

		*n += got;
		if (got == 0)
			break;
	}
	text[*n] = '\0';
	if (ferror(f)) {
		free(text);
		return NULL;
	}
	return text;
}
