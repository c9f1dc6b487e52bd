/* How far a program has read: a line rewritten up to four times a second on a terminal, or printed with --progress, and
 * at any time on SIGUSR1. */
#include "tools/tool.h"
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The line that SIGUSR1 writes. It is kept ready, because a handler may do little more than write(2), and because a
 * program that waits for its input must answer too. Two of them: the one not in use is the one filled. */
static char ready[2][320];
static volatile sig_atomic_t current;

static void
on_usr1(int number)
{
	const char *line = ready[current];
	ssize_t unused;

	(void)number;
	unused = write(STDERR_FILENO, line, strlen(line));
	(void)unused;
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void
put_size(char *out, size_t n, double bytes)
{
	static const char *const units[] = { "B", "KB", "MB", "GB", "TB" };
	int u = 0;

	for (; bytes >= 999.5 && u < 4; u++)
		bytes /= 1000;
	snprintf(out, n, u == 0 || bytes >= 99.5 ? "%.0f %s" : "%.1f %s", bytes, units[u]);
}

static void
put_time(char *out, size_t n, double seconds)
{
	long s = seconds < 0 ? 0 : seconds > 3.5e8 ? 350000000 : lround(seconds);

	if (s >= 3600)
		snprintf(out, n, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(out, n, "%ld:%02ld", s / 60, s % 60);
}

/* "12.3 MB, 41 % of 30.0 MB, 1.2 MB/s, 0:15 left, 1.234 bits per byte" */
static void
put_line(const struct tool_progress *p, double time, char *out, size_t n)
{
	char done[24], total[24], rate[24], left[24], part[64] = "", rest[40] = "", bits[48] = "";
	/* what is read comes by the buffer, and is scored while more is waited for */
	int64_t n_done = p->n_scored_byte > p->n_byte ? p->n_scored_byte : p->n_byte;
	double elapsed = time - p->started, speed = elapsed > 0 ? (double)n_done / elapsed : 0;

	put_size(done, sizeof(done), (double)n_done);
	put_size(rate, sizeof(rate), speed);
	if (p->total > 0 && n_done <= p->total) {
		put_size(total, sizeof(total), (double)p->total);
		snprintf(part, sizeof(part), ", %.0f %% of %s", 100.0 * (double)n_done / (double)p->total, total);
		if (speed > 0) {
			put_time(left, sizeof(left), (double)(p->total - n_done) / speed);
			snprintf(rest, sizeof(rest), ", %s left", left);
		}
	}
	if (p->n_scored_byte > 0)
		snprintf(bits, sizeof(bits), ", %.3f bits per byte", p->nats / M_LN2 / (double)p->n_scored_byte);
	else if (p->n_token > 0)
		snprintf(bits, sizeof(bits), ", %.3f nats per token", p->nats / (double)p->n_token);
	snprintf(out, n, "%s%s, %s/s%s%s", done, part, rate, rest, bits);
}

void
tool_progress_say(struct tool_progress *p, const char *line)
{
	double time = now();
	int next = !current;

	snprintf(ready[next], sizeof(ready[next]), "%s: %s\n", p->t->name, line);
	current = next;
	if (!p->line || time - p->shown < 0.25)
		return;
	p->shown = time;
	if (isatty(STDERR_FILENO)) {
		fprintf(stderr, "\r\033[K%s: %s", p->t->name, line);
		p->t->line_shown = true;
	} else
		fprintf(stderr, "%s: %s\n", p->t->name, line);
	fflush(stderr);
}

static void
update(struct tool_progress *p)
{
	char line[256];

	put_line(p, now(), line, sizeof(line));
	tool_progress_say(p, line);
}

void
tool_progress_start(struct tool_progress *p, struct tool *t, const struct ttt_tokenizer *tokenizer, int64_t total)
{
	struct sigaction a = { 0 };

	*p = (struct tool_progress){ .t = t, .tokenizer = tokenizer, .total = total };
	p->started = p->shown = now();
	p->line = !t->quiet &&
	    (t->progress || (isatty(STDERR_FILENO) && !(t->prints_rows && isatty(STDOUT_FILENO))));
	update(p);
	a.sa_handler = on_usr1;
	a.sa_flags = SA_RESTART | SA_ONSTACK; /* why: take_signals */
	sigemptyset(&a.sa_mask);
	sigaction(SIGUSR1, &a, NULL);
}

void
tool_progress_bytes(struct tool_progress *p, int64_t n)
{
	p->n_byte += n;
	update(p);
}

void
tool_progress_chunk(void *ctx, const struct ttt_chunk_report *r)
{
	struct tool_progress *p = ctx;
	size_t n = 0;

	for (int64_t i = 0; i < r->n; i++) {
		p->nats += r->nll[i];
		if (p->tokenizer != NULL && ttt_tokenizer_bytes(p->tokenizer, r->target[i], &n) != NULL)
			p->n_scored_byte += (int64_t)n;
	}
	p->n_token += r->n;
	update(p);
}

void
tool_progress_end(struct tool_progress *p)
{
	if (p->t->line_shown)
		fputs("\r\033[K", stderr);
	p->t->line_shown = false;
	fflush(stderr);
}
