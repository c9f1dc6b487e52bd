/* The biases by the last tokens: member "ngrams" of a state, written and read. The table goes byte by byte of its entries, first bytes
 * first, since a packer finds more among bytes of one kind. */
#include "libttt/learn/ngram.h"

#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libttt/learn/session.h"
#include "libttt/state/members.h"
#include "libttt/state/reader.h"

enum { ENTRY = 7, PIECE = 16384 }; /* bytes of an entry, entries at a time */

static void
first_line(char line[64], const struct ttt__ngram *g)
{
	int n = snprintf(line, 64, "ttt-ngrams %d %lld", g->bits, (long long)g->n);

	if (g->n_unigram > 0)
		(void)snprintf(line + n, 64 - (size_t)n, " %lld", (long long)g->n_unigram);
}

static uint32_t
float_bits(float x)
{
	uint32_t u;

	memcpy(&u, &x, sizeof(u));
	return htole32(u);
}

/* Scales and history, numbers of four bytes; tokens that were not read yet are -1. */
static size_t
pack_head(uint32_t *out, const struct ttt__ngram *g)
{
	int64_t missing = TTT__NGRAM_HISTORY - g->n_history;
	size_t n = 0;

	for (int64_t r = 0; r < g->n; r++)
		for (int level = 0; level < TTT__NGRAM_LEVEL; level++)
			for (int several = 0; several < 2; several++)
				out[n++] = float_bits(g->scale[r][level][several]);
	for (int64_t i = 0; i < TTT__NGRAM_HISTORY; i++)
		out[n++] = htole32(i < missing ? UINT32_MAX : (uint32_t)g->history[i - missing]);
	return n;
}

enum { HEAD_MAX = TTT_NGRAM_MAX * TTT__NGRAM_LEVEL * 2 + TTT__NGRAM_HISTORY };

static unsigned char
byte_of(const struct ttt__ngram_entry *e, int plane)
{
	const unsigned bytes[ENTRY] = { e->check & 0xffu, e->check >> 8, e->token & 0xffu, e->token >> 8, (uint16_t)e->bias & 0xffu,
		(uint16_t)e->bias >> 8, e->hits };

	return (unsigned char)bytes[plane];
}

/* Biases of single tokens, numbers of four bytes, and counts of one. */
static enum ttt_status
put_unigrams(const struct ttt__ngram *g, struct ttt__sink *k, struct ttt_error *err)
{
	enum ttt_status status = TTT_OK;

	for (int64_t i = 0; i < g->n_unigram && status == TTT_OK; i++) {
		uint32_t u = float_bits(g->unigram[i]);

		status = ttt__sink_put(k, &u, sizeof(u), err);
	}
	return status == TTT_OK ? ttt__sink_put(k, g->count, (size_t)g->n_unigram, err) : status;
}

enum ttt_status
ttt__put_ngrams(struct ttt_state *s, struct ttt__sink *k, struct ttt_error *err)
{
	const struct ttt__ngram *g = ttt__session_ngram(s->session);
	int64_t n = INT64_C(1) << g->bits;
	uint32_t head[HEAD_MAX];
	unsigned char piece[PIECE];
	char line[64];
	enum ttt_status status;

	first_line(line, g);
	status = ttt__sink_put(k, line, strlen(line), err);
	if (status == TTT_OK)
		status = ttt__sink_put(k, "\n", 1, err);
	if (status == TTT_OK)
		status = ttt__sink_put(k, head, pack_head(head, g) * sizeof(*head), err);
	if (status == TTT_OK)
		status = put_unigrams(g, k, err);
	for (int plane = 0; plane < ENTRY; plane++)
		for (int64_t at = 0; at < n && status == TTT_OK; at += PIECE) {
			int64_t part = n - at < PIECE ? n - at : PIECE;

			for (int64_t i = 0; i < part; i++)
				piece[i] = byte_of(&g->table[at + i], plane);
			status = ttt__sink_put(k, piece, (size_t)part, err);
		}
	return status;
}

static void
take_byte(struct ttt__ngram_entry *e, int plane, unsigned char byte)
{
	unsigned shifted = plane % 2 == 0 ? byte : (unsigned)byte << 8;

	if (plane < 2)
		e->check = (uint16_t)(e->check | shifted);
	else if (plane < 4)
		e->token = (uint16_t)(e->token | shifted);
	else if (plane < 6)
		e->bias = (int16_t)(uint16_t)((uint16_t)e->bias | shifted);
	else
		e->hits = byte;
}

static float
float_of(uint32_t bits)
{
	uint32_t u = le32toh(bits);
	float x;

	memcpy(&x, &u, sizeof(x));
	return x;
}

static enum ttt_status
load_unigrams(struct ttt__reader *r, struct ttt__ngram *g, struct ttt_error *err)
{
	const float most = (float)TTT__NGRAM_BIAS_MAX / TTT__NGRAM_ONE;
	enum ttt_status status = TTT_OK;

	for (int64_t i = 0; i < g->n_unigram && status == TTT_OK; i++) {
		uint32_t u = 0;

		status = ttt__reader_get(r, &u, sizeof(u), err);
		g->unigram[i] = float_of(u);
		if (status == TTT_OK && !(g->unigram[i] >= -most && g->unigram[i] <= most))
			status = ttt__reader_fail(r, "holds a bias outside its limits", err);
	}
	if (status == TTT_OK)
		status = ttt__reader_get(r, g->count, (size_t)g->n_unigram, err);
	for (int64_t i = 0; i < g->n_unigram && status == TTT_OK; i++)
		if (g->count[i] > TTT__UNIGRAM_COUNT_MAX)
			status = ttt__reader_fail(r, "holds a count outside its limits", err);
	return status;
}

static enum ttt_status
load_head(struct ttt__reader *r, struct ttt__ngram *g, int64_t n_vocab, struct ttt_error *err)
{
	uint32_t head[HEAD_MAX];
	size_t n = (size_t)g->n * TTT__NGRAM_LEVEL * 2;
	enum ttt_status status = ttt__reader_get(r, head, (n + TTT__NGRAM_HISTORY) * sizeof(*head), err);

	for (size_t i = 0; i < n && status == TTT_OK; i++) {
		float scale = float_of(head[i]);

		if (!isfinite(scale) || scale < 0)
			status = ttt__reader_fail(r, "holds a scale that is none", err);
		g->scale[i / 2 / TTT__NGRAM_LEVEL][i / 2 % TTT__NGRAM_LEVEL][i % 2] = scale;
	}
	g->n_history = 0;
	for (size_t i = n; i < n + TTT__NGRAM_HISTORY && status == TTT_OK; i++) {
		uint32_t id = le32toh(head[i]);

		if (id == UINT32_MAX && g->n_history == 0)
			continue;
		if (id >= (uint64_t)n_vocab)
			status = ttt__reader_fail(r, "holds a token outside the vocabulary", err);
		else
			g->history[g->n_history++] = (int32_t)id;
	}
	return status;
}

static enum ttt_status
check_entries(const struct ttt__reader *r, const struct ttt__ngram *g, int64_t n_vocab, struct ttt_error *err)
{
	for (int64_t i = 0; i < INT64_C(1) << g->bits; i++) {
		const struct ttt__ngram_entry *e = &g->table[i];

		if (e->hits == 0 && (e->check != 0 || e->token != 0 || e->bias != 0))
			return ttt__reader_fail(r, "holds an entry that is none", err);
		if (e->token >= n_vocab)
			return ttt__reader_fail(r, "holds a token outside the vocabulary", err);
		if (e->bias > TTT__NGRAM_BIAS_MAX || e->bias < -TTT__NGRAM_BIAS_MAX)
			return ttt__reader_fail(r, "holds a bias outside its limits", err);
	}
	return ttt__ngram_count(g) == r->manifest->info.n_bias ? TTT_OK
	    : ttt__reader_fail(r, "has not as many entries as manifest.json says", err);
}

enum ttt_status
ttt__load_ngrams(struct ttt__reader *r, struct ttt_state *s, struct ttt_error *err)
{
	const struct ttt_state_info *i = &r->manifest->info;
	struct ttt__ngram *g = ttt__session_ngram(s->session);
	int64_t n = INT64_C(1) << g->bits, n_vocab = s->model->config.n_vocab;
	unsigned char piece[PIECE];
	char line[64], want[64];
	enum ttt_status status = ttt__reader_line(r, line, sizeof(line), err);

	if (status != TTT_OK)
		return status;
	first_line(want, g);
	if (!g->table || strcmp(line, want) != 0)
		return ttt__reader_fail(r, "is of another size than the model has it", err);
	status = load_head(r, g, n_vocab, err);
	if (status == TTT_OK && g->n_history > i->n_token - i->n_pending_token)
		status = ttt__reader_fail(r, "holds more tokens than were read", err);
	if (status == TTT_OK)
		status = load_unigrams(r, g, err);
	for (int plane = 0; plane < ENTRY; plane++)
		for (int64_t at = 0; at < n && status == TTT_OK; at += PIECE) {
			int64_t part = n - at < PIECE ? n - at : PIECE;

			status = ttt__reader_get(r, piece, (size_t)part, err);
			for (int64_t j = 0; j < part && status == TTT_OK; j++)
				take_byte(&g->table[at + j], plane, piece[j]);
		}
	return status == TTT_OK ? check_entries(r, g, n_vocab, err) : status;
}
