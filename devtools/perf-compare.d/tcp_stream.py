# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A TCP stream of two Linux guests, with segmentation offload, through Open vSwitch.

The guests are emulated and share a core, so what they get through says little; what
the bytes cost the switch, on a core of its own, does not depend on them so much.
First a file moves, whose sums are compared, then there is a stream without end,
which stands still while another pair is measured.
"""

import contextlib
import os
import signal
import statistics
import time

import ovs_guests
from processes import Bench, Library, check, wait_until
from realtime import undisturbed
from switch import Switch

# Measurements after each boot.
TURNS = 5
# A turn is cut in windows, of which the median counts: the thread that
# polls works for a small part of the time, and who disturbs it then adds as much as many segments.
WINDOW_SECONDS = 0.03
# TCP has to find its pace again after it stood still.
FLOWING_BYTES = 8 << 20
FLOW_SECONDS = 60
# Figures are for so many bytes.
UNIT_BYTES = 1000

RECEIVE = f"""
say streams
nc -l -p {ovs_guests.PORT} > /dev/null
"""
SEND = f"""
until nc {ovs_guests.RECEIVER} {ovs_guests.PORT} < /dev/zero; do usleep 100000; done
"""


@contextlib.contextmanager
def _confined(cpus):
    """What is started in here has these CPUs."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Pair:
    """A switch on one of the libraries and two guests, which stand still."""

    def __init__(self, library, options, packed):
        self._bench = Bench(Library(library))
        try:
            self._switch = Switch(self._bench, (ovs_guests.SENDER_PORT, ovs_guests.RECEIVER_PORT),
                                  cpus=options.cores[:2])
            with _confined(options.cores[1:]):
                self._guests = ovs_guests.start_guests(self._bench, RECEIVE, SEND, "packed=on" if packed else "")
            ovs_guests.check_file(*self._guests)
            self._guests[0].hear("streams", FLOW_SECONDS)
            self._wait_flowing()
            self._pause()
        except BaseException:
            self.close()
            raise

    def close(self):
        """End all three."""
        self._bench.close()

    def _signal_guests(self, number):
        for guest in self._guests:
            os.killpg(guest.pid, number)

    def _pause(self):
        self._signal_guests(signal.SIGSTOP)
        self._switch.pause()

    def _resume(self):
        self._switch.resume()
        self._signal_guests(signal.SIGCONT)

    def _counters(self):
        """Time, processing cycles, and bytes and packets that the sender sent."""
        return time.monotonic(), self._switch.work()[0], *self._switch.received(ovs_guests.SENDER_PORT)

    def _wait_flowing(self):
        start = self._counters()[2]
        wait_until(lambda: self._counters()[2] - start > FLOWING_BYTES, FLOW_SECONDS, "the stream")

    def measure(self, _, options):
        """(cycles per UNIT_BYTES, UNIT_BYTES per second) of one turn."""
        self._resume()
        self._wait_flowing()
        pids = [self._switch.process.pid, *(guest.pid for guest in self._guests)]
        with undisturbed(pids, options.realtime):
            windows = list(self._windows(max(1, round(options.ms / 1000 / WINDOW_SECONDS))))
        self._pause()
        seconds, _, octets, packets = map(sum, zip(*windows))
        check(packets > 0 and octets / packets > ovs_guests.LARGEST_WITHOUT_TSO,
              f"{octets} bytes in {packets} packets: segments are cut, or nothing flows")
        self._switch.check_healthy()
        costs = [cycles / octets for _, cycles, octets, _ in windows if octets]
        return statistics.median(costs) * UNIT_BYTES, octets / UNIT_BYTES / seconds

    def _windows(self, number):
        """What each of so many windows adds to the counters."""
        before = self._counters()
        for _ in range(number):
            time.sleep(WINDOW_SECONDS)
            after = self._counters()
            yield [now - then for now, then in zip(after, before)]
            before = after
