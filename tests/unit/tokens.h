/* For unit tests of tokenizers: encode a text whole, in pieces, and through saved pending bytes. */
#ifndef TTT_UNIT_TOKENS_H
#define TTT_UNIT_TOKENS_H
#include "scratch.h"

#include <jansson.h>

static inline struct ttt_tokenizer *
open_tokenizer(const char *name)
{
	struct ttt_tokenizer *t;
	struct ttt_error err = { 0 };
	assert_ok(ttt_tokenizer_open(&t, data_path(name), &err), &err);
	return t;
}

static inline struct ttt_encoder *
new_encoder(const struct ttt_tokenizer *t)
{
	struct ttt_encoder *e;
	struct ttt_error err = { 0 };
	assert_ok(ttt_encoder_create(&e, t, &err), &err);
	return e;
}

static inline void
feed(struct ttt_encoder *e, struct ttt_ids *out, const void *p, size_t n)
{
	struct ttt_error err = { 0 };
	assert_ok(ttt_encoder_feed(e, out, p, n, &err), &err);
}

static inline void
end(struct ttt_encoder *e, struct ttt_ids *out)
{
	struct ttt_error err = { 0 };
	size_t n;
	assert_ok(ttt_encoder_end(e, out, &err), &err);
	ttt_encoder_pending(e, &n);
	assert_int_equal(n, 0);
}

/* The ids of text in one piece; e is as new before and after. */
static inline struct ttt_ids
encode(struct ttt_encoder *e, const void *p, size_t n)
{
	struct ttt_ids out = { 0 };
	feed(e, &out, p, n);
	end(e, &out);
	return out;
}

static inline struct ttt__bytes
decode(const struct ttt_tokenizer *t, const int32_t *id, int64_t n)
{
	struct ttt__bytes b = { 0 };
	struct ttt_error err = { 0 };
	for (int64_t i = 0; i < n; i++) {
		size_t length;
		const unsigned char *p = ttt_tokenizer_bytes(t, id[i], &length);
		assert_non_null(p);
		assert_ok(ttt__bytes_add(&b, p, length, &err), &err);
	}
	return b;
}

static inline void
assert_ids(const struct ttt_ids *got, const struct ttt_ids *want, const char *how, const char *name, size_t line)
{
	int64_t i = 0;
	while (i < got->n && i < want->n && got->id[i] == want->id[i])
		i++;
	if (i < got->n || i < want->n)
		fail_msg("%s, %s, vector %zu: %lld ids, not %lld; the first that differs is number %lld", name, how, line,
		    (long long)got->n, (long long)want->n, (long long)i);
}

/* A generator of repeatable numbers (xorshift). */
static inline uint64_t
next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* In pieces of 1 to most bytes. */
static inline void
check_pieces(struct ttt_encoder *e, const unsigned char *p, size_t n, size_t most, const struct ttt_ids *want,
    const char *name, size_t line)
{
	struct ttt_ids got = { 0 };
	uint64_t seed = 88172645463325252u + line;
	for (size_t i = 0; i < n;) {
		size_t part = 1 + (size_t)(next_random(&seed) % most);
		part = part < n - i ? part : n - i;
		feed(e, &got, p + i, part);
		i += part;
	}
	end(e, &got);
	assert_ids(&got, want, most == 1 ? "a byte at a time" : "in pieces", name, line);
	free(got.id);
}

/* Cut at cut: what is held back then, fed to resumed, which is as new, goes on as if there had been no cut. */
static inline void
check_resume(struct ttt_encoder *e, struct ttt_encoder *resumed, const unsigned char *p, size_t n, size_t cut,
    const struct ttt_ids *want, const char *name, size_t line)
{
	struct ttt_ids got = { 0 }, rest = { 0 };
	size_t n_pending, n_again;
	feed(e, &got, p, cut);
	const unsigned char *pending = ttt_encoder_pending(e, &n_pending);
	assert_true(n_pending <= cut);
	if (n_pending < cut)
		ttt_encoder_continue(resumed);
	int64_t before = got.n;
	feed(resumed, &got, pending, n_pending);
	assert_int_equal(got.n, before);
	const unsigned char *again = ttt_encoder_pending(resumed, &n_again);
	assert_int_equal(n_again, n_pending);
	if (n_pending > 0)
		assert_memory_equal(again, pending, n_pending);
	end(e, &rest);
	feed(resumed, &got, p + cut, n - cut);
	end(resumed, &got);
	assert_ids(&got, want, "resumed from pending bytes", name, line);
	free(got.id);
	free(rest.id);
}

static inline struct ttt_ids
json_ids(const json_t *array)
{
	struct ttt_ids v = { 0 };
	struct ttt_error err = { 0 };
	for (size_t i = 0; i < json_array_size(array); i++)
		assert_ok(ttt__ids_add(&v, (int32_t)json_integer_value(json_array_get(array, i)), &err), &err);
	return v;
}

/* Whole, in pieces, and cut in two at every place (of a long text, at some). */
static inline void
check_vector(const struct ttt_tokenizer *t, struct ttt_encoder *e, struct ttt_encoder *resumed, const unsigned char *p,
    size_t n, const struct ttt_ids *want, const char *name, size_t line)
{
	struct ttt_ids whole = encode(e, p, n);
	assert_ids(&whole, want, "whole", name, line);
	free(whole.id);
	if (n <= 2000)
		check_pieces(e, p, n, 1, want, name, line);
	check_pieces(e, p, n, n <= 2000 ? 7 : 3000, want, name, line);
	size_t step = n <= 200 ? 1 : n / 16;
	for (size_t cut = 0; cut <= n; cut += step)
		check_resume(e, resumed, p, n, cut, want, name, line);
	struct ttt_encoder *fresh = new_encoder(t);
	check_resume(e, fresh, p, n, n / 2, want, name, line);
	ttt_encoder_free(fresh);
}

#endif
