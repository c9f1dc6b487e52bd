#!/usr/bin/env python3
"""The network of ttt in eager PyTorch on the CPU: learning while reading (absorb), and an ordinary training step (plain).

Usage: torch_ttt.py absorb MODEL IDS [--threads N] [--chunks N] [--warm-up N]
       torch_ttt.py plain MODEL IDS [--threads N] [--seq T] [--batch B] [--steps N]

MODEL is a model directory, IDS a file of token ids, a sequence a line. Prints JSON Lines."""

import argparse
import math
import os
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

import common

SETTLE = 8  # chunks between two pulls towards the initial weights
EARLY, WANED = 256, 4  # chunks after which the pull begins to wane, and how many times less it becomes at most

def load(directory):
    """The configuration and the float32 weights of a model directory. What one product reads lies in one tensor."""
    cfg = common.read_config(directory)
    file = {name: w.float() for name, w in load_file(os.path.join(directory, "model.safetensors")).items()}

    def block(n):
        def w(name):
            return file[f"model.layers.{n}.{name}.weight"]

        b = SimpleNamespace(
            input_norm=w("input_layernorm"),
            qkv=torch.cat([w(f"self_attn.{x}_proj") for x in "qkv"]),
            qk_norm=torch.stack([w("self_attn.q_norm"), w("self_attn.k_norm")])[:, None].contiguous(),
            o=w("self_attn.o_proj"),
            post_attention_norm=w("post_attention_layernorm"),
            pre_ffn_norm=w("pre_feedforward_layernorm"),
            gate_up=torch.cat([w("mlp.gate_proj"), w("mlp.up_proj")]),
            down=w("mlp.down_proj"),
            post_ffn_norm=w("post_feedforward_layernorm"),
        )
        if n >= cfg.layers - cfg.suffix:
            b.pre_prime_norm = w("pre_prime_layernorm")
            b.post_prime_norm = w("post_prime_layernorm")
            b.prime_gate_up = torch.cat([w("prime_mlp.gate_proj"), w("prime_mlp.up_proj")])
            b.prime_down = w("prime_mlp.down_proj")
        return b

    return cfg, SimpleNamespace(
        embed=file["model.embed_tokens.weight"], blocks=[block(n) for n in range(cfg.layers)], norm=file["model.norm.weight"]
    )


def rope_table(cfg, positions):
    """exp(i * angle) for neighbouring pairs, [positions, 1, 1, head / 2]: a product of complex numbers rotates."""
    rates = cfg.theta ** (-torch.arange(0, cfg.head, 2, dtype=torch.float64) / cfg.head)
    angles = torch.arange(positions, dtype=torch.float64)[:, None, None, None] * rates
    return torch.polar(torch.ones_like(angles), angles).to(torch.complex64)


def band(queries, cached, window):
    """What is added to the scores of a chunk's queries over the keys cached before it and its own."""
    back = torch.arange(cached, cached + queries)[:, None] - torch.arange(cached + queries)
    hidden = (back < 0) | (back >= window) if window else back < 0
    return torch.zeros(queries, cached + queries).masked_fill(hidden, -math.inf)


class FixedNorm(torch.autograd.Function):
    """RMSNorm under a constant weight, its backward in fewer operations than autograd would take."""

    @staticmethod
    def forward(ctx, x, weight, eps):
        scale = x.square().sum(-1, keepdim=True).div_(x.shape[-1]).add_(eps).rsqrt_()
        unit = x * scale
        ctx.save_for_backward(unit, scale, weight)
        return unit * weight

    @staticmethod
    def backward(ctx, grad):
        unit, scale, weight = ctx.saved_tensors
        grad = grad * weight
        along = (grad * unit).sum(-1, keepdim=True)
        return grad.addcmul_(unit, along, value=-1 / unit.shape[-1]).mul_(scale), None, None


class FixedHead(torch.autograd.Function):
    """Losses [T] under a constant embedding; the logits' gradient takes the place of their logarithms."""

    @staticmethod
    def forward(ctx, x, embed, targets):
        logp = torch.log_softmax(F.linear(x, embed), -1)
        ctx.logp, ctx.embed, ctx.targets = logp, embed, targets[:, None]
        return -logp.gather(1, ctx.targets)[:, 0]

    @staticmethod
    def backward(ctx, grad):
        p = ctx.logp.exp_()
        p.scatter_add_(1, ctx.targets, p.new_tensor(-1.0).expand_as(ctx.targets))
        return torch.mm(p, ctx.embed).mul_(grad[:, None]), None, None


def trained_norm(x, weight, eps):
    return F.rms_norm(x, weight.shape[-1:], None, eps) * weight


def swiglu(x, gate_up, down):
    gate, up = F.linear(x, gate_up).chunk(2, -1)
    return F.linear(F.silu(gate) * up, down)


def attention(cfg, norm, b, x, rope, attend):
    """The attention half of a block; attend(q, k, v), all [B, H, T, K], says over which keys."""
    B, T, D = x.shape
    qkv = F.linear(norm(x, b.input_norm, cfg.eps), b.qkv).view(B, T, 3, cfg.heads, cfg.head)
    qk = torch.view_as_complex(norm(qkv[:, :, :2], b.qk_norm, cfg.eps).unflatten(-1, (-1, 2))) * rope
    q, k = torch.view_as_real(qk).flatten(-2).permute(2, 0, 3, 1, 4).unbind()
    o = attend(q, k, qkv[:, :, 2].transpose(1, 2)).transpose(1, 2).reshape(B, T, D)
    return x + norm(F.linear(o, b.o), b.post_attention_norm, cfg.eps)


def mlps(cfg, norm, b, x):
    """The rest of a block: the prime MLP where there is one, and the ordinary one."""
    if hasattr(b, "prime_down"):
        prime = swiglu(norm(x, b.pre_prime_norm, cfg.eps), b.prime_gate_up, b.prime_down)
        x = x + norm(prime, b.post_prime_norm, cfg.eps)
    return x + norm(swiglu(norm(x, b.pre_ffn_norm, cfg.eps), b.gate_up, b.down), b.post_ffn_norm, cfg.eps)


class Reader:
    """One stream on its way through the model: forward, loss and one inner step a chunk."""

    def __init__(self, cfg, net, tokens):
        self.cfg, self.net = cfg, net
        self.rope = rope_table(cfg, tokens)
        self.caches = [None] * cfg.layers
        self.masks = {}
        self.done = self.settled = 0
        suffix = net.blocks[cfg.layers - cfg.suffix :]
        self.initial = [w.detach() for b in suffix for w in (b.prime_gate_up, b.prime_down)]
        self.fast = [w.clone().requires_grad_() for w in self.initial]
        self.suffix = [
            SimpleNamespace(**{**vars(b), "prime_gate_up": self.fast[2 * i], "prime_down": self.fast[2 * i + 1]})
            for i, b in enumerate(suffix)
        ]

    def mask(self, queries, cached):
        if (queries, cached) not in self.masks:
            self.masks = {(queries, cached): band(queries, cached, self.cfg.window)}
        return self.masks[queries, cached]

    def block(self, n, b, x, rope):
        def attend(q, k, v):
            if self.caches[n] is not None:
                k, v = (torch.cat(pair, 2) for pair in zip(self.caches[n], (k, v)))
            keep = min(k.shape[2], self.cfg.window - 1) if self.cfg.window else k.shape[2]
            first = k.shape[2] - keep
            mask = self.mask(q.shape[2], k.shape[2] - q.shape[2])
            self.caches[n] = k.detach()[:, :, first:], v.detach()[:, :, first:]
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)

        norm = FixedNorm.apply
        return mlps(self.cfg, norm, b, attention(self.cfg, norm, b, x, rope, attend))

    def forward(self, inputs, targets):
        """The losses of the targets, [T]."""
        cfg, net = self.cfg, self.net
        rope = self.rope[self.done : self.done + len(inputs)]
        with torch.no_grad():
            x = F.embedding(inputs, net.embed)[None]
            for n in range(cfg.layers - cfg.suffix):
                x = self.block(n, net.blocks[n], x, rope)
        for i, b in enumerate(self.suffix):
            x = self.block(cfg.layers - cfg.suffix + i, b, x, rope)
        self.done += len(inputs)
        return FixedHead.apply(FixedNorm.apply(x[0], net.norm, cfg.eps), net.embed, targets)

    def learn(self, loss):
        """One clipped step of the fast weights down the gradient of a chunk's loss, and now and then the pull."""
        grads = torch.autograd.grad(loss, self.fast)
        norm = torch.nn.utils.get_total_norm(grads).item()
        scale = self.cfg.clip / norm if 0 < self.cfg.clip <= norm else 1.0
        with torch.no_grad():
            for w, g in zip(self.fast, grads):
                w.add_(g, alpha=-self.cfg.rate * scale)
            if self.done // self.cfg.chunk % SETTLE == 0:
                part = min(1.0, self.cfg.pull * float(loss) / min((1 + SETTLE * self.settled / EARLY) ** 0.5, WANED))
                self.settled += 1
                for w, initial in zip(self.fast, self.initial) if part else ():
                    w.lerp_(initial, 1 - (1 - part) ** SETTLE)


def absorb(cfg, net, ids, on_chunk=None):
    """Read one sequence as ttt-absorb does: (sum, count) of each chunk's losses, taken before its step, and the reader.

    Targets that are BOS do not count; the last chunk is not learned from when it is incomplete."""
    ids = torch.tensor(ids)
    counts = [int(part.sum()) for part in (ids[1:] != cfg.bos).split(cfg.chunk)]
    masked = counts != [len(part) for part in ids[1:].split(cfg.chunk)]
    reader = Reader(cfg, net, len(ids) - 1)
    losses = []
    for inputs, targets, count in zip(ids[:-1].split(cfg.chunk), ids[1:].split(cfg.chunk), counts):
        learns = len(inputs) == cfg.chunk and count > 0 and reader.fast
        with torch.set_grad_enabled(bool(learns)):
            nll = reader.forward(inputs, targets)
            total = (nll * (targets != cfg.bos) if masked else nll).sum()
        if learns:
            reader.learn(total / count)
        losses.append((total.item(), count))
        if on_chunk:
            on_chunk(len(inputs))
    return losses, reader


def whole(cfg, length):
    """attend() of a whole sequence at once: a window as blocks of queries over two blocks of keys."""
    W = cfg.window
    if not W or W >= length:
        return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)
    n = -(-length // W)
    mask = band(W, W, W).expand(n, 1, W, 2 * W).clone()
    mask[0, :, :, :W] = -math.inf

    def blocks(x, before):
        """[B, H, T, K] as [B * n, H, W or 2W, K]."""
        B, H, T, K = x.shape
        x = F.pad(x, (0, 0, before, n * W - T))
        parts = [x[:, :, i : i + n * W].reshape(B, H, n, W, K) for i in range(0, before + 1, W)]
        return torch.cat(parts, 3).transpose(1, 2).flatten(0, 1)

    def attend(q, k, v):
        B, H, T, K = q.shape
        o = F.scaled_dot_product_attention(blocks(q, 0), blocks(k, W), blocks(v, W), attn_mask=mask.repeat(B, 1, 1, 1))
        return o.unflatten(0, (B, n)).transpose(1, 2).reshape(B, H, n * W, K)[:, :, :T]

    return attend


def plain_loss(cfg, net, ids, rope, attend):
    """Mean over sequences of the mean of their chunks' mean losses; ids [B, T + 1], the fast weights ordinary ones."""
    x = F.embedding(ids[:, :-1], net.embed)
    for b in net.blocks:
        x = mlps(cfg, trained_norm, b, attention(cfg, trained_norm, b, x, rope, attend))
    targets = ids[:, 1:]
    logits = F.linear(trained_norm(x, net.norm, cfg.eps), net.embed)
    nll = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=cfg.bos, reduction="none")
    counts = (targets != cfg.bos).view(-1, cfg.chunk).sum(1).clamp(min=1)
    return (nll.view(-1, cfg.chunk).sum(1) / counts).mean()


def parameters(net):
    """All tensors of the network, made to want gradients."""
    found = [net.embed, net.norm] + [w for b in net.blocks for w in vars(b).values()]
    return [w.requires_grad_() for w in found]


def describe(args, cfg, **more):
    return {
        "model": args.model,
        "chunk": cfg.chunk,
        "window": cfg.window,
        "threads": torch.get_num_threads(),
        "peer": f"torch {torch.__version__}, eager, float32",
        **more,
    }


def run_absorb(args, cfg, net):
    sequences = common.read_ids(args.ids)
    if args.chunks:
        sequences = [sequences[0][: args.chunks * cfg.chunk + 1]]
    watch, seen, losses = common.Stopwatch(), 0, []

    def on_chunk(n):
        nonlocal seen
        seen += 1
        if seen > args.warm_up and n == cfg.chunk:
            watch.lap()
        watch.start()

    for s in sequences:
        losses += absorb(cfg, net, s, on_chunk)[0]
    if not watch.laps:
        raise SystemExit("nothing was timed: the sequences are no longer than the warm-up (--warm-up)")
    tokens = sum(n for _, n in losses)
    config = describe(args, cfg, tokens=tokens)
    common.print_row("torch_absorb_loss", sum(a for a, _ in losses) / tokens, "nats/token", config)
    watch.print_speed("torch_absorb", cfg.chunk, config)


def run_plain(args, cfg, net):
    T = args.seq or cfg.length
    ids = torch.tensor(common.cut(common.read_ids(args.ids), T, args.batch))
    rope, attend, weights = rope_table(cfg, T), whole(cfg, T), parameters(net)
    optimizer = torch.optim.AdamW(weights, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    watch, losses = common.Stopwatch(), []
    for step in range(args.steps + 1):
        watch.start()
        optimizer.zero_grad()
        loss = plain_loss(cfg, net, ids, rope, attend)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        losses.append(loss.item())
        if step > 0:  # the first is the warm-up
            watch.lap()
    config = describe(args, cfg, sequence=T, batch=args.batch)
    common.print_row("torch_plain_loss", losses[0], "nats/token", config)
    watch.print_speed("torch_plain", args.batch * T, config)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)
    for name, run in (("absorb", run_absorb), ("plain", run_plain)):
        p = commands.add_parser(name)
        p.set_defaults(run=run)
        p.add_argument("model")
        p.add_argument("ids")
        p.add_argument("--threads", type=int, default=0, help="threads to compute with (default: torch's choice)")
        if name == "absorb":
            p.add_argument("--chunks", type=int, default=0, help="chunks of the first sequence only (default: all there is)")
            p.add_argument("--warm-up", type=int, default=8, help="chunks that are not timed")
        else:
            p.add_argument("--seq", type=int, default=0, help="tokens a sequence (default: the configuration's)")
            p.add_argument("--batch", type=int, default=1, help="sequences a step")
            p.add_argument("--steps", type=int, default=5, help="steps that are timed")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    cfg, net = load(args.model)
    args.run(args, cfg, net)


if __name__ == "__main__":
    main()
