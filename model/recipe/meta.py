#!/usr/bin/env python3
"""Meta-training on a GPU: what `ttt-train run --held-tail 0.25 --optimizer muon` computes, in JAX, with many sequences a step.

Usage: meta.py --steps N --batch B --seq T --lr X [--end-lr X] --warmup N --seed N DIR FROM OUT

Reads DIR/corpus/train and DIR/tokenizer.json, goes on from the model FROM, and writes the model directory OUT. Muon takes the blocks'
matrices and AdamW the rest, at a rate that rises in the warm-up and falls along a cosine. A sequence is a random window of a document,
documents being drawn by length within a group; shorter ones are put together. Needs JAX, numba, safetensors and ttt-train on PATH; without a
GPU it computes the same, slower than ttt-train."""

import argparse
import collections
import functools
import json
import math
import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file, save_file

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench/peers"))
import jax_ttt  # noqa: E402
import ngram  # noqa: E402
import tokens  # noqa: E402

SHARES = tokens.SHARES | {"c": 0.42, "logs": 0.20}
HELD_TAIL = 0.25
MOMENTUM = 0.9  # Muon's


class Sampler:
    """Batches of sequences of ids from groups of documents."""

    def __init__(self, groups, length, seed):
        self.length, self.random = length, np.random.default_rng(seed)
        self.shares = np.cumsum(list(SHARES.values()))
        self.groups = [(docs, np.cumsum([len(d) for d in docs])) for docs in groups]

    def pick(self, docs, ends):
        return docs[np.searchsorted(ends, self.random.integers(ends[-1]), "right")]

    def sequence(self):
        docs, ends = self.groups[np.searchsorted(self.shares, self.random.random() * self.shares[-1], "right")]
        doc = self.pick(docs, ends)
        if len(doc) >= self.length:
            at = self.random.integers(len(doc) - self.length + 1)
            return doc[at : at + self.length]
        parts = [doc]
        while sum(map(len, parts)) < self.length:
            doc = self.pick(docs, ends)
            if len(doc) < self.length:
                parts.append(doc)
        return np.concatenate(parts)[: self.length]

    def batch(self, n):
        return np.stack([self.sequence() for _ in range(n)]).astype(np.int32)


class Biases:
    """A sequence's biases by the last tokens: their table, and factors by order and level, as libttt/learn/ngram.c has them. Constants for the gradient."""

    def __init__(self, cfg, orders, rates):
        """Of order 0 there are biases of single tokens, whatever came before."""
        self.bos, self.vocab = cfg.bos, cfg.vocab
        rate = dict(zip(orders, rates))
        self.unigram_rate = rate.pop(0, 0.0)
        self.rates = jnp.array(list(rate.values()), jnp.float32)

    def start(self, trace):
        R = self.rates.shape[0]
        return jnp.zeros(trace["own"].shape[0] * R + 1), jnp.ones((R, 2 * ngram.LEVELS + 1)), jnp.zeros((2, self.vocab))

    def look(self, state, trace):
        """Columns and values [C, R 8] for the positions of a trace [C, ...] and those of every token [V], and what learn wants of them."""
        table, scale, unigrams = state
        noted = table[trace["slots"]]
        trust = scale[jnp.arange(self.rates.shape[0]), trace["level"].astype(jnp.int32)]
        wide = (noted.shape[0], noted.shape[1] * ngram.BUCKET)
        columns = trace["tokens"].astype(jnp.int32).reshape(wide)
        return (columns, jax.lax.stop_gradient(noted * trust[..., None]).reshape(wide), jax.lax.stop_gradient(unigrams[0])), noted

    def learn(self, state, trace, noted, targets, p):
        table, scale, unigrams = state
        at, own, every = jax.lax.stop_gradient(p)
        none = table.shape[0] - 1
        there = trace["slots"] != none
        learns = (trace["part"] > 0)[..., None]
        g = jnp.where(there & learns, at.reshape(noted.shape) - (trace["tokens"].astype(jnp.int32) == targets[:, None, None]), 0)
        f = self.rates * trace["part"]
        table = table.at[trace["slots"]].add(jnp.where(trace["live"], -f[..., None] * g, 0))
        table = table.at[trace["own"]].add(f * (1 - own)[:, None])
        table = jnp.clip(jnp.round(table * 1024) / 1024, -31, 31).at[none].set(0)
        order = jnp.broadcast_to(jnp.arange(self.rates.shape[0]), trace["level"].shape)
        scale = scale.at[order, trace["level"].astype(jnp.int32)].add(-ngram.SCALE_RATE * (g * noted).sum(-1))
        return jax.lax.stop_gradient((table, jnp.maximum(scale, 0), self.learn_unigrams(unigrams, targets, every)))

    def learn_unigrams(self, unigrams, targets, p):
        """The biases of single tokens and how often each came [2, V], after a chunk's targets and their probabilities, summed [V]."""
        bias, count = unigrams
        came = jnp.zeros(self.vocab).at[targets].add(targets != self.bos)
        rate = self.unigram_rate * (1 + count) ** -ngram.UNIGRAM_WANING
        return jnp.stack([jnp.clip(bias - rate * (p - came), -31, 31), jnp.minimum(count + came, ngram.UNIGRAM_COUNT_MAX)])


def held_losses(cfg, weights, fast, caches, x, targets, rope, biases):
    """Chunk losses of a tail [t] read with the weights held, behind caches of W - 1 rows: blocks of W queries over two of keys."""
    W, n = cfg.window, x.shape[0] // cfg.window
    back = W + np.arange(W)[:, None] - np.arange(2 * W)
    seen = ((back >= 0) & (back < W))[None, None]

    def blocks(a):  # [n W, H, K] -> [n, W, H, K]
        return a.reshape(n, W, *a.shape[1:])

    for b, f, cache in zip(weights["blocks"][cfg.layers - cfg.suffix :], fast, caches):
        q, *kv = jax_ttt.keys(cfg, b, x, rope)
        # Row 0 stands before the window and is never seen.
        k, v = (jnp.concatenate([c[:1], c, a]) for c, a in zip(cache, kv))
        k, v = (jnp.concatenate([blocks(a[:-W]), blocks(a[W:])], 1) for a in (k, v))
        x = jax_ttt.rest(cfg, b, f, x, jax_ttt.look(cfg, blocks(q), k, v, seen).reshape(n * W, -1))
    *own, every = biases
    chunks = jax_ttt.in_chunks(cfg, (x, targets, *own))
    return jax.vmap(lambda x, y, *own: jax_ttt.biased_loss(cfg, weights, x, y, (*own, every))[0])(*chunks)


def sequence_loss(cfg, share, ngrams, weights, sequence):
    """Mean of the chunk losses of ids [T + 1] with their trace; the tail is read with the weights at share of the way to their mean."""
    ids, trace = sequence
    T = ids.shape[0] - 1
    learned, cached = T - int(HELD_TAIL * T), cfg.window - 1
    x, rope = jax_ttt.before_suffix(cfg, weights, ids[:-1])
    reader = jax_ttt.chunk_reader(cfg, weights, cached)

    @functools.partial(jax.checkpoint, prevent_cse=False)
    def step(fast, caches, state, chunk, trace):
        biases, noted = ngrams.look(state, trace)
        (fast, caches), (loss, _, p) = reader(fast, caches, chunk, biases)
        return fast, caches, ngrams.learn(state, trace, noted, chunk[1], p), loss

    def read(carry, chunk):  # the sum is linear, and outside of step nothing of it is kept for the way back
        *carry, total = carry
        fast, caches, state, loss = step(*carry, chunk[0], chunk[1])
        return (fast, caches, state, jax.tree.map(jnp.add, total, fast)), loss

    head, tail = (jax.tree.map(lambda a, part=part: a[part], (x, ids[1:], rope, trace)) for part in (slice(learned), slice(learned, T)))
    start = (weights["fast"], jax_ttt.empty_caches(cfg, cached), ngrams.start(trace), jax.tree.map(jnp.zeros_like, weights["fast"]))
    (_, caches, state, total), losses = jax.lax.scan(read, start, (jax_ttt.cut_chunks(cfg, head[:3]), jax_ttt.in_chunks(cfg, head[3])))
    held = jax.tree.map(lambda w, s: (1 - share) * w + share * cfg.chunk / learned * s, weights["fast"], total)
    biases, _ = ngrams.look(state, tail[3])
    return (losses.sum() + held_losses(cfg, weights, held, caches, *tail[:3], biases).sum()) * cfg.chunk / T


def batch_loss(share, ngrams, cfg, weights, batch):
    return jax.vmap(lambda s: sequence_loss(cfg, share, ngrams, weights, s))(batch).mean()


def orthogonalize(x):
    """Newton-Schulz on matrices [..., R, C]: libttt/learn/muon.c."""
    x = x / (jnp.sqrt(jnp.square(x).sum((-2, -1), keepdims=True)) + 1e-20)
    wide = x.shape[-2] <= x.shape[-1]
    for _ in range(5):
        s = x @ x.mT if wide else x.mT @ x
        p = -4.7750 * s + 2.0315 * (s @ s)
        x = 3.4445 * x + (p @ x if wide else x @ p)
    return x


def update_of(path, g, m, v, t):
    """Muon's update of a block's array, matrix by matrix, and AdamW's of the others; the moments, of which Muon has the first alone."""
    name = path[-1].key
    if g.ndim < 2 or name == "embed":
        return jax_ttt.adamw(path, g, m, v, t)
    m = MOMENTUM * m + g
    x = (MOMENTUM * m + g).reshape({"qkv": 3, "gate_up": 2}.get(name, 1), -1, g.shape[1])
    return (orthogonalize(x) * (0.2 * math.sqrt(max(x.shape[1:])))).reshape(g.shape), m, v


def rate(step, steps, warmup, peak, end):
    if step < warmup:
        return peak * (step + 1) / warmup
    return end + (peak - end) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def write(model, weights, out):
    """The weights under their names in the file."""
    w = jax.tree.map(np.asarray, weights)
    file = {"model.embed_tokens.weight": w["embed"], "model.norm.weight": w["norm"]}
    first = len(w["blocks"]) - len(w["fast"])

    def add_gate_up(prefix, mlp):
        file.update(zip((f"{prefix}.gate_proj.weight", f"{prefix}.up_proj.weight"), np.split(mlp["gate_up"], 2)))

    for n, b in enumerate(w["blocks"]):
        prefix = f"model.layers.{n}."
        file |= {f"{prefix}{name}.weight": b[key] for key, name in (jax_ttt.NAMES | jax_ttt.PRIME_NAMES).items() if key in b}
        file |= {f"{prefix}self_attn.{k}_proj.weight": x for k, x in zip("qkv", np.split(b["qkv"], 3))}
        add_gate_up(prefix + "mlp", b)
        if n >= first:
            add_gate_up(prefix + "prime_mlp", w["fast"][n - first])
            file[prefix + "prime_mlp.down_proj.weight"] = w["fast"][n - first]["down"]
    old = load_file(os.path.join(model, "model.safetensors"))
    assert {k: x.shape for k, x in old.items()} == {k: x.shape for k, x in file.items()}
    os.makedirs(out, exist_ok=True)
    save_file({k: np.ascontiguousarray(x, np.float32) for k, x in file.items()}, os.path.join(out, "model.safetensors"))
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(os.path.join(model, name), out)


class Trainer:
    """The compiled step and what it changes: weights and the optimizer's moments."""

    def __init__(self, model, batch, seq):
        self.cfg, self.weights = jax_ttt.load(model, ngrams=True)
        if not self.cfg.window or HELD_TAIL * seq % self.cfg.window:
            raise SystemExit(f"meta.py: {model}: its window must divide a quarter of {seq} tokens")
        with open(os.path.join(model, "config.json"), encoding="utf-8") as f:
            self.config = json.load(f)
        self.moments = jax_ttt.zeros(self.weights)
        biases = Biases(self.cfg, *(self.config.get(key, []) for key in ("ngram_orders", "ngram_rates")))
        loss = functools.partial(batch_loss, self.config["mean_share"], biases)
        step = jax_ttt.make_step(loss, self.cfg, update_of=update_of)
        example = self.with_traces(np.zeros((batch, seq + 1), np.int32))
        self.step = step.lower(self.weights, self.moments, example, 1.0, 1.0).compile()

    def with_traces(self, ids):
        """Sequences [B, T + 1], and which biases each of them reads and changes."""
        learned = ids.shape[1] - 1 - int(HELD_TAIL * (ids.shape[1] - 1))
        orders, bits = [o for o in self.config.get("ngram_orders", []) if o > 0], self.config.get("ngram_bits", 17)
        with ThreadPoolExecutor() as pool:
            traces = list(pool.map(lambda s: ngram.trace(s, learned, self.cfg.chunk, orders, bits, self.cfg.bos), ids))
        return jax.device_put((ids, {key: np.stack([t[key] for t in traces]) for key in traces[0]}))

    def __call__(self, batch, lr, t):
        """Step t, from 1, on a batch of with_traces; the loss before it, not waited for."""
        self.weights, self.moments, loss, _ = self.step(self.weights, self.moments, batch, float(t), lr)
        return loss


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("dir")
    parser.add_argument("model", metavar="from")
    parser.add_argument("out")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True, help="sequences a step; 64 of 8,192 tokens take 63 GB of a GPU's memory")
    parser.add_argument("--seq", type=int, required=True)
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--end-lr", type=float, default=2e-4)
    parser.add_argument("--warmup", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    trainer = Trainer(args.model, args.batch, args.seq)
    groups = [tokens.read_documents(args.dir, group, trainer.cfg.bos) for group in SHARES]
    sampler, begin, losses = Sampler(groups, args.seq + 1, args.seed), time.time(), []
    pool = ThreadPoolExecutor(1)
    ahead = collections.deque(pool.submit(lambda: trainer.with_traces(sampler.batch(args.batch))) for _ in range(3))
    for step in range(args.steps):
        ahead.append(pool.submit(lambda: trainer.with_traces(sampler.batch(args.batch))))
        losses.append(trainer(ahead.popleft().result(), rate(step, args.steps, args.warmup, args.lr, args.end_lr), step + 1))
        if step % 20 == 19 or step + 1 == args.steps:
            mean = float(jnp.stack(losses).mean())
            print(json.dumps({"step": step + 1, "loss": mean, "seconds": round(time.time() - begin, 1)}), flush=True)
            losses = []
    write(args.model, trainer.weights, args.out)


if __name__ == "__main__":
    main()
