# ttt-digest: the few new lines that are not as usual, and no line lost.
# shellcheck disable=SC2154 # status, output, stderr, files and model are set by run and by common.bash
load common

# log FIRST LAST: lines of a quiet service, three kinds, with numbers.
log() {
	seq "$1" "$2" | awk '{
		k = $1 % 3
		t = sprintf("Nov 25 10:%02d:%02d host ", $1 / 60 % 60, $1 % 60)
		if (k == 0) print t "sshd[" 1000 + $1 "]: Connection from 10.0.0." $1 % 250 " port " 40000 + $1
		if (k == 1) print t "cron[" 2000 + $1 "]: session opened for user backup"
		if (k == 2) print t "cron[" 2000 + $1 "]: session closed for user backup"
	}'
}

more_setup() {
	log 1 300 >first
	TTT_MODEL=$model ttt-digest -q learned.ttt first
}

# A state that has read log, 300 lines, in this folder.
start() {
	cp "$files/first" log
	ttt-digest -q s.ttt log
}

evil="Nov 25 11:00:00 host kernel: DANGER reactor coolant lost, shutting down turbine"

@test "a first run learns, says so, and prints nothing" {
	cp "$files/first" log
	run --separate-stderr ttt-digest s.ttt log
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ "$stderr" = "ttt-digest: s.ttt: 300 lines learned; what is novel is known from the next run on" ]
	[ "$(stat -c %a s.ttt)" = 600 ]
}

@test "nothing new, nothing printed; as usual, nothing printed" {
	start
	ok ttt-digest s.ttt log
	[ -z "$output" ]
	log 301 600 >>log
	ok ttt-digest s.ttt log
	[ -z "$output" ]
}

@test "a novel line is printed with its place, and stays novel until it is accepted" {
	start
	log 301 310 >>log
	for _ in $(seq 1000); do echo "$evil"; done >>log
	log 311 320 >>log
	ok ttt-digest s.ttt log
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == "log:311:0."*": $evil  (1000 alike)" ]]
	for _ in 1 2 3; do
		echo "$evil" >>log
		run --separate-stderr ttt-digest s.ttt log
		[[ $output == "log:"*": $evil" ]]
		printf '%s\n' "$output" >report
	done
	ok ttt-digest -q --accept report s.ttt
	echo "$evil" >>log
	ok ttt-digest s.ttt log
	[ -z "$output" ]
}

@test "--json rows are accepted too, counts left aside, control characters as they were" {
	start
	printf 'an evil \033[31mline\033[0m \302\233 \342\200\256 and \377 too\nsecond (3 alike)\n' >>log
	ok ttt-digest --dry-run s.ttt log
	[ "${#lines[@]}" -eq 2 ]
	[[ $output != *$'\033'* ]]
	ttt-digest --dry-run s.ttt log >report
	ok ttt-digest --json --dry-run s.ttt log
	[ "$(printf '%s\n' "$output" | jq -s 'length')" -eq 2 ]
	cp s.ttt t.ttt
	ttt-digest -q --accept report s.ttt
	ok ttt-digest --dry-run s.ttt log
	[ -z "$output" ]
	ttt-digest --json --dry-run t.ttt log | grep second >report
	ttt-digest -q --accept - t.ttt <report
	ok ttt-digest --dry-run t.ttt log
	[ "${#lines[@]}" -eq 1 ]
	refuse "has no rows" ttt-digest --accept "$files/text" t.ttt
}

@test "--accept learns a line a row, and leaves a state that can be read" {
	start
	cp s.ttt t.ttt
	printf '%s\n' 'httpd: DANGER payload rejected, cmd=id\x0auname strange' >>log
	ttt-digest s.ttt log >report
	[ -s report ]
	ok ttt-digest -q --accept report s.ttt
	printf '%s\n' 'httpd: DANGER payload rejected, cmd=id\x0auname strange' >>log
	ok ttt-digest s.ttt log
	[ -z "$output" ]
	printf '{"text":"alpha reactor\\nbeta coolant"}\n{"text":"%080000d"}\n' 0 >rows
	ok ttt-digest -q --accept rows t.ttt
	ok ttt-digest --dry-run t.ttt log
	# A row that was cut is not the line.
	seq -f 'DANGER%.0fword' -s ' ' 200000 200150 | tr 0-9 a-j >>log
	ttt-digest s.ttt log >report
	[[ $(<report) == *... ]]
	run --separate-stderr ttt-digest --accept report s.ttt
	show
	[ "$status" -eq 2 ]
	[[ $stderr == *"shown cut"* ]]
}

@test "a part that cannot be read ends with 2, and says so with -q too" {
	start
	echo "$evil" >>log
	gzip -c log | head -c 300 >log.1.gz
	: >log
	run --separate-stderr ttt-digest -q s.ttt log
	show
	[ "$status" -eq 2 ]
	[[ $stderr == *"log.1.gz"* ]]
}

@test "a log that was cut is read from its start, which is no error" {
	start
	head -n 3 "$files/first" >log
	run --separate-stderr ttt-digest s.ttt log
	show
	[ "$status" -eq 0 ]
	[[ $stderr == *"it is read from its start"* ]]
}

@test "--threshold tells nothing on a first run" {
	ok ttt-digest -q --threshold 0.3 s.ttt "$files/first"
	[ -z "$output" ]
	cp "$files/first" log
	ttt-digest -q --threshold 0.3 t.ttt log
	echo "$evil" >>log
	ok ttt-digest --threshold 0.3 t.ttt log
	[ "${#lines[@]}" -eq 1 ]
}

@test "--json shows nothing that steers a terminal; --all is not read by itself" {
	start
	printf 'kernel: DANGER reactor \302\23331m coolant \342\200\256 lost\n' >>log
	ok ttt-digest --json --dry-run s.ttt log
	[[ $output == *'\u009b'*'\u202e'* ]]
	run --separate-stderr bash -c 'ttt-digest --all --dry-run s.ttt log >>log'
	show
	[ "$status" -eq 2 ]
	[[ $stderr == *"is the file that standard output goes to"* ]]
}

@test "--all --json has a row for every new line" {
	start
	log 301 303 >>log
	echo "$evil" >>log
	ok ttt-digest --dry-run --all --json s.ttt log
	[ "$(printf '%s\n' "$output" | jq -c .line | tr '\n' ' ')" = "1 2 3 4 " ]
	[ "$(printf '%s\n' "$output" | jq -c .file_line | tr '\n' ' ')" = "301 302 303 304 " ]
	[ "$(printf '%s\n' "$output" | jq -r .novel | tr '\n' ' ')" = "false false false true " ]
	[ "$(printf '%s\n' "$output" | tail -n 1 | jq -r '.text[.marks[0][0]:.marks[0][1]]')" = "kernel: DANGER reactor coolant lost, shutting down turbine" ]
	ok ttt-digest --dry-run --all s.ttt log
	[ "${#lines[@]}" -eq 4 ]
}

@test "rows that differ in numbers alone are one, however long the numbers are" {
	start
	for n in 5 12 345 67890; do echo "app[$n]: FATAL lost worker $n at shard $n of the grinder"; done >>log
	ok ttt-digest s.ttt log
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *"worker 5 at shard 5"*"(4 alike)" ]]
}

@test "a stack below a novel line does not push another log's incident out" {
	start
	log 1 50 >other
	ttt-digest -q --learn-all s.ttt log other
	{
		echo "Nov 25 11:00:00 host app: ERROR unhandled failure in the billing thread"
		seq 40 | awk '{ printf "\tat org.shop%c%c.Billing.step%c(Billing.java:%d)\n", 96 + $1 % 26, 97 + $1 % 7, 97 + $1 % 5, $1 }'
	} >>log
	echo "$evil" >>other
	ok ttt-digest -q s.ttt log other
	[[ ${lines[0]} == log:* || ${lines[1]} == log:* ]]
	[[ ${lines[0]} == other:* || ${lines[1]} == other:* ]]
}

@test "from the fourth on, rows that differ in a name nobody has seen are one" {
	start
	for name in emil friederike gottfried; do
		echo "Nov 25 11:00:01 host sshd[78]: Invalid user $name from 10.0.0.9 port 4711 ssh2 preauth"
	done >>log
	ttt-digest -q --learn-all s.ttt log
	for name in hildegard immanuel jakobine karoline ludmilla; do
		echo "Nov 25 11:00:02 host sshd[79]: Failed none for invalid user $name from 10.0.0.9 port 4711 ssh2 preauth of a turbine"
	done >>log
	ok ttt-digest --threshold 0.01 s.ttt log
	[ "${#lines[@]}" -eq 3 ]
	[[ $output == *"hildegard"*"(3 alike)"* ]]
}

@test "a row of bytes that are not UTF-8 is accepted from JSON" {
	start
	printf 'Nov 25 11:00:00 host kernel: temp\351rature d\351pass\351e du r\351acteur\n' | tee line >>log
	ok ttt-digest --json s.ttt log
	printf '%s\n' "$output" >rows
	ok ttt-digest -q --accept rows s.ttt
	cat line >>log
	ok ttt-digest s.ttt log
	[ -z "$output" ]
}

@test "a link that leads to another file now: the former is read to its end, whatever its name" {
	log 1 300 >app-1.out
	ln -s app-1.out current
	ttt-digest -q s.ttt current
	echo "$evil" >>app-1.out
	log 301 310 >app-2.out
	ln -sf app-2.out current
	ok ttt-digest s.ttt current
	[[ $output == *"app-1.out:301:"*": $evil" ]]
}

@test "a slot of the rotation that was named once is read again as what was rotated" {
	log 1 100 >app.log.1
	log 101 300 >app.log
	ttt-digest -q s.ttt app.log app.log.1
	mv app.log.1 app.log.2
	mv app.log app.log.1
	log 301 320 >app.log
	ttt-digest -q s.ttt app.log
	mv app.log.1 app.log.3
	echo "$evil" >>app.log
	mv app.log app.log.2
	log 321 340 >app.log.1
	echo "$evil again" >>app.log.1
	log 341 350 >app.log
	ok ttt-digest s.ttt app.log
	[[ $output == *"reactor"* ]]
}

@test "a log with a number behind its name is no part of the one without" {
	for name in worker worker-1; do
		log 1 300 >$name.log
	done
	ttt-digest -q s.ttt worker.log worker-1.log
	echo "$evil" >>worker-1.log
	ok ttt-digest s.ttt worker.log worker-1.log
	[ "${#lines[@]}" -eq 1 ]
	mv worker.log worker.log.1
	log 301 320 >worker.log
	ok ttt-digest s.ttt worker.log worker-1.log
	[ -z "$output" ]
}

@test "another file in a log's place, and nothing of the former: said, and exit 2" {
	start
	mkdir old
	mv log old/log.1
	log 301 310 >log
	refuse "log: what was read before is gone" ttt-digest -q s.ttt log
	rm log
	run --separate-stderr ttt-digest s.ttt log
	[ "$status" -eq 0 ]
	[ "$stderr" = "ttt-digest: log: is not there now" ]
}

@test "marks in JSON are of the text as it stands there, with bytes that are not UTF-8" {
	start
	printf 'caf\351 caf\351 kernel: DANGER reactor coolant lost, shutting down turbine\n' >>log
	ok ttt-digest --json s.ttt log
	printf '%s\n' "$output" >rows
	python3 - <<-'END'
	import json
	x = json.loads(open("rows").read())
	text = x["text"].encode()
	assert x["marks"]
	for start, end in x["marks"]:
	    text[start:end].decode()  # no character is cut
	assert any(text[end:end + 1] in (b"", b" ", b":", b",") for _, end in x["marks"]), (x, text)
	END
}

@test "--dry-run leaves the state as it is" {
	start
	cp s.ttt before
	echo "$evil" >>log
	ok ttt-digest --dry-run s.ttt log
	[ -n "$output" ]
	cmp s.ttt before
}

@test "the same input gives the same state" {
	start
	cmp s.ttt "$files/learned.ttt" || same_memory s.ttt "$files/learned.ttt"
}

@test "-n bounds the rows and says how many more there are" {
	start
	for w in alpha beta gamma delta; do echo "$w $w$w something that $w never said before"; done >>log
	ok ttt-digest --dry-run -n 2 s.ttt log
	[ "${#lines[@]}" -eq 3 ]
	[ "${lines[2]}" = "... and 2 more kinds of novel lines (-n shows more)" ]
	run --separate-stderr ttt-digest --json --dry-run -n 2 s.ttt log
	[ "${#lines[@]}" -eq 2 ]
	[[ $stderr == *"2 more kinds of novel lines were not printed" ]]
	ok ttt-digest -n 2 s.ttt log
	[ "${lines[2]}" = "... and 2 more kinds of novel lines (a larger -n shows more from the next run on)" ]
}

@test "--mail has headers when there is something to say, and only then" {
	start
	ok ttt-digest --mail s.ttt log
	[ -z "$output" ]
	echo "$evil" >>log
	MAILTO=op@example.org ok ttt-digest --mail --dry-run s.ttt log
	[ "${lines[0]}" = "To: op@example.org" ]
	[[ ${lines[1]} == "Subject: 1 kind of novel log lines on "* ]]
	refuse "--mail" ttt-digest --mail --json s.ttt log
	yes $'\033' | head -n 500 | tr -d '\n' | sed 's/^/DANGER reactor /; s/$/ coolant/' >>log
	echo >>log
	MAILTO=op@example.org ok ttt-digest --mail --dry-run s.ttt log
	[ "$(printf '%s\n' "$output" | wc -L)" -le 998 ]
	MAILTO=op@example.org ok ttt-digest --mail --dry-run -n 0 s.ttt log
	[ "${lines[0]}" = "To: op@example.org" ]
}

@test "--ignore leaves lines out; a pattern that is none is named with its line" {
	start
	echo "$evil" >>log
	printf '# reactors\n\nreactor .*lost\n' >rules
	ok ttt-digest --ignore rules s.ttt log
	[ -z "$output" ]
	printf 'fine\n(\n' >rules
	refuse "rules:2: not a pattern" ttt-digest --ignore rules s.ttt log
	printf '(a+)+$\n' >rules
	{ printf 'a%.0s' $(seq 5000); echo b; } >>log
	ok ttt-digest -q --ignore rules --dry-run s.ttt log
}

@test "--color marks what is surprising" {
	start
	echo "$evil" >>log
	ok ttt-digest --color=always --dry-run s.ttt log
	[[ $output == *"host "$'\033[1m'"kernel: DANGER"* ]]
	ok ttt-digest --dry-run s.ttt log
	[[ $output != *$'\033'* ]]
}

@test "--threshold and --learn-all" {
	start
	echo "$evil" >>log
	ok ttt-digest --dry-run --threshold 1 s.ttt log
	[ -z "$output" ]
	ok ttt-digest --learn-all s.ttt log
	[ -n "$output" ]
	echo "$evil" >>log
	ok ttt-digest s.ttt log
	[ -z "$output" ]
	refuse "--threshold" ttt-digest --threshold 2 s.ttt log
}

@test "rotation by rename, by copy and truncation, and into .gz loses nothing" {
	start
	log 301 310 >>log
	echo "first $evil" >>log
	mv log log.1
	log 311 320 >log
	echo "second $evil" >>log
	ok ttt-digest --all s.ttt log
	[ "${#lines[@]}" -eq 22 ]
	[[ $output == *"log.1:311:"*"first"* ]]
	[[ $output == *"log:11:"*"second"* ]]
	log 321 330 >>log
	gzip log.1
	mv log.1.gz log.2.gz
	cp log log.1
	: >log
	log 331 350 >>log
	ok ttt-digest --all s.ttt log
	[ "${#lines[@]}" -eq 30 ]
	ok ttt-digest --all s.ttt log
	[ -z "$output" ]
}

@test "a last line without its end waits for it" {
	start
	printf 'Nov 25 12:00:00 host kernel: DANGER' >>log
	ok ttt-digest --all s.ttt log
	[ -z "$output" ]
	echo ' reactor' >>log
	ok ttt-digest --all s.ttt log
	[[ $output == *"DANGER reactor" ]]
}

@test "standard input, several logs, one of which is not there" {
	start
	log 1 30 >other
	run --separate-stderr ttt-digest --all s.ttt other missing log
	[ "$status" -eq 2 ]
	[ "${#lines[@]}" -eq 30 ]
	[[ $stderr == *"missing: cannot open"* ]]
	ok ttt-digest --all s.ttt other log
	[ -z "$output" ]
	echo "$evil" >line
	run --separate-stderr ttt-digest --dry-run s.ttt - <line
	[[ $output == "-:1:"*"$evil" ]]
}

@test "the journal is read on from its cursor" {
	start
	mkdir bin
	cat >bin/journalctl <<-'END'
	#!/bin/sh
	echo "$*" >>calls
	case $* in
	*"after-cursor s=1"*) echo "Nov 25 11:00:00 host kernel: DANGER reactor coolant lost"; echo "-- cursor: s=2" ;;
	*) echo "Nov 25 10:00:01 host cron[2001]: session opened for user backup"; echo "-- cursor: s=1" ;;
	esac
	END
	chmod +x bin/journalctl
	PATH=$PWD/bin:$PATH ok ttt-digest --journal s.ttt
	[ -z "$output" ]
	PATH=$PWD/bin:$PATH ok ttt-digest --journal s.ttt
	[[ $output == "journal:1:"*"DANGER"* ]]
	[ "$(tail -n 1 calls)" = "--no-pager --quiet --output=short --show-cursor --after-cursor s=1" ]
	echo "$evil" >>log
	run --separate-stderr env PATH=/nowhere "$(command -v ttt-digest)" --dry-run --journal s.ttt log
	show
	[ "$status" -eq 2 ]
	[[ $output == "log:"*"DANGER"* ]]
	[[ $stderr == *"journalctl: cannot be started"* ]]
	printf '#!/bin/sh\nexit 3\n' >bin/journalctl
	PATH=$PWD/bin:$PATH run --separate-stderr ttt-digest --journal s.ttt
	[ "$status" -eq 2 ]
}

@test "what cannot be written is not learned" {
	start
	cp s.ttt before
	echo "$evil" >>log
	run --separate-stderr sh -c 'ttt-digest s.ttt log >/dev/full'
	[ "$status" -eq 2 ]
	cmp s.ttt before
	ok ttt-digest s.ttt log
	[[ $output == *"$evil" ]]
}

@test "a state that another run holds: exit 75 after --wait" {
	start
	flock s.ttt.lock sleep 5 &
	sleep 0.5
	run --separate-stderr ttt-digest --wait 0.2 s.ttt log
	[ "$status" -eq 75 ]
	wait
}

@test "NULs, long lines, no lines, invalid bytes" {
	start
	{ printf 'a\0b\0c\n'; head -c 200000 /dev/zero | tr '\0' x; echo; printf '\377\376\n\n\r\n'; } >>log
	ok ttt-digest --all --json s.ttt log
	[ "${#lines[@]}" -eq 5 ]
	[ "$(printf '%s\n' "${lines[1]}" | jq -r '.text | length')" -eq 65536 ]
	ok ttt-digest --all s.ttt log
	[ -z "$output" ]
}

@test "a flood of other kinds hides no worse line" {
	start
	cp "$files/first" log2
	ttt-digest -q --no-model s.ttt log2
	seq 10500 | awk '{ w = sprintf("%c%c%c%c", 97 + $1 % 26, 97 + $1 / 26 % 26, 97 + $1 / 676 % 26, 113); print "Nov 25 11:00:00 host httpd: " w " x" w w " y" w }' >>log
	echo "Nov 25 11:00:00 host kernel: panic, fatal exception in interrupt, not syncing, unrecoverable failure" >>log2
	ok ttt-digest --no-model -n 3 s.ttt log log2
	[[ ${lines[0]} == log2:*": "*panic* ]]
}

@test "one new message about many names takes few rows" {
	start
	for name in carol gina hugo jack mona nick paul rita vera yves zoe anna; do
		log 301 420 # blocks end between them
		echo "Nov 25 11:00:00 host quotad[3]: mailbox of $name exceeds its limit, delivery deferred"
	done >>log
	ok ttt-digest --no-model s.ttt log
	[ "${#lines[@]}" -le 6 ]
	[[ $output == *"alike)"* ]]
}

@test "sessions in base64, network cards of containers, months and colours are nothing new" {
	day() { # SEED MONTH
		awk -v seed="$1" -v month="$2" 'BEGIN {
			srand(seed)
			split("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", c, "")
			for (i = 0; i < 300; i++) {
				key = hex = ""
				for (k = 0; k < 19; k++) key = key c[1 + int(64 * rand())]
				for (k = 0; k < 5; k++) hex = hex substr("0123456789abcdef", 1 + int(16 * rand()), 1)
				t = sprintf("%s  1 10:%02d:%02d host ", month, i / 60, i % 60)
				if (i % 3) print t "imap-login: Login: user=<clara>, session=<" key "Z9/>"
				else print t "kernel: eth0: renamed from veth3" hex "b"
			}
		}'
	}
	day 1 Nov >log
	ttt-digest -q --no-model s.ttt log
	day 2 Dec >>log
	printf 'Dec  1 11:00:00 host imap-login: \033[31mERROR\033[0m of the disk\n' >>log
	ok ttt-digest --no-model --json s.ttt log
	[ "$(printf '%s\n' "${lines[@]}" | grep -vc 'of the disk')" -le 6 ] # keys of few turns
	[[ ${lines[0]} == *"of the disk"* ]]
}

@test "logs in UTF-16, and one with a hole, are read without their NUL bytes" {
	cp "$files/first" log
	iconv -f ASCII -t UTF-16 log >wide
	ttt-digest -q s.ttt wide
	printf '%s\r\n' "$evil" | iconv -f ASCII -t UTF-16LE >>wide
	ok ttt-digest s.ttt wide
	[[ $output == "wide:301:0."*": $evil" ]]
	ttt-digest -q h.ttt log
	{ head -c 100000 /dev/zero; echo "$evil"; } >>log
	ok ttt-digest h.ttt log
	[[ $output == "log:301:0."*": $evil" ]]
}

@test "of a long line the row shows what is surprising, however far behind" {
	start
	for _ in $(seq 30); do printf 'session opened for user backup [=====     ] '; done >>log
	echo "$evil: unforeseen calamity" >>log
	ok ttt-digest s.ttt log
	[[ $output == *"..."*"calamity"* ]]
	[ "${#output}" -lt 1200 ]
}

@test "--dry-run of a first run claims to have learned nothing" {
	cp "$files/first" log
	run --separate-stderr ttt-digest --dry-run none.ttt log
	[ "$status" -eq 0 ]
	[[ $stderr != *learned* ]]
	[ ! -e none.ttt ]
}

@test "a coloured report can be accepted" {
	start
	echo "$evil" >>log
	ttt-digest --color always --dry-run s.ttt log >report
	grep -q "$(printf '\033')" report
	ok ttt-digest -q --accept report s.ttt
	ok ttt-digest s.ttt log
	[ -z "$output" ]
}

@test "a line that speaks of failure weighs more" {
	start
	for word in quux panic; do
		{ cat "$files/first"; echo "Nov 25 11:00:00 host zork[1]: plugh xyzzy $word"; } >log
		ttt-digest --no-model --json --dry-run s.ttt log >$word
	done
	jq -s -e '.[1].score > 1.2 * .[0].score' quux panic
}

@test "SIGUSR1 prints a line of progress" {
	start
	mkfifo pipe
	(trap '' USR1; exec ttt-digest s.ttt - <pipe >out 2>log) &
	pid=$!
	exec 9>pipe
	log 301 900 >&9
	usr1_until $pid log 'KB/s\|B/s'
	exec 9>&-
	wait $pid
	grep -q 'ttt-digest: .*B/s' log
}

@test "usage" {
	refuse "state" ttt-digest
	refuse "a log to read is missing" ttt-digest s.ttt
	refuse "not '-'" ttt-digest - log
	refuse "only once" ttt-digest s.ttt - -
	refuse "Is a directory" ttt-digest s.ttt .
}

@test "a state says what it knows of logs, and a file that is none is refused" {
	start
	unpack s.ttt u
	grep -q '"lines":300' u/digest.json
	grep -q "session opened for user backup" u/digest.lines
	printf 'not a state' >bad.ttt
	refuse "bad.ttt" ttt-digest bad.ttt log
}
