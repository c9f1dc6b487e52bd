#!/usr/bin/env python3
"""The plain training that meta-training starts from, on a GPU: what `ttt-train run --mode window` computes, in PyTorch.

Usage: plain.py [--from MODEL] [--tokens N] [--decay X] [--seed N] DIR OUT

Reads DIR/corpus/train, DIR/tokenizer.json and the weights of MODEL (default: DIR/start), and writes the model directory OUT.
Muon takes the blocks' matrices and AdamW the rest, at a rate held and then let fall along a cosine, as in ttt-train. A step is 16
sequences of 2,048 tokens, random windows of a group's documents put one behind another. Needs PyTorch, safetensors and ttt-train on
PATH; without a GPU it computes the same, too slowly to be of use."""

import argparse
import json
import math
import os
import shutil
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

import tokens

BATCH, SEQ = 16, 2048
LR, END_LR, WARMUP = 1e-2, 2e-4, 200
B1, B2, WEIGHT_DECAY = 0.9, 0.95, 0.1
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Network:
    """The network over whole sequences, its weights by their names in the file."""

    def __init__(self, config, weights, T):
        self.c, self.w = config, weights
        self.heads, self.window = config["num_attention_heads"], config["sliding_window"]
        self.head = config["hidden_size"] // self.heads
        self.angles, self.mask = self.make_angles(T), self.make_mask(T)

    def make_angles(self, T):
        """Cosines and sines, [T, head / 2] each."""
        rates = self.c["rope_theta"] ** (-torch.arange(0, self.head, 2, dtype=torch.float64) / self.head)
        angles = torch.arange(T, dtype=torch.float64)[:, None] * rates
        return angles.cos().float().to(DEVICE), angles.sin().float().to(DEVICE)

    def make_mask(self, T):
        """What is added to scores, [BATCH * blocks, 1, W, 2 W]: a block of W queries sees its own keys and those of the block before."""
        W = self.window
        back = torch.arange(W)[:, None] + W - torch.arange(2 * W)
        mask = torch.zeros(T // W, 1, W, 2 * W)
        mask.masked_fill_((back < 0) | (back >= W), -math.inf)
        mask[0, :, :, :W] = -math.inf
        return mask.to(DEVICE).repeat(BATCH, 1, 1, 1)

    def norm(self, x, name):
        g = self.w[name + ".weight"]
        return F.rms_norm(x, g.shape, g, self.c["rms_norm_eps"])

    def linear(self, x, name):
        return F.linear(x, self.w[name + ".weight"])

    def rotate(self, x):
        cos, sin = self.angles
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)

    def attend(self, q, k, v):
        """[B, H, T, K] each."""
        B, H, T, K = q.shape
        W, n = self.window, T // self.window

        def two(x):
            x = F.pad(x, (0, 0, W, 0))
            pair = [x[:, :, i : i + T].reshape(B, H, n, W, K) for i in (0, W)]
            return torch.stack(pair, 3).reshape(B, H, n, 2 * W, K).transpose(1, 2).reshape(B * n, H, 2 * W, K)

        q = q.reshape(B, H, n, W, K).transpose(1, 2).reshape(B * n, H, W, K)
        o = F.scaled_dot_product_attention(q, two(k), two(v), attn_mask=self.mask)
        return o.reshape(B, n, H, W, K).transpose(1, 2).reshape(B, H, T, K)

    def attention(self, x, b):
        B, T, D = x.shape
        h = self.norm(x, b + "input_layernorm")
        q, k, v = [self.linear(h, f"{b}self_attn.{y}_proj").view(B, T, self.heads, self.head).transpose(1, 2) for y in "qkv"]
        q, k = [self.rotate(self.norm(y, f"{b}self_attn.{name}_norm")) for y, name in ((q, "q"), (k, "k"))]
        o = self.attend(q, k, v).transpose(1, 2).reshape(B, T, D)
        return self.norm(self.linear(o, b + "self_attn.o_proj"), b + "post_attention_layernorm")

    def mlp(self, x, b, before, name, after):
        h = self.norm(x, b + before)
        h = F.silu(self.linear(h, b + name + ".gate_proj")) * self.linear(h, b + name + ".up_proj")
        return self.norm(self.linear(h, b + name + ".down_proj"), b + after)

    def loss(self, ids):
        """Mean loss of ids [B, T + 1]; a BOS is no target."""
        x = F.embedding(ids[:, :-1], self.w["model.embed_tokens.weight"])
        layers = self.c["num_hidden_layers"]
        for n in range(layers):
            b = f"model.layers.{n}."
            x = x + self.attention(x, b)
            if n >= layers - self.c["num_suffix_layers"]:
                x = x + self.mlp(x, b, "pre_prime_layernorm", "prime_mlp", "post_prime_layernorm")
            x = x + self.mlp(x, b, "pre_feedforward_layernorm", "mlp", "post_feedforward_layernorm")
        logits = self.linear(self.norm(x, "model.norm"), "model.embed_tokens")
        losses = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=self.c["bos_token_id"], reduction="none")
        return losses.mean()


def orthogonalize(x):
    """Newton-Schulz on a stack of matrices: libttt/learn/muon.c."""
    x = x / (x.square().sum((1, 2), keepdim=True).sqrt() + 1e-20)
    wide = x.shape[1] <= x.shape[2]
    for _ in range(5):
        s = x @ x.mT if wide else x.mT @ x
        p = -4.7750 * s + 2.0315 * (s @ s)
        x = 3.4445 * x + (p @ x if wide else x @ p)
    return x


class Optimizer:
    """Muon and AdamW behind a clip of the global norm to 1. All state is tensors, so that a step can be a CUDA graph."""

    def __init__(self, w):
        self.w, self.groups = w, {}
        for k, v in w.items():
            if v.dim() == 2 and k != "model.embed_tokens.weight":
                self.groups.setdefault(tuple(v.shape), []).append(k)
        taken = {k for ks in self.groups.values() for k in ks}
        self.rest = [k for k in w if k not in taken]
        self.momentum = {s: torch.zeros(len(ks), *s, device=DEVICE) for s, ks in self.groups.items()}
        self.m = {k: torch.zeros_like(w[k]) for k in self.rest}
        self.v = {k: torch.zeros_like(w[k]) for k in self.rest}
        self.lr, self.t = torch.zeros((), device=DEVICE), torch.zeros((), device=DEVICE)

    def reset(self):
        for x in (*self.momentum.values(), *self.m.values(), *self.v.values(), self.t):
            x.zero_()

    @torch.no_grad()
    def step(self, grads):
        scale = torch.clamp(1 / torch.stack([g.square().sum() for g in grads.values()]).sum().sqrt(), max=1.0)
        self.t.add_(1)
        for shape, names in self.groups.items():
            g, m = torch.stack([grads[k] for k in names]) * scale, self.momentum[shape]
            m.mul_(B1).add_(g)
            x = orthogonalize(m * B1 + g) * (0.2 * math.sqrt(max(shape)))
            for k, update in zip(names, x):
                self.w[k].mul_(1 - self.lr * WEIGHT_DECAY).sub_(self.lr * update)
        for k in self.rest:
            g, m, v = grads[k] * scale, self.m[k], self.v[k]
            m.lerp_(g, 1 - B1)
            v.lerp_(g * g, 1 - B2)
            update = (m / (1 - B1**self.t)) / ((v / (1 - B2**self.t)).sqrt() + 1e-8)
            self.w[k].mul_(1 - self.lr * WEIGHT_DECAY).sub_(self.lr * update)


def rate(step, steps, decay):
    """After the warm-up held, and along a cosine in the last share `decay` of the steps."""
    first = steps * (1 - decay)
    if step < WARMUP:
        return LR * step / WARMUP
    done = max(0.0, min(1.0, (step - first) / max(1.0, steps - first)))
    return END_LR + (LR - END_LR) * 0.5 * (1 + math.cos(math.pi * done))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("dir")
    parser.add_argument("out")
    parser.add_argument("--from", dest="model", help="the model to go on from (default: DIR/start)")
    parser.add_argument("--tokens", type=float, default=520e6)
    parser.add_argument("--decay", type=float, default=0.25, help="share of the steps in which the rate falls")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    model = args.model or os.path.join(args.dir, "start")
    with open(os.path.join(model, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    torch.backends.cuda.matmul.allow_tf32 = True
    weights = {k: v.float().to(DEVICE).requires_grad_() for k, v in load_file(os.path.join(model, "model.safetensors")).items()}
    net, optimizer = Network(config, weights, SEQ), Optimizer(weights)

    groups = [np.concatenate(tokens.read_documents(args.dir, group, config["bos_token_id"])) for group in tokens.SHARES]
    lengths = torch.tensor([len(x) for x in groups])
    if lengths.min() <= SEQ + 1:
        raise SystemExit(f"plain.py: {args.dir}: a group of documents is shorter than a sequence of {SEQ} tokens")
    offsets = lengths.cumsum(0) - lengths
    text = torch.from_numpy(np.concatenate(groups)).to(DEVICE)
    generator, shares = torch.Generator().manual_seed(args.seed), torch.tensor(list(tokens.SHARES.values()))
    ids = torch.zeros(BATCH, SEQ + 1, dtype=torch.int64, device=DEVICE)
    span, loss = torch.arange(SEQ + 1, device=DEVICE), torch.zeros((), device=DEVICE)

    def draw():
        k = torch.multinomial(shares, BATCH, True, generator=generator)
        at = (torch.rand(BATCH, generator=generator, dtype=torch.float64) * (lengths[k] - SEQ - 1)).long() + offsets[k]
        ids.copy_(text[at.to(DEVICE)[:, None] + span].long())

    def step():
        value = net.loss(ids)
        optimizer.step(dict(zip(weights, torch.autograd.grad(value, list(weights.values())))))
        loss.copy_(value.detach())

    run = step
    draw()
    if DEVICE == "cuda":  # the rate is 0 in the steps before the recording
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            step()
            step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        optimizer.reset()
        run = graph.replay

    steps, begin, at = int(args.tokens) // (BATCH * SEQ), time.time(), 0
    while at < steps:
        draw()
        optimizer.lr.fill_(rate(at, steps, args.decay))
        run()
        at += 1
        if at % 500 == 0 or at == steps:
            print(json.dumps({"step": at, "loss": loss.item(), "seconds": round(time.time() - begin, 1)}), flush=True)

    os.makedirs(args.out)
    save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, os.path.join(args.out, "model.safetensors"))
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(os.path.join(model, name), args.out)


if __name__ == "__main__":
    main()
