# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A backend process (dpdk-test-vhost-control) on a library of one's choice."""

import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAM = "app/test-vhost-control/dpdk-test-vhost-control"
SECONDS = 120
ANSWERS = ("library", "ret", "took", "meters")


class Failure(Exception):
    """Something that keeps a measurement from being made."""


class Backend:
    """The process, its sockets' folder, and its log."""

    def __init__(self, program, library, log_level="lib.vhost.*:critical"):
        self.folder = Path(tempfile.mkdtemp(prefix="vhost-control."))
        self.log_path = self.folder / "log"
        self.pending = b""
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [program, "-l", "0", "-m", "1500", f"--log-level={log_level}"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                env={**os.environ, "LD_LIBRARY_PATH": str(library), "LD_BIND_NOW": "1"})
        try:
            loaded = Path(self._answer("library")[0])
            if loaded.resolve().parent != Path(library).resolve():
                raise Failure(f"asked for {library}, but the program loaded {loaded}")
        except Failure:
            self.close()
            raise

    def path(self, number=0):
        return str(self.folder / f"s{number}")

    def _read_line(self, deadline):
        while b"\n" not in self.pending:
            left = max(0, deadline - time.monotonic())
            if not select.select([self.process.stdout], [], [], left)[0]:
                raise Failure("the backend does not answer")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise Failure("the backend ended:\n" + self.log()[-2000:])
            self.pending += data
        line, self.pending = self.pending.split(b"\n", 1)
        return line.decode().split()

    def _answer(self, kind):
        """The words behind the first one of the next answer; EAL's own lines are skipped."""
        deadline = time.monotonic() + SECONDS
        while True:
            words = self._read_line(deadline)
            if words and words[0] == kind:
                return words[1:]
            if words and words[0] in ANSWERS:
                raise Failure(f"the backend says {' '.join(words)}")

    def order(self, line, kind="ret"):
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failure("the backend ended:\n" + self.log()[-2000:]) from None
        return self._answer(kind)

    def must(self, line):
        """An order that has to succeed."""
        if self.order(line) != ["0"]:
            raise Failure(f"{line}: failed")

    def all_sockets(self, number):
        """Register and start sockets; nanoseconds of processor and of the clock."""
        return tuple(map(int, self.order(f"all {self.folder} {number}", "took")))

    def no_sockets(self, number):
        """Unregister them again."""
        return tuple(map(int, self.order(f"none {self.folder} {number}", "took")))

    def meters(self):
        return {name: int(value) for name, value in
                (word.split("=") for word in self.order("meters", "meters"))}

    def wait_until(self, what, **meters):
        """Wait until meters show certain values; the meters then."""
        deadline = time.monotonic() + SECONDS
        while True:
            now = self.meters()
            if all(now[name] == value for name, value in meters.items()):
                return now
            if time.monotonic() > deadline:
                raise Failure(f"{what}: {now}")
            time.sleep(0.01)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def close(self):
        """End the process, at the end of its input if it listens."""
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)
