# ttt-train: models, tokenizers, runs.
# shellcheck disable=SC2154 # status, output, stderr, files and model are set by run and by common.bash
# shellcheck disable=SC2002,SC2016,SC2034 # a pipe is what is tested; bash -c expands; loops count
load common

more_setup() {
	for i in 1 2 3 4 5 6 7 8; do
		mkdir -p data/p$i/src
		make_text $((i + 10)) 3000 >data/p$i/src/a.c
		make_text $((i + 20)) 700 >data/p$i/src/b.c
	done
}

@test "init: the same seed gives the same model, another seed another" {
	ok ttt-train init -c "$files/config.json" -t "$files/tokenizer.json" --seed 1 a
	[ -z "$output" ]
	cmp a/model.safetensors "$files/model/model.safetensors"
	cmp a/tokenizer.json "$files/tokenizer.json"
	ttt-train init -c "$files/config.json" --seed 2 b
	run ! cmp -s a/model.safetensors b/model.safetensors
	[ ! -e b/tokenizer.json ]
	ttt-train init -c "$files/config.json" --seed 1 --prime-fan-in c
	run ! cmp -s a/model.safetensors c/model.safetensors
	refuse "a/model.safetensors: is there already" ttt-train init -c "$files/config.json" --seed 2 a
	cmp a/model.safetensors "$files/model/model.safetensors"
	refuse "a configuration is missing" ttt-train init d
	refuse "one directory is wanted" ttt-train init -c "$files/config.json"
	refuse "nosuch" ttt-train init -c nosuch d
	refuse "nosuch" ttt-train init -c "$files/config.json" -t nosuch d
}

@test "convert: another directory of the same model, or of a rounded one" {
	ok ttt-train convert -m "$files/model" a
	[ -z "$output" ]
	cmp a/model.safetensors "$files/model/model.safetensors"
	cmp a/config.json "$files/model/config.json"
	cmp a/tokenizer.json "$files/model/tokenizer.json"
	ok ttt-train convert -m a --dtype bf16 b
	[ "$(stat -c %s b/model.safetensors)" -lt $(($(stat -c %s a/model.safetensors) * 6 / 10)) ]
	ttt-ppl -m a "$files/text" >pa
	ttt-ppl -m b "$files/text" >pb
	run ! cmp -s pa pb
	ttt-train convert -m b c
	ttt-ppl -m c "$files/text" | cmp - pb
	refuse "a/model.safetensors: is there already" ttt-train convert -m b a
	cmp a/model.safetensors "$files/model/model.safetensors"
	refuse "--dtype" ttt-train convert -m a --dtype f16 d
	refuse "one directory is wanted" ttt-train convert
	refuse "nosuch/config.json" ttt-train convert -m nosuch d
	[ ! -e d ]
}

@test "tokenizer: the same files give the same one; it takes any bytes and gives them back" {
	ok ttt-train tokenizer -o t.json --vocab 300 --special '<|bos|>' "$files/text"
	cmp t.json "$files/tokenizer.json"
	printf 'na\303\257ve \377\376 \0 <|bos|> \r\n\ttail' >bytes
	ok ttt-train tokenize -t t.json bytes
	[ "${#lines[@]}" -eq 1 ]
	[[ " $output " == *" 299 "* ]]
	printf '%s\n' "$output" >ids
	ttt-train tokenize -t t.json --decode ids | cmp - bytes
	ttt-train tokenize -t t.json <bytes | cmp - ids
	ttt-train tokenize -t t.json --decode <ids | cmp - bytes
	dd if=bytes bs=1 status=none | ttt-train tokenize -t t.json | cmp - ids
	refuse "--vocab" ttt-train tokenizer -o x.json --vocab 10 "$files/text"
	refuse "nosuch" ttt-train tokenizer -o x.json --vocab 300 nosuch
	refuse "is missing" ttt-train tokenizer --vocab 300 "$files/text"
	[ ! -e x.json ]
	refuse "nosuch" ttt-train tokenize -t nosuch bytes
	refuse "nosuch" ttt-train tokenize -t t.json nosuch
	echo 1 2 300 >ids
	refuse "ids: line 1" ttt-train tokenize -t t.json --decode ids
	echo 1 two >ids
	refuse "ids: line 1" ttt-train tokenize -t t.json --decode ids
}

@test "grad: loss and gradients, the same twice" {
	for i in 1 2; do
		ttt-train tokenize -t "$files/tokenizer.json" "$files/text" | cut -d ' ' -f $((i * 70))-$((i * 70 + 32))
	done >ids
	ok ttt-train grad --ids ids --out g
	[[ $output == loss$'\t'[0-9].* ]]
	first=$output
	ok ttt-train grad --ids ids --out h
	[ "$output" = "$first" ]
	cmp g h
	ok ttt-train grad --ids ids --mode window
	[ "$output" != "$first" ]
	ok ttt-train grad --ids ids --first-order --out f
	[ "$output" = "$first" ]
	run ! cmp -s f g
	echo 1 2 3 >>ids
	refuse "ids: line 3 has 3 ids" ttt-train grad --ids ids
	echo 1 2 3 >ids
	refuse "whole chunks" ttt-train grad --ids ids
	refuse "ids are missing" ttt-train grad
	refuse "nosuch: cannot open" ttt-train grad --ids nosuch
}

@test "run: a directory with a log, a checkpoint and a model that learned" {
	ok ttt-train run --data "$files/data" --held-out 0.3 --steps 30 --batch 2 --lr 0.01 --eval-every 10 -q r
	[ -z "$output" ]
	for f in run.json log.jsonl checkpoint model/config.json model/model.safetensors model/tokenizer.json; do
		[ -f r/$f ]
	done
	[ "$(grep -c '"loss"' r/log.jsonl)" -eq 30 ]
	[ "$(grep -c '"eval_loss"' r/log.jsonl)" -eq 3 ]
	loss() { sed -n "s/.*\"step\":$1,\"loss\":\([0-9.]*\),.*/\1/p" r/log.jsonl; }
	awk -v a="$(loss 0)" -v b="$(loss 29)" 'BEGIN { exit !(b < a - 0.3) }'
	ok ttt-ppl -m r/model "$files/text"
	ok ttt-train eval r
	[[ ${lines[-1]} == total* ]]
	# The bits of a byte are of the bytes read, not of those that were given no weight.
	mkdir wide
	seq -s ' ' 100000 >wide/numbers.txt
	for d in "--data $files/data" "--data $files/data=1 --data wide=0"; do
		# shellcheck disable=SC2086 # two words
		ttt-train run -q $d --held-out 0 --steps 1 "w${#d}"
	done
	[ "$(cat w*/log.jsonl | grep -o '"bits_per_byte":[0-9.]*' | sort -u | wc -l)" -eq 1 ]
	# A run that is done does nothing more.
	cp r/checkpoint before
	ok ttt-train run -q r
	cmp r/checkpoint before
	# Documents held out are in no batch: the index says which they are, and there are some of both kinds.
	[ "$(column 2 <r/shards/index | sort -u | paste -s -d ' ')" = "0 1" ]
}

@test "run: killed at any moment, stopped by SIGTERM, it goes on bit for bit" {
	# Not a function: in the background that would be a shell, and the shell would be what is killed.
	steps=2000
	! sanitized || steps=300
	run_it=(ttt-train run -q --data "$files/data" --steps $steps --checkpoint-every 17 --threads 1)
	"${run_it[@]}" whole
	for wait in 0.05 0.15 0.3; do
		"${run_it[@]}" parts &
		pid=$!
		sleep $wait
		kill -9 $pid 2>/dev/null || true
		wait $pid 2>/dev/null || true
	done
	before=$(wc -l <parts/log.jsonl || echo 0)
	echo "$before steps in the log after three kills"
	"${run_it[@]}" parts &
	pid=$!
	for i in $(seq 1000); do
		[ -e parts/log.jsonl ] && [ "$(wc -l <parts/log.jsonl)" -gt "$((before + 3))" ] && break
		sleep 0.01
	done
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	echo "SIGTERM: $status, $(wc -l <parts/log.jsonl) steps in the log"
	[ "$status" -eq 0 ]
	[ -s parts/checkpoint ]
	ttt-train run -q --threads 1 parts
	cmp whole/checkpoint parts/checkpoint
	cmp whole/model/model.safetensors parts/model/model.safetensors
	# The log holds every step once, and says the same apart from times.
	cmp <(cut -d , -f 1-6 whole/log.jsonl) <(cut -d , -f 1-6 parts/log.jsonl)
}

@test "run: window training is a warm start for meta-training" {
	ttt-train run -q --data "$files/data" --mode window --steps 10 w
	ok ttt-train run -q -m w/model --data "$files/data" --steps 5 r
	run ! cmp -s w/model/model.safetensors r/model/model.safetensors
	grep -q '"inner_rate"' r/log.jsonl
}

@test "run: projects are documents, lists hold out, groups have weights" {
	printf 'data/p3\n' >list
	ok ttt-train run -q --data "$files/data" --project-depth 1 --held-out 0 --held-out-list list --steps 1 r
	[ "$(column 6 <r/shards/index | paste -s -d ' ')" = "data/p1 data/p2 data/p3 data/p4 data/p5 data/p6 data/p7 data/p8" ]
	[ "$(column 2 <r/shards/index | paste -s -d ' ')" = "0 0 1 0 0 0 0 0" ]
	# A document is its files one behind another, behind BOS.
	n=$(column 4 <r/shards/index | head -n 1)
	od -An -v -t d4 -w4 r/shards/tokens | head -n "$n" | tr -d ' ' | paste -s -d ' ' >got
	cat "$files/data/p1/src/a.c" "$files/data/p1/src/b.c" | ttt-train tokenize -t "$files/tokenizer.json" >want
	(printf '299 '; cat want) | cmp - got
	ok ttt-train run -q --data "$files/data/p1=1" --data "$files/data/p2=0" --held-out 0 --steps 2 s
	refuse "either every PATH has a =WEIGHT" ttt-train run --data "$files/data/p1=1" --data "$files/data/p2" --steps 1 u
	cp "$files/text" x=1 # a file's whole name is its name
	ok ttt-train run -q --data x=1 --held-out 0 --steps 1 v
	refuse "x: .*No such file" ttt-train run -q --data x=2 --held-out 0 --steps 1 w
	refuse "other data" ttt-train run -q --data "$files/data/p4" --steps 1 r
}

@test "run: what is wrong is said before anything is trained" {
	refuse "nothing to learn from" ttt-train run r
	refuse "nosuch" ttt-train run --data nosuch --steps 1 r
	refuse "no multiple of the model's chunk" ttt-train run --data "$files/data" --seq 17 --steps 1 r
	(
		unset TTT_MODEL
		refuse "start from is missing" ttt-train run --data "$files/data" --steps 1 q
	)
	: >file
	refuse "file" ttt-train run --data "$files/data" --steps 1 file
	refuse "nosuch" ttt-train eval nosuch
	refuse "one run directory is wanted" ttt-train run --data "$files/data"
}

@test "run: what is refused changes nothing" {
	printf 'data/p3\ndata/p99\n' >list
	run --separate-stderr ttt-train run --data "$files/data" --project-depth 1 --held-out 0 --held-out-list list --steps 3 r
	[ "$status" -eq 0 ]
	[[ $stderr == *"list: no document is named 'data/p99'"* ]]
	cp r/run.json before
	refuse "other data" ttt-train run -q --data "$files/data/p1" --steps 6 r
	refuse "another share held out" ttt-train run -q --held-out 0.5 --steps 6 r
	refuse "nosuch" ttt-train run -q --held-out-list nosuch --steps 6 r
	refuse "begun with adamw" ttt-train run -q --optimizer muon --steps 6 r
	cmp r/run.json before
	# A new run that is refused leaves nothing to go on from.
	mkdir n
	echo data/p3 >n/held-out # a list that lies there is somebody's
	refuse "nosuch" ttt-train run -q --data nosuch --lr 5 --held-out-list n/held-out n
	rm n/held-out
	refuse "more than the 2 after the warm-up" ttt-train run -q --data "$files/data" --steps 6 --warmup 4 --decay 3 n
	[ "$(find n -type f ! -name '*.lock')" = "" ]
	mkdir -p m/model
	cp "$model"/* m/model
	refuse "is there already: a model is not written over another" ttt-train run -q --data "$files/data" --steps 1 m
	rm m/model/model.safetensors
	refuse "m/model/config.json: is there already" ttt-train run -q --data nosuch --steps 1 m
	[ -s m/model/config.json ]
	refuse "no document to train on" ttt-train run -q --data "$files/data" --held-out 1 --steps 1 k
	ok ttt-train run -q --data "$files/data" --held-out 0 --steps 1 k
	refuse "more than the" ttt-train run -q --steps 3 --decay 100 k
	run --separate-stderr ttt-train run -m nosuch --steps 2 k
	[ "$status" -eq 0 ]
	[[ $stderr == *"goes on with its own model, not with nosuch"* ]]
	# Nor is the list wanted again, nor the model that it began with, nor is a log closed to those who follow it.
	rm list
	chmod 644 r/log.jsonl
	ok env -u TTT_MODEL ttt-train run -q --steps 6 r
	[ "$(grep -c '"loss"' r/log.jsonl)" -eq 6 ]
	[ "$(stat -c %a r/log.jsonl)" = 644 ]
}

@test "run: killed before its first checkpoint, or before a score was written, it goes on by itself" {
	ttt-train run -q --data "$files/data" --steps 100000 --checkpoint-every 100000 r &
	pid=$!
	for i in $(seq 100); do
		[ -s r/log.jsonl ] && break
		sleep 0.1
	done
	kill -9 $pid
	wait $pid || true
	[ ! -e r/checkpoint ]
	ok env -u TTT_MODEL ttt-train run -q --steps 4 --eval-every 2 --held-out 0.02 r
	ok ttt-train run -q --data "$files/data" --held-out 0.3 --steps 4 --eval-every 2 s
	sed '$d' s/log.jsonl >cut
	cp cut s/log.jsonl
	ok ttt-train run -q s
	[ "$(tail -n 1 s/log.jsonl | cut -d , -f 1)" = '{"step":3' ]
	[ "$(grep -c eval_loss s/log.jsonl)" -eq 2 ]
}

@test "run: killed while its shards are made, it goes on by itself; a damaged one is not a matter of the rate" {
	mkdir big
	for i in $(seq 100); do cat "$files/text"; done >big/text
	printf 'big/none\n' >list
	ttt-train run -q --data big --steps 3 --held-out-list list r 2>/dev/null &
	pid=$!
	for i in $(seq 100); do
		[ -s r/shards/tokens.part ] && break
		sleep 0.02
	done
	kill -9 $pid
	wait $pid || true
	[ ! -e r/shards/index ]
	rm list
	run env -u TTT_MODEL ttt-train run -q r
	[ "$status" -eq 0 ]
	[ "$(grep -c '"loss"' r/log.jsonl)" -eq 3 ]
	python3 - <<-'END'
	import struct
	with open("r/shards/tokens", "r+b") as f:
	    n = f.seek(0, 2) // 4
	    for i in range(0, n, 50):
	        f.seek(4 * i)
	        f.write(struct.pack("<i", 70000))
	END
	refuse "is 70000 but the model's vocabulary is" ttt-train run -q --steps 6 r
}

@test "run: without a warm-up of the inner rate it is inner_lr" {
	cp -r "$model" m
	sed -i 's/"inner_lr": [^,]*/"inner_lr": 0.5, "inner_lr_effective": 0.1/' m/config.json
	ok ttt-train run -q -m m --data "$files/data" --inner-warmup 0 --steps 1 r
	grep -q '"inner_rate":0.5,' r/log.jsonl
}

@test "a model in several files is not written over; eval wants the run's own tokenizer" {
	mkdir m
	echo '{}' >m/model.safetensors.index.json
	refuse "is there already" ttt-train init -c "$files/config.json" m
	refuse "is there already" ttt-train convert m
	ok ttt-train run -q --data "$files/data" --held-out 0.3 --steps 1 r
	ttt-train tokenizer -o t.json --vocab 300 --special '<|bos|>' "$files/text2"
	ttt-train init -c "$files/config.json" -t t.json other
	refuse "its tokenizer is not that of the run" ttt-train eval -m other r
	ok ttt-train eval -m "$model" r
}

# In kernels for AVX-512 a handler on the ordinary stack writes over the heap: the shapes are those of the embedded model.
@test "run: SIGTERM in the middle of a product breaks nothing" {
	ttt-train init -c "$TTT_TESTS/../model/config.json" -t "$TTT_TESTS/../model/tokenizer.json" shaped
	for i in 1 2 3 4; do
		ttt-train run -q -m shaped --mode window --optimizer muon --batch 4 --seq 256 --data "$files/data" --steps 100000 r$i &
		pid=$!
		for j in $(seq 300); do
			[ -s r$i/log.jsonl ] && break
			sleep 0.1
		done
		sleep 0.2
		kill -TERM $pid
		status=0
		wait $pid || status=$?
		[ "$status" -eq 0 ]
		[ -s r$i/checkpoint ]
	done
}

@test "run: two in one directory do not mix" {
	ttt-train run -q --data "$files/data" --steps 100000 r &
	pid=$!
	for i in $(seq 100); do
		[ -s r/log.jsonl ] && break
		sleep 0.1
	done
	run --separate-stderr ttt-train run -q --data "$files/data" --steps 5 r
	show
	kill -TERM $pid
	wait $pid
	[ "$status" -eq 75 ]
}

@test "eval leaves out the targets that carry no loss, as ttt-ppl does" {
	mkdir db
	cp "$files/text" db/a.txt
	for _ in $(seq 20); do printf 'int list;\n<|bos|>struct value;\n'; done >db/b.txt
	echo db/b.txt >list
	ttt-train run -q --data db --project-depth 0 --held-out 0 --held-out-list list --steps 1 r
	ok ttt-train eval r
	mine=$(printf '%s\n' "$output" | tail -n 1 | cut -f 3,4)
	ok ttt-ppl -m r/model db/b.txt
	[ "$mine" = "$(printf '%s\n' "$output" | tail -n 1 | cut -f 3,4)" ]
}
