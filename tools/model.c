/* What programs open: device, model, inputs. */
#include "tools/tool.h"
#include <malloc.h>
#include <string.h>
#include <sys/stat.h>

enum ttt_status
tool_device_open(struct tool *t, struct ttt_error *err)
{
	struct ttt_device_options o = { .name = t->device_name, .kernels = t->kernels, .n_thread = t->n_thread,
		.precision = t->precision };

	return t->device != NULL ? TTT_OK : ttt_device_create(&t->device, &o, err);
}

static enum ttt_status
open_model(struct tool *t, bool fits, struct ttt_error *err)
{
	enum ttt_status s = tool_device_open(t, err);

	if (s == TTT_OK && t->model == NULL) {
		s = ttt_model_open(&t->model, t->device, t->model_dir, err);
#ifdef __GLIBC__
		(void)malloc_trim(0); /* what parsing the tokenizer took and gave back */
#endif
	}
	if (s == TTT_OK && fits)
		ttt_device_fit(t->device, ttt_model_config(t->model));
	if (s == TTT_OK)
		tool_verbose(t, "model %s, %lld parameters, %lld of them learn; %s", ttt_model_name(t->model),
		    (long long)ttt_model_n_parameter(t->model), (long long)ttt_model_n_fast(t->model),
		    ttt_device_describe(t->device));
	return s;
}

enum ttt_status
tool_model_open(struct tool *t, struct ttt_error *err)
{
	return open_model(t, false, err);
}

enum ttt_status
tool_model_open_to_read(struct tool *t, struct ttt_error *err)
{
	return open_model(t, t->n_thread == 0, err);
}

const struct ttt_tokenizer *
tool_tokenizer(struct tool *t)
{
	const struct ttt_tokenizer *k = ttt_model_tokenizer(t->model);

	if (k == NULL) {
		tool_error(t, "%s: has no tokenizer.json, so it cannot read text", ttt_model_name(t->model));
		tool_hint(t, "give token ids with --ids");
	}
	return k;
}

int64_t
tool_total(const char *const *names, size_t n)
{
	struct stat st;
	int64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i], "-") == 0 || stat(names[i], &st) != 0 || !S_ISREG(st.st_mode))
			return -1;
		sum += st.st_size;
	}
	return n > 0 ? sum : -1;
}
