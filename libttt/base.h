/* What every file of the library stands on: finished error sentences and sizes that cannot wrap. Private. */
#ifndef TTT_BASE_H
#define TTT_BASE_H
#include <locale.h>

#include "libttt/ttt.h"

#if defined(__GNUC__)
#define TTT_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define TTT_PRINTF(f, a)
#endif

/* Write the sentence (lower case, no full stop) into err, which may be NULL, and return status. Clears the hint. */
enum ttt_status ttt__fail(struct ttt_error *err, enum ttt_status status, const char *fmt, ...) TTT_PRINTF(3, 4);
/* Add what to do about it to a failure already written into err, which may be NULL; returns its status. */
enum ttt_status ttt__hint(struct ttt_error *err, enum ttt_status status, const char *fmt, ...) TTT_PRINTF(3, 4);
/* "out of memory" for object what. Inline, so that a checker of one file sees that it never returns TTT_OK. */
static inline enum ttt_status
ttt__fail_memory(struct ttt_error *err, const char *what)
{
	ttt__fail(err, TTT_E_MEMORY, "%s: out of memory", what);
	return TTT_E_MEMORY;
}

/* *out = a op b; false, and *out untouched, when that does not fit. */
bool ttt__size_mul(size_t *out, size_t a, size_t b);
bool ttt__size_add(size_t *out, size_t a, size_t b);
bool ttt__i64_mul(int64_t *out, int64_t a, int64_t b);
bool ttt__i64_add(int64_t *out, int64_t a, int64_t b);

/* n * size zeroed bytes; NULL when they cannot be had or counted. */
void *ttt__new(size_t n, size_t size);
/* p grown to n * size bytes; NULL, and p still valid, when they cannot be had or counted. */
void *ttt__grow(void *p, size_t n, size_t size);

/* Numbers are printed and read with a point from begin to end, whatever the caller's locale has, in this thread alone. */
struct ttt__plain_numbers {
	locale_t plain, before;
};
void ttt__plain_numbers_begin(struct ttt__plain_numbers *n);
void ttt__plain_numbers_end(struct ttt__plain_numbers *n);

/* A growing array of bytes; zero-initialise. */
struct ttt__bytes {
	unsigned char *p;
	size_t n, capacity;
};
enum ttt_status ttt__bytes_add(struct ttt__bytes *b, const void *p, size_t n, struct ttt_error *err);
void ttt__bytes_free(struct ttt__bytes *b);
/* Append to an array of ids. */
enum ttt_status ttt__ids_add(struct ttt_ids *v, int32_t id, struct ttt_error *err);

#endif
