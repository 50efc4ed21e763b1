# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What is measured of the control path, and how.

A scenario takes a Bench, does its work on each library, and leaves values by
name and role, and facts about ours that have nothing to do with time.  What the
frontends here use is not counted: all processor time is the backend's control
threads'.
"""

import contextlib
import ctypes
import os
import random
import signal
import statistics
import struct
import time

from backend import Backend, Failure
from frontend import (
    NO_DESCRIPTOR, P_MQ, P_REPLY_ACK, P_SLOTS, SET_VRING_CALL,
    SET_VRING_NUM, VERSION, Frontend, Guest, Refused)

MIB, GIB = 1 << 20, 1 << 30
MILLISECOND = 1e6       # in nanoseconds
RESIDENT_SLACK_KIB = 2048
PR_SET_PDEATHSIG = 1    # of prctl()
# where one takes long, a few will do
SET_UP_BUDGET_MS = 20000


class Sizes:
    """How much of everything: enough to measure, or just to see it work."""

    def __init__(self, quick):
        self.frontends = 8 if quick else 256
        self.cycles = 20 if quick else 500
        self.messages = 20 if quick else 500
        self.flooding = 4 if quick else 32
        self.set_ups = 3 if quick else 15
        self.connections = 128 if quick else 1024
        self.sockets = 50 if quick else 1000
        self.devices = 16 if quick else 1024
        self.flood_seconds = 0.2 if quick else 1
        # until a guest of which nothing is known is looked at no more often than others
        self.calm_seconds = 0.5 if quick else 30
        self.idle_seconds = 1 if quick else 60


class Bench:
    """Libraries by role, the program, and what was found."""

    def __init__(self, program, libraries, quick):
        self.program = program
        self.libraries = libraries
        self.sizes = Sizes(quick)
        self.values = {}        # name: role: a value for each round
        self.facts = []         # what, whether it is so, and what was seen

    def roles(self):
        """In another order each time, so that nobody is always first."""
        return random.sample(sorted(self.libraries), len(self.libraries))

    @contextlib.contextmanager
    def backend(self, role, sockets):
        backend = Backend(self.program, self.libraries[role])
        try:
            backend.all_sockets(sockets)
            yield backend
        finally:
            backend.close()

    def note(self, name, role, value):
        self.values.setdefault(name, {}).setdefault(role, []).append(value)

    def expect(self, role, what, is_so, seen):
        """A fact; of the other library it is none of our business."""
        if role == "ours":
            self.facts.append((what, bool(is_so), str(seen)))


class Clock:
    """Processor time of a backend's control threads since a moment."""

    def __init__(self, backend):
        self.backend = backend
        self.start = backend.meters()["control_ns"]

    def milliseconds(self):
        return (self.backend.meters()["control_ns"] - self.start) / MILLISECOND


def check_gone(bench, role, backend, before, what):
    """All have left: nothing of them may stay."""
    after = backend.wait_until("frontends leave", connections=0, devices=0)
    deadline = time.monotonic() + 5
    while after["descriptors"] > before["descriptors"] and time.monotonic() < deadline:
        time.sleep(0.05)
        after = backend.meters()
    bench.expect(role, f"{what}: no descriptor stays",
                 after["descriptors"] <= before["descriptors"],
                 f"{before['descriptors']} before, {after['descriptors']} after")
    return after


# Frontends that come, and go

GUESTS = {
    "resident": lambda: Guest(64 * MIB, resident=True),
    "sparse": lambda: Guest(2 * GIB),
    "sparse8": lambda: Guest(2 * GIB, regions=8),
}


class Crowd:
    """Many frontends, spread over a number of sockets."""

    def __init__(self, backend, number, sockets_used, make_guest, shared, pairs=1):
        self.frontends = []
        guest = make_guest() if shared else None
        try:
            for index in range(number):
                own = guest or make_guest()
                frontend = Frontend(backend.path(index % sockets_used))
                self.frontends.append(frontend)
                frontend.set_up(own, pairs)
                if not shared:
                    own.close()
        finally:
            if shared:
                guest.close()
        backend.wait_until("all devices run", devices=number)

    def leave(self):
        for frontend in self.frontends:
            frontend.close()


def connect_crowd(bench, role, kind):
    number = bench.sizes.frontends
    with bench.backend(role, number) as backend:
        before, clock = backend.meters(), Clock(backend)
        crowd = Crowd(backend, number, number, GUESTS[kind], shared=kind == "resident")
        bench.note(f"connect-{kind}", role, clock.milliseconds() / number)
        bench.expect(role, f"{number} frontends, {kind}: all run", True, number)
        crowd.leave()
        check_gone(bench, role, backend, before, f"{number} frontends, {kind}")


def connect(bench):
    for kind in GUESTS:
        for role in bench.roles():
            connect_crowd(bench, role, kind)


# What they take of memory

MANY_PAIRS = 8


def resident_with(bench, role, number, pairs):
    """KiB that so many guests are the reason of: of their own memory, the pages of rings."""
    with bench.backend(role, number) as backend:
        before = backend.meters()["resident_kib"]
        crowd = Crowd(backend, number, number, GUESTS["sparse"], shared=False, pairs=pairs)
        grown = backend.meters()["resident_kib"] - before
        crowd.leave()
        bench.expect(role, f"{number} guests with {pairs} queue pairs: all run", True, number)
        return grown


def memory(bench):
    number = bench.sizes.frontends // 2
    for role in bench.roles():
        few, many = (resident_with(bench, role, number, pairs) for pairs in (1, MANY_PAIRS))
        bench.note("guest-memory", role, few / number)
        bench.note("pair-memory", role, (many - few) / number / (MANY_PAIRS - 1))


def connect_and_leave_on(bench, role):
    guest = Guest(16 * MIB, resident=True)
    with contextlib.closing(guest), bench.backend(role, 1) as backend:
        before = None
        for cycle in range(bench.sizes.cycles + 1):
            frontend = Frontend(backend.path())
            frontend.set_up(guest)
            frontend.close()
            if cycle == 0:      # what is allocated once, is
                before = backend.wait_until("the first leaves", connections=0)
                clock = Clock(backend)
        after = check_gone(bench, role, backend, before, "connect and leave")
        bench.note("cycle", role, clock.milliseconds() / bench.sizes.cycles)
        bench.expect(role, "connect and leave: no memory stays",
                     after["resident_kib"] <= before["resident_kib"] * 1.1 + RESIDENT_SLACK_KIB,
                     f"{before['resident_kib']} KiB before, {after['resident_kib']} after")


def connect_and_leave(bench):
    for role in bench.roles():
        connect_and_leave_on(bench, role)


# Messages of guests of which nothing is known

def time_messages(bench, role, name, make_guest, slots):
    with bench.backend(role, 1) as backend, contextlib.closing(make_guest()) as guest:
        frontend = Frontend(backend.path(), protocol=P_MQ | P_REPLY_ACK | P_SLOTS)
        frontend.negotiate()
        if slots and not frontend.protocol & P_SLOTS:
            return              # the packaged library has none
        if slots:
            frontend.add_slots(guest)
        else:
            frontend.set_memory(guest)
        clock = Clock(backend)
        for _ in range(bench.sizes.messages):
            frontend.tell(SET_VRING_NUM, struct.pack("<II", 0, 256))
        bench.note(name, role, clock.milliseconds() / bench.sizes.messages)
        frontend.close()


def messages(bench):
    for role in bench.roles():
        time_messages(bench, role, "message-512g", lambda: Guest(512 * GIB), slots=False)
        time_messages(bench, role, "message-slots",
                      lambda: Guest(512 * GIB, regions=32, gap=GIB), slots=True)


# Somebody else's set-up beside a flood

def flood(path, number):
    """Send messages on many connections for ever, as fast as they are taken."""
    frontends = []
    for _ in range(number):
        guest = Guest(8 * GIB, regions=8)
        frontend = Frontend(path)
        frontend.negotiate()
        frontend.set_memory(guest)
        guest.close()
        frontend.socket.setblocking(False)
        frontends.append(frontend)
    message = struct.pack("<IIIII", SET_VRING_NUM, VERSION, 8, 0, 256) * 100
    rest = [b""] * number
    while True:
        for index, frontend in enumerate(frontends):
            data = rest[index] or message
            with contextlib.suppress(BlockingIOError):
                rest[index] = data[frontend.socket.send(data):]
        time.sleep(0.0005)


@contextlib.contextmanager
def flooding(path, number):
    """A process of its own, so that it takes nothing from who measures but a core."""
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            # whatever ends us ends the flood
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == parent:
                flood(path, number)
        finally:
            os._exit(1)         # only if the flood cannot go on
    try:
        yield
        if os.waitpid(child, os.WNOHANG)[0] != 0:
            child = 0
            raise Failure("the flood ended early")
    finally:
        if child != 0:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def time_set_ups(bench, backend):
    """Median of a set-up's milliseconds by the clock on the wall."""
    took = []
    with contextlib.closing(Guest(16 * MIB, resident=True)) as guest:
        for _ in range(bench.sizes.set_ups):
            if sum(took) > SET_UP_BUDGET_MS:
                break
            start = time.monotonic()
            frontend = Frontend(backend.path(1))
            frontend.set_up(guest)
            took.append((time.monotonic() - start) * 1e3)
            frontend.close()
    return statistics.median(took)


def set_up_beside_flood(bench):
    for role in bench.roles():
        with bench.backend(role, 2) as backend:
            alone = time_set_ups(bench, backend)
            bench.note("set-up", role, alone)
            with flooding(backend.path(0), bench.sizes.flooding):
                backend.wait_until("the flood comes", connections=bench.sizes.flooding)
                time.sleep(bench.sizes.flood_seconds)
                beside = time_set_ups(bench, backend)
            bench.note("set-up-flooded", role, beside)
            bench.note("set-up-ratio", role, beside / alone)
            bench.expect(role, "set-up beside a flood: served", True, f"{beside:.1f} ms")


# The regular look at guests' memory

# Row: kind of guests, whose number, and of whose library.  The packaged one does
# not serve 1024 devices and their sockets: it polls no more than 1024 descriptors.
IDLE = {
    "look-resident": ("resident", "frontends", ("ours", "theirs")),
    "look-sparse8": ("sparse8", "frontends", ("ours", "theirs")),
    "look-1024": ("resident", "devices", ("ours",)),
}
IDLE_SOCKETS = 64


def idle(bench):
    """All at the same time: they hardly do anything."""
    with contextlib.ExitStack() as stack:
        watched = []
        for name, (kind, number, roles) in IDLE.items():
            for role in roles:
                number_of = getattr(bench.sizes, number)
                sockets_used = min(number_of, IDLE_SOCKETS)
                backend = stack.enter_context(bench.backend(role, sockets_used))
                crowd = Crowd(backend, number_of, sockets_used, GUESTS[kind], kind == "resident")
                stack.callback(crowd.leave)
                watched.append((name, role, backend))
        time.sleep(bench.sizes.calm_seconds)
        clocks = [Clock(backend) for _, _, backend in watched]
        start = time.monotonic()
        time.sleep(bench.sizes.idle_seconds)
        for (name, role, _), clock in zip(watched, clocks):
            share = clock.milliseconds() / 1e3 / (time.monotonic() - start)
            bench.note(name, role, share * (100 if name == "look-1024" else 60))


# Connections, as many as there may be

def open_connection(path):
    """A connection that names the last vring there could be, and whether it was let."""
    frontend = None
    try:
        frontend = Frontend(path)
        frontend.negotiate()
        frontend.tell(SET_VRING_CALL, struct.pack("<Q", 255 | NO_DESCRIPTOR))
    except Refused:
        return frontend, False
    return frontend, True


def is_served(path):
    try:
        with contextlib.closing(Guest(16 * MIB, resident=True)) as guest:
            frontend = Frontend(path)
            frontend.set_up(guest)
            frontend.close()
    except Refused:
        return False
    return True


def crowd_connections(bench, role):
    wanted = bench.sizes.connections
    with bench.backend(role, 2) as backend:
        before = backend.meters()
        frontends, let = zip(*(open_connection(backend.path(0)) for _ in range(wanted)))
        during = backend.meters()
        bench.expect(role, f"{wanted} connections: another socket's frontend is served",
                     is_served(backend.path(1)), "refused")
        for frontend in filter(None, frontends):
            frontend.close()
        time.sleep(0.2)
        after = check_gone(bench, role, backend, before, f"{wanted} connections")
        bench.note("refused", role, let.count(False))
        for name, meters in ("before", before), ("with", during), ("after", after):
            bench.note(f"resident-{name}", role, meters["resident_kib"] / 1024)
        growth = after["resident_kib"] / before["resident_kib"]
        bench.note("resident-ratio", role, growth)
        bench.expect(role, f"{wanted} connections: some are refused, some are not",
                     0 < let.count(False) < wanted, let.count(False))
        bench.expect(role, f"{wanted} connections: memory comes back within 10 %", growth <= 1.1,
                     f"{before['resident_kib']} KiB before, {after['resident_kib']} after")


def connections(bench):
    for role in bench.roles():
        crowd_connections(bench, role)


# Sockets

def sockets(bench):
    number = bench.sizes.sockets
    for role in bench.roles():
        with bench.backend(role, 1) as backend:
            backend.no_sockets(1)       # what is made once, is
            before = backend.meters()
            for name, order in ("register", backend.all_sockets), ("unregister", backend.no_sockets):
                clock = Clock(backend)
                cpu, wall = order(number)
                bench.note(name, role, cpu / MILLISECOND + clock.milliseconds())
                bench.note(f"{name}-wall", role, wall / MILLISECOND)
            check_gone(bench, role, backend, before, f"{number} sockets")


SCENARIOS = {
    "connect": connect,
    "cycle": connect_and_leave,
    "memory": memory,
    "messages": messages,
    "flood": set_up_beside_flood,
    "connections": connections,
    "sockets": sockets,
    "idle": idle,
}
# Long, and equal to itself: once is enough.
ONCE = ("idle", "connections")
