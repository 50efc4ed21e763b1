# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Two libraries, measured from outside: testpmd with net_vhost against testpmd
with virtio-user, unmodified, each forwarding on one core of its own.

    enqueue  net_vhost sends what it can, virtio-user counts what it gets
    dequeue  the other way round
    io       packets go round and round between the two

There is such a pair of processes for each library to compare.  All of them live
at the same time but only one works, so that the libraries are measured one
right after the other.  What is found is bounded by the slower side, which for
small packets may be the driver: then the libraries look alike.

On a machine that is not idle, --realtime helps (realtime.py): each measurement
is shorter than the kernel lets such threads have a core.
"""

import itertools
import os
import random
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "app/test/interop"))
# pylint: disable-next=wrong-import-position
from processes import Bench, Failure, Library, check  # noqa: E402
from realtime import undisturbed  # noqa: E402
from testpmd import Testpmd  # noqa: E402

FORMATS = {"split": 0, "packed": 1}
BUFFERS = {"mrg": 1, "nomrg": 0}
WAYS = ("enqueue", "dequeue", "io")
SIZES = (64, 1518)
# Until queues are as full as they get.
WARM_UP_SECONDS = 0.1
# Bursts that go round: less than a ring holds, so that none gets lost.
IO_BURSTS = 3


def cell_name(way, form, buffers, size):
    return f"{way}-{form}-{buffers}-{size}"


class Pair:
    """A backend on one of the libraries and a frontend, connected and idle."""

    def __init__(self, library, cores, form, buffers):
        self.bench = Bench(Library(library))
        socket = self.bench.path("vhost.sock")
        try:
            self.backend = self._start(
                "backend", f"net_vhost0,iface={socket},queues=1", cores[0], backend=True)
            self.frontend = self._start(
                "frontend", f"net_virtio_user0,path={socket},queues=1,"
                f"mrg_rxbuf={BUFFERS[buffers]},packed_vq={FORMATS[form]}", cores[1])
            self.backend.wait_link_up()
        except Exception:
            self.close()
            raise

    def _start(self, name, vdev, core, backend=False):
        return Testpmd(self.bench, name, [vdev], backend=backend, forwarding_cpus=[core]).ready()

    def close(self):
        self.bench.close()

    def _sides(self, way):
        """Sender and receiver."""
        pair = [self.backend, self.frontend]
        return pair if way == "enqueue" else pair[::-1]

    def _run(self, way, size):
        sender, receiver = self._sides(way)
        for side, mode in ((receiver, "rxonly"), (sender, "txonly")):
            side.command("set fwd " + ("io" if way == "io" else mode))
        sender.command(f"set txpkts {size}")
        receiver.command_ok("start", "packet forwarding")
        sender.command_ok("start" + (f" tx_first {IO_BURSTS}" if way == "io" else ""),
                          "packet forwarding")

    def _stop(self, way):
        """Come to rest with empty rings: the next packets may have another size."""
        sender, receiver = self._sides(way)
        if way == "io":
            receiver.swallow()
        sender.command("stop")
        receiver.wait_silent()
        receiver.command("stop")

    def measure(self, way, size, seconds, realtime):
        """Nanoseconds from packet to packet at the receiving end."""
        receiver = self._sides(way)[1]
        before = receiver.port_counters()
        self._run(way, size)
        with undisturbed([self.backend.pid, self.frontend.pid], realtime):
            time.sleep(WARM_UP_SECONDS)
            receiver.port_counters()
            time.sleep(seconds)
            answer = receiver.command("show port stats 0")
        self._stop(way)
        after = receiver.port_counters()
        packets, octets = (after[f"RX-{unit}"] - before[f"RX-{unit}"] for unit in ("packets", "bytes"))
        check(packets > 0, f"{way}: nothing arrives")
        check(octets == packets * size, f"{way}: {packets} packets of {size} have {octets} bytes")
        # Since the question before, by the clock of testpmd itself.
        return 1e9 / int(re.search(r"Rx-pps:\s+(\d+)", answer).group(1))


def measure_configuration(options, cells, form, buffers, figures):
    """One set of processes for one kind of ring."""
    libraries = {"ours": options.ours, "theirs": options.theirs, "again": options.theirs}
    pairs = {}
    try:
        for role, library in libraries.items():
            pairs[role] = Pair(library, options.cores, form, buffers)
        for way, size in itertools.product(WAYS, SIZES):
            cell = cell_name(way, form, buffers, size)
            if cell not in cells:
                continue
            order = random.sample(sorted(pairs), len(pairs))
            figures.setdefault(cell, []).append(
                {role: pairs[role].measure(way, size, options.ms / 1000, options.realtime)
                 for role in order})
    finally:
        for pair in pairs.values():
            pair.close()


def all_cells(pattern):
    """Names of all cells that match."""
    names = itertools.starmap(cell_name, itertools.product(WAYS, FORMATS, BUFFERS, SIZES))
    return [name for name in names if re.search(pattern, name)]


def measure(options):
    """Figures of all rounds by cell, and whether all went well."""
    cells = all_cells(options.cells)
    figures = {cell: [] for cell in cells}
    good = True
    for number, form, buffers in itertools.product(range(options.rounds), FORMATS, BUFFERS):
        if not any(f"-{form}-{buffers}-" in cell for cell in cells):
            continue
        print(f"round {number + 1} of {options.rounds}: {form}-{buffers}, "
              f"load {os.getloadavg()[0]:.2f}", file=sys.stderr)
        try:
            measure_configuration(options, cells, form, buffers, figures)
        except Failure as failure:
            print(f"FAILED {form}-{buffers}: {failure}", file=sys.stderr)
            good = False
    return {cell: rows for cell, rows in figures.items() if rows}, good
