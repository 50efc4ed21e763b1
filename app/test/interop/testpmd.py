# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""An unmodified dpdk-testpmd, driven at its prompt.

It runs without hugepages: with --no-huge EAL takes its memory from one shareable
memfd, so that a virtio-user port can hand it to the backend.
"""

import itertools
import os
import re
import time

import telemetry
from processes import Failure, Process, check, need_programs, wait_until

START_SECONDS = 30
COMMAND_SECONDS = 20
# Longer than a core is given to others.
SILENCE_SECONDS = 0.05

_sentinels = itertools.count(1)


class Testpmd(Process):
    """A testpmd at its prompt. As a backend it gets the library under test.

    Its threads share all CPUs, unless those that forward are told theirs. The
    launcher is a program that in turn starts testpmd, like numactl. With a socket
    for telemetry it can be asked.
    """

    def __init__(self, bench, name, vdevs, args=(), backend=False, forwarders=1, forwarding_cpus=None,
                 eal_args=(), launcher=(), with_telemetry=False):
        need_programs("dpdk-testpmd", "stdbuf")
        self.library = bench.library if backend else None
        anywhere = sorted(os.sched_getaffinity(0))
        lcores = ",".join(f"{lcore}@({','.join(map(str, cpus))})" for lcore, cpus in
                          enumerate([anywhere] + forwarders * [forwarding_cpus or anywhere]))
        argv = [*launcher, "stdbuf", "-oL", "dpdk-testpmd", "--no-huge", "-m", "192", "--no-shconf", "--no-pci",
                "--lcores", lcores, *eal_args,
                *([f"--file-prefix={name}"] if with_telemetry else ["--no-telemetry"])]
        for vdev in vdevs:
            argv += ["--vdev", vdev]
        # At its start testpmd drops what is waiting at its ports, which is all that a pcap port has.
        argv += ["--", "-i", "--no-flush-rx", f"--nb-cores={forwarders}", "--total-num-mbufs=16384",
                 "--mbcache=64", *args]
        self._telemetry = bench.path(f"dpdk/{name}/dpdk_telemetry.v2")
        super().__init__(bench, name, argv, {"RUNTIME_DIRECTORY": bench.directory,
                                             **(self.library.environment() if backend else {})})

    def ready(self, seconds=START_SECONDS):
        """Wait for the prompt. Apart from the start: some ports wait for their peer first."""
        self.command("", seconds)
        if self.library:
            self.library.check_loaded_by(self)
        return self

    def command(self, text, seconds=COMMAND_SECONDS):
        """Give one command and return what it prints.

        The prompt handles and echoes line after line, so once it echoes the
        unknown word that follows, the command's own output is complete. What
        other threads print may break that echo, so either half of it will do.
        """
        halves = ("sentin", f"el-{next(_sentinels)}")
        start = self.mark()
        if text:
            self.send(text)
        self.send("".join(halves))
        self.expect("|".join(halves), seconds, start)
        return re.split("|".join(halves), self.output(start))[0]

    def command_ok(self, text, wanted, seconds=COMMAND_SECONDS):
        """Give one command and fail unless its output matches."""
        answer = self.command(text, seconds)
        check(re.search(wanted, answer), f"{self.name}: {text}: {answer.strip()[-200:]}")
        return answer

    def ask(self, command):
        """The answer to a telemetry command."""
        return telemetry.ask(self._telemetry, command)

    def wait_link_up(self, port=0, seconds=20):
        """Wait until the port's peer has brought its device up."""
        wait_until(lambda: "Link status: up" in self.command(f"show port info {port}"), seconds,
                   f"{self.name}: link of port {port}")

    def port_counters(self, port=0):
        """A port's counters as testpmd reports them: RX-packets, TX-bytes and so on."""
        answer = self.command(f"show port stats {port}")
        counters = {key: int(value) for key, value in re.findall(r"([RT]X-\w+):\s+(\d+)", answer)}
        if "TX-packets" not in counters:
            raise Failure(f"{self.name}: no counters in {answer[-200:]!r}")
        return counters

    def received(self, ports=(0,)):
        """Packets that these ports have received."""
        return sum(self.port_counters(port)["RX-packets"] for port in ports)

    def wait_silent(self, ports=(0,)):
        """Wait until nothing more arrives."""
        seen = [-1]

        def silent():
            time.sleep(SILENCE_SECONDS)
            seen.append(self.received(ports))
            return seen[-1] == seen[-2]

        wait_until(silent, 10, f"the last packet at the {self.name}")

    def swallow(self, ports=(0,)):
        """Send on nothing more, but receive, until nothing is left that goes round."""
        self.command("stop")
        self.command("set fwd rxonly")
        self.command_ok("start", "packet forwarding")
        self.wait_silent(ports)

    def quit(self, seconds=20):
        """Leave the prompt; fail unless testpmd ends well."""
        self.send("quit")
        self.finish(seconds)
