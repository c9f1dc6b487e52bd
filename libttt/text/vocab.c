#include "libttt/text/vocab.h"

#include <stdlib.h>
#include <string.h>

uint64_t
ttt__hash(const void *p, size_t n)
{
	const unsigned char *s = p;
	uint64_t h = 0x9e3779b97f4a7c15u ^ n, word;
	for (; n >= 8; s += 8, n -= 8) {
		memcpy(&word, s, 8);
		h = (h ^ word) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
	}
	word = 0;
	if (n > 0)
		memcpy(&word, s, n);
	h = (h ^ word) * 0xff51afd7ed558ccdu;
	h ^= h >> 32;
	h *= 0xc4ceb9fe1a85ec53u;
	return h ^ h >> 29;
}

/* The smallest power of two that n entries fill to two thirds at most; 0 when there is none. */
static size_t
capacity_for(size_t n)
{
	size_t capacity = 16;
	while (capacity / 3 * 2 < n)
		if (!ttt__size_mul(&capacity, capacity, 2))
			return 0;
	return capacity;
}

enum ttt_status
ttt__names_reserve(struct ttt__names *t, size_t n, struct ttt_error *err)
{
	size_t capacity = capacity_for(n);
	if (capacity != 0 && capacity <= t->capacity)
		return TTT_OK;
	struct ttt__names grown = { .capacity = capacity };
	grown.slot = capacity == 0 ? NULL : ttt__new(capacity, sizeof *grown.slot);
	if (grown.slot == NULL)
		return ttt__fail_memory(err, "vocabulary");
	for (size_t i = 0; i < t->capacity; i++)
		if (t->slot[i].p != NULL)
			ttt__names_add(&grown, t->slot[i].p, t->slot[i].n, t->slot[i].value);
	free(t->slot);
	*t = grown;
	return TTT_OK;
}

/* The slot that holds the string, or the empty one where it belongs. */
static struct ttt__name *
name_slot(const struct ttt__names *t, const void *p, size_t n)
{
	size_t i = ttt__hash(p, n) & (t->capacity - 1);
	while (t->slot[i].p != NULL && (t->slot[i].n != n || (n > 0 && memcmp(t->slot[i].p, p, n) != 0)))
		i = (i + 1) & (t->capacity - 1);
	return &t->slot[i];
}

bool
ttt__names_add(struct ttt__names *t, const void *p, size_t n, int32_t value)
{
	struct ttt__name *slot = name_slot(t, p, n);
	if (slot->p != NULL)
		return false;
	*slot = (struct ttt__name){ .p = p, .n = (uint32_t)n, .value = value };
	t->n++;
	return true;
}

int32_t
ttt__names_find(const struct ttt__names *t, const void *p, size_t n)
{
	if (t->capacity == 0)
		return -1;
	const struct ttt__name *slot = name_slot(t, p, n);
	return slot->p == NULL ? -1 : slot->value;
}

void
ttt__names_free(struct ttt__names *t)
{
	free(t->slot);
	*t = (struct ttt__names){ 0 };
}

enum ttt_status
ttt__merges_reserve(struct ttt__merges *t, size_t n, struct ttt_error *err)
{
	ttt__merges_free(t);
	t->capacity = capacity_for(n);
	t->slot = t->capacity == 0 ? NULL : ttt__new(t->capacity, sizeof *t->slot);
	if (t->slot == NULL) {
		t->capacity = 0;
		return ttt__fail_memory(err, "merges");
	}
	for (size_t i = 0; i < t->capacity; i++)
		t->slot[i].rank = -1;
	return TTT_OK;
}

static struct ttt__merge *
merge_slot(const struct ttt__merges *t, int32_t left, int32_t right)
{
	uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right, h = pair * 0x9e3779b97f4a7c15u;
	size_t i = (h ^ h >> 32) & (t->capacity - 1);
	while (t->slot[i].rank >= 0 && t->slot[i].pair != pair)
		i = (i + 1) & (t->capacity - 1);
	return &t->slot[i];
}

void
ttt__merges_add(struct ttt__merges *t, int32_t left, int32_t right, int32_t rank, int32_t id)
{
	struct ttt__merge *slot = merge_slot(t, left, right);
	t->n += slot->rank < 0;
	slot->pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
	slot->rank = rank;
	slot->id = id;
}

const struct ttt__merge *
ttt__merges_find(const struct ttt__merges *t, int32_t left, int32_t right)
{
	const struct ttt__merge *slot = merge_slot(t, left, right);
	return slot->rank < 0 ? NULL : slot;
}

void
ttt__merges_free(struct ttt__merges *t)
{
	free(t->slot);
	*t = (struct ttt__merges){ 0 };
}

static bool
byte_is_printable(unsigned c)
{
	return (c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff);
}

/* The bytes that do not stand for themselves: 0x00-0x20, 0x7f-0xa0, 0xad, in this order from U+0100. */
size_t
ttt__byte_letter(unsigned char byte, char *out)
{
	unsigned c = byte;
	if (!byte_is_printable(c))
		c = 0x100 + (byte <= 0x20 ? byte : byte <= 0xa0 ? byte - 0x7fu + 0x21 : 0x43u);
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	out[0] = (char)(0xc0 | c >> 6);
	out[1] = (char)(0x80 | (c & 0x3f));
	return 2;
}

bool
ttt__letters_to_bytes(const char *text, size_t n, unsigned char *out, size_t *n_out)
{
	size_t count = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned c = (unsigned char)text[i];
		if (c >= 0xe0)
			return false;
		if (c >= 0xc0 && i + 1 < n)
			c = (c & 0x1f) << 6 | ((unsigned char)text[++i] & 0x3f);
		if (c < 0x100 ? !byte_is_printable(c) : c > 0x143)
			return false;
		if (c >= 0x100)
			c = c <= 0x120 ? c - 0x100 : c <= 0x142 ? c - 0x121 + 0x7f : 0xad;
		out[count++] = (unsigned char)c;
	}
	*n_out = count;
	return true;
}

int
ttt__utf8_length(const unsigned char *p, size_t n)
{
	unsigned c = p[0], low = 0x80, high = 0xbf;
	int length;
	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	length = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	/* What the first byte leaves open to the second: no overlong forms, no surrogates, nothing past U+10FFFF. */
	if (c == 0xe0)
		low = 0xa0;
	else if (c == 0xed)
		high = 0x9f;
	else if (c == 0xf0)
		low = 0x90;
	else if (c == 0xf4)
		high = 0x8f;
	for (int i = 1; i < length; i++, low = 0x80, high = 0xbf) {
		if ((size_t)i >= n)
			return -1;
		if (p[i] < low || p[i] > high)
			return 0;
	}
	return length;
}
