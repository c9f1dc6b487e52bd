/* For unit tests that run on every device: open before the first of them and closed after the last. */
#ifndef TEST_ON_DEVICES_H
#define TEST_ON_DEVICES_H
#include "tiny.h"

static struct tiny_devices devices;

static int
open_devices(void **state)
{
	(void)state;
	tiny_devices_open(&devices);
	return 0;
}

static int
close_devices(void **state)
{
	(void)state;
	tiny_devices_close(&devices);
	return 0;
}

#endif
