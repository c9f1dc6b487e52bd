# The golden cases (tests/golden/cases, computed in float64 by the official implementation) through the programs.
# shellcheck disable=SC2154 # status, output, stderr, files and model are set by run and by common.bash
# shellcheck disable=SC2002,SC2016,SC2034 # a pipe is what is tested; bash -c expands; loops count
load common

# rows FILE NAME: the first dimension of a tensor.
rows() {
	local n
	n=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
	tail -c +9 "$1" | head -c "$n" | tr -d ' \n' | grep -o "\"$2\":{[^}]*}" | sed 's/.*"shape":\[\([0-9]*\).*/\1/'
}

# tensor FILE NAME: "OFFSET BYTES TYPE" of a safetensors file's tensor: bytes from the start of the file, od's type.
tensor() {
	local n
	n=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
	tail -c +9 "$1" | head -c "$n" | tr -d ' \n' | grep -o "\"$2\":{[^}]*}" | tr -d '"{}' |
	    sed 's/.*dtype:\([A-Z0-9]*\).*data_offsets:\[\([0-9]*\),\([0-9]*\)\].*/\1 \2 \3/' |
	    awk -v n="$n" '{ t = $1 == "F64" ? "f8" : $1 == "F32" ? "f4" : "d4"; print n + 8 + $2, $3 - $2, t }'
}

# values FILE NAME [PART PARTS]: the numbers of a tensor, a line each; a part of several equal ones.
values() {
	local offset bytes type
	read -r offset bytes type <<<"$(tensor "$1" "$2")"
	if [ $# -gt 2 ]; then
		bytes=$((bytes / $4))
		offset=$((offset + $3 * bytes))
	fi
	[ -n "$type" ] && od -An -v -t "$type" -w"${type#?}" -j "$offset" -N "$bytes" "$1"
}

# names FILE PREFIX: names of tensors that begin so.
names() {
	local n
	n=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
	tail -c +9 "$1" | head -c "$n" | tr -d ' \n' | grep -o "\"$2[^\"]*\":{" | tr -d '":{'
}

# distance: |a - b| / |b| of two columns.
distance() { awk '{ d += ($1 - $2) ^ 2; s += $2 ^ 2 } END { if (NR == 0) exit 1; print sqrt(d / s) }'; }
within() { awk -v x="$1" -v most="$2" 'BEGIN { exit !(x != "" && x <= most) }'; }

# case NAME: its model in m, its sequences in ids, its data in $io, its mode in $mode.
use() {
	io=$TTT_TESTS/golden/cases/$1/io.safetensors
	rm -rf m
	mkdir m
	cp "$TTT_TESTS/golden/cases/$1/config.json" m/config.json
	cp "$TTT_TESTS/golden/cases/$1/model.safetensors" m/model.safetensors
	batch=$(rows "$io" tokens)
	for b in $(seq 0 $((batch - 1))); do
		values "$io" tokens "$b" "$batch" | tr -d ' ' | paste -s -d ' '
	done >ids
	case $1 in
	full) mode=full ;;
	swa) mode=window ;;
	*) mode=ttt ;;
	esac
}

cases='full swa meta meta_clip meta_mask'

@test "nll of every token within 2e-5" {
	for case in $cases; do
		use "$case"
		ttt-ppl -m m --ids ids --mode "$mode" --tokens | column 4 >got
		values "$io" nll >want
		[ "$(wc -l <got)" -eq "$(wc -l <want)" ]
		worst=$(paste got want | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > w) w = d } END { print w }')
		echo "$case: $worst"
		within "$worst" 2e-5
	done
}

@test "outer loss within 2e-6, every gradient within 1e-4" {
	for case in $cases; do
		use "$case"
		loss=$(ttt-train grad -m m --ids ids --mode "$mode" --out g.safetensors | sed -n 's/^loss\t//p')
		error=$(values "$io" total_loss | awk -v x="$loss" '{ d = (x - $1) / $1; print d < 0 ? -d : d }')
		echo "$case: loss $loss, $error off"
		within "$error" 2e-6
		count=0
		for name in $(names "$io" grad.); do
			error=$(paste <(values g.safetensors "${name#grad.}") <(values "$io" "$name") | distance)
			within "$error" 1e-4 || {
				echo "$case: $name: $error"
				return 1
			}
			count=$((count + 1))
		done
		[ "$count" -ge 20 ]
	done
}

@test "fast weights after absorbing, and what is read next, within 1e-4 and 5e-5" {
	for case in meta meta_clip meta_mask; do
		use "$case"
		for b in $(seq 0 $((batch - 1))); do
			sed -n $((b + 1))p ids >one
			rm -f s e
			ttt-absorb -m m --ids one -o s
			ok ttt-snapshot export -m m --safetensors e s
			for name in $(names "$io" fast.); do
				error=$(paste <(values e "${name#fast.}") <(values "$io" "$name" "$b" "$batch") | distance)
				within "$error" 1e-4 || {
					echo "${case}[$b]: $name: $error"
					return 1
				}
			done
			[ "$case" = meta_mask ] && continue
			values "$io" cont_tokens "$b" "$batch" | tr -d ' ' | tail -n +2 | paste -s -d ' ' >next
			ttt-ppl -m m -s s --ids next --mode frozen --tokens | column 4 >got
			values "$io" cont_nll "$b" "$batch" >want
			[ "$(wc -l <got)" -eq "$(wc -l <want)" ]
			worst=$(paste got want | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > w) w = d } END { print w }')
			echo "${case}[$b]: $worst"
			within "$worst" 5e-5
		done
	done
}
