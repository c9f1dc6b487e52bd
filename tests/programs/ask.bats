# ttt-ask: quotations with file and line, or a plain no.
# shellcheck disable=SC2154 # status, output, stderr, files and model are set by run and by common.bash
load common

more_setup() {
	export TTT_MODEL=$model
	mkdir -p src doc
	cat >src/journal.c <<-'END'
	/*
	 * Replay of the journal at mount.
	 */
	int journal_replay(struct journal *j)
	{
		if (!j->dirty)
			return 0;
		return walk_blocks(j, apply_block);
	}
	END
	printf 'Limits\n\nA queue keeps 4096 messages unless queue_max says otherwise.\n' >doc/limits.txt
	printf 'an evil \033[31mline\033[0m \302\233 \342\200\256 and \377 too\n' >doc/evil.txt
	ttt-absorb -r -o state src doc
}

@test "the answer comes first, then passages with file and line" {
	ok ttt-ask "$files/state" "where is the journal replayed?"
	[ "${lines[0]}" = "src/journal.c:2:  * Replay of the journal at mount." ]
	[[ ${lines[1]} == "[1] src/journal.c:1-9, score "* ]]
	[ "${lines[2]}" = "src/journal.c:1: /*" ]
}

@test "-k and -C bound what is shown" {
	ok ttt-ask -k 1 -C 0 "$files/state" "journal queue"
	[ "${#lines[@]}" -eq 3 ]
	[ "${lines[2]}" = "${lines[0]}" ]
	ok ttt-ask -k 2 -C 1 "$files/state" "journal queue"
	[ "$(printf '%s\n' "${lines[@]}" | grep -c '^\[')" -eq 2 ]
	refuse "-k" ttt-ask -k 0 "$files/state" x
	refuse "-k" ttt-ask -k many "$files/state" x
}

@test "the first passage is shown whole, of others four lines around the best" {
	{
		echo "int kumquat_weight(struct fruit *f)" # found by its name
		echo "{"
		for i in 1 2 3 4 5 6 7 8 9 10; do echo "	step$i(f);"; done
		echo "}"
	} >one.c
	sed 's/kumquat_weight/kumquat_size/; s/step/part/' one.c >two.c
	ttt-absorb -o s one.c two.c
	ok ttt-ask s "kumquat weight"
	[ "$(printf '%s\n' "$output" | grep -c '^one.c:')" -eq 14 ] # 13 lines, and the answer
	[ "$(printf '%s\n' "$output" | grep -c '^two.c:')" -eq 5 ]
	ok ttt-ask -C 2 s "kumquat weight"
	[ "$(printf '%s\n' "$output" | grep -c '^one.c:')" -eq 4 ]
}

@test "nothing that bears on it: exit 1, one sentence, no output" {
	run --separate-stderr ttt-ask "$files/state" "colourless green ideas"
	show
	[ "$status" -eq 1 ]
	[ -z "$output" ]
	[ "$stderr" = "ttt-ask: nothing absorbed bears on 'colourless green ideas'" ]
}

@test "several questions are told apart; one without an answer makes exit 1" {
	run --separate-stderr ttt-ask -k 1 -C 0 "$files/state" "journal" "colourless green ideas" "How many messages does a queue keep?"
	show
	[ "$status" -eq 1 ]
	[ "${lines[0]}" = "# journal" ]
	[ "${lines[4]}" = "# How many messages does a queue keep?" ]
	[ "${lines[5]}" = "doc/limits.txt:3: A queue keeps 4096 messages unless queue_max says otherwise." ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	printf 'journal\r\n\n  \nqueue_max\n' >questions
	ttt-ask -k 1 -C 0 "$files/state" journal queue_max >want
	ok ttt-ask -k 1 -C 0 "$files/state" <questions
	[ "$output" = "$(cat want)" ]
}

@test "--json: an object a question, also for one without an answer, always valid" {
	run --separate-stderr ttt-ask --json "$files/state" "journal_replay" 'evil "line"' "colourless ideas"
	show
	[ "$status" -eq 1 ]
	[ "${#lines[@]}" -eq 3 ]
	printf '%s\n' "${lines[@]}" >out
	python3 - <<-'END'
	import json
	a, b, c = [json.loads(l) for l in open("out", encoding="utf-8")]
	assert a["question"] == "journal_replay" and a["abstain"] is False and a["score"] == a["passages"][0]["score"]
	assert a["answer"] == "int journal_replay(struct journal *j)", a["answer"]
	p = a["passages"][0]
	assert (p["file"], p["start"], p["end"], p["best"], p["line"]) == ("src/journal.c", 1, 9, 4, a["answer"]), p
	assert p["text"].count("\n") == 9 and p["score"] > 0
	assert all(x["score"] >= y["score"] for x, y in zip(a["passages"], a["passages"][1:]))
	assert b["question"] == 'evil "line"' and "�" in b["answer"] and "\x1b[31m" in b["answer"]
	assert c["answer"] is None and c["abstain"] is True
	END
}

@test "what is quoted cannot steer a terminal" {
	command -v script >/dev/null || skip "no script(1)"
	script -qec "ttt-ask -k 1 '$files/state' 'evil line'" /dev/null >out
	grep -F 'an evil \x1b[31mline\x1b[0m \x9b \u202e and \xff too' out
	run ! grep -q "$(printf '\033')" out
	# A pipe gets the bytes as they were.
	ttt-ask -k 1 -C 0 "$files/state" 'evil line' | grep -q "$(printf '\033')"
}

@test "a file's name stays on its line" {
	name=$'two\nlines\xff'
	cp "$files/text" "$name"
	ttt-absorb --no-learn -o s "$name"
	ok ttt-ask -k 1 -C 0 s struct
	[ "${#lines[@]}" -eq 3 ] # an empty one is not counted
	[[ ${lines[0]} == 'two\x0alines\xff:'[0-9]*': '* ]]
	ttt-ask --json s struct | grep -F '"file": "two\nlines'
}

@test "--rank: learning reorders what words find, all but the first" {
	for how in words initial absorbed; do
		ttt-ask --json --rank "$how" "$files/state" "journal queue evil" >"$how"
	done
	python3 - <<-'END'
	import json
	words, initial, absorbed = [json.load(open(n))["passages"] for n in ("words", "initial", "absorbed")]
	key = lambda p: (p["file"], p["start"])
	for other in initial, absorbed:
	    assert sorted(map(key, words)) == sorted(map(key, other)) and key(words[0]) == key(other[0])
	scores = lambda passages: [p["score"] for p in passages[1:]]
	assert scores(words) != scores(initial) != scores(absorbed)
	END
	ok ttt-ask --rank bm25 "$files/state" "journal"
	refuse "'best'" ttt-ask --rank best "$files/state" "journal"
}

@test "--complete: the same seed gives the same text" {
	ok ttt-ask --complete -n 20 "$files/state" "static int"
	first=$output
	ok ttt-ask --complete -n 20 --seed 9 "$files/state" "static int"
	[ "$output" = "$first" ] # the likeliest tokens
	ttt-ask --complete -n 40 --temperature 1 --seed 9 "$files/state" "static int" >a
	ttt-ask --complete -n 40 --temperature 1 --seed 9 "$files/state" "static int" >b
	ttt-ask --complete -n 40 --temperature 1 --seed 10 "$files/state" "static int" >c
	cmp a b
	run ! cmp -s a c
	printf 'static int' | ttt-ask --complete -n 40 --temperature 1 --seed 9 "$files/state" >b
	cmp a b
	refuse "JSON" ttt-ask --complete --json "$files/state" x
	refuse "one text" ttt-ask --complete "$files/state" x y
}

@test "--no-passages asks the weights alone, also where no text is kept" {
	ttt-absorb --no-passages -o bare "$files/text"
	refuse "bare: keeps no passages" ttt-ask bare "static int"
	ok ttt-ask --no-passages -n 20 bare "static int"
	[ -n "$output" ]
	run ! grep -q 'score' <<<"$output"
	ttt-ask --no-passages -n 20 bare "static int" >one
	(printf 'static int\n' | ttt-ask --complete -n 20 bare) >two
	cmp one two
	printf 'static int\nreturn\n' | ttt-ask --no-passages -n 20 bare >both
	[ "$(head -n 1 both)" = '# static int' ]
	grep -q '^# return$' both
	ttt-ask --json --no-passages -n 20 "$files/state" journal >out
	python3 - <<-'END'
	import json
	a = json.load(open("out"))
	assert a["question"] == "journal" and a["answer"] is None and a["passages"] == [] and a["weights"]
	END
}

@test "a text that came again under its name is kept beside the older one, and comes first" {
	echo "the kumquat order was cancelled" >today.txt
	ttt-absorb -u notes today.txt
	echo "the kumquat order has arrived after all" >today.txt
	ttt-absorb -u notes today.txt
	ok ttt-ask -C 0 notes "what about the kumquat order?"
	[ "${lines[0]}" = "today.txt:1: the kumquat order has arrived after all" ]
	[ "${#lines[@]}" -eq 5 ]
	[ "${lines[4]}" = "today.txt:1: the kumquat order was cancelled" ]
}

@test "versions of a text do not crowd out others" {
	printf 'The billing service has a deploy pipeline; who owns it is in owners.md.\n' >head
	mkdir notes
	printf 'The owner of the deploy pipeline of the billing service is Ada.\n' >notes/owners.md
	for i in 1 2 3 4 5 6; do
		(cat head; echo "Its pipeline's status:"; echo "deploy of the billing service was run $i times"; echo "owner: see there") >notes/status.md
		ttt-absorb -u u -r notes
	done
	ok ttt-ask -C 0 -k 3 u "who is the owner of the deploy pipeline of the billing service?"
	[[ $output == *"service is Ada."* ]]
	[ "$(printf '%s\n' "$output" | grep -c '^\[.*status.md')" -eq 1 ]
}

@test "of a text that changed the newer version is shown, and what is left of the older one is marked" {
	seq -f "setting number %g" 5 >conf.md
	echo "The request timeout by default is 30 seconds." >>conf.md
	ttt-absorb --no-learn -u v conf.md
	sed -i '$s/.*/Requests are given up after 90 seconds (it was 30 before)./' conf.md
	ttt-absorb --no-learn -u v conf.md
	ok ttt-ask -k 3 v "what is the default request timeout?"
	[[ $output == *"given up after 90 seconds"* ]]
	[[ $output == *", older version"* || $output != *"by default is 30 seconds"* ]]
	# moved lines are a version all the same
	{ seq -f "comment %g" 30; seq -f "the kumquat press has lever %g" 20; } >press.md
	ttt-absorb --no-learn -u w press.md
	{ seq -f "another comment %g" 70; seq -f "the kumquat press has lever %g" 20; } >press.md
	ttt-absorb --no-learn -u w press.md
	ok ttt-ask -C 0 -k 9 w "kumquat press lever 7"
	[[ ${lines[0]} == "press.md:77: "* ]]
	[ "$(printf '%s\n' "$output" | grep -c 'older version')" -eq 1 ]
	ok ttt-ask --json w "kumquat press lever 7"
	[[ $output == *'"older": false'* ]]
}

@test "what stands in every line, a part of a name, camelCase and short quoted words are found" {
	seq -f "request %g: connection refused" 3000 >rep.log
	printf 'class RetryPolicy {\n    int maxRetryAttempts = 7;\n    HTTPServer server;\n}\n' >RetryPolicy.java
	printf 'int ttt_lock_take(void);\n' >lock.h
	echo 'mode "wb" truncates the file' >modes.txt
	echo 'frozen  Hold the adapted weights, that is their meaning.' >modes.man
	ttt-absorb --no-learn -o s rep.log RetryPolicy.java lock.h modes.txt modes.man
	ok ttt-ask -k 1 -C 0 s "connection refused"
	[[ $output == rep.log:* ]]
	ok ttt-ask -k 1 -C 0 s "how many retry attempts are made?"
	[[ $output == RetryPolicy.java:2:* ]]
	ok ttt-ask -k 1 -C 0 s "which attempts does the HTTP server make?"
	[[ $output == RetryPolicy.java:3:* ]]
	ok ttt-ask -k 1 -C 0 s lock_take
	[[ $output == lock.h:1:* ]]
	ok ttt-ask -k 1 -C 0 s "what does open(path,'wb') do?"
	[[ $output == modes.txt:1:* ]]
	ok ttt-ask -k 1 -C 0 s "what does frozen mean?"
	[[ $output == modes.man:1:* ]]
	ok ttt-ask -k 1 -C 0 s "what is refused in lock.h?"
	[[ $output == lock.h:1:* ]]
}

@test "a newer text of the same name that lacks what was asked for takes no place" {
	{ for _ in 1 2 3 4 5 6 7 8; do echo "heartbeat ok"; done; echo "disk sda failed"; } >one
	sed 's/disk sda/network eth0/' one >two
	ttt-absorb --no-learn -u l - <one
	ttt-absorb --no-learn -u l - <two
	ok ttt-ask -C 0 l "which disk failed?"
	[[ ${lines[0]} == *"disk sda failed" ]]
	# A file that is named is not always the one that answers.
	echo 'int build_flag;' >main.c
	echo 'The program that compiles main.c with debug flags is called buildy.' >build.md
	printf 'To compute a column total, use sum.\n' >a.txt
	printf 'To compute the arithmetic mean of a column, use avg.\n' >b.txt
	ttt-absorb --no-learn -o m main.c build.md a.txt b.txt
	ok ttt-ask -C 0 m "which program compiles main.c with debug flags?"
	[[ ${lines[0]} == build.md:* ]]
	ok ttt-ask -C 0 m "how do I compute the mean of a column?"
	[[ ${lines[0]} == b.txt:* ]]
}

@test "a text without a newline at its end does not run into the next one of its name" {
	printf 'the alpha service owns port 4711' | ttt-absorb -u notes
	printf 'gamma is not alpha' | ttt-absorb -u notes
	ok ttt-ask -C 0 notes "alpha service port"
	[ "${lines[0]}" = "-:1: the alpha service owns port 4711" ]
}

@test "--rank: the order does not depend on what was asked before" {
	unset TTT_MODEL # the tiny one has nothing that goes on with the number of chunks
	head -c 12000 "$BATS_TEST_DIRNAME/../../libttt/state/write.c" >write.c
	ttt-absorb --no-learn -o s write.c
	ok ttt-ask --json --rank initial s "which parts does the manifest list?" "what does the check compute?" "which parts does the manifest list?"
	[ "${lines[0]}" = "${lines[2]}" ]
}

@test "scripts without blanks between words are found by their characters" {
	printf '\347\274\223\345\255\230\345\244\247\345\260\217\347\224\261\351\205\215\347\275\256\n' >zh # huan cun da xiao you pei zhi
	ttt-absorb -o s zh
	ok ttt-ask -C 0 s $'\347\274\223\345\255\230' # huan cun
	[[ ${lines[0]} == "zh:1: "* ]]
}

@test "of a long line what is asked about is shown" {
	{
		seq -s ';var v=' 3000 | tr -d '\n'
		printf ';registerStemmer(language);'
		seq -s ';var w=' 3000
	} >min.js
	ttt-absorb --no-learn -o s min.js
	ok ttt-ask -k 1 -C 0 s "how is registerStemmer called?"
	[[ ${lines[0]} == "min.js:1: ..."*"registerStemmer(language)"*"..." ]]
	[ "${#lines[0]}" -lt 1050 ]
	# What the question says in passing does not count, and forms of its words do.
	{
		seq -f 'When you have a cluster, this is what you should check, %.0f.' -s ' ' 60 | tr -d '\n'
		printf ' All kumquat daemons listen on port 4711.'
		seq -f ' When you have a cluster, this is what you should check, %.0f.' -s ' ' 60
	} >para.md
	ttt-absorb --no-learn -o p para.md
	ok ttt-ask -k 1 -C 0 p "what port does the kumquat daemon have when you check?"
	[[ ${lines[0]} == *"on port 4711."* ]]
	ok ttt-ask --json -k 1 s "how is registerStemmer called?"
	[ "${#output}" -gt 20000 ]
}

@test "no question is an error" {
	refuse "-: no question: the input is empty" ttt-ask "$files/state" </dev/null
	printf ' \n\t\n' >blank
	refuse "-: no question" ttt-ask --json "$files/state" <blank
}

@test "a pipe's passages are cited by line alone" {
	cat "$files/src/journal.c" "$files/doc/limits.txt" | ttt-absorb >s
	ok ttt-ask -k 1 -C 0 s "queue_max"
	[ "${lines[0]}" = "-:12: A queue keeps 4096 messages unless queue_max says otherwise." ]
	ok bash -c 'ttt-ask -k 1 -C 0 - queue_max <s'
	[ "${lines[0]}" = "-:12: A queue keeps 4096 messages unless queue_max says otherwise." ]
}

@test "bad input: one line, exit 2" {
	refuse "state to ask is missing" ttt-ask
	refuse "nosuch: " ttt-ask nosuch x
	refuse "standard input" ttt-ask -
	echo damaged >bad
	refuse "bad: " ttt-ask bad x
	ttt-absorb --no-passages -o s "$files/text"
	refuse "s: keeps no passages" ttt-ask s x
	run --separate-stderr bash -c "ttt-ask '$files/state' journal >/dev/full"
	show
	[ "$status" -eq 2 ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	run --separate-stderr bash -c "ttt-ask '$files/state' journal >&-"
	show
	[ "$status" -eq 2 ]
	ok bash -c "ttt-ask '$files/state' journal | true"
}

@test "where a symbol is defined comes before where it is used, in several languages" {
	printf '#include "a.h"\n\nstatic int\nreap_all(struct node *n)\n{\n\treturn n->left;\n}\n' >a.c
	printf 'x = reap_all(reap_all(y))\nreap_all(z)\nThe caller must call reap_all() first, or reap_all fails.\n' >use.txt
	printf 'import os\n\nLIMIT_ROWS = 40\n\nclass Store:\n    def put_row(self, row):\n        return self.put_row(row)\n' >b.py
	printf 'put_row put_row put_row LIMIT_ROWS LIMIT_ROWS Store Store\nif (LIMIT_ROWS == 3) put_row(r);\n' >more.txt
	printf 'package Farm::Yard;\nsub hen_house { return 1; }\nhen_house(hen_house());\n' >c.pm
	printf '#define PEN_MAX 3\nstruct pen_door;\nstruct pen_door {\n\tint open;\n};\nvoid use(struct pen_door *p, struct pen_door *q);\n' >d.h
	ttt-absorb --no-learn -o s a.c use.txt b.py more.txt c.pm d.h
	ask() {
		ttt-ask -q s "$1" | head -n 1
	}
	[[ $(ask "where is reap_all defined?") == "a.c:4: "* ]]
	[[ $(ask "reap_all") == "a.c:4: "* ]]
	[[ $(ask "what does put_row do?") == "b.py:6: "* ]]
	[[ $(ask "LIMIT_ROWS") == "b.py:3: "* ]]
	[[ $(ask "where is Store declared?") == "b.py:5: "* ]]
	[[ $(ask "def hen_house") == "c.pm:2: "* ]]
	[[ $(ask "where is PEN_MAX defined") == "d.h:1: "* ]]
	[[ $(ask "struct pen_door") == "d.h:3: "* ]]
}

@test "what is pasted comes from where it stands word for word" {
	printf 'module named module named name module no\n' >a
	printf 'raise(f"No module named {x}")\nsafe create leading directories safe\n' >b
	printf 'for i in range(127):\n    i = 0 + 0 + 1\n' >c
	printf 'bind to 127.0.0.1 only\n safe.directory is looked at\n' >d
	ttt-absorb --no-learn -o s a b c d
	[[ $(ttt-ask s "No module named" | head -n 1) == b:1:* ]]
	[[ $(ttt-ask s "127.0.0.1" | head -n 1) == d:1:* ]]
	[[ $(ttt-ask s "what was fixed about safe.directory?" | head -n 1) == d:2:* ]]
}

@test "a question for what is in a file is answered from it, though none of its words stand there" {
	printf 'all: gnu\n\ngnu:\n\techo gnu\n' >Makefile
	printf '{ "private": true }\n' >package.json
	printf 'see the Makefile and package.json, package and json\n' >notes.txt
	ttt-absorb --no-learn -o s Makefile package.json notes.txt
	[[ $(ttt-ask s "what is in package.json?" | head -n 1) == package.json:1:* ]]
	[[ $(ttt-ask s "what does the Makefile do?" | head -n 1) == Makefile:1:* ]]
	[[ $(ttt-ask s "Makefile" | head -n 1) == Makefile:* ]]
	[[ $(ttt-ask s "where is package.json mentioned?" | head -n 1) == notes.txt:* ]]
}

@test "two streams are no versions of each other; ./FILE is FILE" {
	echo "monday: the gnu ate the cable" | ttt-absorb -u p
	echo "tuesday: the yak saw the gnu and a cable" | ttt-absorb -u p
	ok ttt-ask p "gnu cable"
	[[ $output != *older* ]]
	echo "the limit of walruses is 30" >w.txt
	ttt-absorb -u s w.txt
	echo "the limit of walruses is 45" >w.txt
	ttt-absorb -u s ./w.txt
	ok ttt-ask s "limit of walruses"
	[[ ${lines[0]} == *45* ]]
	[[ $output == *"older version"* ]]
}

@test "a word is the same in every case, with and without its accents, composed or not" {
	printf 'le caf\303\251 est ferm\303\251\n\ndie Gr\303\266\303\237e z\303\244hlt\n' >a # cafe ferme Groesse zaehlt
	printf 'une cafe\314\201tie\314\200re neuve\n' >b                                       # an e and an accent
	ttt-absorb --no-learn -o s a b
	for word in cafe $'caf\303\251' $'cafe\314\201' $'CAF\303\211'; do
		[[ $(ttt-ask s "$word" | head -n 1) == a:1:* ]]
	done
	[[ $(ttt-ask s $'GR\303\226SSE' | head -n 1) == a:3:* ]]
	[[ $(ttt-ask s $'caf\303\251ti\303\250re' | head -n 1) == b:1:* ]]
}

@test "a number is preferred where one is asked for, the name of an error where an error is" {
	printf 'the limit of walruses is 45 now\n' >a
	printf 'the limit of walruses is low now\n' >b
	printf 'the seal call fails with ENOSEAL then\n' >c
	printf 'the seal call fails with nothing then\n' >d
	ttt-absorb --no-learn -o s a b c d
	[[ $(ttt-ask s "what is the limit of walruses?" | head -n 1) == a:1:* ]]
	[[ $(ttt-ask s "which error does the seal call return when it fails?" | head -n 1) == c:1:* ]]
}
