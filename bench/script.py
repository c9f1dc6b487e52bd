"""What the scripts of this folder share: where the programs are, and trouble told in one line."""
import os
import subprocess
import sys

TOOLS = os.path.abspath(os.environ.get("TTT_BIN") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))


def fail(text):
    print(f"{os.path.basename(sys.argv[0])}: {text}", file=sys.stderr)
    sys.exit(2)


def program(path, hint="run ./setup first"):
    """The path of a program of ours: its name in tools/ (or $TTT_BIN), or a path."""
    path = os.path.join(TOOLS, path)
    if not os.access(path, os.X_OK):
        fail(f"{path}: not there; {hint}")
    return path


def end(main):
    """Run a script's main. A file that cannot be read, or a program that fails and has said why, is no reason for a traceback."""
    try:
        main()
    except OSError as e:
        fail(e)
    except subprocess.CalledProcessError as e:
        said = (e.stderr or b"") if isinstance(e.stderr, bytes) else (e.stderr or "").encode()
        fail(said.decode(errors="replace").strip() or f"{os.path.basename(e.cmd[0])} ended with {e.returncode}")
