# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Two libraries under real switches: what a packet from one guest to another costs
the switch by its own count, and how many get through.

The switch, unmodified, polls on one core. On the other one is a testpmd with two
virtio-user ports, the guests: what it gets at one it sends at the other, so that
frames go round and round:

    pcap in -> virtio-user 0 ==ring==> switch ==ring==> virtio-user 1 -> pcap out
                     ^                                        |
                     +----------------------------------------+

Fewer go round than a ring holds, so none may ever get lost. They are all
different, and after some hundred thousand rounds each has to come out once,
unchanged, in order; and what the guests have sent, the switch has counted.

There is such a pair of processes for each library. All of them live at the same
time but only one works, so that the libraries are measured one right after the
other; a switch that does not work is stopped, because it would poll.
"""

import itertools
import os
import random
import re
import signal
import statistics
import struct
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(TOP / "app/test/interop"), str(TOP / "app/test/switch")]
# pylint: disable=wrong-import-position
import frames  # noqa: E402
from processes import Bench, Failure, Library, check, wait_until  # noqa: E402
from realtime import undisturbed  # noqa: E402
import tcp_stream  # noqa: E402
from switch import Switch  # noqa: E402
from testpmd import Testpmd  # noqa: E402
from vswitch import VhostSwitch  # noqa: E402

FORMATS = {"split": 0, "packed": 1}
BUFFERS = {"mrg": 1, "nomrg": 0}
SIZES = (64, 256, 1518)
PORTS = ("guest0", "guest1")
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
# That go round: half of what a ring holds.
CIRCULATING = 128
# Until queues are as full as they get.
WARM_UP_SECONDS = 0.1
# A turn is cut in windows, of which the best counts: what disturbs only ever makes them worse.
WINDOW_SECONDS = 0.05
CONNECT_SECONDS = 60


class Ovs:
    """Open vSwitch with one flow for each direction."""

    # Its ports connect to the guests.
    GUEST_LISTENS = 1

    def __init__(self, bench, options):
        self._switch = Switch(bench, PORTS, tso=False, cpus=options.cores[:2])
        for port, other in (PORTS, PORTS[::-1]):
            self._switch.connect(port, other)
        self.pid = self._switch.process.pid
        self.pause, self.resume, self.work = self._switch.pause, self._switch.resume, self._switch.work

    def check(self):
        """Nothing went wrong that it knows of."""
        self._switch.check_healthy()


class _Listening:
    """What switches have in common that listen for their guests and are one process."""

    GUEST_LISTENS = 0

    def pause(self):
        """Leave the core to others."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self):
        """Undo pause()."""
        os.killpg(self.pid, signal.SIGCONT)

    def check(self):
        """Nothing went wrong that it knows of."""


class ForwardingTestpmd(_Listening):
    """testpmd between two ports of net_vhost, which looks into no packet."""

    def __init__(self, bench, options):
        self._testpmd = Testpmd(bench, "switch", [f"net_vhost{number},iface={bench.path(port)},queues=1"
                                                  for number, port in enumerate(PORTS)],
                                backend=True, forwarding_cpus=options.cores[:1]).ready()
        self.pid = self._testpmd.pid
        self._testpmd.command("set record-core-cycles on")
        self._testpmd.command("set fwd io")
        self._testpmd.command_ok("start", "packet forwarding")

    def work(self):
        """(busy cycles, packets received) since it started."""
        answer = self._testpmd.command("show fwd stats all")
        cycles = re.search(r"(?:busy|total) cycles=(\d+)", answer)
        received = re.search(r"Accumulated forward statistics.*?RX-packets: (\d+)", answer, re.S)
        # It prints none as long as there was nothing to do.
        return int(cycles.group(1)) if cycles else 0, int(received.group(1))


class DpdkVhost(_Listening):
    """The sample switch, which learns addresses."""

    def __init__(self, bench, options):
        self._switch = VhostSwitch(
            bench, PORTS, ["--mac-age=86400"], lcores=f"0@{options.cores[1]},1@{options.cores[0]}",
            binary=str(options.ours.resolve().parent / "examples/vhost/dpdk-vhost")).ready()
        self.pid = self._switch.pid

    def work(self):
        """(busy cycles, packets received) since it started."""
        lcore = self._switch.ask("/vhost_switch/lcore,1")
        return lcore["busy_cycles"], lcore["rx_packets"]


KINDS = {"ovs": Ovs, "testpmd": ForwardingTestpmd, "dpdk-vhost": DpdkVhost}


def checksum(header):
    """Of an IPv4 header whose own field is 0."""
    total = sum(struct.unpack(f">{len(header) // 2}H", header))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff


def make_frames(size):
    """UDP of one flow, which a switch has to look at; all frames differ behind the headers."""
    dice = random.Random(size)
    ethernet = bytes.fromhex((MACS[1] + MACS[0] + "0800").replace(":", ""))
    address = struct.Struct(">BBHHHBBH4s4s")
    parts = [0x45, 0, size - len(ethernet), 0, 0, 64, 17, 0, bytes((10, 9, 9, 2)), bytes((10, 9, 9, 3))]
    parts[7] = checksum(address.pack(*parts))
    headers = ethernet + address.pack(*parts)
    headers += struct.pack(">HHHH", 1024, 1025, size - len(headers), 0)
    return [headers + struct.pack(">I", number) + dice.randbytes(size - len(headers) - 4)
            for number in range(CIRCULATING)]


class Guests:
    """Two virtio-user ports in one testpmd, and a pcap port for each size."""

    def __init__(self, bench, kind, form, buffers, options):
        self._bench = bench
        self._sent = {size: make_frames(size) for size in SIZES}
        for size, batch in self._sent.items():
            frames.write(bench.path(f"in-{size}.pcap"), batch)
        # Not in order, as Linux guests are not.
        ports = [f"net_virtio_user{number},path={bench.path(port)},mac={MACS[number]},queues=1,in_order=0,"
                 f"mrg_rxbuf={BUFFERS[buffers]},packed_vq={FORMATS[form]},server={kind.GUEST_LISTENS}"
                 for number, port in enumerate(PORTS)]
        files = [f"net_pcap{number},rx_pcap={bench.path(f'in-{size}.pcap')},tx_pcap={bench.path(f'out-{size}.pcap')}"
                 for number, size in enumerate(SIZES)]
        self._testpmd = Testpmd(bench, "guests", ports + files,
                                forwarding_cpus=options.cores[1:2]).ready(CONNECT_SECONDS)
        self.pid = self._testpmd.pid
        for port in (0, 1):
            self._testpmd.wait_link_up(port, CONNECT_SECONDS)

    def counters(self):
        """Packets and bytes sent at the one end and received at the other."""
        sent, received = self._testpmd.port_counters(0), self._testpmd.port_counters(1)
        return [sent["TX-packets"], received["RX-packets"], sent["TX-bytes"], received["RX-bytes"]]

    def _forward(self, *ports):
        self._testpmd.command("set portlist " + ",".join(map(str, ports)))
        self._testpmd.command("set fwd io")
        self._testpmd.command_ok("start", "packet forwarding")

    def introduce(self, switch):
        """Wait until frames get through both ways; so a switch that learns addresses knows them."""
        for port in (0, 1):
            self._testpmd.command(f"set eth-peer {port} {MACS[1 - port]}")
        self._testpmd.command("set portlist 0,1")
        wait_until(self._greet, CONNECT_SECONDS, "frames to get through both ways")
        wait_until(lambda: switch.work()[1] == self._sent_so_far(), CONNECT_SECONDS, "the switch to take all frames")
        self._testpmd.wait_silent((0, 1))
        self._testpmd.command("stop")

    def _greet(self):
        """Send at both ports for a moment, then receive; whether both got something."""
        before = [self._testpmd.received([port]) for port in (0, 1)]
        self._testpmd.command("stop")
        self._testpmd.command("set fwd txonly")
        self._testpmd.command_ok("start", "packet forwarding")
        self._testpmd.swallow((0, 1))
        return all(self._testpmd.received([port]) > then for port, then in zip((0, 1), before))

    def _sent_so_far(self):
        return sum(self._testpmd.port_counters(port)["TX-packets"] for port in (0, 1))

    @staticmethod
    def _file_port(size):
        return 2 + SIZES.index(size)

    def let_go(self, size):
        """Put the frames of this size between the two ports."""
        port = self._file_port(size)
        self._forward(port, 0)
        wait_until(lambda: self._testpmd.port_counters(port)["RX-packets"] == CIRCULATING, CONNECT_SECONDS,
                   "frames to be let go")
        self._testpmd.command("stop")
        self._forward(0, 1)

    def take_back(self, size):
        """Take them out again; each has to be there, as it was and in its order."""
        self._testpmd.command("stop")
        port = self._file_port(size)
        before = self._testpmd.port_counters(port)["TX-packets"]
        self._forward(1, port)
        wait_until(lambda: self._testpmd.port_counters(port)["TX-packets"] - before >= CIRCULATING, CONNECT_SECONDS,
                   f"all {CIRCULATING} frames that went round")
        # Nor may there be more of them.
        self._testpmd.wait_silent((1,))
        self._testpmd.command("stop")
        received = frames.read(self._bench.path(f"out-{size}.pcap"))
        # Where the circle was cut does not matter.
        sent = self._sent[size]
        start = sent.index(received[0]) if received[0] in sent else 0
        wrong = frames.difference(sent[start:] + sent[:start], received)
        check(not wrong, f"after going round: {wrong}")


class Pair:
    """A switch on one of the libraries and its guests, connected and idle."""

    def __init__(self, library, options, form, buffers):
        kind = KINDS[options.switch]
        self._bench = Bench(Library(library))
        try:
            self._switch = kind(self._bench, options)
            self._guests = Guests(self._bench, kind, form, buffers, options)
            self._guests.introduce(self._switch)
            self._switch.pause()
        except BaseException:
            self.close()
            raise

    def close(self):
        """End both."""
        self._bench.close()

    def measure(self, size, options):
        """(cycles per packet, packets per second) of one turn, in which every packet has to get through."""
        self._switch.resume()
        before, counted = self._guests.counters(), self._switch.work()[1]
        self._guests.let_go(size)
        with undisturbed([self._switch.pid, self._guests.pid], options.realtime):
            time.sleep(WARM_UP_SECONDS)
            cycles, rates = zip(*self._windows(max(1, round(options.ms / 1000 / WINDOW_SECONDS))))
        self._guests.take_back(size)
        sent, received, *octets = (now - then for now, then in zip(self._guests.counters(), before))
        counted = self._switch.work()[1] - counted
        check(sent == received == counted, f"{sent} packets sent, {counted} in the switch, {received} received")
        check(octets == 2 * [size * sent], f"{sent} packets of {size} bytes are {octets} bytes")
        self._switch.check()
        self._switch.pause()
        return min(cycles), max(rates)

    def _windows(self, number):
        """Cycles per packet and packets per second of so many windows."""
        start, before = time.monotonic(), self._switch.work()
        for _ in range(number):
            time.sleep(WINDOW_SECONDS)
            end, after = time.monotonic(), self._switch.work()
            cycles, packets = (now - then for now, then in zip(after, before))
            check(packets > 0, "nothing goes round")
            yield cycles / packets, packets / (end - start)
            start, before = end, after


class Configuration:
    """What is measured with one set of processes: a pair for each library."""

    def __init__(self, name, make_pair, cells, turns=1):
        self.name = name
        self.make_pair = make_pair
        self.cells = cells
        self.turns = turns

    def measure(self, options, figures, rates):
        """Add the rows of all cells."""
        libraries = {"ours": options.ours, "theirs": options.theirs, "again": options.theirs}
        pairs = {}
        try:
            for role, library in libraries.items():
                pairs[role] = self.make_pair(library)
            for (cell, what), _ in itertools.product(self.cells.items(), range(self.turns)):
                order = random.sample(sorted(pairs), len(pairs))
                measured = {role: pairs[role].measure(what, options) for role in order}
                figures.setdefault(cell, []).append({role: cycles for role, (cycles, _) in measured.items()})
                rates.setdefault(cell, []).append({role: rate for role, (_, rate) in measured.items()})
        finally:
            for pair in pairs.values():
                pair.close()


def virtio_user_configurations(options):
    """Those with two virtio-user ports; sizes are cells."""
    for form, buffers in itertools.product(FORMATS, BUFFERS):
        cells = {f"{options.switch}-{form}-{buffers}-{size}": size for size in SIZES}
        yield Configuration(f"{form}-{buffers}",
                            lambda library, f=form, b=buffers: Pair(library, options, f, b), cells)


def tcp_configurations(options):
    """Those with two Linux guests. They take long to boot, so they have to be asked for, and have several turns."""
    if options.switch == "ovs" and "tcp" in options.cells:
        for form, packed in FORMATS.items():
            yield Configuration(f"tcp-{form}-mrg",
                                lambda library, p=packed: tcp_stream.Pair(library, options, p),
                                {f"tcp-{form}-mrg": None}, turns=tcp_stream.TURNS)


def chosen_configurations(options):
    """Those with cells that are wanted, and no other cells."""
    for configuration in itertools.chain(virtio_user_configurations(options), tcp_configurations(options)):
        configuration.cells = {cell: what for cell, what in configuration.cells.items()
                               if re.search(options.cells, cell)}
        if configuration.cells:
            yield configuration


def measure(options):
    """Cycles per packet and packets per second of all rounds by cell, and whether all went well."""
    figures, rates = {}, {}
    good = True
    for number in range(options.rounds):
        for configuration in chosen_configurations(options):
            print(f"round {number + 1} of {options.rounds}: {configuration.name}, "
                  f"load {os.getloadavg()[0]:.2f}", file=sys.stderr)
            try:
                configuration.measure(options, figures, rates)
            except Failure as failure:
                print(f"FAILED {configuration.name}: {failure}", file=sys.stderr)
                good = False
    return figures, rates, good


def add_rates(results, rates):
    """Millions of packets per second of each cell: the median of its rounds."""
    for result in results:
        rows = rates[result["cell"]]
        result["ours_mpps"] = statistics.median(row["ours"] for row in rows) / 1e6
        result["theirs_mpps"] = statistics.median((row["theirs"] + row["again"]) / 2 for row in rows) / 1e6
