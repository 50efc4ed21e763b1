# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A network of its own for the switch: its tap and packet sockets, and the host's side of them."""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import subprocess

from processes import Process, Skip, check, need_programs, wait_until

CLONE_NEWNET = 0x40000000
SIOCETHTOOL = 0x8946
# Commands of ethtool that turn something on or off: checksums, TSO, GSO, and GRO.
SEND_CHECKSUMS, SEND_TSO, SEND_GSO = 0x17, 0x1F, 0x24
# No neighbour discovery among the frames that are counted.
PREPARE = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; ip link set lo up; "
LAUNCHER = ("unshare", "--net", "sh", "-c")
RECEIVE_BUFFER = 16 << 20

_libc = ctypes.CDLL(None, use_errno=True)


def launcher(commands=""):
    """What to put in front of a program: it gets a network of its own, in which these commands are run first."""
    need_programs("unshare", "nsenter", "ip")
    if os.geteuid() != 0:
        raise Skip("only root can have a network of its own with taps")
    if not os.path.exists("/dev/net/tun"):
        raise Skip("no /dev/net/tun")
    return (*LAUNCHER, PREPARE + commands + 'exec "$@"', "sh")


@contextlib.contextmanager
def network_of(process):
    """Sockets that are made meanwhile are in the process's network."""
    with open("/proc/thread-self/ns/net", "rb") as home, open(f"/proc/{process.pid}/ns/net", "rb") as other:
        _enter(other)
        try:
            yield
        finally:
            _enter(home)


def _enter(namespace):
    if _libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def inside(process, *command):
    """The command line of a program that runs in the process's network."""
    return ["nsenter", f"--target={process.pid}", "--net", *command]


def run(process, *command):
    """Run a short command in the process's network; what it prints."""
    done = subprocess.run(inside(process, *command), capture_output=True, text=True, timeout=60)
    check(done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()[-200:]}")
    return done.stdout


def start(bench, name, process, *command):
    """Start a program in the process's network."""
    return Process(bench, name, inside(process, *command))


def send_nothing_unfinished(process, interface):
    """Let the kernel complete checksums and segments before this interface."""
    with network_of(process):
        control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with control:
        for command in (SEND_TSO, SEND_GSO, SEND_CHECKSUMS):
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            fcntl.ioctl(control, SIOCETHTOOL, struct.pack("16sP", interface.encode(), ctypes.addressof(value)))


class Wire:
    """The other end of an interface: frames that the switch sends there, and frames for it."""

    def __init__(self, process, interface):
        with network_of(process):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._socket.bind((interface, 0))
        self._socket.setblocking(False)
        self.frames = []

    def send(self, batch):
        """To the switch."""
        for frame in batch:
            self._socket.send(frame)

    def received(self):
        """All that has come from the switch so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, address = self._socket.recvfrom(1 << 16)
                if address[2] != socket.PACKET_OUTGOING:
                    self.frames.append(frame)
        return self.frames

    def wait_received(self, count, seconds=30):
        """Wait for that many frames in all; the frames."""
        wait_until(lambda: len(self.received()) >= count, seconds, f"{count} frames on the wire")
        return self.frames

    def close(self):
        """Let it go."""
        self._socket.close()
