/* For unit tests: a small model made from config_json, which the test defines before it includes this, in a private folder, and a device to open it on. */
#ifndef TEST_MODEL_FIXTURE_H
#define TEST_MODEL_FIXTURE_H
#include "scratch.h"

struct fixture {
	char dir[256], model[300];
	struct ttt_device *device;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct ttt_init_options o = { .seed = 7 };
	struct ttt_error err = { 0 };

	assert_non_null(f);
	scratch_make(f->dir);
	snprintf(f->model, sizeof(f->model), "%s/m", f->dir);
	spill(in(f->dir, "c.json"), config_json, strlen(config_json));
	o.config = in(f->dir, "c.json");
	assert_ok(ttt_model_init(f->model, &o, &err), &err);
	assert_ok(ttt_device_create(&f->device, NULL, &err), &err);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	ttt_device_free(f->device);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

#endif
