/* The one main(): what every program does before and after its own work. */
#include "tools/tool.h"

int
main(int argc, char **argv)
{
	struct tool t = { 0 };
	int status;

	tool_start(&t, argc > 0 ? argv[0] : "ttt");
	status = cmd_main(&t, argc, argv);
	ttt_model_free(t.model);
	ttt_device_free(t.device);
	return tool_finish(&t, status);
}
