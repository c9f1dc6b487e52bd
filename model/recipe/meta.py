#!/usr/bin/env python3
"""Meta-training on a GPU: what `ttt-train run --held-tail 0.25 --optimizer muon` computes, in JAX, with many sequences a step.

Usage: meta.py --steps N --batch B --seq T --lr X --warmup N --seed N DIR FROM OUT

Reads DIR/corpus/train and DIR/tokenizer.json, goes on from the model FROM, and writes the model directory OUT. Muon takes the blocks'
matrices and AdamW the rest, at a rate that rises in the warm-up and falls along a cosine. A sequence is a random window of a document,
documents being drawn by length within a group; shorter ones are put together. Needs JAX, safetensors and ttt-train on PATH; without a
GPU it computes the same, slower than ttt-train."""

import argparse
import functools
import json
import math
import os
import shutil
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file, save_file

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench/peers"))
import jax_ttt  # noqa: E402
import tokens  # noqa: E402

SHARES = tokens.SHARES | {"c": 0.42, "logs": 0.20}
HELD_TAIL = 0.25
END_LR = 2e-4
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


def held_losses(cfg, weights, fast, caches, x, targets, rope):
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
    return jax.vmap(lambda x, y: jax_ttt.mean_loss(cfg, weights, x, y))(
        x.reshape(-1, cfg.chunk, cfg.width), targets.reshape(-1, cfg.chunk)
    )


def sequence_loss(cfg, share, weights, ids):
    """Mean of the chunk losses of ids [T + 1]; the tail is read with the weights at share of the way to their mean."""
    T = ids.shape[0] - 1
    learned, cached = T - int(HELD_TAIL * T), cfg.window - 1
    x, rope = jax_ttt.before_suffix(cfg, weights, ids[:-1])
    step = jax.checkpoint(jax_ttt.chunk_reader(cfg, weights, cached), prevent_cse=False)

    def read(carry, chunk):  # the sum is linear, and outside of step nothing of it is kept for the way back
        (fast, caches), (loss, _) = step(*carry[:2], chunk)
        return (fast, caches, jax.tree.map(jnp.add, carry[2], fast)), loss

    head, tail = (jax.tree.map(lambda a, part=part: a[part], (x, ids[1:], rope)) for part in (slice(learned), slice(learned, T)))
    start = (weights["fast"], jax_ttt.empty_caches(cfg, cached), jax.tree.map(jnp.zeros_like, weights["fast"]))
    (_, caches, total), losses = jax.lax.scan(read, start, jax_ttt.cut_chunks(cfg, head))
    held = jax.tree.map(lambda w, s: (1 - share) * w + share * cfg.chunk / learned * s, weights["fast"], total)
    return (losses.sum() + held_losses(cfg, weights, held, caches, *tail).sum()) * cfg.chunk / T


def batch_loss(share, cfg, weights, ids):
    return jax.vmap(lambda s: sequence_loss(cfg, share, weights, s))(ids).mean()


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


def rate(step, steps, warmup, peak):
    if step < warmup:
        return peak * (step + 1) / warmup
    return END_LR + (peak - END_LR) * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


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
        self.cfg, self.weights = jax_ttt.load(model)
        if not self.cfg.window or HELD_TAIL * seq % self.cfg.window:
            raise SystemExit(f"meta.py: {model}: its window must divide a quarter of {seq} tokens")
        with open(os.path.join(model, "config.json"), encoding="utf-8") as f:
            share = json.load(f)["mean_share"]
        self.moments = jax_ttt.zeros(self.weights)
        ids = jnp.zeros((batch, seq + 1), jnp.int32)
        step = jax_ttt.make_step(functools.partial(batch_loss, share), self.cfg, update_of=update_of)
        self.step = step.lower(self.weights, self.moments, ids, 1.0, 1.0).compile()

    def __call__(self, ids, lr, t):
        """Step t, from 1, on ids [B, T + 1]; the loss before it, not waited for."""
        self.weights, self.moments, loss, _ = self.step(self.weights, self.moments, ids, float(t), lr)
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
    parser.add_argument("--warmup", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    trainer = Trainer(args.model, args.batch, args.seq)
    groups = [tokens.read_documents(args.dir, group, trainer.cfg.bos) for group in SHARES]
    sampler, begin, losses = Sampler(groups, args.seq + 1, args.seed), time.time(), []
    for step in range(args.steps):
        losses.append(trainer(sampler.batch(args.batch), rate(step, args.steps, args.warmup, args.lr), step + 1))
        if step % 20 == 19 or step + 1 == args.steps:
            mean = float(jnp.stack(losses).mean())
            print(json.dumps({"step": step + 1, "loss": mean, "seconds": round(time.time() - begin, 1)}), flush=True)
            losses = []
    write(args.model, trainer.weights, args.out)


if __name__ == "__main__":
    main()
