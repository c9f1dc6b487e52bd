#include "libttt/text/tokenizer.h"

#include <stdlib.h>

void
ttt_tokenizer_free(struct ttt_tokenizer *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n_stage; i++)
		ttt__pattern_free(t->stage[i].pattern);
	ttt__added_free(&t->raw);
	ttt__added_free(&t->normal);
	ttt__names_free(&t->names);
	ttt__merges_free(&t->merges);
	free(t->token);
	free(t->arena);
	free(t);
}

int64_t
ttt_tokenizer_n_vocab(const struct ttt_tokenizer *t)
{
	return t->n_vocab;
}

const unsigned char *
ttt_tokenizer_bytes(const struct ttt_tokenizer *t, int32_t id, size_t *n)
{
	*n = 0;
	if (id < 0 || id >= t->n_vocab || t->token[id].p == NULL)
		return NULL;
	*n = t->token[id].n;
	return t->token[id].p;
}
