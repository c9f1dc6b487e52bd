"""What the peers share: a model directory's configuration, sequences of token ids, rows of results."""

import json
import os
import statistics
import time
from types import SimpleNamespace

# What would change the arithmetic; a model that asks for anything else is refused, not computed wrongly.
FIXED = {
    "rope_interleaved": True,
    "norm_weight_plus_one": False,
    "tie_word_embeddings": True,
    "embedding_scale": 1.0,
}


def read_config(directory, ngrams=False):
    """The sizes and rates of DIRECTORY/config.json, under short names. ngrams: biases by the last tokens are the caller's business."""
    with open(os.path.join(directory, "config.json")) as f:
        c = json.load(f)
    for key, value in FIXED.items():
        if c.get(key, value) != value:
            raise SystemExit(f"{directory}/config.json: {key} is {c[key]}; only {value} is supported")
    if c.get("ngram_orders") and not ngrams:
        raise SystemExit(f"{directory}/config.json: has ngram_orders; take a model without")
    heads = c["num_attention_heads"]
    if c.get("num_key_value_heads", heads) != heads:
        raise SystemExit(f"{directory}/config.json: num_key_value_heads differs from num_attention_heads")
    return SimpleNamespace(
        vocab=c["vocab_size"],
        width=c["hidden_size"],
        layers=c["num_hidden_layers"],
        suffix=c.get("num_suffix_layers", 0),
        heads=heads,
        head=c["hidden_size"] // heads,
        window=c.get("sliding_window", 0),  # 0: full attention
        chunk=c.get("chunk_size", 1024),
        length=c.get("seq_length", 8192),
        theta=c["rope_theta"],
        eps=c["rms_norm_eps"],
        bos=c.get("bos_token_id", -1),
        rate=c.get("inner_lr_effective", c.get("inner_lr", 1.0)),
        clip=c.get("inner_clip", 1.0),
        pull=c.get("inner_pull", 0.0),  # a chunk, and only while a stream is absorbed
    )


def read_ids(path):
    """The sequences of a file of token ids, one a line."""
    with open(path) as f:
        return [[int(word) for word in line.split()] for line in f if line.strip()]


def cut(sequences, length, batch):
    """The first BATCH pieces of LENGTH + 1 ids, neighbours sharing one id."""
    pieces = [s[i : i + length + 1] for s in sequences for i in range(0, len(s) - length, length)]
    if len(pieces) < batch:
        raise SystemExit(f"{len(pieces)} sequences of {length + 1} ids where {batch} are wanted")
    return pieces[:batch]


def print_row(name, value, unit, config):
    """One result as a line of JSON."""
    print(json.dumps({"name": name, "value": value, "unit": unit, "config": config}), flush=True)


class Stopwatch:
    """Times what is repeated, by the clock and by the processor time of all threads."""

    def __init__(self):
        self.laps = []
        self.start()

    def start(self):
        self.began = time.perf_counter(), time.process_time()

    def lap(self):
        """What ran since the start, or the last lap, is done once more."""
        self.laps.append((time.perf_counter() - self.began[0], time.process_time() - self.began[1]))
        self.start()

    def print_speed(self, name, tokens, config):
        """Rows for the median lap, of which each did TOKENS."""
        wall, cpu = (statistics.median(times) for times in zip(*self.laps))
        config = {**config, "timed": len(self.laps)}
        print_row(f"{name}_tokens_per_second", tokens / wall, "tokens/s", config)
        print_row(f"{name}_tokens_per_cpu_second", tokens / cpu, "tokens/s of processor time", config)
