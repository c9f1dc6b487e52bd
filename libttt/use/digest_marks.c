/* What in a novel line is novel: the words that were never learned, else what the model finds hardest. */
#include "libttt/use/digest.h"

#include <math.h>
#include <string.h>

#include "libttt/state/state.h"

static void
add_mark(struct ttt_digest_line *x, size_t start, size_t end)
{
	struct ttt_mark *last = x->n_mark > 0 ? &x->mark[x->n_mark - 1] : NULL;

	if (last != NULL && start <= last->end + 2) /* words with a comma or a colon between them are one */
		last->end = end;
	else if (x->n_mark < TTT_MARKS)
		x->mark[x->n_mark++] = (struct ttt_mark){start, end};
}

/* Where the masked line now in d->mask has its byte at in the line itself. */
static size_t
place_of(const struct ttt_digest *d, size_t at)
{
	uint32_t place;

	memcpy(&place, d->place.p + at * sizeof(place), sizeof(place));
	return place;
}

void
ttt__digest_mark_words(const struct ttt_digest *d, struct ttt_digest_line *x)
{
	unsigned char word[TTT__LEXICON_WORD];
	size_t at = 0, start, n;

	while ((n = ttt__lexicon_next(d->mask.p, d->mask.n, &at, &start, word)) > 0)
		if (!ttt__lexicon_knows(&d->lexicon, word, n))
			add_mark(x, place_of(d, start), place_of(d, at));
}

void
ttt__digest_mark_tokens(const struct ttt_digest *d, const struct ttt__fresh *f, struct ttt_digest_line *x)
{
	const struct ttt_tokenizer *t = ttt_model_tokenizer(d->state->model);
	size_t at = 0, n;
	float most = 0;

	for (size_t i = 0; i < f->n; i++)
		most = fmaxf(most, d->nll[f->first + i]);
	for (size_t i = 0; i < f->n && at < d->mask.n; i++, at += n) {
		size_t end;

		(void)ttt_tokenizer_bytes(t, d->ids.id[f->first + i], &n);
		end = at + n < d->mask.n ? at + n : d->mask.n;
		while (at < end && d->mask.p[at] == ' ' && n > 0)
			at++, n--;
		if (at < end && d->nll[f->first + i] >= fmaxf((float)TTT__DIGEST_NATS, most / 2))
			add_mark(x, place_of(d, at), place_of(d, end));
	}
}
