/* Which files of a followed log are to be read, from where and in which order. Private. */
#ifndef TTT_TEXT_FOLLOW_PLAN_H
#define TTT_TEXT_FOLLOW_PLAN_H
#include "libttt/text/followed.h"

struct ttt_follow {
	struct ttt__positions positions;
	struct ttt__position *position; /* of what was begun; NULL: nothing was */
	char *path;                     /* as given */
	void (*note)(void *ctx, const char *text);
	void *ctx;
	struct ttt__followed **file;    /* [n] the plan, in order: the previous one, rotated ones, the current one */
	size_t n, capacity, at;         /* at: the one being read */
	bool rotated;                   /* there are rotated ones among them */
	bool has_newest;                /* the newest of these that was read, of which is kept, */
	bool newest_compressed;
	struct ttt__mark newest;        /* where it was read to */
	bool over;                      /* the previous one can grow no more */
	bool failed;
	int64_t n_failed;               /* notes of what could not be read */
	struct ttt__followed_buffer buffer;
};

/* Fill the empty plan of f->position. current: f->path, open, or NULL where it is not there; becomes the plan's own. st:
 * its status. */
enum ttt_status ttt__follow_plan(struct ttt_follow *f, struct ttt__followed *current, const struct stat *st,
    struct ttt_error *err);
/* Empty it. */
void ttt__follow_unplan(struct ttt_follow *f);
/* lost: there may be lines that are not read because of it. */
void ttt__follow_note(struct ttt_follow *f, const char *text, bool lost);

#endif
