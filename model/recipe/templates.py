"""Log messages as programs write them: format strings lifted from C sources, with what fills them."""

import os
import re

# A call that reports something, its first string literals (with inttypes macros between) and the rest of its arguments.
CALL = re.compile(
    r"\b(?P<call>v?syslog|[a-z_]*log[a-z_]*|[a-z_]*warn(?:ing|x)?|errx?|die|[a-z_]*error|fatal|notice|info|debug|"
    r"[A-Z]*(?:LOG|WARN|ERR|INFO|DBG|DEBUG|NOTICE)[A-Z_]*|msg[a-z_]*|report[a-z_]*)\s*\(\s*"
    r"(?:[A-Za-z_][\w>.|\-]*\s*,\s*){0,3}(?:_\(\s*)?"
    r"(?P<text>\"(?:[^\"\\\n]|\\.)*\"(?:\s*(?:PRI[a-zA-Z0-9]+\s*)?\"(?:[^\"\\\n]|\\.)*\")*)\s*\)?"
    r"(?P<arguments>[^;{}]{0,300}?)\)\s*;"
)
LITERAL = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|PRI([a-zA-Z0-9]+)")
SPEC = re.compile(r"%[-+ #0']*(?:\d+|\*)?(?:\.(?:\d+|\*))?(?:hh|h|ll|l|j|z|t|L|q)?([a-zA-Z%])")

LEVELS = (("err", "error"), ("die", "error"), ("fatal", "crit"), ("warn", "warning"), ("debug", "debug"), ("dbg", "debug"),
          ("notice", "notice"), ("crit", "crit"))  # fmt: skip

# What a word before a specifier, or an argument's name, says about the value.
KINDS = (
    ("error", r"strerror|errno|errstr|errmsg|reason|gai_|err\b|error"),
    ("address", r"inet_nto|addr|\bip\b|peer|remote|client|from|ntop|sockaddr"),
    ("host", r"host|server|domain|fqdn|node"),
    ("user", r"user|login|uname|owner|account|pw_name|uid_to"),
    ("interface", r"iface|ifname|interface|\bifn?\b|ifi_|link"),
    ("path", r"file|path|dir|fname|conf|socket|device|dev\b|disk|mount"),
    ("program", r"prog|cmd|command|argv|exec|service|daemon|script|process"),
    ("version", r"version|\bver\b|release"),
    ("time", r"time|date|when"),
    ("url", r"url|uri|request|location"),
    ("pid", r"\bpid|child|getpid"),
    ("port", r"port"),
    ("fd", r"\bfd\b|sock|descriptor"),
    ("size", r"len|size|bytes|total|count|num|octets|blocks"),
    ("status", r"status|code|ret\b|rc\b|result|exit|signal|sig"),
    ("line", r"line"),
    ("id", r"\bid\b|index|idx|seq|slot|\bnr\b|channel|queue"),
    ("module", r"func|__FUNCTION__|__func__|module|name|type|state|mode|key|option|method"),
)
KINDS = tuple((kind, re.compile(pattern, re.I)) for kind, pattern in KINDS)


def split_arguments(text):
    """Top-level comma-separated arguments of the tail of a call."""
    out, depth, start = [], 0, 0
    for i, c in enumerate(text):
        if c in "([":
            depth += 1
        elif c in ")]":
            depth -= 1
        elif c == "," and depth <= 0:
            out.append(text[start:i].strip())
            start = i + 1
    out.append(text[start:].strip())
    return [a for a in out if a]


def kind_of(letter, before, argument):
    """What fills one specifier: by the argument's name, then by the words before it, then by its letter."""
    for source in (argument, before[-24:]):
        for kind, pattern in KINDS:
            if pattern.search(source):
                if letter in "sc" or kind in ("pid", "port", "fd", "size", "status", "line", "id", "time"):
                    return kind
    return {"s": "word", "c": "letter", "x": "hex", "X": "hex", "p": "pointer", "f": "real", "g": "real", "m": "error"}.get(
        letter, "number"
    )


def parse(call, literals, arguments):
    """A template: (level, [text or kind tuples]); None where it is not a message."""
    text = ""
    for literal, macro in LITERAL.findall(literals):
        text += macro[0] if macro else literal
    text = text.replace("\\n", " ").replace("\\t", " ").replace('\\"', '"').replace("\\\\", "\\")
    text = text.strip()
    if not 14 <= len(text) <= 180 or "\\" in text or len(re.findall(r"[A-Za-z]{3,}", text)) < 2:
        return None
    values = split_arguments(arguments)
    parts, last, n = [], 0, 0
    for m in SPEC.finditer(text):
        if m.start() > last:
            parts.append(text[last : m.start()])
        last = m.end()
        if m.group(1) == "%":
            parts.append("%")
            continue
        argument = values[n] if n < len(values) else ""
        n += 1
        parts.append((kind_of(m.group(1), text[: m.start()], argument),))
    if last < len(text):
        parts.append(text[last:])
    if n > 6:
        return None
    low = call.lower()
    level = next((name for mark, name in LEVELS if mark in low), "info")
    return level, tuple(parts)


def lift(root):
    """Templates of a source tree: a list of lists, one a source file, in the order in which they stand there."""
    files = []
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            if not name.endswith(".c"):
                continue
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as f:
                source = f.read(400_000)
            found, known = [], set()
            for m in CALL.finditer(source):
                t = parse(m.group("call"), m.group("text"), m.group("arguments"))
                if t and t[1] not in known:
                    known.add(t[1])
                    found.append(t)
            if len(found) >= 3:
                files.append(found)
    return files
