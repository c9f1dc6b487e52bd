#include "config.h"

#include "libttt/base.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0"
#endif

const char *
ttt_version(void)
{
	return PACKAGE_VERSION;
}

/* vsnprintf, but of a sentence too long the middle is "...", since it ends with what failed and why; never inside a UTF-8 character. */
static void write_text(char *out, size_t capacity, const char *fmt, va_list args) TTT_PRINTF(3, 0);

static void
write_text(char *out, size_t capacity, const char *fmt, va_list args)
{
	va_list again;
	va_copy(again, args);
	int n = vsnprintf(out, capacity, fmt, args);
	char *whole = NULL;
	if (n < 0)
		out[0] = '\0';
	if (n >= 0 && (size_t)n >= capacity && vasprintf(&whole, fmt, again) >= 0) {
		size_t end = capacity / 2, from = (size_t)n - (capacity - end - 4);
		while (end > 0 && ((unsigned char)whole[end] & 0xc0) == 0x80)
			end--;
		while (((unsigned char)whole[from] & 0xc0) == 0x80)
			from++;
		memcpy(out + end, "...", 3);
		memcpy(out + end + 3, whole + from, (size_t)n - from + 1);
		free(whole);
	}
	va_end(again);
}

enum ttt_status
ttt__fail(struct ttt_error *err, enum ttt_status status, const char *fmt, ...)
{
	if (err == NULL)
		return status;
	va_list args;
	char text[sizeof err->text]; /* an argument may be err->text itself */
	va_start(args, fmt);
	write_text(text, sizeof text, fmt, args);
	va_end(args);
	memcpy(err->text, text, sizeof text);
	err->hint[0] = '\0';
	err->status = status;
	return status;
}

enum ttt_status
ttt__hint(struct ttt_error *err, enum ttt_status status, const char *fmt, ...)
{
	if (err == NULL)
		return status;
	va_list args;
	char hint[sizeof err->hint];
	va_start(args, fmt);
	write_text(hint, sizeof hint, fmt, args);
	va_end(args);
	memcpy(err->hint, hint, sizeof hint);
	return status;
}

bool
ttt__size_mul(size_t *out, size_t a, size_t b)
{
	size_t c;
	if (__builtin_mul_overflow(a, b, &c))
		return false;
	*out = c;
	return true;
}

bool
ttt__size_add(size_t *out, size_t a, size_t b)
{
	size_t c;
	if (__builtin_add_overflow(a, b, &c))
		return false;
	*out = c;
	return true;
}

bool
ttt__i64_mul(int64_t *out, int64_t a, int64_t b)
{
	int64_t c;
	if (__builtin_mul_overflow(a, b, &c))
		return false;
	*out = c;
	return true;
}

bool
ttt__i64_add(int64_t *out, int64_t a, int64_t b)
{
	int64_t c;
	if (__builtin_add_overflow(a, b, &c))
		return false;
	*out = c;
	return true;
}

void *
ttt__new(size_t n, size_t size)
{
	/* One byte at least, so that NULL always means that there was no memory. */
	size_t bytes;
	if (!ttt__size_mul(&bytes, n, size))
		return NULL;
	return calloc(bytes > 0 ? bytes : 1, 1);
}

void *
ttt__grow(void *p, size_t n, size_t size)
{
	size_t bytes;
	if (!ttt__size_mul(&bytes, n, size))
		return NULL;
	return realloc(p, bytes > 0 ? bytes : 1);
}

void
ttt__plain_numbers_begin(struct ttt__plain_numbers *n)
{
	n->plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
	n->before = uselocale(n->plain); /* (locale_t)0 changes nothing */
}

void
ttt__plain_numbers_end(struct ttt__plain_numbers *n)
{
	(void)uselocale(n->before);
	if (n->plain != (locale_t)0)
		freelocale(n->plain);
}

enum ttt_status
ttt__bytes_add(struct ttt__bytes *b, const void *p, size_t n, struct ttt_error *err)
{
	if (n == 0)
		return TTT_OK;
	size_t need;
	if (!ttt__size_add(&need, b->n, n))
		return ttt__fail_memory(err, "bytes");
	if (need > b->capacity) {
		size_t capacity = b->capacity < 64 ? 64 : b->capacity;
		while (capacity < need)
			if (!ttt__size_mul(&capacity, capacity, 2))
				capacity = need;
		unsigned char *grown = ttt__grow(b->p, capacity, 1);
		if (grown == NULL)
			return ttt__fail_memory(err, "bytes");
		b->p = grown;
		b->capacity = capacity;
	}
	memcpy(b->p + b->n, p, n);
	b->n = need;
	return TTT_OK;
}

void
ttt__bytes_free(struct ttt__bytes *b)
{
	free(b->p);
	*b = (struct ttt__bytes){ 0 };
}

enum ttt_status
ttt__ids_add(struct ttt_ids *v, int32_t id, struct ttt_error *err)
{
	if (v->n == v->capacity) {
		int64_t capacity = v->capacity < 64 ? 64 : v->capacity;
		if (v->capacity >= 64 && !ttt__i64_mul(&capacity, v->capacity, 2))
			return ttt__fail_memory(err, "token ids");
		int32_t *grown = ttt__grow(v->id, (size_t)capacity, sizeof *grown);
		if (grown == NULL)
			return ttt__fail_memory(err, "token ids");
		v->id = grown;
		v->capacity = capacity;
	}
	v->id[v->n++] = id;
	return TTT_OK;
}
