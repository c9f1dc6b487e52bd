#!/usr/bin/env python3
"""Log streams of made-up hosts: logs.py HELDOUT TREE DEST

Natural logs are not to be had in packages, so the messages are real (format strings of the C sources in TREE) and the
rest is drawn: hosts, processes, addresses, times, how often what happens. A stream has habits, as a host has: few kinds of
episodes make most of the lines, an episode keeps its process, user and address, and the rare stays rare. The hosts of valid
and test run held-out programs only. The sample lines that fail2ban carries for its tests are added as they are.

Nothing of OpenSSH, ZooKeeper or Hadoop is used: their logs serve evaluation."""

import datetime
import json
import os
import random
import re
import sys

from lay import read_list, read_text
from templates import lift

HOSTS = {"train": 34, "valid": 2, "test": 2}
STREAM = 320_000  # bytes of a host's log
# Programs that run unattended and write logs; a library's or an editor's messages would make an odd host.
DAEMONS = set(
    "acl alsa-lib apache2 apt bird2 bluez busybox c-ares chrony civetweb connman cron cups dbus dhcpcd5 dnsmasq dovecot fossil "
    "frr fuse3 glib2.0 gnupg2 haproxy isync iwd krb5 libmicrohttpd libmodbus librdkafka libwebsockets lvm2 mdadm memcached nginx "
    "ntfs-3g ntpsec openldap openntpd opensmtpd openvpn pam parted postfix ppp procmail procps pulseaudio redis rsync rsyslog "
    "screen shadow socat stunnel4 sudo syslog-ng tcpdump tinyproxy tor unbound util-linux weechat wget wpa".split()
)
USERS = "root www-data backup anna jonas mkeller deploy git postgres nobody alice bob carol svc_report pavel liu ops jenkins".split()
ERRORS = ("No such file or directory", "Permission denied", "Connection refused", "Connection timed out", "Broken pipe",
          "Resource temporarily unavailable", "Connection reset by peer", "Input/output error", "No space left on device",
          "Address already in use", "Invalid argument", "Network is unreachable", "No route to host", "Operation timed out")  # fmt: skip
DIRECTORIES = "/etc /var/lib /var/log /run /usr/lib /srv/data /home/anna /opt/app /tmp /var/spool /var/cache".split()
STEMS = "main config cache index users data session queue backup table state report module worker socket journal lock".split()
SUFFIXES = ".conf .db .log .sock .pid .dat .txt .json .so .lock .tmp".split() + [""]
DOMAINS = "example.com example.net example.org corp.example lan.example".split()
WORDS = ("default primary ready idle active unknown enabled disabled local remote main eth plain none auto master slave "
         "start stop update read write request reply init open close INET6 TCP UDP true false queue pool worker").split()  # fmt: skip


def zipf(rng, items):
    """One of items; early ones far more often."""
    return items[min(int(len(items) ** rng.random()) - 1 if len(items) > 1 else 0, len(items) - 1)]


class Host:
    """A machine with its own names, so that a stream can be learned."""

    def __init__(self, rng):
        self.rng = rng
        self.name = rng.choice(["web", "db", "mail", "node", "gw", "ns", "build", "store", "pi", "srv"]) + rng.choice(
            ["", "1", "02", "-a", "-prod", "7", ".lan", "-3b"]
        )
        self.users = rng.sample(USERS, 7)
        net = f"{rng.choice(['10.0', '192.168', '172.16', '10.42'])}.{rng.randrange(256)}"
        self.addresses = [f"{net}.{rng.randrange(1, 255)}" for _ in range(12)]
        self.addresses += [".".join(str(rng.randrange(1, 255)) for _ in range(4)) for _ in range(14)]
        self.addresses += [f"fe80::{rng.randrange(65536):x}:{rng.randrange(65536):x}" for _ in range(2)]
        rng.shuffle(self.addresses)
        self.hosts = [f"{rng.choice(['www', 'ns1', 'mx', 'db2', 'cache', 'api', 'ldap', 'files'])}.{d}" for d in DOMAINS]
        self.paths = [f"{rng.choice(DIRECTORIES)}/{rng.choice(STEMS)}{rng.choice(SUFFIXES)}" for _ in range(30)]
        self.words = rng.sample(WORDS, 16)
        self.interfaces = rng.sample(["eth0", "eth1", "enp3s0", "wlan0", "br0", "lo", "tun0", "ppp0", "veth1a2b"], 3)
        self.programs = rng.sample(["/usr/sbin/cron", "rsync", "backup.sh", "/bin/sh", "python3", "worker", "make", "nginx"], 5)
        self.urls = ["/" + "/".join(rng.sample(STEMS, rng.randrange(1, 4))) + rng.choice(["", ".html", ".js", ".png", "?id=%d"])
                     for _ in range(40)]  # fmt: skip
        self.errors = rng.sample(ERRORS, 6)
        self.magnitude = {k: 10 ** rng.uniform(1, 5) for k in ("size", "number", "id", "line")}

    def value(self, kind, memory):
        """Text for one specifier; within an episode the same kind keeps its value."""
        if kind in memory and self.rng.random() < 0.85:
            return memory[kind]
        r = self.rng
        if kind == "address":
            v = zipf(r, self.addresses)
        elif kind == "host":
            v = zipf(r, self.hosts)
        elif kind == "user":
            v = zipf(r, self.users)
        elif kind == "interface":
            v = zipf(r, self.interfaces)
        elif kind == "path":
            v = zipf(r, self.paths)
        elif kind == "program":
            v = zipf(r, self.programs)
        elif kind == "error":
            v = zipf(r, self.errors)
        elif kind == "url":
            v = zipf(r, self.urls).replace("%d", str(r.randrange(900)))
        elif kind == "version":
            v = f"{r.randrange(1, 9)}.{r.randrange(20)}.{r.randrange(10)}"
        elif kind == "time":
            v = str(r.randrange(1, 3600))
        elif kind == "pid":
            v = str(r.randrange(300, 32768))
        elif kind == "port":
            v = str(r.choice([22, 25, 53, 80, 443, 3306, 5432, 8080, r.randrange(32768, 61000)]))
        elif kind == "fd":
            v = str(r.randrange(3, 40))
        elif kind == "status":
            v = str(r.choice([0, 0, 0, 1, 1, 2, 4, 11, 15, 255, -1]))
        elif kind == "hex":
            v = f"{r.randrange(1 << r.choice([8, 16, 32])):x}"
        elif kind == "pointer":
            v = f"0x{0x55D000000000 + r.randrange(1 << 28) * 16:x}"
        elif kind == "real":
            v = f"{r.lognormvariate(0, 2):.{r.choice([1, 2, 3, 6])}f}"
        elif kind == "letter":
            v = r.choice("abcdefghjklmnrstuvwx")
        elif kind in self.magnitude:
            v = str(int(self.magnitude[kind] * r.lognormvariate(0, 0.8)))
        else:
            v = zipf(r, self.words)
        memory[kind] = v
        return v

    def fill(self, parts, memory):
        """A message of a template."""
        return "".join(p if isinstance(p, str) else self.value(p[0], memory) for p in parts)


class Clock:
    def __init__(self, rng):
        self.rng = rng
        self.now = datetime.datetime(rng.randrange(2014, 2026), rng.randrange(1, 13), rng.randrange(1, 28), rng.randrange(24))
        self.pace = 10 ** rng.uniform(-2, 1.3)

    def advance(self, burst):
        step = self.rng.expovariate(1 / self.pace) * (0.02 if burst else 1)
        self.now += datetime.timedelta(seconds=step)


def style(rng, host):
    """A function that puts time, host, program and level before a message, as one of the usual formats does."""
    kind = rng.choice(["syslog"] * 5 + ["iso", "iso", "java", "java", "bracket", "logfmt", "json", "kernel", "short"])
    classes = {}

    def line(now, program, pid, level, message):
        if kind == "syslog":
            return f"{now:%b} {now.day:2d} {now:%H:%M:%S} {host.name} {program}[{pid}]: {message}"
        if kind == "iso":
            return f"{now:%Y-%m-%dT%H:%M:%S.%f}+00:00 {host.name} {program}[{pid}]: {message}"
        if kind == "java":
            name = classes.setdefault((program, pid % 5), "".join(w.title() for w in rng.sample(STEMS, 2)))
            where = f"{program}-{pid % 8}" if pid % 3 else "main"
            return f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d} {level.upper():<5} [{where}] o.{program}.{name}: {message}"
        if kind == "bracket":
            return f"[{now:%a %b %d %H:%M:%S.%f %Y}] [{program}:{level}] [pid {pid}] {message}"
        if kind == "logfmt":
            return f'ts={now:%Y-%m-%dT%H:%M:%S}Z level={level} component={program} msg="{message}"'
        if kind == "json":
            return json.dumps({"time": f"{now:%Y-%m-%dT%H:%M:%SZ}", "level": level, "logger": program, "pid": pid, "msg": message})
        if kind == "kernel":
            return f"[{now.hour * 3600 + now.minute * 60 + now.second + now.day * 86400:6d}.{now.microsecond:06d}] {program}: {message}"
        return f"{now:%H:%M:%S} {program}: {message}"

    return line


def host_log(rng, pool):
    """The log of a host on which some of pool (program -> files of templates) run."""
    host, clock = Host(rng), Clock(rng)
    line = style(rng, host)
    programs = rng.sample(sorted(pool), min(len(pool), rng.randrange(3, 9)))
    episodes = []
    for program in programs:
        daemon = program.split("-")[0]
        for templates in rng.sample(pool[program], min(len(pool[program]), 5)):
            for _ in range(rng.randrange(1, 5)):
                at = rng.randrange(len(templates))
                episodes.append((daemon, templates[at : at + rng.choice([1, 1, 2, 3, 4, 6])]))
    rng.shuffle(episodes)
    episodes.sort(key=lambda e: rng.random() * (3 if any(t[0] in ("error", "crit") for t in e[1]) else 1))
    pid = {program: rng.randrange(300, 32000) for program, _ in episodes}
    out, size = [], 0
    while size < STREAM:
        program, templates = zipf(rng, episodes)
        if rng.random() < 0.1:
            pid[program] = rng.randrange(300, 32000)
        memory = {}
        repeat = rng.choice([1] * 12 + [2, 5])
        for i in range(repeat):
            for level, parts in templates:
                text = line(clock.now, program, pid[program], level, host.fill(parts, memory))
                out.append(text)
                size += len(text) + 1
                clock.advance(True)
            clock.advance(i + 1 < repeat)
    return "\n".join(out) + "\n"


def access_log(rng):
    """A web server's access log: visitors who walk through the same pages."""
    host, clock = Host(rng), Clock(rng)
    agents = ["Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0", "curl/7.88.1", "Wget/1.21.3", "-",
              "Mozilla/5.0 (compatible; examplebot/2.1; +http://www.example.com/bot)", "Go-http-client/1.1"]  # fmt: skip
    sizes = {url: int(rng.lognormvariate(8, 2)) for url in host.urls}
    out, size = [], 0
    while size < STREAM:
        address, agent, referrer = zipf(rng, host.addresses), zipf(rng, agents), "-"
        for _ in range(rng.randrange(1, 9)):
            url = zipf(rng, host.urls)
            status = rng.choice([200] * 14 + [304, 304, 301, 404, 404, 500, 403])
            n = sizes[url] if status == 200 else rng.choice([0, 162, 178, 571])
            method = rng.choice(["GET"] * 9 + ["POST", "HEAD"])
            page = url.replace("%d", str(rng.randrange(1000)))
            text = (f'{address} - - [{clock.now:%d/%b/%Y:%H:%M:%S} +0000] "{method} {page} HTTP/1.1" {status} {n} '
                    f'"{referrer}" "{agent}"')  # fmt: skip
            referrer = f"https://{host.hosts[0]}{page}"
            out.append(text)
            size += len(text) + 1
            clock.advance(rng.random() < 0.7)
    return "\n".join(out) + "\n"


def dpkg_log(rng, packages):
    """dpkg.log as upgrades leave it."""
    clock = Clock(rng)
    out, size = [], 0
    while size < STREAM // 2:
        clock.now += datetime.timedelta(hours=rng.expovariate(1 / 40))
        out.append(f"{clock.now:%Y-%m-%d %H:%M:%S} startup archives unpack")
        chosen = rng.sample(packages, rng.randrange(1, 12))
        for step in ("unpack", "configure"):
            if step == "configure":
                out.append(f"{clock.now:%Y-%m-%d %H:%M:%S} startup packages configure")
            for _, name, version in chosen:
                old = re.sub(r"\d+$", lambda m: str(max(0, int(m.group()) - 1)), version)
                rows = ([f"upgrade {name}:amd64 {old} {version}", f"status half-configured {name}:amd64 {old}",
                         f"status unpacked {name}:amd64 {old}", f"status half-installed {name}:amd64 {old}",
                         f"status unpacked {name}:amd64 {version}"] if step == "unpack" else
                        [f"configure {name}:amd64 {version} <none>", f"status unpacked {name}:amd64 {version}",
                         f"status half-configured {name}:amd64 {version}", f"status installed {name}:amd64 {version}"])  # fmt: skip
                for row in rows:
                    out.append(f"{clock.now:%Y-%m-%d %H:%M:%S} {row}")
                    size += len(out[-1]) + 1
                clock.now += datetime.timedelta(seconds=rng.choice([0, 0, 1, 1, 2]))
    return "\n".join(out) + "\n"


def build_log(rng, root):
    """What make prints for the C files of a source tree, with the warnings compilers like to give."""
    names = []
    for folder, folders, files in os.walk(root):
        folders.sort()
        names += [os.path.relpath(os.path.join(folder, f), root).split("/", 1)[-1] for f in sorted(files) if f.endswith(".c")]
    flags = rng.choice(["-g -O2", "-O2 -Wall -Wextra", "-g -O2 -fstack-protector-strong -Wformat -Werror=format-security"])
    kind = rng.choice(["cc", "quiet", "libtool"])
    out = [f"make[1]: Entering directory '/build/{os.path.basename(root)}'"]
    for name in names:
        stem = name[:-2]
        if kind == "cc":
            out.append(f"gcc -DHAVE_CONFIG_H -I. -I./include {flags} -c -o {stem}.o {name}")
        elif kind == "quiet":
            out.append(f"  CC       {stem}.{rng.choice(['o', 'o', 'lo'])}")
        else:
            out.append(f"/bin/bash ./libtool  --tag=CC   --mode=compile gcc -DHAVE_CONFIG_H -I.  {flags} -c -o {stem}.lo {name}")
            out.append(f"libtool: compile:  gcc -DHAVE_CONFIG_H -I. {flags} -c {name}  -fPIC -DPIC -o {os.path.dirname(stem) or '.'}/.libs/"
                       f"{os.path.basename(stem)}.o")  # fmt: skip
        if rng.random() < 0.06:
            at, word = rng.randrange(20, 900), rng.choice(STEMS)
            out.append(f"{name}: In function '{word}_{rng.choice(['init', 'free', 'read', 'next'])}':")
            text = rng.choice([f"unused variable '{word}' [-Wunused-variable]", "comparison of integer expressions of different "
                               "signedness: 'int' and 'size_t' {aka 'long unsigned int'} [-Wsign-compare]", f"'{word}' may be used "
                               "uninitialized [-Wmaybe-uninitialized]", "this statement may fall through [-Wimplicit-fallthrough=]"])  # fmt: skip
            out.append(f"{name}:{at}:{rng.randrange(1, 60)}: warning: {text}")
            out.append(f"{at:5d} |         {word} = {rng.choice(STEMS)}({word}, {rng.randrange(9)});")
            out.append("      |         ^" + "~" * len(word))
    out.append(f"make[1]: Leaving directory '/build/{os.path.basename(root)}'")
    return "\n".join(out) + "\n"


def write(dest, split, name, text):
    folder = os.path.join(dest, split, "logs")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".txt"), "w", encoding="utf-8", newline="") as f:
        f.write(text)


def samples(root):
    """The sample lines of fail2ban's tests, a daemon after the other, without the comments between."""
    texts = []
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            text = read_text(os.path.join(folder, name)) if folder.endswith("tests/files/logs") and "ssh" not in name else None
            if text:
                kept = [s for s in text.split("\n") if s.strip() and not s.startswith("#") and not re.search(r"sshd?[\[:]", s)]
                texts.append("\n".join(kept) + "\n")
    return "".join(texts)


def main():
    heldout, tree, dest = sys.argv[1:]
    split_of = {name: split for kind, name, split in read_list(heldout) if kind == "source"}
    long = {(kind, name) for kind, name, split in read_list(heldout) if split == "long"}  # nothing is made of these
    source = os.path.join(tree, "source")
    pools = {"train": {}, "valid": {}, "test": {}}
    for name in sorted(os.listdir(source)):
        if ("source", name) in long:
            continue
        files = lift(os.path.join(source, name))
        split = split_of.get(name, "train")
        if files and (split != "train" or name in DAEMONS):
            pools[split][name] = files
    listed = read_list(os.path.join(os.path.dirname(os.path.abspath(__file__)), "packages.txt"))
    packages = sorted(p for p in listed if tuple(p[:2]) not in long)
    for split, pool in pools.items():
        for i in range(HOSTS[split]):
            rng = random.Random(f"{split} host {i}")
            write(dest, split, f"host-{i:02d}", host_log(rng, pool))
        for i in range(4 if split == "train" else 1):
            write(dest, split, f"access-{i}", access_log(random.Random(f"{split} access {i}")))
        rng = random.Random(f"{split} build")
        chosen = rng.sample(sorted(pool), min(len(pool), 30 if split == "train" else 3))
        write(dest, split, "build", "".join(build_log(rng, os.path.join(source, name)) for name in chosen)[:900_000])
    write(dest, "train", "dpkg", dpkg_log(random.Random("dpkg"), packages))
    text = samples(os.path.join(tree, "binary", "fail2ban"))
    if text:
        write(dest, "train", "sample", text)


if __name__ == "__main__":
    main()
