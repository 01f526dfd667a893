"""What every measurement here needs: processes that end with it, free ports, and waiting on states."""

import ctypes
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from pathlib import Path

# Below the range from which Linux gives ports to outgoing connections.
PORTS = range(21_000, 32_000)
START_PATIENCE = 60
STOP_PATIENCE = 15


class Problem(Exception):
    """Ends the run with a message."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def file_system(folder):
    """Type of the file system that a folder is on."""
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        inside = folder == Path(mount) or Path(mount) in folder.parents
        if inside and len(mount) >= len(best[0]):
            best = (mount, kind)
    return best[1]


def die_with_parent():
    """In the child: SIGKILL when whoever started it is gone, however it went."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)


class Process:
    """One process that this script started."""

    def __init__(self, name, command, folder, user=None, environment=None):
        self.name, self.log = name, folder / f"{name}.log"
        who = {}
        if user is not None:
            entry = pwd.getpwnam(user)
            who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=os.environ | (environment or {}), start_new_session=True,
                preexec_fn=die_with_parent, **who)

    def check(self):
        if self.child.poll() is not None:
            tail = self.log.read_text(errors="replace").splitlines()[-15:]
            raise Problem(f"{self.name} ended with {self.child.returncode}:\n  " + "\n  ".join(tail))

    def stop(self, ending=signal.SIGTERM):
        if self.child.poll() is None:
            self.child.send_signal(ending)
            try:
                self.child.wait(STOP_PATIENCE)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


def rows_of(name, *command):
    """What a command prints, one JSON object a line. It ends with this script, as all that is started."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          preexec_fn=die_with_parent)
    if done.returncode:
        raise Problem(f"{name} ended with {done.returncode}:\n{done.stderr.strip()[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def durable_folder(folder):
    """A folder that --data-dir names, if syncing means something there."""
    folder = folder.resolve()
    if not folder.is_dir():
        raise Problem(f"--data-dir {folder}: there is no such folder")
    if file_system(folder) in ("tmpfs", "ramfs"):
        raise Problem(f"{folder} is in memory, where syncing costs nothing: pass --data-dir")
    return folder


def run_script(name, run):
    """Runs a script; answers its exit code. What it started is ended on SIGTERM too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    try:
        run()
    except Problem as problem:
        say(f"{name}: {problem}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def free_ports(count, taken=set()):
    """Ports that nobody listens on, and that were not given before."""
    found = []
    for port in PORTS:
        if len(found) == count:
            return found
        if port in taken:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        taken.add(port)
        found.append(port)
    raise Problem(f"fewer than {count} free ports from {PORTS.start} to {PORTS.stop}")


def wait_until(what, processes, look, patience=START_PATIENCE):
    """Until `look` answers something, and that."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        for process in processes:
            process.check()
        try:
            seen = look()
        except (OSError, ValueError, KeyError, urllib.error.URLError):
            seen = None
        if seen:
            return seen
        time.sleep(0.1)
    raise Problem(f"{what} within {patience} s")


def output_of(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.strip()


def talk(port, sent):
    """Sends some bytes, and reads until the other side has no more."""
    with socket.create_connection(("127.0.0.1", port), 1) as connection:
        connection.settimeout(2)
        connection.sendall(sent)
        got = b""
        while chunk := connection.recv(65536):
            got += chunk
            if sent.startswith(b"PING"):
                break
        return got.decode(errors="replace")
