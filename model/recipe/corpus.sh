#!/bin/sh
# Make the training text of the embedded model from Debian 12 packages.
#
#   usage: corpus.sh DEST [WORK]       (WORK defaults to DEST.work; it is kept, so that a second run downloads nothing)
#
# DEST/train/GROUP/NAME.txt is one long document: a project's C sources, a package's manual pages, a host's log.
# GROUP is c, docs, man, code or logs. DEST/valid and DEST/test hold the same groups for the packages of heldout.txt,
# DEST/long one document of 1 to 2.2 MB of each.
# Packages and versions stand in packages.txt. apt runs with a private configuration that names Debian's archive alone,
# so neither deb-src lines nor root are needed; it checks the archive's signatures as always.
#
# Needs: apt-get, dpkg-deb, tar, gzip, bzip2, xz, mandoc, python3. About 600 MB of downloads and 5 GB of disk.
set -eu
export LC_ALL=C

fail() {
	echo "corpus.sh: $*" >&2
	exit 2
}

here=$(cd "$(dirname "$0")" && pwd)
case $# in
1 | 2) ;;
*) fail "usage: corpus.sh DEST [WORK]" ;;
esac
mkdir -p "$1"
dest=$(cd "$1" && pwd)
work=${2:-$dest.work}
mkdir -p "$work"
work=$(cd "$work" && pwd)
mirror=${TTT_DEBIAN_MIRROR:-http://deb.debian.org/debian}
for program in apt-get dpkg-deb tar xz mandoc python3; do
	command -v "$program" >/dev/null || fail "$program is missing"
done
if grep -Ev '^#' "$here/packages.txt" | grep -Eq ' (linux|manpages)'; then
	fail "packages.txt names the kernel or its manual pages, which evaluation needs unseen"
fi

# ---- a private apt
mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/apt/state" "$work/download" "$work/tree"
: > "$work/apt/state/status"
printf 'deb %s bookworm main\ndeb-src %s bookworm main\n' "$mirror" "$mirror" > "$work/apt/sources.list"
cat > "$work/apt/apt.conf" <<EOF
Dir::Etc::SourceList "$work/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Main "/dev/null";
Dir::Etc::Parts "/dev/null";
Dir::State "$work/apt/state";
Dir::State::Lists "$work/apt/lists";
Dir::State::Status "$work/apt/state/status";
Dir::Cache "$work/apt/cache";
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Sandbox::User "";
EOF
export APT_CONFIG="$work/apt/apt.conf"
apt-get -q update || fail "cannot read the package lists of $mirror"

# ---- one package at a time into tree/KIND/NAME; a finished one leaves a mark and is not made again
fetch_source() {
	name=$1 version=$2
	into=$work/download/source/$name
	rm -rf "$into"
	mkdir -p "$into"
	(cd "$into" && { apt-get -qq source --download-only "$name=$version" ||
	    { echo "corpus.sh: $name $version is gone, taking the present version" >&2 &&
	    apt-get -qq source --download-only "$name"; }; }) >/dev/null || return 1
	tree=$work/tree/source/$name
	rm -rf "$tree"
	mkdir -p "$tree"
	for archive in "$into"/*.tar.*; do
		case $archive in
		*.debian.tar.* | *.asc | *.sig) continue ;;
		esac
		tar -xf "$archive" -C "$tree" --no-same-owner --no-same-permissions --wildcards --no-anchored \
		    '*.[ch]' '*.md' '*.rst' '*.txt' '*.adoc' '*.texi' '*.texinfo' '*README*' '*NEWS*' '*ChangeLog*' '*CHANGES*' \
		    '*.py' '*.sh' '*.pl' '*.pm' '*.awk' '*.tcl' '*.lua' '*.bats' 2>/dev/null || true
	done
	rm -rf "$into"
}

fetch_binary() {
	name=$1 version=$2
	into=$work/download/binary/$name
	rm -rf "$into"
	mkdir -p "$into"
	(cd "$into" && { apt-get -qq download "$name=$version" ||
	    { echo "corpus.sh: $name $version is gone, taking the present version" >&2 &&
	    apt-get -qq download "$name"; }; }) >/dev/null || return 1
	tree=$work/tree/binary/$name
	rm -rf "$tree"
	mkdir -p "$tree/man"
	dpkg-deb --fsys-tarfile "$into"/*.deb | tar -x -C "$tree" --no-same-owner --no-same-permissions --wildcards \
	    './usr/share/man/man*' './usr/share/info/*' './usr/lib/python3/*/tests/files/logs/*' 2>/dev/null || true
	# As a reader sees them: 78 columns, no overstrikes. Links to pages of other packages are passed over.
	find "$tree/usr/share/man" -type f -name '*.gz' 2>/dev/null | sort | while read -r page; do
		base=${page##*/}
		gzip -dc "$page" | mandoc -T ascii -O width=78 2>/dev/null | sed 's/.\x08//g' > "$tree/man/${base%.gz}.txt" || true
	done
	rm -rf "$into"
}

fetched=0 missing=
while read -r kind name version; do
	case $kind in
	'' | '#'*) continue ;;
	source | binary) ;;
	*) fail "packages.txt: '$kind' is neither source nor binary" ;;
	esac
	fetched=$((fetched + 1))
	[ -e "$work/tree/$kind.$name.done" ] && continue
	echo "$fetched $kind $name $version"
	if "fetch_$kind" "$name" "$version" < /dev/null; then
		echo "$version" > "$work/tree/$kind.$name.done"
	else
		missing="$missing $name"
	fi
done < "$here/packages.txt"
[ -z "$missing" ] || echo "corpus.sh: not to be had, left out:$missing" >&2

# ---- documents
rm -rf "$dest/train" "$dest/valid" "$dest/test" "$dest/long"
python3 "$here/lay.py" "$here/packages.txt" "$here/heldout.txt" "$work/tree" "$dest"
python3 "$here/logs.py" "$here/heldout.txt" "$work/tree" "$dest"
(cd "$dest" && find train valid test long -type f | sort | xargs sha256sum > SHA256SUMS)
for split in train valid test long; do
	for group in c docs man code logs; do
		[ -d "$dest/$split/$group" ] || continue
		printf '%s %s: %s documents, %s bytes\n' "$split" "$group" "$(find "$dest/$split/$group" -type f | wc -l)" \
		    "$(find "$dest/$split/$group" -type f -exec cat {} + | wc -c)"
	done
done
