/* The table of words that stand for one another, and looking into it. Each string is a group: a question with one
 * of its words may be answered by a text with another. Written from general knowledge of Unix, its manuals and its
 * sources; errno names stand with the words of their messages. Groups are loose on purpose: rank.c gives a synonym
 * less weight than the word itself. */
#include "libttt/use/thesaurus.h"

#include <stdlib.h>
#include <string.h>

/* Forms of one word that no stemmer joins. */
static const char *const forms[] = {
	"began begin begun", "bound bind", "bought buy", "broke broken break", "brought bring", "built build",
	"came come", "caught catch", "chose chosen choose", "criteria criterion", "data datum", "dealt deal",
	"died dying die", "drawn drew draw", "driven drove drive", "drank drunk drink", "fallen fell fall",
	"fed feed", "felt feel", "fought fight", "found find", "forbade forbidden forbid", "forgot forgotten forget",
	"froze frozen freeze", "gave given give", "gone went go", "got gotten get", "grew grown grow", "heard hear",
	"held hold", "hid hidden hide", "hung hang", "indices indexes index", "kept keep", "knew known know",
	"laid lay", "lain lie", "led lead", "left leave", "lent lend", "lost lose", "made make", "matrices matrix",
	"meant mean", "met meet", "men man", "overridden overrode override", "overwritten overwrote overwrite",
	"paid pay", "ran run", "reread read", "rebuilt rebuild", "redid redone redo", "rewritten rewrote rewrite",
	"risen rose rise", "said say", "saw seen see", "sent send", "resent resend", "shook shaken shake",
	"shrank shrunk shrink", "slept sleep", "sought seek", "sold sell", "spoke spoken speak", "spent spend",
	"spun spin", "stolen stole steal", "stood stand", "stuck stick", "struck strike", "sworn swore swear",
	"swept sweep", "taken took take", "taught teach", "thought think", "thrown threw throw", "told tell",
	"tore torn tear", "undid undone undo", "understood understand", "vertices vertex",
	"withdrawn withdrew withdraw", "withheld withhold", "woke woken wake", "won win", "worn wore wear",
	"wound wind", "written wrote write", "children child", "mice mouse", "people person", "analyses analysis",
	"queued queueing queue", "freed freeing free", "tried tries try", "denied denies deny", "copied copies copy",
	"entries entry",
};

static const char *const groups[] = {
	"abort cancel terminate interrupt", "absolute full relative", "accounting account",
	"accurate precise exact precision resolution", "activate enable", "additional extra", "address ip",
	"adopt reparent", "align alignment boundary", "allow permit enable grant", "alrm alarm sigalrm",
	"always never", "append add extend", "append tail end", "archive backup tar", "argument parameter option",
	"array table vector", "ask query request", "assign set allocate", "associate bind attach",
	"atomic indivisible race", "attempt try", "authenticate verify check", "author creator owner",
	"automatic automatically implicit", "available free usable", "average mean load", "avoid prevent",
	"backup copy save", "bad wrong invalid", "bandwidth throughput rate", "batch bulk", "behind lag",
	"bit flag mask", "bitmask mask", "broken corrupt damaged invalid", "bug defect error", "build compile",
	"bus pci usb", "busy ebusy occupied", "busy use locked", "bypass circumvent override", "cache buffer",
	"call invoke execute", "cancel revoke undo", "card adapter device interface nic",
	"catch handle trap intercept", "chain list", "chance probability random",
	"change modify alter edit update set adjust", "channel pipe stream", "character char byte letter",
	"check test verify validate ensure", "checksum crc", "child descendant subprocess offspring",
	"choose select pick prefer", "clean purge flush clear wipe", "cleanup free release", "close shut release",
	"color colour", "comment remark note", "compare cmp", "compare differ difference", "compatible compatibility",
	"complain warn error", "compress gzip", "computer host machine system", "configure setup set",
	"conflict clash collide collision", "connection socket", "consume use eat", "contain hold include",
	"container cgroup group", "continue resume proceed", "control manage govern", "convert translate transform",
	"copy duplicate clone", "coredump core dump", "corner edge", "cost overhead expensive",
	"count number total amount", "counter count", "cpu processor core", "crash panic oops die",
	"crash power failure", "create make new allocate spawn add", "current working cwd", "cursor position",
	"daemon service server background", "daemonize background detach", "damage corrupt harm lose",
	"dangerous unsafe risk security", "deactivate disable", "dead zombie defunct", "deadlock lock circular",
	"decide determine choose", "decimal hexadecimal octal", "decrease decrement lower", "decrement decrease dec",
	"default initial preset", "defer delay postpone", "denied eacces eperm permission",
	"describe explain define document", "description meaning", "descriptor fd file", "destination target",
	"detach disconnect unmount", "detect notice discover", "die exit death", "different other vary differ",
	"directory folder", "dirty modified unwritten", "disappear vanish gone", "discard drop throw ignore",
	"disconnect hangup close", "discover probe detect scan", "disk block filesystem",
	"disk drive storage device volume", "distribute balance spread", "dns resolver nameserver resolv",
	"driver module", "duplicate dup copy", "dynamic runtime", "e2big big long large", "eacces permission denied",
	"eagain again temporarily retry", "ebadf descriptor bad", "ebusy busy use", "echild child",
	"econnrefused connection refused", "edquot quota", "eexist exists exist already",
	"efault address bad pointer", "eintr interrupted signal", "einval invalid argument", "eio input output error",
	"eisdir directory", "eject remove", "eloop symbolic loop", "emfile descriptors open many",
	"empty clear zero blank", "empty zero none null", "emulate simulate compatibility", "enametoolong name long",
	"encode encoding charset", "encrypt cipher crypto", "endian byteorder", "enforce apply impose",
	"enoent missing exist", "enomem memory insufficient", "enospc space left full",
	"enosys implemented unsupported", "enotdir directory", "enotempty empty", "enough sufficient insufficient",
	"entry record item", "environ environment variable", "environment env", "eopnotsupp supported unsupported",
	"eoverflow overflow", "eperm permitted permission", "epipe broken pipe", "equivalent same identical",
	"erange range large", "erofs readonly", "error failure fault problem", "esrch process",
	"estimate guess approximate heuristic", "etimedout timeout", "event notification signal",
	"evict reclaim discard swap", "exceed limit", "exceed overflow beyond above", "exclude skip ignore omit",
	"exdev cross device", "execute exec launch", "execute executable binary program",
	"exempt except exception exclude", "exhaust full", "exist present", "exit quit leave terminate",
	"expand expansion substitute", "export share publish", "extended attribute xattr", "extension suffix",
	"extract unpack", "fail error unsuccessful", "fair equal share", "fake spoof forge pretend",
	"fallback otherwise alternative", "fast quick speed performance", "file document", "filesystem fs",
	"fill pad padding", "filter rule select", "find search lookup locate seek", "first initial beginning start",
	"fix correct repair", "fixed constant static", "floppy fd", "flush sync writeback commit",
	"folder directory path", "forbid prohibit restrict prevent deny refuse disallow reject disable",
	"forbidden restricted", "foreground background job", "forever infinite", "forget drop invalidate",
	"fork clone vfork", "forward relay route", "fraction percent ratio percentage", "fragment piece part",
	"free release deallocate return", "frequency rate", "frequent often interval", "full exhausted enospc space",
	"function routine procedure call", "garbage junk", "gather collect accumulate", "group gid", "group set",
	"grow growth expand", "guarantee ensure promise", "guess heuristic estimate", "halt stop shutdown poweroff",
	"handler callback routine function", "handler hook callback", "hang stall stuck freeze lockup hung blocked",
	"hardware device", "hash digest checksum", "header prefix preamble", "help assist", "hidden dot",
	"hint advice madvise fadvise", "home directory", "honour respect obey", "hook callback",
	"hostname nodename uname", "hour minute seconds", "id identifier number", "idle inactive unused",
	"ignore skip discard", "immediately now", "immutable readonly sealed", "incoming receive inbound",
	"increment increase inc", "indirect reference", "infinite unlimited", "inherit child",
	"inherit copy preserve", "inode index", "input stdin", "insert add", "insert add put",
	"inspect examine look view", "install load", "instant immediate", "interface api", "internet network ip inet",
	"interpret parse", "interpreter script shebang", "invert negate", "invoke call",
	"isolate separate sandbox namespace", "job task process", "join attach enter",
	"join merge combine concatenate coalesce", "journal log", "jump goto", "keep preserve hold",
	"keep retain hold", "kernel system", "key index", "keyboard key", "kill terminate die death exit end",
	"kind type", "label name tag", "lack miss without", "language locale lang", "laptop battery",
	"large big huge long", "last final end", "last recent", "late defer delay", "late delay", "leave exit",
	"legal valid allowed", "level priority severity", "library shared", "lifetime duration expire",
	"limit cap ulimit rlimit", "limit maximum max cap ceiling bound quota", "line row", "link symlink alias",
	"list enumerate show", "listen accept", "load read", "locate find", "lock mutex semaphore",
	"locked busy held", "log record message syslog", "login logon session", "loop cycle recursion", "loopback lo",
	"lose lost drop", "low little", "lower reduce decrease shrink cut", "machine box host system computer",
	"mail email message", "mandatory required must", "manual documentation page", "map mmap mapping",
	"marker magic signature", "mask umask", "master controller", "match compare equal", "meaning semantic",
	"measure account", "mechanism method", "memory ram", "merge combine", "message msg",
	"metadata attribute inode", "microsecond usec", "millisecond msec ms", "minimum min least lowest",
	"mirror raid replicate", "missing absent nonexistent enoent", "missing lack enoent", "mode permission bits",
	"modem serial tty", "modification change mtime", "module load insmod", "monitor watch inotify",
	"monitor watch trace observe", "mount attach", "mouse pointer", "move rename relocate migrate",
	"multicast group", "multiple several many", "multiply times", "multithreaded threads thread",
	"mutual exclusion mutex", "name called", "name hostname", "namespace container", "nanosecond nsec ns",
	"negate invert complement", "nested recursive inner", "network net socket", "new fresh recent",
	"newline linefeed", "next following subsequent", "node host machine",
	"nonblocking nonblock eagain o_nonblock", "notify signal inform tell", "number count", "number digit integer",
	"numeric number integer", "object item entry", "obsolete deprecated legacy", "obtain get acquire",
	"occupied used busy", "offline online hotplug", "offset position", "old stale previous former",
	"oom memory killer", "open fopen", "operation op", "option flag", "option flag setting", "optional may",
	"order sequence", "original initial first", "orphan reparent", "outgoing send outbound", "output stdout",
	"overflow wrap exceed", "overlap intersect", "overload load", "overrule override",
	"overwrite clobber truncate", "overwrite replace clobber", "own belong", "owner user uid",
	"ownership owner chown", "packet datagram", "page frame memory", "page sheet", "panic crash fatal",
	"parallel concurrent simultaneous", "parent ancestor", "parse interpret read", "partial incomplete short",
	"partition volume", "pass hand", "password secret credential passwd", "patch fix", "path filename name",
	"pattern regex wildcard glob match", "peak maximum highest hiwater", "peer remote", "pending waiting queued",
	"performance speed", "period interval", "periodically interval", "permission mode",
	"permission privilege capability right access", "persist durable survive sync", "persistent permanent",
	"physical hardware", "pick choose", "pipe fifo", "place location position put", "plug hotplug insert",
	"pointer address", "pool cache reserve", "populate fill", "port socket", "postpone defer", "power energy",
	"precedence priority override", "predict guess", "preempt interrupt", "prefer choose", "prefix start",
	"preserve keep retain", "prevent avoid stop", "previous earlier before last", "primary main",
	"print write emit log message", "priority nice", "private own", "probe detect", "problem error trouble",
	"process task program pid", "profile measure", "prompt ask", "protect guard secure protection",
	"protocol family", "provide supply give", "prune trim remove", "public global", "query ask get",
	"queue backlog list", "quit exit", "quote escape backslash", "race concurrent simultaneous",
	"raise increase grow enlarge expand extend bump", "random entropy", "random rand", "range interval",
	"rapid fast", "rate ratelimit", "raw unprocessed", "reach arrive", "read fetch load get receive",
	"readahead prefetch", "reading read", "readonly ro", "realtime rt", "reap wait", "reap wait zombie",
	"reason cause", "reassign move", "reboot restart reset", "rebuild regenerate", "receive accept get",
	"recent new latest", "recover repair fix", "recursive recurse nested", "redirect forward", "reduce lower",
	"refcount reference count", "refer point", "refresh update renew", "refuse reject deny", "register add",
	"reject refuse drop", "reliable safe guarantee", "reload reread sighup", "remainder rest",
	"remaining left rest", "remember store save record", "remote network peer", "remount mount", "removal remove",
	"remove delete unlink erase drop", "renew refresh", "reopen open", "repair fsck",
	"replace substitute overwrite", "reply answer response", "report print show", "request ask",
	"require need must", "rescue recover", "reserve allocate preallocate", "resize grow shrink size",
	"resolve lookup", "respond reply answer", "restore recover", "restriction limit",
	"retry repeat again attempt eagain", "return result value yield", "reuse recycle",
	"reverse opposite backwards", "root superuser admin administrator privileged", "round truncate align",
	"route routing gateway", "routing route", "safe secure", "sample example", "scan walk iterate traverse",
	"schedule plan", "schedule scheduler", "screen display terminal console", "second seconds", "seed entropy",
	"segfault sigsegv fault", "segment region area", "send transmit deliver post", "sentinel marker",
	"sequence order series", "serial uart", "session login",
	"setting configuration option parameter tunable sysctl", "share shared common", "shell sh bash", "shift move",
	"short brief", "show display print list report output", "shrink reduce", "sigchld child",
	"sighup hangup reload", "sigkill kill", "signal interrupt", "sigsegv segfault", "sigterm terminate",
	"silent quiet suppress", "simple plain", "simultaneous concurrent", "single one",
	"size length bytes capacity", "skip ignore omit bypass", "skip jump", "sleep wait", "slow delay latency",
	"small tiny short little", "snapshot copy", "soft hard limit", "sort order arrange", "source origin",
	"space room blank", "spare reserve extra", "spawn fork clone", "special particular", "speed rate baud",
	"spin busy loop", "split divide partition separate", "spurious false", "stack heap", "stale outdated",
	"standard posix", "start begin launch boot init initialize", "state status condition",
	"statistics stats counter", "status state code", "stderr error", "step stage phase", "sticky bit",
	"stream flow", "strict enforce", "string text characters", "strip remove trim", "structure struct layout",
	"style format", "subsequent next", "substring part", "succeed success ok", "sum total",
	"supplementary additional extra", "support implement", "suppress hide", "suspend pause stop freeze hibernate",
	"suspicious suspect", "swap page", "swap paging swapfile", "switch toggle change", "symbol name",
	"symbolic symlink", "synchronize sync", "synchronous sync", "syntax format", "syscall system call",
	"table list", "tag label", "tail end", "take acquire", "tell inform", "temporary temp tmp scratch",
	"terminal tty console", "test check", "thread task lwp", "threshold limit watermark",
	"throttle limit ratelimit", "tick jiffies hz", "tie bind", "time clock date seconds",
	"timeout expire deadline", "timer alarm timeout", "timestamp time", "timezone tz zone", "token word",
	"touch access", "trace debug track", "traffic packets", "trailing end", "transfer copy move",
	"transparent invisible", "trap exception fault", "trigger cause", "trim cut", "trouble problem",
	"truncate cut shorten", "truncate shorten", "trust secure", "tune adjust", "type kind sort", "ugly hack",
	"umask mode", "unaligned align", "unavailable missing", "undefined unspecified",
	"undo revert rollback restore", "unexpected surprising", "unit measure", "unlimited infinity",
	"unload remove rmmod", "unlock release", "unmap munmap", "unmount umount detach",
	"unprivileged ordinary normal", "unregister remove", "unsafe race", "unused free idle", "upgrade update",
	"upper uppercase", "uptime boot", "usable valid available", "usage consumption used", "user account uid",
	"username login user", "userspace userland", "variable environment env", "vendor manufacturer",
	"verbose debug", "verbose detail", "version release", "video framebuffer", "virtual virt", "visible show",
	"volatile lost", "wait block sleep pause delay", "wait queue list", "wake resume continue", "wakeup wake",
	"walk iterate traverse", "warn warning complain message", "warning warn", "weight share",
	"whitespace blank space", "wildcard glob", "window screen", "wrapper wrap", "writable write", "write output",
	"write store save put update", "writer write", "wrong invalid bad illegal einval", "zero nul", "zombie dead",
	"zone timezone",
};

enum { N_FORMS = sizeof(forms) / sizeof(*forms), N_GROUP = N_FORMS + sizeof(groups) / sizeof(*groups) };

/* Forms first, then groups. */
static const char *
group_text(int g)
{
	return g < N_FORMS ? forms[g] : groups[g - N_FORMS];
}

struct entry {
	struct ttt__term term;
	int group;
};

struct ttt__thesaurus {
	struct entry *by_group; /* [n] in the order of the table */
	struct entry *by_stem;  /* [n] sorted */
	size_t n, capacity;
	size_t first[N_GROUP + 1]; /* of each group in by_group */
};

static bool
add_word(void *ctx, const char *stem, size_t n_stem, size_t start, size_t end)
{
	struct ttt__thesaurus *t = ctx;
	struct entry *e = &t->by_group[t->n];
	const char *text;

	if (t->n == t->capacity || n_stem > TTT__WORD_MAX || end - start > TTT__WORD_MAX)
		return false;
	text = group_text(e->group);
	memcpy(e->term.word, text + start, end - start);
	memcpy(e->term.stem, stem, n_stem);
	t->n++;
	if (t->n < t->capacity)
		t->by_group[t->n].group = e->group;
	return true;
}

static int
compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int c = strcmp(x->term.stem, y->term.stem);

	return c != 0 ? c : (x->group > y->group) - (x->group < y->group);
}

enum ttt_status
ttt__thesaurus_create(struct ttt__thesaurus **out, struct ttt__fulltext *ix, struct ttt_error *err)
{
	struct ttt__thesaurus *t = ttt__new(1, sizeof(*t));
	enum ttt_status s = TTT_OK;
	size_t n = 0;

	if (t == NULL)
		return ttt__fail_memory(err, "synonyms");
	for (int g = 0; g < N_GROUP; g++)
		n += (strlen(group_text(g)) + 1) / 2; /* words of a letter or more, with blanks between them */
	t->by_group = ttt__new(n, sizeof(*t->by_group));
	t->by_stem = ttt__new(n, sizeof(*t->by_stem));
	t->capacity = n;
	if (t->by_group == NULL || t->by_stem == NULL)
		s = ttt__fail_memory(err, "synonyms");
	for (int g = 0; g < N_GROUP && s == TTT_OK; g++) {
		t->first[g] = t->n;
		if (t->n < t->capacity)
			t->by_group[t->n].group = g;
		s = ttt__fulltext_words(ix, group_text(g), strlen(group_text(g)), true, add_word, t, err);
	}
	if (s != TTT_OK) {
		ttt__thesaurus_free(t);
		return s;
	}
	t->first[N_GROUP] = t->n;
	memcpy(t->by_stem, t->by_group, t->n * sizeof(*t->by_stem));
	qsort(t->by_stem, t->n, sizeof(*t->by_stem), compare);
	*out = t;
	return TTT_OK;
}

void
ttt__thesaurus_free(struct ttt__thesaurus *t)
{
	if (t == NULL)
		return;
	free(t->by_group);
	free(t->by_stem);
	free(t);
}

/* Index of the first entry in by_stem that is not less than stem. */
static size_t
lower_bound(const struct ttt__thesaurus *t, const char *stem)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(t->by_stem[middle].term.stem, stem) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* True when one of the groups by_stem[from .. to - 1] are in holds the stem before entry (group, place). */
static bool
came_before(const struct ttt__thesaurus *t, size_t from, size_t to, size_t place, const char *stem)
{
	for (size_t i = from; i <= to; i++) {
		int g = t->by_stem[i].group;

		for (size_t j = t->first[g]; j < t->first[g + 1] && (i < to || j < place); j++)
			if (strcmp(t->by_group[j].term.stem, stem) == 0)
				return true;
	}
	return false;
}

void
ttt__thesaurus_walk(const struct ttt__thesaurus *t, const char *stem, ttt__synonym_fn *fn, void *ctx)
{
	size_t from = lower_bound(t, stem);

	for (size_t i = from; i < t->n && strcmp(t->by_stem[i].term.stem, stem) == 0; i++) {
		int g = t->by_stem[i].group;

		for (size_t j = t->first[g]; j < t->first[g + 1]; j++) {
			const struct ttt__term *synonym = &t->by_group[j].term;

			if (strcmp(synonym->stem, stem) == 0 || came_before(t, from, i, j, synonym->stem))
				continue;
			if (!fn(ctx, synonym, g < N_FORMS))
				return;
		}
	}
}
