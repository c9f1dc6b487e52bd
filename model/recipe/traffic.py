#!/usr/bin/env python3
"""Clients that make real daemons log: traffic.py WHAT [ARGUMENT ...]

reallogs runs it inside its private root, where several networks are this machine's own, so that visitors come from many
addresses. What a client asks is drawn; what is logged is what the daemon makes of it."""

import ftplib
import http.client
import imaplib
import os
import poplib
import random
import smtplib
import socket
import struct
import subprocess
import sys
import time

rng = random.Random(" ".join(sys.argv[1:]))
NETS = ("10.20.3", "10.20.7", "192.168.7", "192.0.2", "198.51.100", "203.0.113")  # as routed in reallogs
VISITORS = [f"{net}.{rng.randrange(2, 250)}" for net in NETS for _ in range(7)]
rng.shuffle(VISITORS)
USERS = "anna jonas mkeller pavel liu carol svc-report deploy olga backup".split()
WORDS = ("invoice report order customer price stock shipment address contract payment draft photo index archive note plan "
         "meeting schedule review budget sensor pump valve temperature door light meter garage kitchen roof").split()  # fmt: skip
AGENTS = ("Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0", "Wget/1.21.3", "python-requests/2.28.1",
          "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.5 Safari/605.1.15",
          "Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
          "Mozilla/5.0 (compatible; ExampleBot/2.1; +http://www.example.com/bot.html)", "Go-http-client/1.1", "")  # fmt: skip
PROBES = ("/wp-login.php", "/.env", "/admin/", "/phpmyadmin/index.php", "/xmlrpc.php", "/favicon.ico", "/robots.txt", "/private/",
          "/private/keys.txt", "/old/page?id=7", "/api/v1/status", "/api/v1/items?limit=50", "/a/../../etc/passwd", "/locked/",
          "/cgi-bin/test.cgi", "/server-status", "/apple-touch-icon.png", "/search?q=%22x%22+OR+1%3D1", "/%c0%af", "/doc")  # fmt: skip


def zipf(items):
    """One of items; early ones far more often."""
    return items[min(int(len(items) ** rng.random()) - 1 if len(items) > 1 else 0, len(items) - 1)]


def wait(port):
    """Return once something listens."""
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", int(port)), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"traffic.py: nothing listens on port {port}")


def http_visit(port, count, proxied=""):
    """Visitors who walk through the files below /srv/www, and probes for what is not there."""
    urls = []
    for folder, folders, names in os.walk("/srv/www", followlinks=False):
        folders.sort()
        urls += [os.path.join(folder, n)[len("/srv/www") :] for n in sorted(names)] + [folder[len("/srv/www") :] or "/"]
    urls = rng.sample(urls, min(len(urls), 300))
    done = 0
    while done < int(count):
        address, agent, referrer = zipf(VISITORS), zipf(AGENTS), None
        prober = rng.random() < 0.15
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=5, source_address=(address, 0))
        for _ in range(rng.randrange(1, 10)):
            url = rng.choice(PROBES) if prober or rng.random() < 0.05 else zipf(urls).replace(" ", "%20")
            headers = {"User-Agent": agent, "Host": rng.choice(["www.example.org", "www.example.org", "files.example.org"])}
            if referrer and not prober:
                headers["Referer"] = "http://www.example.org" + referrer
            if rng.random() < 0.1:
                headers["If-Modified-Since"] = "Tue, 05 Mar 2030 00:00:00 GMT"
            if rng.random() < 0.05:
                headers["Range"] = f"bytes={rng.randrange(400)}-{rng.randrange(400, 3000)}"
            if url.startswith("/locked") and rng.random() < 0.7:
                headers["Authorization"] = "Basic YW5uYTp3cm9uZw=="
            method = rng.choice(["GET"] * 14 + ["HEAD", "HEAD", "POST", "OPTIONS"])
            body = b"name=anna&text=hello" if method == "POST" else None
            try:
                connection.request(method, proxied + url, body, headers)
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()
            referrer = url
            done += 1
            time.sleep(rng.random() * 0.006)
        connection.close()


def conversation(port, lines, address=None):
    """Send lines of a text protocol one by one."""
    with socket.create_connection(("127.0.0.1", int(port)), 5, source_address=(address, 0) if address else None) as s:
        for line in lines:
            s.sendall(line.encode() + b"\r\n")
            s.recv(65536)


def memcached(port, count):
    for _ in range(int(count)):
        lines = []
        for _ in range(rng.randrange(2, 12)):
            key = f"{zipf(WORDS)}:{rng.randrange(40)}"
            value = "x" * rng.randrange(1, 60)
            lines.append(rng.choice([f"get {key}"] * 5 + [f"set {key} 0 {rng.choice([0, 60])} {len(value)}\r\n{value}", f"delete {key}",
                                     f"gets {key} {zipf(WORDS)}:1", f"incr hits:{key} 1", f"touch {key} 90", "stats slabs"]))  # fmt: skip
        conversation(port, lines, zipf(VISITORS))


def redis(port, count):
    for _ in range(int(count)):
        lines = []
        for _ in range(rng.randrange(2, 14)):
            word, n, user = zipf(WORDS), rng.randrange(60), zipf(USERS)
            lines.append(rng.choice([f"GET {word}:{n}", f"GET {word}:{n}", f"SET {word}:{n} {n * 17} EX {n + 5}", f"HSET user:{user} {word} {n}",
                                     f"HGETALL user:{user}", f"LPUSH queue:{word} job-{n}", f"RPOP queue:{word}", f"INCR hits:{word}",
                                     f"ZADD rank {n} {user}", "ZRANGE rank 0 -1 WITHSCORES", f"EXPIRE {word}:{n} 30", f"LPOP user:{user}",
                                     f"PUBLISH news {word}-{n}", "INFO clients", f"DEL {word}:{n}", f"SADD tag:{word} {user}"]))  # fmt: skip
        conversation(port, lines, zipf(VISITORS))
        time.sleep(0.01)


def dns(port, count):
    """Questions as stub resolvers send them; names of reallogs' zones, and others."""
    names = [f"{w}.{z}" for w in ("www", "ns1", "mail", "db", "printer", "wiki", "old", "_ldap._tcp") for z in
             ("example.org", "lan.example.org", "example.net", "example.com", "7.168.192.in-addr.arpa")]  # fmt: skip
    names += [f"{zipf(WORDS)}{rng.randrange(30)}.{z}" for z in ("lan.example.org", "example.net", "cdn.example.com") for _ in range(14)]
    names += [f"{n}.7.168.192.in-addr.arpa" for n in range(1, 40)]
    rng.shuffle(names)
    for i in range(int(count)):
        name, kind = zipf(names), rng.choice([1, 1, 1, 28, 28, 15, 16, 12, 33, 6, 255])
        kind = 12 if name[0].isdigit() else kind
        question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + struct.pack(">BHH", 0, kind, 1)
        extra = struct.pack(">BHHIH", 0, 41, 1232, 0x8000 if i % 3 else 0, 0) if i % 2 else b""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.1)
            s.bind((zipf(VISITORS), 0))
            s.sendto(struct.pack(">HHHHHH", rng.randrange(65536), 0x0100, 1, 0, 0, 1 if extra else 0) + question + extra,
                     ("127.0.0.1", int(port)))  # fmt: skip
            try:
                s.recv(4096)
            except OSError:
                pass
        time.sleep(rng.random() * 0.01)


def mail(count):
    """Letters to known and unknown people, then the people read them."""
    for _ in range(int(count)):
        sender = zipf([u + "@example.org" for u in USERS] + ["news@example.net", "billing@example.com"])
        to = [zipf(USERS) + "@example.org" for _ in range(rng.choice([1, 1, 2]))]
        if rng.random() < 0.2:
            to.append(rng.choice(["nobody-here@example.org", "carol@elsewhere.example", "x@example.net", "not an address"]))
        text = f"From: {sender}\r\nTo: {to[0]}\r\nSubject: {zipf(WORDS)} {rng.randrange(99)}\r\n\r\n" + "A line of text.\r\n" * rng.randrange(1, 90)
        try:
            with smtplib.SMTP("127.0.0.1", 25, zipf(["mx.example.net", "laptop", "relay.example.com"]), 10, (zipf(VISITORS), 0)) as s:
                s.sendmail(sender, to, text)
        except (OSError, smtplib.SMTPException):
            pass
        user, password = zipf(USERS), rng.choice(["secret"] * 5 + ["wrong"])
        try:
            if rng.random() < 0.7:
                m = imaplib.IMAP4("127.0.0.1", 143, 10)
                m.login(user, password)
                m.select()
                for n in m.search(None, "ALL")[1][0].split()[:3]:
                    m.fetch(n, "(RFC822)")
                    if rng.random() < 0.3:
                        m.store(n, "+FLAGS", "\\Deleted")
                m.expunge()
                m.logout()
            else:
                p = poplib.POP3("127.0.0.1", 110, 10)
                p.user(user)
                p.pass_(password)
                p.retr(1)
                p.quit()
        except (OSError, imaplib.IMAP4.error, poplib.error_proto):
            pass


def ftp(port, count):
    files = [n for n in sorted(os.listdir("/srv/ftp")) if os.path.isfile("/srv/ftp/" + n)]
    for _ in range(int(count)):
        try:
            f = ftplib.FTP(timeout=5, source_address=(zipf(VISITORS), 0))
            f.connect("127.0.0.1", int(port))
            f.login(*rng.choice([()] * 3 + [(zipf(USERS), rng.choice(["secret", "wrong"]))]))
            for _ in range(rng.randrange(1, 5)):
                name = rng.choice([*files, "missing.zip"])
                try:
                    command, *arguments = rng.choice([("retrbinary", "RETR " + name, len), ("size", name), ("cwd", "pub"), ("nlst",), ("pwd",),
                                                      ("mkd", "new"), ("delete", name), ("sendcmd", "MDTM " + name)])  # fmt: skip
                    getattr(f, command)(*arguments)
                except ftplib.Error:
                    pass
            f.quit()
        except (OSError, EOFError, ftplib.Error):
            pass


def ldap(port, count):
    base = "dc=example,dc=org"
    people = [f"uid={u},ou=people,{base}" for u in USERS]
    connect = ["-x", "-H", f"ldap://127.0.0.1:{port}"]
    for _ in range(int(count)):
        who = ["-D", zipf(people), "-w", rng.choice(["secret"] * 4 + ["wrong"])] if rng.random() < 0.7 else []
        question = rng.choice([["-b", base, f"(uid={zipf(USERS)})"],
                               ["-b", "ou=people," + base, f"(&(objectClass=person)(cn={zipf(USERS)[0]}*))", "cn", "mail"],
                               ["-b", "ou=none," + base, "(sn=x)"], ["-b", base, "-s", "base", "(objectClass=*)", "+"], ["-b", zipf(people), "uid"],
                               ["-b", base, f"(|(mail={zipf(USERS)}@example.org)(description=*{zipf(WORDS)}*))"]])  # fmt: skip
        subprocess.run(["ldapsearch", *connect, *who, *question], capture_output=True, check=False)


def mqtt(port, count):
    for i in range(int(count)):
        user = zipf(USERS)
        command = ["mosquitto_pub", "-p", port, "-i", f"{user}-{rng.randrange(9)}", "-t", f"home/{zipf(WORDS)}/{zipf(WORDS)}",
                   "-m", str(rng.random()), "-q", str(rng.randrange(3))]  # fmt: skip
        if i % 9 == 4:
            command[0], command[7:9] = "mosquitto_sub", ["-W", "1"]
        if rng.random() < 0.1:
            command += ["-r"] if command[0].endswith("pub") else []
        if rng.random() < 0.1:
            command += ["-V", "5"]
        if command[0].endswith("sub"):
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        else:
            subprocess.run(command, capture_output=True, check=False)


def sql(count, dialect="pg"):
    """Statements of a small shop, with the mistakes that people make; for psql or mariadb."""
    serial = "serial" if dialect == "pg" else "integer auto_increment"
    print(f"CREATE TABLE customer (id {serial} PRIMARY KEY, name varchar(40), city varchar(40));")
    print(f"CREATE TABLE orders (id {serial} PRIMARY KEY, customer integer REFERENCES customer (id), "
          "item varchar(40), amount numeric(9,2) CHECK (amount >= 0));")
    print("CREATE INDEX orders_item ON orders (item);")
    cities = "Graz Linz Porto Ghent Turku Lyon Brno".split()
    for _ in range(int(count)):
        n, word, user, city = rng.randrange(1, 90), zipf(WORDS), zipf(USERS), rng.choice(cities)
        print(rng.choice([
            f"INSERT INTO customer (name, city) VALUES ('{user}', '{city}');",
            f"INSERT INTO orders (customer, item, amount) VALUES ({n}, '{word}', {n * 3}.{n:02d});",
            f"SELECT * FROM customer WHERE id = {n};", f"SELECT item, sum(amount) FROM orders WHERE customer = {n} GROUP BY item ORDER BY 2 DESC;",
            f"UPDATE orders SET amount = amount * 1.1 WHERE item = '{word}';",
            (f"BEGIN;\nUPDATE customer SET city = '{city}' WHERE name = '{user}';\n"
             f"DELETE FROM orders WHERE id = {n};\n{rng.choice(['COMMIT', 'ROLLBACK'])};"),
            f"SELECT c.name, count(*) FROM customer c JOIN orders o ON o.customer = c.id WHERE o.amount > {n} GROUP BY c.name HAVING count(*) > 1;",
            f"SELECT name FROM customer WHERE city IN ('{city}', '{rng.choice(cities)}') ORDER BY name LIMIT {n % 10};",
            f"SELECT nmae FROM customer WHERE id = {n};", f"SELECT * FROM {word};", f"INSERT INTO customer (id, name) VALUES (1, '{user}');",
            f"INSERT INTO orders (customer, item, amount) VALUES ({n}, '{word}', -{n});", f"SELEC count(*) FROM orders WHERE item = '{word}';",
        ]))  # fmt: skip


def main():
    what, *arguments = sys.argv[1:]
    {"wait": wait, "http": http_visit, "memcached": memcached, "redis": redis, "dns": dns, "mail": mail, "ftp": ftp, "ldap": ldap,
     "mqtt": mqtt, "sql": sql}[what](*arguments)  # fmt: skip


if __name__ == "__main__":
    main()
