/* Text is cut into segments that normalize independently: a segment begins where a character can neither combine with
 * what is before it nor change places with it. Almost every segment is one character that stays as it is. */
#include "libttt/text/nfc.h"
#include "libttt/text/vocab.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* A run of combining marks is ordered by utf8proc in quadratic time: longer segments are cut here. */
enum { SEGMENT_MAX = 1024 };

static int32_t
code_point(const unsigned char *p, int length)
{
	if (length == 1)
		return p[0];
	int32_t c = p[0] & (0xff >> (length + 1));
	for (int i = 1; i < length; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

/* A segment can begin with c. Every character that composes with one before it is a mark or a Hangul vowel or final. */
static bool
begins_segment(int32_t c)
{
	if (c < 0x300)
		return true;
	if (c >= 0x1160 && c <= 0x11ff)
		return false;
	const utf8proc_property_t *property = utf8proc_get_property(c);
	return property->combining_class == 0 && property->category != UTF8PROC_CATEGORY_MN &&
	    property->category != UTF8PROC_CATEGORY_MC && property->category != UTF8PROC_CATEGORY_ME;
}

/* The character c is its own normal form. */
static bool
is_stable(int32_t c)
{
	return c < 0x300 || utf8proc_get_property(c)->decomp_seqindex == UINT16_MAX;
}

static enum ttt_status
add_seam(struct ttt__nfc *f, size_t raw, bool same, struct ttt_error *err)
{
	if (f->n > 0 && same && f->seam[f->n - 1].same)
		return TTT_OK;
	if (f->n == f->capacity) {
		size_t capacity = f->capacity < 16 ? 16 : f->capacity * 2;
		struct ttt__seam *grown = ttt__grow(f->seam, capacity, sizeof *grown);
		if (grown == NULL)
			return ttt__fail_memory(err, "normalizer");
		f->seam = grown;
		f->capacity = capacity;
	}
	f->seam[f->n++] = (struct ttt__seam){ .text = f->text.n, .raw = raw, .same = same };
	return TTT_OK;
}

/* Normalize the segment raw [from, to). whole: both its ends are true boundaries. */
static enum ttt_status
add_segment(struct ttt__nfc *f, const unsigned char *raw, size_t from, size_t to, bool stable, bool whole,
    struct ttt_error *err)
{
	if (stable) {
		enum ttt_status status = add_seam(f, from, true, err);
		return status == TTT_OK ? ttt__bytes_add(&f->text, raw + from, to - from, err) : status;
	}
	utf8proc_uint8_t *normal = NULL;
	utf8proc_ssize_t n = utf8proc_map(raw + from, (utf8proc_ssize_t)(to - from), &normal,
	    UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	if (n < 0)
		return ttt__fail_memory(err, "normalizer");
	/* A stream must not go on from the middle of a cut segment: cut from there, it would be cut elsewhere. */
	bool same = whole && (size_t)n == to - from && memcmp(normal, raw + from, (size_t)n) == 0;
	enum ttt_status status = add_seam(f, from, same, err);
	if (status == TTT_OK)
		status = ttt__bytes_add(&f->text, normal, (size_t)n, err);
	free(normal);
	return status;
}

/* A run of ASCII from i on, where a segment begins: all of it but the last character, which a mark may follow, is
 * done. */
static enum ttt_status
add_ascii(struct ttt__nfc *f, const unsigned char *raw, size_t n, size_t *from, size_t *i, struct ttt_error *err)
{
	*from = *i;
	while (*i < n && raw[*i] < 0x80)
		++*i;
	if (*i - *from < 2)
		return TTT_OK;
	enum ttt_status status = add_segment(f, raw, *from, *i - 1, true, true, err);
	*from = *i - 1;
	return status;
}

enum ttt_status
ttt__nfc_run(struct ttt__nfc *f, const unsigned char *raw, size_t n, bool more, size_t *used, struct ttt_error *err)
{
	size_t from = 0, i = 0;
	bool stable = true;
	enum ttt_status status = TTT_OK;
	f->n = 0;
	f->text.n = 0;
	while (i < n && status == TTT_OK) {
		int length = ttt__utf8_length(raw + i, n - i);
		int32_t c = code_point(raw + i, length);
		bool begins = begins_segment(c), full = i - from + (size_t)length > SEGMENT_MAX;
		if (i > from && (begins || full)) {
			status = add_segment(f, raw, from, i, stable, !full, err);
			from = i;
			stable = true;
		}
		stable = stable && begins && is_stable(c);
		if (c < 0x80 && status == TTT_OK)
			status = add_ascii(f, raw, n, &from, &i, err);
		else
			i += (size_t)length;
	}
	if (status == TTT_OK && from < n && !more) {
		status = add_segment(f, raw, from, n, stable, true, err);
		from = n;
	}
	*used = from;
	return status == TTT_OK ? add_seam(f, from, false, err) : status;
}

void
ttt__nfc_free(struct ttt__nfc *f)
{
	free(f->seam);
	ttt__bytes_free(&f->text);
	*f = (struct ttt__nfc){ 0 };
}
