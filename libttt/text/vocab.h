/* The tables of a tokenizer: byte strings to ids, pairs of ids to merges, the GPT-2 byte alphabet. Private. */
#ifndef TTT_TEXT_VOCAB_H
#define TTT_TEXT_VOCAB_H
#include "libttt/base.h"

/* A hash of n bytes that spreads well; for tables in memory, never written to a file. */
uint64_t ttt__hash(const void *p, size_t n);

/* Byte strings to numbers >= 0. The strings are borrowed. Zero-initialise. */
struct ttt__names {
	struct ttt__name {
		const unsigned char *p; /* NULL: an empty slot */
		uint32_t n;
		int32_t value;
	} *slot;
	size_t n, capacity; /* capacity: 0 or a power of two, more than n */
};
/* Room for n strings in all. */
enum ttt_status ttt__names_reserve(struct ttt__names *t, size_t n, struct ttt_error *err);
/* Enter a string; false, and nothing changed, when it is there already. Room must have been reserved. */
bool ttt__names_add(struct ttt__names *t, const void *p, size_t n, int32_t value);
/* Its number, or -1. */
int32_t ttt__names_find(const struct ttt__names *t, const void *p, size_t n);
void ttt__names_free(struct ttt__names *t);

/* Pairs of ids to what they merge into. Zero-initialise. */
struct ttt__merge {
	uint64_t pair; /* left id << 32 | right id */
	int32_t rank;  /* lower goes first; -1: an empty slot */
	int32_t id;
};
struct ttt__merges {
	struct ttt__merge *slot;
	size_t n, capacity;
};
enum ttt_status ttt__merges_reserve(struct ttt__merges *t, size_t n, struct ttt_error *err);
/* Enter a merge; the last one entered for a pair counts. Room must have been reserved. */
void ttt__merges_add(struct ttt__merges *t, int32_t left, int32_t right, int32_t rank, int32_t id);
/* NULL: the pair does not merge. */
const struct ttt__merge *ttt__merges_find(const struct ttt__merges *t, int32_t left, int32_t right);
void ttt__merges_free(struct ttt__merges *t);

/* The alphabet in which byte-level tokenizers write bytes: printable Latin-1 stands for itself, the other 68 bytes, in
 * order, are U+0100 to U+0143. Writes byte's character as UTF-8 (out of 2 or more bytes), returns its length. */
size_t ttt__byte_letter(unsigned char byte, char *out);
/* Token text [n] in that alphabet to bytes (out of n or more bytes), their number in *n_out; false when it is not of
 * it. */
bool ttt__letters_to_bytes(const char *text, size_t n, unsigned char *out, size_t *n_out);

/* Length of the UTF-8 character that begins the n > 0 bytes at p; 0: not UTF-8; -1: a beginning of one that is cut
 * off. */
int ttt__utf8_length(const unsigned char *p, size_t n);

#endif
