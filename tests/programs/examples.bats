# The files of examples/: the commands in them are run, with paths of this test's own.
# shellcheck disable=SC2154 # status, output, stderr, files and model are set by run and by common.bash
load common

examples=$TTT_TESTS/../examples/digest

# Two quiet logs, and a line that is none of theirs.
setup_logs() {
	seq 200 | awk '{ print "Nov 25 10:00:" $1 % 60 " host cron[" $1 "]: job " $1 % 7 " done" }' >syslog
	seq 200 | awk '{ print "Nov 25 10:00:" $1 % 60 " host sshd[" $1 "]: Connection closed by 10.0.0." $1 % 250 }' >auth.log
}

@test "the cron line: silent while all is as usual, else the line that is not" {
	setup_logs
	mkdir lib
	command=$(sed -n 's/^17 \* \* \* \* root  //p' "$examples/ttt-digest.cron" | sed "s#/var/lib/ttt#$PWD/lib#g; s#/var/log#$PWD#g")
	ok sh -c "$command"
	[ -z "$output" ]
	ok sh -c "$command"
	[ -z "$output" ]
	echo "Nov 25 11:00:00 host kernel: reactor coolant lost" >>auth.log
	ok sh -c "$command"
	[[ $output == *"auth.log:201:"*"reactor coolant lost" ]]
}

@test "the service's command" {
	setup_logs
	mkdir bin
	printf '#!/bin/sh\ncat syslog\necho "-- cursor: s=1"\n' >bin/journalctl
	chmod +x bin/journalctl
	command=$(sed -n 's#^ExecStart=/usr/local/bin/##p' "$examples/ttt-digest.service")
	PATH=$PWD/bin:$PATH STATE_DIRECTORY=$PWD ok sh -c "$command"
	[ -z "$output" ]
	[ -s logs.ttt ]
}

@test "systemd finds nothing wrong with service and timer" {
	command -v systemd-analyze >/dev/null || skip "systemd-analyze is not here"
	sed "s#/usr/local/bin/ttt-digest#$(command -v ttt-digest)#" "$examples/ttt-digest.service" >ttt-digest.service
	cp "$examples/ttt-digest.timer" .
	run systemd-analyze verify --man=no ./ttt-digest.service ./ttt-digest.timer
	[[ $output != *ttt-digest.* ]]
}

@test "logrotate's file rotates, and ttt-digest reads on" {
	command -v logrotate >/dev/null || skip "logrotate is not here"
	setup_logs
	mv syslog app.log
	sed "s#/var/log#$PWD#" "$examples/ttt-digest.logrotate" >conf
	chmod 644 conf
	ttt-digest -q s.ttt app.log
	echo "one more" >>app.log
	logrotate -f -s status conf
	echo "and one" >app.log
	ok ttt-digest --all s.ttt app.log
	[ "${#lines[@]}" -eq 2 ]
	logrotate -f -s status conf
	echo "and another" >app.log
	ok ttt-digest --all s.ttt app.log
	[ "${#lines[@]}" -eq 1 ]
}

@test "every one-line example of the manual pages runs" {
	command -v jq >/dev/null || skip "jq is not here"
	setup_logs
	mkdir -p src backup lib
	printf '/* Replay of the journal at mount: where is it replayed? Here. */\nint journal_replay(void);\n' >src/journal.c
	printf '/* States are locked by flock: how long a run waits is its own choice. */\nint lock_state(void);\n' >src/lock.c
	git init -q . && git add src && git -c user.name=t -c user.email=t@example.org commit -qm one
	cp "$files/text" big.log && cp "$files/text2" today.txt && cp today.txt today.log && cp today.txt file
	cp src/lock.c new.c && cp syslog yesterday && xz -k today.txt && mv today.txt.xz mail.xz
	cp "$model/tokenizer.json" .
	printf 'where is the journal replayed?\nhow are states locked?\n' >questions.txt
	ttt-absorb -r -o state.ttt src && cp state.ttt old.ttt && cp state.ttt tree.ttt && cp state.ttt backup/
	for page in "$TTT_TESTS"/../man/*.1; do
		sed -n '/^\.Sh EXAMPLES/,/^\.Sh [^E]/s/^\.Dl //p' "$page" |
			sed "s/\\\\(dq/\"/g; s/^17 \* \* \* \* root //; s#/var/lib/ttt#lib#g; s#/var/log/##g" >commands
		[ -s commands ] || continue
		while IFS= read -r command; do
			echo "$command"
			sh -c "$command" </dev/null >out 2>err || { cat err; return 1; }
		done <commands
	done
}

@test "quickstart: this project's own source, absorbed and asked" {
	[ -z "${TTT_KERNELS:-}" ] || skip "it would take minutes"
	! grep -q __asan_init "$TTT_BIN/ttt-absorb" || skip "it would take minutes"
	unset TTT_MODEL
	ok "$TTT_TESTS/../examples/quickstart"
	[[ $output == *$'\n'"libttt/"*$'\n\n[1] libttt/'* ]]
	[[ $output == *"inner gradient clipped"*$'\n'"libttt/learn/inner."* ]]
	echo "$output" | tail -n 3 | awk '{ bits = $NF + 0; if (NR > 1 && bits >= before) exit 1; before = bits; n++ } END { exit n != 3 }'
}
