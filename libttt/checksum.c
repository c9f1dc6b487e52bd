#include "libttt/checksum.h"

#include <string.h>

enum { N_BYTE = 32 };

void
ttt__checksum_start(struct ttt__checksum *c)
{
	(void)blake2b_init(&c->state, N_BYTE); /* fails for impossible lengths only */
}

void
ttt__checksum_add(struct ttt__checksum *c, const void *p, size_t n)
{
	if (n > 0)
		(void)blake2b_update(&c->state, p, n);
}

void
ttt__checksum_end(struct ttt__checksum *c, char hex[65])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char out[N_BYTE];

	(void)blake2b_final(&c->state, out, N_BYTE);
	for (size_t i = 0; i < N_BYTE; i++) {
		hex[2 * i] = digits[out[i] >> 4];
		hex[2 * i + 1] = digits[out[i] & 15];
	}
	hex[64] = '\0';
}

void
ttt__checksum_of(char hex[65], const void *p, size_t n)
{
	struct ttt__checksum c;

	ttt__checksum_start(&c);
	ttt__checksum_add(&c, p, n);
	ttt__checksum_end(&c, hex);
}

bool
ttt__checksum_valid(const char *hex)
{
	return strlen(hex) == 64 && strspn(hex, "0123456789abcdef") == 64;
}
