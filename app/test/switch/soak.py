# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Many guests in pairs at full load, which restart and die at random: nothing is lost
that was not counted, and nothing is left behind.

A herd is one testpmd with several guests, each a virtio-user port that forwards
to and from a pcap port, which gives the same frames for ever and throws away what
it gets. Guest n of one herd talks to guest n of another.
"""

import os
import random
import time
from collections import Counter

import frames
import settings
import traffic
from processes import check, wait_until
from testpmd import START_SECONDS, Testpmd
from vswitch import VhostSwitch

# Frames that a guest sends over and over.
ROUND = 64
RESTART_SECONDS = (0.5, 2.0)
QUIET_SECONDS = 60
STEADY_SECONDS = 1
SETTLE_SECONDS = 10
SLACK_KIB = 1024
# What a ring holds, and so what may be under way when a guest goes.
RING = 256
# How a herd goes.
ORDERLY, KILLED = "left", "killed"


class Herd(Testpmd):
    """Some guests of the switch in one process."""

    def __init__(self, bench, name, guests, peer_of, packed):
        self.guests = guests
        vdevs = []
        for number in guests:
            path = bench.path(f"round-{number}")
            if not os.path.exists(path):
                frames.write(path, traffic.make(traffic.mac(number), traffic.mac(peer_of(number)), f"soak{number}",
                                                ROUND))
            vdevs += [f"net_virtio_user{number},path={bench.path(f'vhost{number}')},"
                      f"mac={traffic.text(traffic.mac(number))},packed_vq={int(packed)}",
                      f"net_pcap{number},rx_pcap={path},infinite_rx=1"]
        super().__init__(bench, name, vdevs, ["--forward-mode=io"], forwarders=2)

    def ready(self, seconds=START_SECONDS):
        """Wait for the prompt, and make sure that ports are in the expected order."""
        super().ready(seconds)
        for number in self.guests:
            address = traffic.text(traffic.mac(number))
            self.command_ok(f"show port info {self.port_of(number)}", f"(?i){address}")
        return self

    def port_of(self, number):
        """The port of one of its guests."""
        return 2 * self.guests.index(number)

    def run(self):
        """From now on at full load."""
        self.command("stop")
        self.command("set fwd io")
        self.command("set portlist " + ",".join(map(str, range(2 * len(self.guests)))))
        self.command_ok("start", "packet forwarding")

    def only_receive(self):
        """Send nothing more, but go on taking what comes."""
        self.command("stop")
        # Files alone would still give.
        self.command("set fwd rxonly")
        self.command("set portlist " + ",".join(str(self.port_of(number)) for number in self.guests))
        self.command_ok("start", "packet forwarding")

    def settled_counters(self, number):
        """Counters of one of its guests when its ring is empty."""
        seen = [None]

        def still():
            seen.append(self.port_counters(self.port_of(number)))
            return seen[-1] == seen[-2]

        wait_until(still, QUIET_SECONDS, f"guest {number} to come to rest")
        return seen[-1]

    def counters(self):
        """Counters of all its guests."""
        return {number: self.port_counters(self.port_of(number)) for number in self.guests}


class Footprint:
    """What the switch holds while all its guests are there and nothing moves."""

    def __init__(self, switch):
        self.descriptors = switch.descriptors()
        self.heap_blocks = switch.ask("/eal/heap_info,0")["Alloc_count"]
        self.resident_kib = switch.resident_kib()

    def check_no_growth(self, switch, restarts):
        """Fail if there is more now, and stays; some things are given back a little later, in bundles."""

        # how much more is no leak: a leak shows at each guest of a herd at each restart
        slack = {"descriptors": settings.current.herd, "heap_blocks": settings.current.herd,
                 "resident_kib": SLACK_KIB}

        def growth():
            later = Footprint(switch)
            return {what: getattr(later, what) - getattr(self, what) for what in slack
                    if getattr(later, what) - getattr(self, what) > slack[what]}

        deadline = time.monotonic() + SETTLE_SECONDS
        while (found := growth()) and time.monotonic() < deadline:
            time.sleep(0.2)
        check(not found, f"there is more after {restarts} restarts of {settings.current.herd} guests: {found}")


class Soak:
    """The switch, the herds and what is known about them."""

    def __init__(self, bench, guests, packed, others=(), options=()):
        self.herd = settings.current.herd
        check(guests % (2 * self.herd) == 0, f"guests must be a multiple of {2 * self.herd}")
        self.bench = bench
        self.packed = packed
        self._began = time.monotonic()
        self.started = 0
        # What the switch had counted for a guest when it came.
        self.base = dict.fromkeys(range(1, guests + 1), Counter())
        # Frames that a guest has thrown away when it started: virtio-user empties its ring then.
        self.discarded = dict.fromkeys(self.base, 0)
        self.names = [f"vhost{number}" for number in self.base]
        self.switch = VhostSwitch(bench, [*self.names, *others], options, workers=2).ready()
        self.tell("the switch is there")
        self.herds = [self._start(index) for index in range(guests // self.herd)]
        for herd in self.herds:
            herd.ready()
            self.tell(f"{herd.name} is there")
        self.wait_guests()
        self.tell("the switch polls them")

    def tell(self, what):
        """Where the soak is, and since when."""
        print(f"soak: {what} after {time.monotonic() - self._began:.0f} s", flush=True)

    def wait_guests(self):
        """All are there, and nobody else."""
        self.switch.wait_guests(self.names)

    def _start(self, index):
        first = index * self.herd + 1
        self.started += 1
        return Herd(self.bench, f"herd{index}-{self.started}", list(range(first, first + self.herd)), self.peer_of,
                    self.packed)

    def peer_of(self, number):
        """The guest that this one talks to: the same one of the neighbouring herd."""
        return number + self.herd if (number - 1) // self.herd % 2 == 0 else number - self.herd

    def restart(self, index, how):
        """One herd goes, in this way or the other, and comes back."""
        herd = self.herds[index]
        theirs = None
        if how == ORDERLY:
            herd.command("stop")
            theirs = herd.counters()
            herd.quit()
        else:
            herd.kill()
        for number in herd.guests:
            self.switch.wait_gone(f"vhost{number}")
            if theirs:
                self._check_parting(number, theirs[number])
            self.base[number] = self._counted(number)
            self.discarded.pop(number, None)
        self.herds[index] = self._start(index).ready()
        self.wait_guests()
        self.herds[index].run()

    def _counted(self, number):
        return Counter(self.switch.info(f"vhost{number}")["counters"])

    def _check_parting(self, number, theirs):
        """A guest that goes leaves behind at most what its rings hold, and may have discarded as much at its start."""
        ours = self._counted(number)
        ours.subtract(self.base[number])
        for what, count, most in (("sent", theirs["TX-packets"] - ours["rx_packets"], RING),
                                  ("received", ours["tx_packets"] - theirs["RX-packets"], 2 * RING)):
            check(0 <= count <= most, f"guest {number} went with {count} frames {what} that nobody else knows of")

    def warm_up(self):
        """Each way to restart once, under load: what is allocated once is there."""
        for herd in self.herds:
            herd.run()
        for how in (ORDERLY, KILLED):
            self.restart(0, how)
        self.come_to_rest()

    def come_to_rest(self):
        """Nobody sends any more: guests and switch have counted the same; the totals."""
        for herd in self.herds:
            herd.only_receive()
        totals = self.switch.settled_totals()
        for herd in self.herds:
            for number in herd.guests:
                self._check_counters(herd, number)
        self.check_sums(totals["received"], sum(self._counted(number)["rx_packets"] for number in self.base))
        return totals

    def check_sums(self, received, of_guests):
        """What the switch has received is what its guests have sent."""
        check(received == of_guests, "sums differ")

    def _check_counters(self, herd, number):
        ours = self._counted(number)
        ours.subtract(self.base[number])
        theirs = herd.settled_counters(number)
        for unit in ("packets", "bytes"):
            check(ours[f"rx_{unit}"] == theirs[f"TX-{unit}"],
                  f"guest {number} has sent {theirs[f'TX-{unit}']} {unit}, "
                  f"the switch has received {ours[f'rx_{unit}']}")
        missing = ours["tx_packets"] - theirs["RX-packets"]
        check(0 <= missing <= RING and self.discarded.setdefault(number, missing) == missing,
              f"guest {number} lacks {missing} frames of {ours['tx_packets']}, {self.discarded[number]} of them "
              "since it started")

    def run(self, seconds, dice):
        """Full load and restarts for this long; how many there were of each kind."""
        for herd in self.herds:
            herd.run()
        done = Counter()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(dice.uniform(*RESTART_SECONDS))
            done[self.disturb(dice)] += 1
        return done

    def disturb(self, dice):
        """Do something to somebody; what it was."""
        how = dice.choice((ORDERLY, KILLED))
        self.restart(dice.randrange(len(self.herds)), how)
        return how

    def end(self):
        """All leave; every mbuf is back in its pool; the switch ends well."""
        for herd in self.herds:
            herd.command("stop")
            herd.quit()
        for name in self.names:
            self.switch.wait_gone(name)

        def all_back():
            return all(pool["available"] == pool["mbufs"] for pool in self.switch.pools().values())

        wait_until(all_back, QUIET_SECONDS, "all mbufs to be back in their pools")
        self.switch.stop()


def run_soak(bench, packed, kind=Soak):
    """Warm up, soak, come to rest, compare."""
    options = settings.current
    dice = random.Random(options.seed)
    print(f"soak: {options.guests} guests, {options.seconds} s, seed {options.seed}", flush=True)
    soak = kind(bench, options.guests, packed)
    soak.warm_up()
    soak.tell("it begins")
    before = Footprint(soak.switch)
    done = soak.run(options.seconds, dice)
    soak.tell(f"it ends, {sum(done.values())} acts,")
    soak.come_to_rest()
    # Once more without restarts: now nothing at all may be missing.
    for herd in soak.herds:
        herd.run()
    time.sleep(STEADY_SECONDS)
    totals = soak.come_to_rest()
    before.check_no_growth(soak.switch, sum(done.values()))
    print(f"soak: {dict(done)}, {totals['received']} received, {totals['sent']} sent, {totals['flood_copies']} copies, "
          f"dropped {dict((why, count) for why, count in totals['drops'].items() if count)}", flush=True)
    check(totals["received"] > 0 and totals["sent"] > 0, "nothing was carried")
    soak.end()


def cases():
    """Name and function of each case."""
    yield "soak-split", lambda bench: run_soak(bench, False)
    yield "soak-packed", lambda bench: run_soak(bench, True)
