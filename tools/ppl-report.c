/* ttt-ppl: what it prints. A row goes straight to stdout, or waits to be sorted. */
#include "tools/ppl.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const headers[] = {
	[PPL_FILES] = "name\tbytes\ttokens\tloss\tbits_per_byte\tperplexity",
	[PPL_TOKENS] = "document\tposition\tid\tnll",
	[PPL_LINES] = "name\tline\tbits_per_byte\tbits\ttext",
	[PPL_POSITIONS] = "from\tto\ttokens\tloss",
};

/* Before the first row, so that a program that fails at once prints nothing. */
static void
header(struct ppl *p)
{
	if (p->json || p->headed)
		return;
	p->headed = true;
	if (p->form == PPL_TOKENS && p->ids != NULL)
		puts("sequence\tposition\tid\tnll");
	else
		puts(headers[p->form]);
}

static bool
row_begin(struct ppl *p)
{
	if (!p->sort)
		header(p);
	p->out = p->sort ? open_memstream(&p->text, &p->text_n) : stdout;
	return p->out != NULL;
}

static int
compare_rows(const void *a, const void *b)
{
	const struct ppl_row *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? 1 : -1;
	return x->order > y->order ? 1 : -1;
}

/* Keep the first n of the rows, in order. */
static void
sort_rows(struct ppl *p, int64_t n)
{
	if (p->n_row > 0)
		qsort(p->row, (size_t)p->n_row, sizeof(*p->row), compare_rows);
	for (int64_t i = n; i < p->n_row; i++)
		free(p->row[i].text);
	if (p->n_row > n)
		p->n_row = n;
}

/* The row is written; without --sort that was all. */
static bool
row_end(struct ppl *p, double key)
{
	if (!p->sort)
		return true;
	if (fclose(p->out) != 0)
		return false;
	if (p->n_row == p->capacity) {
		int64_t capacity = 2 * p->capacity + 1024;
		struct ppl_row *grown = realloc(p->row, (size_t)capacity * sizeof(*grown));

		if (grown == NULL) {
			free(p->text);
			return false;
		}
		p->row = grown;
		p->capacity = capacity;
	}
	p->row[p->n_row++] = (struct ppl_row){ key, p->n_order++, p->text, p->text_n };
	if (p->top > 0 && p->n_row >= 2 * p->top + 1024)
		sort_rows(p, p->top);
	return true;
}

static void
put_name(struct ppl *p, const struct ppl_document *d)
{
	if (d->name == NULL && d->number < 0)
		fputs(p->json ? "\"total\"" : "total", p->out);
	else if (d->name == NULL)
		fprintf(p->out, "%lld", (long long)d->number);
	else if (p->json)
		tool_write_json(p->out, d->name, strlen(d->name));
	else
		tool_write_visible(p->out, d->name, strlen(d->name));
}

static bool
put_token(struct ppl *p, int32_t id, double nll)
{
	const struct ppl_document *d = &p->document;

	if (!row_begin(p))
		return false;
	if (p->json)
		fprintf(p->out, "{\"%s\":", p->ids != NULL ? "sequence" : "document");
	put_name(p, d);
	fprintf(p->out, p->json ? ",\"position\":%lld,\"id\":%ld,\"nll\":%.9g}\n" : "\t%lld\t%ld\t%.9g\n",
	    (long long)d->n_token, (long)id, nll);
	return row_end(p, nll);
}

static bool
put_line(struct ppl *p)
{
	double bits = p->line_bits, per_byte = p->line_n > 0 ? bits / (double)p->line_n : 0;
	size_t n = p->line_n > 0 && p->line[p->line_n - 1] == '\n' ? p->line_n - 1 : p->line_n;

	if (!row_begin(p))
		return false;
	if (p->json)
		fputs("{\"name\":", p->out);
	put_name(p, &p->document);
	fprintf(p->out,
	    p->json ? ",\"line\":%lld,\"bits_per_byte\":%.4f,\"bits\":%.3f,\"text\":" : "\t%lld\t%.4f\t%.3f\t",
	    (long long)p->line_number, per_byte, bits);
	if (p->json)
		tool_write_json(p->out, p->line, n);
	else
		tool_write_text(p->out, p->line, n);
	fputs(p->json ? "}\n" : "\n", p->out);
	p->line_number++;
	p->line_n = 0;
	p->line_bits = 0;
	return row_end(p, bits);
}

/* Bytes b [n] of a token from skip on. Its bits go in equal parts to its bytes, since it may reach into the next line. */
static bool
add_to_line(struct ppl *p, const unsigned char *b, size_t n, size_t skip, double bits)
{
	for (size_t i = skip; i < n; i++) {
		if (p->line_n == p->line_capacity) {
			size_t capacity = 2 * p->line_capacity + 4096;
			char *grown = realloc(p->line, capacity);

			if (grown == NULL)
				return false;
			p->line = grown;
			p->line_capacity = capacity;
		}
		p->line[p->line_n++] = (char)b[i];
		p->line_bits += bits / (double)n;
		if (b[i] == '\n' && !put_line(p))
			return false;
	}
	return true;
}

static void
add_to_bucket(struct ppl *p, double nll)
{
	int b = 0;

	for (int64_t x = p->document.n_token; x > 0 && b < PPL_N_BUCKET - 1; x >>= 1)
		b++;
	p->bucket_n[b]++;
	p->bucket_nats[b] += nll;
}

bool
ppl_token(struct ppl *p, int32_t id, double nll, bool masked)
{
	const struct ttt_tokenizer *k = ttt_model_tokenizer(p->t->model);
	struct ppl_document *d = &p->document;
	size_t n = 0, skip; /* bytes, those among them that are the state's */
	const unsigned char *b = k != NULL ? ttt_tokenizer_bytes(k, id, &n) : NULL;
	bool ok = true;

	n = b != NULL ? n : 0;
	skip = p->skip < n ? p->skip : n;
	p->skip -= skip;
	if (p->form == PPL_TOKENS)
		ok = put_token(p, id, nll);
	else if (p->form == PPL_LINES)
		ok = add_to_line(p, b, n, skip, masked ? 0 : nll / M_LN2);
	else if (p->form == PPL_POSITIONS && !masked && (n == 0 || skip < n))
		add_to_bucket(p, nll);
	if (!masked && (n == 0 || skip < n)) {
		d->n_loss++;
		d->nats += nll;
		d->nats_held += n > 0 ? nll * (double)skip / (double)n : 0;
		d->n_byte += (int64_t)(n - skip);
	}
	d->n_token++;
	return ok;
}

static bool
put_file(struct ppl *p, const struct ppl_document *d)
{
	double loss = d->n_loss > 0 ? d->nats / (double)d->n_loss : 0;
	double bits = d->n_byte > 0 ? (d->nats - d->nats_held) / M_LN2 / (double)d->n_byte : 0;

	if (d->number < 0)
		p->out = stdout; /* the total comes last, sorted or not */
	else if (!row_begin(p))
		return false;
	if (p->json)
		fputs("{\"name\":", p->out);
	put_name(p, d);
	if (d->n_byte > 0)
		fprintf(p->out, p->json ? ",\"bytes\":%lld" : "\t%lld", (long long)d->n_byte);
	else
		fputs(p->json ? ",\"bytes\":null" : "\t-", p->out);
	fprintf(p->out, p->json ? ",\"tokens\":%lld,\"loss\":%.9g" : "\t%lld\t%.6f", (long long)d->n_loss, loss);
	if (d->n_byte > 0)
		fprintf(p->out, p->json ? ",\"bits_per_byte\":%.9g" : "\t%.4f", bits);
	else
		fputs(p->json ? ",\"bits_per_byte\":null" : "\t-", p->out);
	if (p->json && !isfinite(exp(loss)))
		fputs(",\"perplexity\":null}\n", p->out);
	else
		fprintf(p->out, p->json ? ",\"perplexity\":%.9g}\n" : "\t%.4f\n", exp(loss));
	return d->number < 0 || row_end(p, d->n_byte > 0 ? bits : loss);
}

bool
ppl_document_end(struct ppl *p)
{
	struct ppl_document *d = &p->document, *sum = &p->total;
	bool ok = true;

	if (p->form == PPL_LINES && p->line_n > 0)
		ok = put_line(p);
	if (p->form == PPL_FILES)
		ok = put_file(p, d);
	sum->n_token += d->n_token;
	sum->n_loss += d->n_loss;
	sum->n_byte += d->n_byte > 0 ? d->n_byte : 0;
	sum->nats += d->nats;
	sum->nats_held += d->nats_held;
	return ok;
}

static void
put_positions(struct ppl *p)
{
	for (int b = 0; b < PPL_N_BUCKET; b++) {
		long long from = b == 0 ? 0 : 1LL << (b - 1), to = b == 0 ? 0 : (1LL << b) - 1;

		if (p->bucket_n[b] > 0)
			printf(p->json ? "{\"from\":%lld,\"to\":%lld,\"tokens\":%lld,\"loss\":%.9g}\n"
			               : "%lld\t%lld\t%lld\t%.6f\n",
			    from, to, (long long)p->bucket_n[b], p->bucket_nats[b] / (double)p->bucket_n[b]);
	}
}

void
ppl_end(struct ppl *p)
{
	if (p->total.n_token > 0)
		header(p);
	sort_rows(p, p->top > 0 ? p->top : p->n_row);
	for (int64_t i = 0; i < p->n_row; i++)
		fwrite(p->row[i].text, 1, p->row[i].n, stdout);
	if (p->form == PPL_POSITIONS)
		put_positions(p);
	p->total.number = -1;
	if (p->form == PPL_FILES && p->n_document > 1 && p->total.n_token > 0)
		put_file(p, &p->total);
}
