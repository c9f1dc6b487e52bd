#!/usr/bin/env python3
"""Documents for learning to be asked: recall.py TRAIN DEST N [SEED]

A document is passages of one text of TRAIN/c, man or docs, then what belongs to them, in another order: of a function the first sentences
of the comment that stood before it, of a paragraph a sentence that was taken out of it, some of them put as questions. It is a few tokens
longer than a sequence of 8,192, whose last quarter is read with the weights held (ttt-train run --held-tail 0.25): the second part
is all in that quarter, and what it belongs to before it. ttt-train, built or on PATH, counts the tokens by the embedded model."""

import os
import random
import re
import shutil
import subprocess
import sys

SEQUENCE, TAIL = 8192, 2048  # tokens
PASSAGE_BYTES = (250, 1800)
SHARES = {"c": 0.45, "man": 0.3, "docs": 0.25}
NEIGHBOURS = 60  # passages of a text that stand together, from which a document is made
LEAST_BYTES = 2.0  # a token; less than any kind of text has
FORMS = ("How does it %s?", "What happens: %s?", "Where is this: %s?", "When is it that %s?", "Which one: %s?")
TTT_TRAIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "ttt-train")
TTT_TRAIN = TTT_TRAIN if os.access(TTT_TRAIN, os.X_OK) else shutil.which("ttt-train")


def tokenize(text, *options):
    return subprocess.run([TTT_TRAIN, "tokenize", *options], input=text.encode(), stdout=subprocess.PIPE, check=True).stdout


def summary(comment):
    """The first two sentences of a comment, without its frame and its tags."""
    text = re.sub(r"^\s*/?\*+/? ?", "", comment.replace("*/", ""), flags=re.M)
    text = re.sub(r"[@\\](param|return|returns|retval)\b.*", "", " ".join(text.split()))
    return " ".join(re.split(r"(?<=[.!?])\s+", text)[:2])[:240].strip()


def functions(text):
    """(body, summary) of functions whose comment starts a line right before them."""
    lines, i = text.split("\n"), 0
    while i < len(lines):
        start, i = i, i + 1
        if not lines[start].startswith("/*"):
            continue
        end = start
        while end < min(len(lines) - 1, start + 30) and "*/" not in lines[end]:
            end += 1
        head = i = end + 1
        brace = next((k for k in range(head, min(head + 6, len(lines))) if lines[k].rstrip().endswith("{")), None)
        if brace is None or not re.match(r"[A-Za-z_]", lines[head]) or "(" not in "".join(lines[head : brace + 1]):
            continue
        last = next((k for k in range(brace + 1, min(head + 64, len(lines))) if lines[k].rstrip() == "}"), None)
        if last is None:
            continue
        i = last + 1
        said = summary("\n".join(lines[start:head]))
        if len(said) >= 25 and len(said.split()) >= 5 and "opyright" not in said:
            yield "\n".join(lines[head : last + 1]) + "\n", said


def paragraphs(text):
    """Blocks of lines, closed as ttt-ask closes passages."""
    block = []
    for line in text.split("\n"):
        if (not line.strip() and len(block) >= 8) or len(block) >= 20:
            yield "\n".join(block) + "\n"
            block = []
        block.append(line)


def sentences(text, draw):
    """(the rest, a sentence taken out) of paragraphs; in one of ten the sentence stays."""
    for block in paragraphs(text):
        found = list(re.finditer(r"(?<=[.?!:])\s{1,40}([A-Z][^.?!]{30,220}[.?!])(?=\s)", block))
        if found:
            m = draw.choice(found)
            said = " ".join(m[1].split())
            if len(said.split()) >= 6:
                yield block if draw.random() < 0.1 else block[: m.start(1)] + block[m.end(1) :], said


def question(said, draw):
    said, how = said.rstrip(".").strip(), draw.random()
    if how < 0.4:
        return said
    said = said[:1].lower() + said[1:]
    return said + "?" if how < 0.6 else draw.choice(FORMS) % said


def document(pairs, draw):
    """A document, or None where the passages do not fill it."""
    first = draw.randrange(max(1, len(pairs) - NEIGHBOURS))
    near, far = pairs[first : first + NEIGHBOURS], pairs[:first] + pairs[first + NEIGHBOURS :]
    draw.shuffle(near)
    draw.shuffle(far)
    asked, n_byte = [], 0
    for body, said in near:
        n_byte += len(body)
        if n_byte <= LEAST_BYTES * (SEQUENCE - TAIL):
            asked.append(question(said, draw))
    draw.shuffle(asked)
    tail = "\n" + "\n".join(asked) + "\n"
    n_tail = len(tokenize(tail).split())
    head = tokenize("\n".join(body for body, _ in near + far[:NEIGHBOURS])).split()
    if n_tail > TAIL - 16 or len(head) + n_tail < SEQUENCE + 4:
        return None
    return tokenize(b" ".join(head[: SEQUENCE + 4 - n_tail]).decode(), "--decode") + tail.encode()


def main():
    if len(sys.argv) not in (4, 5) or not TTT_TRAIN:
        sys.exit(__doc__)
    train, dest, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
    draw = random.Random(int(sys.argv[4]) if len(sys.argv) == 5 else 1)
    os.makedirs(dest, exist_ok=True)
    kept, made = {}, 0
    for _ in range(20 * wanted):
        if made == wanted:
            return
        kind = draw.choices(list(SHARES), list(SHARES.values()))[0]
        path = os.path.join(train, kind, draw.choice(sorted(os.listdir(os.path.join(train, kind)))))
        if path not in kept:
            with open(path, encoding="utf-8", errors="replace") as f:
                text = f.read()
            found = functions(text) if kind == "c" else sentences(text, draw)
            kept[path] = [p for p in found if PASSAGE_BYTES[0] <= len(p[0]) <= PASSAGE_BYTES[1]]
        made_one = document(kept[path], draw) if len(kept[path]) >= NEIGHBOURS else None
        if made_one:
            with open(os.path.join(dest, f"{made:04}-{kind}.txt"), "wb") as f:
                f.write(made_one)
            made += 1
    sys.exit(f"recall.py: {train}: only {made} documents of {wanted} could be made")


if __name__ == "__main__":
    main()
