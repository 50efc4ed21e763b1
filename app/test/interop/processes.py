# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Start programs, wait for what they print, stop them, and leave nothing behind.

Every program writes straight into a log file, and expect() follows that file.
No thread drains pipes, a program never blocks on its output, and when a case
fails the logs are already where they are wanted.
"""

import ctypes
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../../devtools"))
from vhost_library import PACKAGED, library_name

# Polls are close together at first and then a tenth of the time waited apart.
SHORTEST_POLL, LONGEST_POLL = 0.001, 0.05
# Limits of waits are those of a quiet machine; what goes on beside may take most of it, and
# in an emulated one, with guests that are emulated in it, all takes some times longer.
BUSY = float(os.environ.get("VHOST_TEST_BUSY", 3))
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """The case ran and the library did not do what it should."""


class Skip(Exception):
    """The case cannot run on this machine."""


def check(condition, reason):
    """Fail the case with a reason unless the condition holds."""
    if not condition:
        raise Failure(reason)


def wait_until(predicate, seconds, what):
    """Poll until predicate() is true and return its value, or fail naming what was awaited."""
    start = time.monotonic()
    while True:
        value = predicate()
        if value:
            return value
        waited = time.monotonic() - start
        if waited > BUSY * seconds:
            raise Failure(f"{what}: not within {BUSY * seconds:g} s")
        time.sleep(min(max(waited / 10, SHORTEST_POLL), LONGEST_POLL))


def need_programs(*names):
    """Skip the case when one of the programs is not installed."""
    missing = [name for name in names if not shutil.which(name)]
    if missing:
        raise Skip("not installed: " + ", ".join(missing))


_prctl = ctypes.CDLL(None).prctl


def _die_with_parent():
    """Between fork and exec: nobody survives a runner that is killed."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Process:
    """A running program: its log, its standard input, and the whole of its process group."""

    def __init__(self, bench, name, argv, env=None):
        self.name = name
        self.log_path = bench.path(name + ".log")
        self._seen = 0
        with open(self.log_path, "ab") as log:
            log.write(("$ " + " ".join(argv) + "\n").encode())
            log.flush()
            self._popen = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "XDG_RUNTIME_DIR": bench.directory, **(env or {})}, cwd=bench.directory,
                start_new_session=True, preexec_fn=_die_with_parent)
        self.pid = self._popen.pid
        bench.add(self)

    def output(self, start=0):
        """What the program has printed from byte `start` of its log on."""
        with open(self.log_path, "rb") as log:
            log.seek(start)
            return log.read().decode(errors="replace").replace("\r", "")

    def mark(self):
        """The present end of the log, to be given to output() later."""
        return os.path.getsize(self.log_path)

    def send(self, line):
        """Write one line to the program's standard input."""
        try:
            self._popen.stdin.write((line + "\n").encode())
            self._popen.stdin.flush()
        except BrokenPipeError:
            raise Failure(f"{self.name} is gone: {self._last_words()}") from None

    def expect(self, pattern, seconds, start=None):
        """Wait for a pattern in the log after `start`, or else after the previous match."""
        base = self._seen if start is None else start
        regex = re.compile(pattern.encode(), re.M)

        def find():
            # Asked before the log is read: its last words are then there.
            is_alive = self.is_alive()
            with open(self.log_path, "rb") as log:
                log.seek(base)
                match = regex.search(log.read())
            if not match and not is_alive:
                raise Failure(f"{self.name} ended while waiting for /{pattern}/: {self._last_words()}")
            return match

        match = wait_until(find, seconds, f"{self.name} to print /{pattern}/")
        self._seen = base + match.end()
        return [g.decode(errors="replace") if g is not None else None
                for g in (match.group(0), *match.groups())]

    def skip_to_end(self):
        """Let the next expect() see only what is printed from now on."""
        self._seen = self.mark()

    def is_alive(self):
        """Whether the program still runs."""
        return self._popen.poll() is None

    def finish(self, seconds=15):
        """Wait for a program that was told to end, and fail unless it ends well."""
        try:
            status = self._popen.wait(BUSY * seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not end within {BUSY * seconds:g} s") from None
        if status < 0:
            raise Failure(f"{self.name} died: {signal.Signals(-status).name}")
        check(status == 0, f"{self.name} ended with status {status}: {self._last_words()}")

    def terminate(self):
        """Ask the program to end."""
        os.kill(self.pid, signal.SIGTERM)

    def kill(self):
        """End the program and everything it started, at once."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._popen.wait()
        self._popen.stdin.close()

    def descriptors(self):
        """How many descriptors the program has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident_kib(self):
        """The program's resident memory without what it shares with its peers."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            return int(re.search(r"RssAnon:\s+(\d+)", status.read()).group(1))

    def mapped_file(self, base):
        """The path of a mapped file with this base name, or None."""
        with open(f"/proc/{self.pid}/maps", encoding="utf-8") as maps:
            for line in maps:
                path = line.rstrip("\n").partition("/")[2]
                if os.path.basename(path).startswith(base):
                    return "/" + path
        return None

    def _last_words(self):
        lines = [line for line in self.output().splitlines() if line.strip()]
        return lines[-1][:200] if lines else "it printed nothing"


class Library:
    """Which librte_vhost the backends run on; nobody else gets to see it."""

    def __init__(self, directory=None):
        self.directory = os.path.realpath(directory) if directory else None

    @property
    def name(self):
        """Under which name programs load it; vhost_library.NoLibrary if there is none."""
        return library_name(self.directory or PACKAGED)

    @property
    def packaged(self):
        """Whether the backends run on the system's own library."""
        return self.directory is None

    def environment(self):
        """What to add to a backend's environment."""
        if self.packaged:
            return {}
        inherited = os.environ.get("LD_LIBRARY_PATH")
        return {"LD_LIBRARY_PATH": self.directory + (":" + inherited if inherited else "")}

    def check_loaded_by(self, process):
        """Fail unless the process really runs on this library: a typo must not test the other one."""
        path = process.mapped_file(self.name)
        check(path, f"{process.name} has not loaded {self.name}")
        ours = self.directory is not None and os.path.realpath(path).startswith(self.directory + "/")
        check(ours != self.packaged, f"{process.name} runs on {path}")


class Bench:
    """One case's temporary directory and processes; all are gone when it closes."""

    def __init__(self, library):
        self.library = library
        # Short: the path of a Unix socket has at most 107 bytes.
        self.directory = tempfile.mkdtemp(prefix="vhi-")
        self._processes = []

    def path(self, name):
        """A path in the temporary directory."""
        return os.path.join(self.directory, name)

    def add(self, process):
        """Remember a process that has to be gone in the end."""
        self._processes.append(process)

    def close(self, keep_logs_in=None):
        """End all processes; move the logs to a directory, if given, and remove the rest."""
        for process in reversed(self._processes):
            process.kill()
        if keep_logs_in:
            os.makedirs(keep_logs_in, exist_ok=True)
            for name in os.listdir(self.directory):
                if name.endswith(".log"):
                    shutil.copy(self.path(name), keep_logs_in)
        shutil.rmtree(self.directory, ignore_errors=True)
