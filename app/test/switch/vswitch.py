# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""dpdk-vhost under test: started, asked through telemetry, ended by a signal, and its books audited."""

import os
import re
import signal
import stat
import time

import telemetry
from processes import Process, check, wait_until

START_SECONDS = 40
SETTLE_SECONDS = 20
STOP_SECONDS = 20
# Between two readings that have to be equal.
SETTLE_INTERVAL = 0.03
GAINS = ("received", "flood_copies", "gso_segments")
LOSSES = ("gro_merged", "sent", "dropped")


def program(library):
    """The switch of the build whose library is under test."""
    return os.path.join(os.path.dirname(library.directory), "examples/vhost/dpdk-vhost")


def is_socket(path):
    """Whether there is a socket of that name."""
    return os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode)


class VhostSwitch(Process):
    """One switch with a socket for each name in `ports`, in the bench's folder.

    Its polling lcores share all CPUs unless lcores says otherwise (EAL's syntax). It is that
    of the library's build folder unless another one is given.
    """

    def __init__(self, bench, ports=(), options=(), *, name="switch", eal=(), workers=1, lcores=None,
                 memory=("--no-huge", "-m", "512"), launcher=(), environment=None, binary=None):
        self._bench = bench
        self.ports = list(ports)
        self.options = list(options)
        self._prefix = name
        self._library = bench.library
        cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))))
        lcores = lcores or ",".join(f"{lcore}@({cpus})" for lcore in range(workers + 1))
        sockets = [f"--socket-file={bench.path(port)}" for port in ports]
        super().__init__(
            bench, name,
            [*launcher, binary or program(bench.library), "--no-pci", *memory, f"--file-prefix={name}",
             "--lcores", lcores, *eal, "--", *sockets, *options],
            {"RUNTIME_DIRECTORY": bench.directory, **self._library.environment(), **(environment or {})})

    def ready(self):
        """Wait until it serves its sockets."""
        self.expect(r"VHOST_SWITCH: ready:", START_SECONDS, 0)
        self._library.check_loaded_by(self)
        return self

    def ask(self, command):
        """The answer to a telemetry command."""
        return telemetry.ask(self._bench.path(f"dpdk/{self._prefix}/dpdk_telemetry.v2"), command)

    def connected(self):
        """Names of guests that are there, and of ports."""
        return self.ask("/vhost_switch/list")

    def info(self, name):
        """All about one guest or port."""
        return self.ask(f"/vhost_switch/info,{name}")

    def queues(self, name):
        """The receive queues of a guest or port that can be polled: how and by whom."""
        info = self.info(name)
        columns = {key.removeprefix("queue_"): values for key, values in info.items() if key.startswith("queue_")}
        rows = [dict(zip(columns, values)) for values in zip(*columns.values())]
        return [row for row in rows if row["enabled"]]

    def polled(self):
        """Names of guests and ports of which at least one queue is polled."""
        return {queue.rpartition(":")[0] for lcore in self.ask("/vhost_switch/lcores")
                for queue in self.ask(f"/vhost_switch/lcore,{lcore}")["queues"]}

    def pools(self):
        """Figures of the pools of mbufs, by name."""
        return self.ask("/vhost_switch/pools")

    def home_of(self, address):
        """Where the switch thinks an address (bytes) lives, or None."""
        return (self.ask(f"/vhost_switch/fdb_lookup,{address.hex(':')}") or {}).get("port")

    def totals(self):
        """The sums over all guests and ports."""
        return self.ask("/vhost_switch/totals")

    def wait_guests(self, names, seconds=START_SECONDS):
        """Wait until exactly these guests or ports are there and polled."""

        def served():
            return sorted(self.connected()) == sorted(names) and self.polled() >= set(names)

        wait_until(served, seconds, f"the guests {', '.join(names)} at the switch")

    def wait_gone(self, name, seconds=START_SECONDS):
        """Wait until a guest is not there any more."""
        wait_until(lambda: name not in self.connected(), seconds, f"the switch to notice that {name} has gone")

    def settled_totals(self):
        """Wait until nothing moves and no packet is held; the totals, which then must balance."""
        seen = [self.totals()]

        def steady():
            time.sleep(SETTLE_INTERVAL)
            seen.append(self.totals())
            return seen[-1] == seen[-2] and seen[-1]["balance"] == 0

        try:
            wait_until(steady, SETTLE_SECONDS, "the switch to come to rest")
        finally:
            check_balance(seen[-1], seen[-1]["drops"])
        return seen[-1]

    def audit(self, stations):
        """At rest: the totals balance, are the sums over all guests and ports, and are what the guests have counted.

        stations: {name at the switch: Station, or None if there is nobody to ask}, all that ever were.
        """
        totals = self.settled_totals()
        infos = {name: self.info(name) for name in stations}
        for which, total in (("rx_packets", "received"), ("tx_packets", "sent")):
            found = sum(info["counters"][which] for info in infos.values())
            check(found == totals[total], f"{total} {totals[total]}, but all {which} make {found}")
        for reason, count in totals["drops"].items():
            found = sum(info["drops"][reason] for info in infos.values())
            check(found == count, f"drops for {reason}: {count} in all, but of guests and ports {found}")
        for name, station in stations.items():
            if station:
                self._compare(name, infos[name]["counters"], station)
        return totals

    @staticmethod
    def _compare(name, counters, station):
        """A guest and the switch agree about what went between them."""
        theirs = station.port_counters()
        for ours, other in (("rx", "TX"), ("tx", "RX")):
            for unit in ("packets", "bytes"):
                check(counters[f"{ours}_{unit}"] == theirs[f"{other}-{unit}"],
                      f"{name}: the switch counts {counters[f'{ours}_{unit}']} {ours}_{unit}, "
                      f"the guest {theirs[f'{other}-{unit}']} {other}-{unit}")

    def complaints(self):
        """Lines that report a fault of the switch's own."""
        return [line for line in self.output().splitlines()
                if re.search(r"\bPANIC\b|PMD: .*(fail|error)|EAL: Error|Segmentation|AddressSanitizer|runtime error",
                             line)]

    def stop(self, number=signal.SIGTERM):
        """End it by a signal: it has to end well, remove its sockets, and balance its books; the totals."""
        start = self.mark()
        os.kill(self.pid, number)
        self.finish(STOP_SECONDS)
        left = [port for port in self.ports if is_socket(self._bench.path(port))]
        check(not left, f"sockets left behind: {', '.join(left)}")
        words = self.output(start)
        check(f"VHOST_SWITCH: stopping (signal {int(number)})" in words, "it does not tell why it stops")
        check("pmd thread numa_id" in words, "no pmd-rxq-show at exit")
        found = re.search(r"vhost_switch totals\n((?:\s+\w+ -?\d+.*\n?)+)", words)
        check(found, "no totals at exit")
        totals = {key: int(value) for key, value in re.findall(r"^\s+(\w+) (-?\d+)", found.group(1), re.M)}
        check_balance(totals, {key: value for key, value in totals.items() if key.startswith("drop_")})
        complaints = self.complaints()
        check(not complaints, f"the switch: {complaints[:1]}")
        return totals


def check_balance(totals, drops):
    """Received = sent + dropped, by the numbers themselves and not only by what the switch says of them."""
    balance = sum(totals[name] for name in GAINS) - sum(totals[name] for name in LOSSES)
    check(balance == 0 and totals["balance"] == 0, f"balance {balance}, the switch says {totals['balance']}: {totals}")
    check(sum(drops.values()) == totals["dropped"], f"{totals['dropped']} dropped, but by reason {drops}")
