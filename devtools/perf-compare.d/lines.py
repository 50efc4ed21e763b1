# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Cache lines of guest memory that travel per packet, counted by a model (lines.c).

The program runs under QEMU's emulation of a process, both sides in turns, so the
figures are exact and the same on any machine.
"""

import csv
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
COMPILE = ["gcc", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden",
           f"-I{TOP / 'app/test-vhost-perf'}", f"-I{TOP / 'devtools/numa-traffic.d'}"]
# In the order of lines.h.
CORES = ("driver", "library")
KINDS = ("desc", "driver_area", "device_area", "buffers")
PACKETS = 3072
SECONDS = 600
LINE = 64
# What port.c makes of the cells that are of interest here.
RING = 256
BURST = 32
HEADROOM = 128
HEADER = 12
BUFFER = 2048
ROOM = HEADER + BUFFER
PIECE = {True: 4096, False: 1024}


class Failure(Exception):
    """It could not be counted."""


def plugin_api(emulator):
    """The version of the plug-in interface."""
    told = subprocess.run([emulator, "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = map(int, re.search(r"version (\d+)\.(\d+)", told).groups())
    return 3 if (major, minor) >= (9, 1) else 1


def read_results(path):
    """Of each cell in turn, lines per packet by core and kind: fetched and upgraded."""
    cells, cell = [], {}
    for line in path.read_text(encoding="ascii").splitlines():
        if line == "closed":
            cells.append(cell)
            cell = {}
        else:
            core, kind, *counts = map(int, line.split()[1:])
            cell[CORES[core], KINDS[kind]] = [count / PACKETS for count in counts]
    return cells


def count(options, library, environment, eal):
    """Lines per packet of each cell on one library, and what it says it is."""
    emulator = shutil.which(options.emulator)
    if emulator is None:
        raise Failure(f"no {options.emulator}: counting lines needs Debian's qemu-user")
    with tempfile.TemporaryDirectory(prefix="perf-compare.") as name:
        folder = Path(name)
        subprocess.run([*COMPILE, f"-DPLUGIN_API_VERSION={plugin_api(emulator)}",
                        "-o", folder / "lines.so", HERE / "lines.c"], check=True)
        done = subprocess.run(
            [emulator, "-cpu", "max", "-plugin", f"{folder / 'lines.so'},dir={folder}",
             options.program, *eal, "--", "--lines", folder, "--packets", str(PACKETS),
             "--cells", options.cells, "--csv", folder / "table.csv"],
            env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode != 0:
            raise Failure(f"{library}: {done.stderr.strip()[-1000:]}")
        with (folder / "table.csv").open() as file:
            names = [row["cell"] for row in csv.DictReader(file)]
        return dict(zip(names, read_results(folder / "results"))), done.stdout.split(",", 1)[0].strip()


def total(counts, core):
    return sum(sum(counts[core, kind]) for kind in KINDS)


def pieces(size, shape):
    """Bytes of each descriptor of a frame."""
    if shape == "single":
        return [HEADER + size]
    piece = PIECE[size > BUFFER]
    return [HEADER] + [min(piece, size - at) for at in range(0, size, piece)]


def touched(first, count):
    """Lines that have some of these bytes."""
    return (first + count - 1) // LINE - first // LINE + 1


class Cell:
    """What the name of a cell says about its frames, see port.c and two_cores.c."""

    def __init__(self, name):
        self.way, self.form, _, size, *rest = name.split("-")
        self.size = int(size)
        self.shape = next((shape for shape in ("chained", "indirect") if shape in rest), "single")
        # otherwise the library knows without looking
        self.header_is_read = self.way == "dequeue" and not {"csum", "tso"}.isdisjoint(rest)
        self.chains = -(-(HEADER + self.size) // ROOM) if self.way == "enqueue" and self.shape == "single" else 1
        # of a chain
        self.descs = 1 if self.shape == "single" else 1 + -(-self.size // PIECE[self.size > BUFFER])

    def turn(self):
        """Packets that the library moves in a turn."""
        in_ring = RING // (self.descs if self.shape == "chained" else 1) // self.chains // BURST
        return BURST * (1 if in_ring < 4 else in_ring // 2 - 1 | 1)

    def frame_lines(self):
        """Without those of a header that is the same each time and not looked at."""
        if self.chains == 1:
            return touched(HEADROOM, self.size) + self.header_is_read
        full, rest = divmod(self.size - BUFFER, ROOM)
        return (touched(HEADROOM, BUFFER) + full * touched(HEADROOM - HEADER, ROOM)
                + (touched(HEADROOM - HEADER, rest) if rest else 0))

    def desc_lines(self):
        if self.shape == "indirect":
            return 16 / LINE + touched(0, 16 * self.descs)
        return self.chains * self.descs * 16 / LINE

    def index_lines(self, entry):
        """Of an available or used ring: entries from byte 4 on, and once a turn the index."""
        places, seen, turns = self.turn() * self.chains, 0, RING
        for start in range(0, turns * places, places):
            seen += len({(4 + (start + i) % RING * entry) // LINE for i in range(places)} | {0})
        return seen / turns / self.turn()


def least(name):
    """
    Lines that the library has to get for a packet: each that is read or written once in a
    turn, whatever is done with it.  What stays the same, event suppression and the headers
    of plain frames, need not travel.
    """
    cell = Cell(name)
    lines = cell.frame_lines() + cell.desc_lines()
    return lines + (cell.index_lines(2) + cell.index_lines(8) if cell.form == "split" else 0)


def results(ours, theirs):
    rows = []
    for cell in ours:
        row = {"cell": cell, "ours": total(ours[cell], "library"),
               "theirs": total(theirs[cell], "library"), "least": least(cell)}
        row["ratio"] = row["ours"] / row["theirs"]
        for core in CORES:
            for kind in KINDS:
                for role, counts in (("ours", ours), ("theirs", theirs)):
                    row[f"{role}_{core}_{kind}"] = sum(counts[cell][core, kind])
        row["driver_ours"], row["driver_theirs"] = (total(c[cell], "driver") for c in (ours, theirs))
        row["driver_ratio"] = row["driver_ours"] / row["driver_theirs"]
        rows.append(row)
    return rows
