#include "libttt/state/curve.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char header[] = "tokens\tloss\n";

void
ttt__curve_start(struct ttt__curve *c)
{
	memset(c, 0, sizeof(*c));
	c->stride = 1;
}

void
ttt__curve_add(struct ttt__curve *c, int64_t n_token, double loss)
{
	c->sum += loss;
	if (++c->n_partial < c->stride)
		return;
	if (c->n == TTT__CURVE_MAX) {
		/* c->n_partial is one point's worth: at the doubled stride it becomes half of the next one */
		for (int64_t i = 0; i < TTT__CURVE_MAX / 2; i++) {
			c->n_token[i] = c->n_token[2 * i + 1];
			c->loss[i] = (c->loss[2 * i] + c->loss[2 * i + 1]) / 2;
		}
		c->n = TTT__CURVE_MAX / 2;
		c->stride *= 2;
		return;
	}
	c->n_token[c->n] = n_token;
	c->loss[c->n++] = c->sum / (double)c->stride;
	c->n_partial = 0;
	c->sum = 0;
}

enum ttt_status
ttt__curve_format(const struct ttt__curve *c, struct ttt__bytes *b, struct ttt_error *err)
{
	enum ttt_status status = ttt__bytes_add(b, header, sizeof(header) - 1, err);
	struct ttt__plain_numbers numbers;
	char line[64];

	ttt__plain_numbers_begin(&numbers);
	for (int64_t i = 0; i < c->n && status == TTT_OK; i++) {
		int n = snprintf(line, sizeof(line), "%" PRId64 "\t%.17g\n", c->n_token[i], c->loss[i]);

		status = ttt__bytes_add(b, line, (size_t)n, err);
	}
	ttt__plain_numbers_end(&numbers);
	return status;
}

static enum ttt_status
parse(struct ttt__curve *c, const struct ttt__bytes *b, const char *label, struct ttt_error *err)
{
	const char *p = (const char *)b->p, *end = p + b->n;
	char line[64], *tab, *rest;
	int64_t last = 0;

	c->n = 0;
	if (b->n < sizeof(header) - 1 || memcmp(p, header, sizeof(header) - 1) != 0)
		return ttt__fail(err, TTT_E_FORMAT, "%s: curve.tsv has no header line", label);
	for (p += sizeof(header) - 1; p < end; p += strlen(line) + 1) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		size_t n = newline != NULL ? (size_t)(newline - p) : 0;

		if (newline == NULL || n >= sizeof(line) || c->n == TTT__CURVE_MAX)
			return ttt__fail(err, TTT_E_FORMAT, "%s: curve.tsv is no curve", label);
		memcpy(line, p, n);
		line[n] = '\0';
		tab = rest = line;
		c->n_token[c->n] = strtoll(line, &tab, 10);
		c->loss[c->n] = *tab == '\t' ? strtod(tab + 1, &rest) : NAN;
		if (strlen(line) != n || !isfinite(c->loss[c->n]) || *rest != '\0' || c->n_token[c->n] <= last)
			return ttt__fail(err, TTT_E_FORMAT, "%s: curve.tsv: line %" PRId64 " is no point of a curve",
			    label, c->n + 2);
		last = c->n_token[c->n++];
	}
	return TTT_OK;
}

enum ttt_status
ttt__curve_parse(struct ttt__curve *c, const struct ttt__bytes *b, const char *label, struct ttt_error *err)
{
	struct ttt__plain_numbers numbers;
	enum ttt_status status;

	ttt__plain_numbers_begin(&numbers);
	status = parse(c, b, label, err);
	ttt__plain_numbers_end(&numbers);
	return status;
}
