#!/bin/sh
# Train the embedded model from the text that corpus.sh made.
#
#   usage: train.sh CORPUS RUN [STEPS]
#
# RUN is a run directory: ttt-train writes its log, checkpoints and model there, and a second call goes on from the last
# checkpoint. When all steps are done the model is in RUN/model; `train.sh --install RUN` copies it to model/ of this tree,
# from where it is linked into the library. Needs the programs built (or ttt-train on PATH).
set -eu
export LC_ALL=C

fail() {
	echo "train.sh: $*" >&2
	exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
PATH=$top/tools:$PATH
# Threads that wait by spinning would take a busy machine's time from those that work.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
command -v ttt-train >/dev/null || fail "ttt-train is not built: run ./setup first"

if [ "${1:-}" = --install ] && [ $# -eq 2 ]; then
	for file in config.json model.safetensors tokenizer.json; do
		[ -s "$2/model/$file" ] || fail "$2/model/$file is missing"
		cp "$2/model/$file" "$top/model/$file"
		chmod 644 "$top/model/$file"
	done
	exit 0
fi

case $# in
2 | 3) ;;
*) fail "usage: train.sh CORPUS RUN [STEPS], or train.sh --install RUN" ;;
esac
corpus=$1 run=$2 steps=${3:-6000}
[ -d "$corpus/train/c" ] || fail "$corpus: no training text there; corpus.sh makes it"
mkdir -p "$run"

# A vocabulary of the training text alone. Special tokens come last: <|bos|> is 4095, as config.json says.
if [ ! -s "$run/tokenizer.json" ]; then
	find "$corpus/train" -type f -name '*.txt' | sort | tr '\n' '\0' |
		xargs -0 ttt-train tokenizer -o "$run/tokenizer.json" --vocab 4096 --special '<|bos|>'
fi
if [ ! -s "$run/start/model.safetensors" ]; then
	ttt-train init -c "$here/config.json" -t "$run/tokenizer.json" --seed 1 --prime-fan-in "$run/start"
fi

# The documents of valid are scored on the way and never trained on; those of test are not even read before the end.
(cd "$corpus" && find valid -type f -name '*.txt' | sort) > "$run/held-out"

# Meta-training from scratch: at this size it beats a warm start from plain training.
ttt-train run -m "$run/start" --mode ttt --steps "$steps" --batch 2 --seq 1024 --lr 3e-3 --end-lr 3e-4 --seed 1 \
	--data "$corpus/train/c=0.60" --data "$corpus/train/docs=0.12" --data "$corpus/train/man=0.13" \
	--data "$corpus/train/logs=0.10" --data "$corpus/train/code=0.05" --data "$corpus/valid=0" \
	--held-out 0 --held-out-list "$run/held-out" --checkpoint-every 200 --eval-every 200 --eval-documents 22 "$run"

# Held-out documents: the figures of CARD.md, on the first 100,000 bytes of each.
for group in c docs man logs code; do
	mkdir -p "$run/test/$group"
	for file in "$corpus/test/$group"/*.txt; do
		head -c 100000 "$file" > "$run/test/$group/${file##*/}"
	done
	for mode in ttt frozen; do
		ttt-ppl -m "$run/model" --mode "$mode" "$run/test/$group"/*.txt > "$run/test/$group.$mode.tsv"
		echo "$group, $mode: $(tail -n 1 "$run/test/$group.$mode.tsv" | cut -f 2,5 | tr '\t' ' ') (bytes, bits per byte)"
	done
done
