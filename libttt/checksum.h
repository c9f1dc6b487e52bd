/* BLAKE2b-256 as 64 hexadecimal digits. Private. */
#ifndef TTT_CHECKSUM_H
#define TTT_CHECKSUM_H
#include <blake2.h>
#include "libttt/base.h"

struct ttt__checksum {
	blake2b_state state;
};

void ttt__checksum_start(struct ttt__checksum *c);
void ttt__checksum_add(struct ttt__checksum *c, const void *p, size_t n);
void ttt__checksum_end(struct ttt__checksum *c, char hex[65]);
void ttt__checksum_of(char hex[65], const void *p, size_t n);
/* 64 digits of 0-9a-f and nothing else. */
bool ttt__checksum_valid(const char *hex);

#endif
