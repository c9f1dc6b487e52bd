#!/usr/bin/env python3
"""Turn unpacked packages into long text documents: lay.py PACKAGES HELDOUT TREE DEST

A document is the files of one kind of one package, in byte order of their paths, joined as `cat` joins them, cut into
pieces of at most CAPS bytes at file boundaries; of a package one piece is kept, of a held-out one two. Files that are
binary, minified, generated, tables of numbers or mostly seen before are left out. Held-out packages are laid out first,
so that a copy of their text in another package counts as seen and never reaches training. Those of split long, one long
document of one project each, come last, and what training has seen is not in them."""

import gzip
import os
import re
import sys
import zlib

CAPS = {"c": 2_200_000, "docs": 800_000, "man": 800_000, "code": 800_000}  # bytes of a document
SMALLEST = 16_000  # a shorter document teaches nothing about long ones
LONG = (1_000_000, 2_200_000)  # least and most bytes of a document of split long
FILE_CAP = 300_000  # a longer file is rarely written by hand
EXTENSIONS = {
    ".c": "c", ".h": "c",
    ".md": "docs", ".rst": "docs", ".txt": "docs", ".adoc": "docs", ".texi": "docs", ".texinfo": "docs",
    ".py": "code", ".sh": "code", ".pl": "code", ".pm": "code", ".awk": "code", ".tcl": "code", ".lua": "code",
    ".bats": "code",
}  # fmt: skip
PROSE_NAMES = re.compile(r"^(README|NEWS|CHANGES|ChangeLog|HACKING|FAQ|TUTORIAL)", re.I)
HISTORY_NAMES = re.compile(r"^(NEWS|CHANGES|change-?log|HISTORY|RELEASE)", re.I)
HISTORY_CAP = 30_000  # of a project's history the newest part; it would crowd out the manual
# Other people's projects inside a project, translations, and text of the kernel (evaluation is done on that).
SKIPPED_PATHS = re.compile(
    r"(^|/)(\.git|\.pc|po|intl|m4|third[-_]?party|3rdparty|external|vendor|vendored|contrib/(minizip|zlib)|bundled|gnulib|"
    r"gnulib-tests|uapi|include/linux|linux/include|linux-headers|kernel-headers|linux-uapi|asm|asm-generic|i18n|locale|l10n|"
    r"translations?|testdata|fuzz|corpora|libtool|build-aux|unicode)(/|$)",
    re.I,
)
GENERATED = re.compile(
    r"generated (by|from|auto)|auto(matically)?[- ]generated|do not edit|made by GNU Bison|flex scanner|"
    r"created by (bison|re2c|gperf)|ANSI-C code produced by gperf",
    re.I,
)
WORD = re.compile(r"[A-Za-z_]{2,}")


class Seen:
    """Lines met before, a quarter of them by hash, so that near copies are found in little memory."""

    def __init__(self):
        self.lines = set()

    def share(self, text):
        """Share of the sampled lines that were met before, the sample, and whether it is large enough to judge."""
        sample = set()
        for line in text.split("\n"):
            line = line.strip()
            if len(line) >= 24:
                h = zlib.crc32(line.encode("utf-8", "replace")) | len(line) << 32
                if h & 3 == 0:
                    sample.add(h)
        if not sample:
            return 0.0, sample
        return len(sample & self.lines) / len(sample), sample


def read_text(path):
    """The file's text, or None where it is not text that a person would have written."""
    try:
        if os.path.islink(path) or os.path.getsize(path) < 200:
            return None
        with open(path, "rb") as f:
            data = f.read(8_000_000)
        if path.endswith(".gz"):
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None
    if HISTORY_NAMES.match(os.path.basename(path)):
        data = data[:HISTORY_CAP].rpartition(b"\n")[0]
    if len(data) > FILE_CAP:
        return None
    if b"\0" in data:
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    lines = text.count("\n") + 1
    if len(text) / lines > 110 or max(map(len, text.split("\n"))) > 1500:
        return None
    if sum(c > "\x7f" for c in text) > 0.03 * len(text):
        return None
    if GENERATED.search(text[:1500]):
        return None
    words = sum(len(w) for w in WORD.findall(text))
    if words < 0.35 * len(re.sub(r"\s+", "", text)):
        return None
    return text if text.endswith("\n") else text + "\n"


def group_of(path, kind):
    """Which kind of document a file belongs to, or None."""
    name = os.path.basename(path)
    if kind == "binary":
        if path.startswith("man/"):
            return "man"
        return "docs" if path.startswith("usr/share/info/") else None
    stem, ext = os.path.splitext(name)
    group = EXTENSIONS.get(ext)
    if group == "docs" and re.search(r"licen[cs]e|copying|cmakelists|requirements|authors|thanks", stem, re.I):
        return None
    if group is None and ext == "" and PROSE_NAMES.match(name):
        group = "docs"
    return group


def walk(root, kind):
    """Paths below root in byte order, with their groups."""
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [d for d in folders if not SKIPPED_PATHS.search(d)]
        rel = os.path.relpath(folder, root)
        rel = "" if rel == "." else rel + "/"
        # The first component of a source tree is the project's own name, which may be on the list.
        inside = rel.split("/", 1)[1] if "/" in rel else ""
        if SKIPPED_PATHS.search("/" + inside):
            continue
        for name in names:
            group = group_of(rel + name, kind)
            if group:
                found.append((rel + name, group))
    found.sort(key=lambda f: f[0].encode("utf-8", "surrogateescape"))
    return found


def lay(kind, name, root, dest, seen, split):
    """Write the documents of one package; returns what each group got."""
    # Text that a held-out package shares with another held-out one is no harm; where training is concerned 30 % is the limit.
    limit, want = (0.9, 2) if split in ("valid", "test") else (0.3, 1)
    files = {}
    fresh = []
    for path, group in walk(root, kind):
        text = read_text(os.path.join(root, path))
        if text is None:
            continue
        share, sample = seen.share(text)
        if share > limit:
            continue
        fresh.append(sample)
        if group == "man":  # the running head and foot of a page teach nothing
            text = re.sub(r"\n{3,}", "\n\n", text)
        files.setdefault(group, []).append(text)
    for sample in fresh:
        seen.lines |= sample
    got = {}
    for group, texts in files.items():
        pieces = [[]]
        size = 0
        least, most = LONG if split == "long" else (SMALLEST, CAPS[group])
        for text in texts:
            if size + len(text) > most and pieces[-1]:
                pieces.append([])
                size = 0
            pieces[-1].append(text)
            size += len(text)
        if len(pieces) > want:  # spread over the package
            pieces = [pieces[i * len(pieces) // want] for i in range(want)]
        for i, piece in enumerate(pieces):
            whole = "".join(piece)
            if len(whole) < least:
                continue
            label = name if len(pieces) == 1 else f"{name}-{i + 1}"
            os.makedirs(os.path.join(dest, group), exist_ok=True)
            with open(os.path.join(dest, group, label + ".txt"), "w", encoding="utf-8", newline="") as f:
                f.write(whole)
            got[group] = got.get(group, 0) + len(whole)
    return got


def read_list(path):
    with open(path, encoding="utf-8") as f:
        return [line.split() for line in f if line.strip() and not line.startswith("#")]


def main():
    packages, heldout, tree, dest = sys.argv[1:]
    split_of = {(kind, name): split for kind, name, split in read_list(heldout)}
    order = [(kind, name) for kind, name, *_ in read_list(packages)]
    turns = {"valid": 0, "test": 0, "train": 1, "long": 2}
    order.sort(key=lambda p: turns[split_of.get(p, "train")])  # stable
    seen = Seen()
    for kind, name in order:
        root = os.path.join(tree, kind, name)
        if not os.path.isdir(root):
            continue
        split = split_of.get((kind, name), "train")
        got = lay(kind, name, root, os.path.join(dest, split), seen, split)
        print(split, kind, name, " ".join(f"{g}={n}" for g, n in sorted(got.items())))


if __name__ == "__main__":
    main()
