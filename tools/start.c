/* Start and end of a program: descriptors, signals, the checked close of stdout. */
#include "tools/tool.h"
#include "libttt/file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Signals have no argument to pass things in: these variables are outside of functions for that alone. */
static volatile sig_atomic_t critical, waiting;
/* While oneDNN's kernels for AVX-512 run the stack pointer may lie within the heap, where a handler on the ordinary stack would write over
 * what others keep there. Handlers run here. */
static char handler_stack[1 << 16];

/* A descriptor that the caller closed would be given to the first file opened, and messages would go into it. The
 * standard ones are filled with /dev/null the wrong way round, so that using one still fails. */
static void
fill_descriptors(void)
{
	static const int flags[3] = { O_WRONLY, O_RDONLY, O_RDWR };

	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags[fd]) != fd)
			_exit(TOOL_TROUBLE);
}

static void
on_signal(int number)
{
	if (critical && !(number == SIGINT && waiting == SIGINT)) { /* who asks twice does not want to wait */
		waiting = number;
		return;
	}
	signal(number, SIG_DFL);
	raise(number);
}

static void
take_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction a = { 0 }, old;
	stack_t stack = { .ss_sp = handler_stack, .ss_size = sizeof(handler_stack) };

	(void)sigaltstack(&stack, NULL); /* fails for no stack of this size */
	a.sa_handler = on_signal;
	a.sa_flags = SA_RESTART | SA_ONSTACK;
	sigemptyset(&a.sa_mask);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(numbers[i], &a, NULL);
	/* A closed pipe ends a program quietly, whatever started it. */
	signal(SIGPIPE, SIG_DFL);
	/* A limit on the size of files is met as a full disk is: by an error, and nothing half-written stays. */
	signal(SIGXFSZ, SIG_IGN);
	/* A caller that asks for progress too early, or of a program that shows none, must not kill it. */
	signal(SIGUSR1, SIG_IGN);
}

/* $OMP_NUM_THREADS, which every program with OpenMP goes by; 0 where it says nothing of use. */
static int
threads_wanted(void)
{
	const char *text = getenv("OMP_NUM_THREADS");
	long n = text != NULL ? strtol(text, NULL, 10) : 0;

	return n >= 1 && n <= 4096 ? (int)n : 0;
}

void
tool_start(struct tool *t, const char *argv0)
{
	const char *slash = strrchr(argv0, '/');
	const char *model = getenv("TTT_MODEL"), *kernels = getenv("TTT_KERNELS");

	fill_descriptors();
	take_signals();
	t->name = slash != NULL ? slash + 1 : argv0;
	if (strncmp(t->name, "lt-", 3) == 0) /* libtool's name of a program run where it was built */
		t->name += 3;
	t->model_dir = model != NULL && model[0] != '\0' ? model : NULL;
	t->kernels = kernels != NULL && kernels[0] != '\0' ? kernels : NULL;
	t->device_name = "cpu";
	t->n_thread = threads_wanted();
}

int
tool_finish(struct tool *t, int status)
{
	bool failed = ferror(stdout) != 0;
	int reason = 0;

	if (fflush(stdout) != 0) {
		failed = true;
		reason = errno;
	}
	if (fclose(stdout) != 0 && errno != EBADF && reason == 0) {
		failed = true;
		reason = errno;
	}
	if (!failed || status == TOOL_TROUBLE) /* then the message has been printed */
		return status;
	if (reason != EPIPE)
		tool_error(t, "standard output: cannot write: %s",
		    reason != 0 ? strerror(reason) : "an earlier write failed");
	return TOOL_TROUBLE;
}

void
tool_critical_begin(void)
{
	critical = 1;
}

void
tool_critical_end(void)
{
	int number = waiting;

	critical = 0;
	waiting = 0;
	if (number != 0) {
		signal(number, SIG_DFL);
		raise(number);
	}
}

int
tool_stop_wanted(void)
{
	return waiting;
}

void
tool_stop_answered(void)
{
	waiting = 0;
}

bool
tool_stdout_is(struct tool *t, const char *path)
{
	struct stat out, in;
	bool dash = strcmp(path, "-") == 0;

	if (fstat(STDOUT_FILENO, &out) != 0 || !S_ISREG(out.st_mode))
		return false;
	if ((dash ? fstat(STDIN_FILENO, &in) : stat(path, &in)) != 0)
		return false;
	if (in.st_dev != out.st_dev || in.st_ino != out.st_ino)
		return false;
	tool_error(t, "%s: is the file that standard output goes to", dash ? "standard input" : path);
	return true;
}

bool
tool_output_refused(struct tool *t, const char *path, const char *const *inputs, size_t n)
{
	struct ttt__replace r;
	struct ttt_error err;
	struct stat out, in;
	enum ttt_status s;

	for (size_t i = 0; i < n && stat(path, &out) == 0; i++)
		if (stat(inputs[i], &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino) {
			tool_error(t, "%s: is the file that would be written to", inputs[i]);
			return true;
		}
	tool_critical_begin();
	s = ttt__replace_open(&r, path, false, &err); /* the first step of writing it, taken back */
	if (s == TTT_OK)
		ttt__replace_abort(&r);
	tool_critical_end();
	if (s != TTT_OK)
		(void)tool_fail(t, &err);
	return s != TTT_OK;
}

bool
tool_stdout_refused(struct tool *t, const char *what)
{
	if ((fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) == O_RDONLY) {
		tool_error(t, "standard output: cannot write: it is closed");
		return true;
	}
	if (!isatty(STDOUT_FILENO))
		return false;
	tool_error(t, "standard output: %s is not written to a terminal", what);
	tool_hint(t, "redirect it into a file, or name one with -o");
	return true;
}
