# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Live migration of QEMU guests: a monitor's socket, and the way from one QEMU to another."""

import json
import socket
import time

from processes import Failure, check, wait_until

ANSWER_SECONDS = 20
MIGRATE_SECONDS = 60


class Monitor:
    """A QEMU's machine protocol; events are passed over."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(ANSWER_SECONDS)
        wait_until(lambda: self._try_connect(path), ANSWER_SECONDS, f"QEMU to listen at {path}")
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._receive("QMP")
        self.execute("qmp_capabilities")

    def _try_connect(self, path):
        try:
            self._socket.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def _receive(self, *wanted):
        """The next message that has one of those members."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            line = self._lines.readline()
            check(line, "QEMU has closed its monitor")
            message = json.loads(line)
            if any(key in message for key in wanted):
                return message
        raise Failure("QEMU's monitor does not answer")

    def execute(self, command, **arguments):
        """Give one command and return what it answers; Failure with QEMU's words if it cannot."""
        request = {"execute": command, "arguments": arguments}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        answer = self._receive("return", "error")
        check("return" in answer, f"{command}: {answer.get('error', {}).get('desc')}")
        return answer["return"]

    def close(self):
        """Leave the monitor alone."""
        self._lines.close()
        self._socket.close()


def monitor_arguments(path):
    """What a QEMU is to be started with to have a Monitor at that path."""
    return ["-qmp", f"unix:{path},server=on,wait=off"]


def incoming_arguments(path):
    """What a QEMU is to be started with to wait for a guest that comes through a socket at that path."""
    return ["-incoming", "unix:" + path]


def wait_migrated(monitor, seconds=MIGRATE_SECONDS):
    """Wait until all of a guest has left the QEMU of this monitor; what query-migrate says in the end."""
    def ended():
        info = monitor.execute("query-migrate")
        check(info.get("status") not in ("failed", "cancelled"), f"migration: {info.get('error-desc', info)}")
        return info if info.get("status") == "completed" else None

    return wait_until(ended, seconds, "the guest to be migrated")


def wait_running(monitor, seconds=MIGRATE_SECONDS):
    """Wait until the guest runs in the QEMU of this monitor."""
    wait_until(lambda: monitor.execute("query-status")["running"], seconds, "the guest to run where it went")


def migrate(source, target, path):
    """Move a guest from one QEMU to another that waits at the path, while it runs (precopy)."""
    source.execute("migrate", uri="unix:" + path)
    info = wait_migrated(source)
    wait_running(target)
    return info
