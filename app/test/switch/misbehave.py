# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Guests that hang, die, or talk nonsense disturb nobody else."""

import random
import socket
import struct

import frames
import traffic
from processes import check, wait_until
from station import Station
from vswitch import VhostSwitch

BATCH = 500
# More than a ring holds.
FLOOD = 2000
GIBBERISH = (b"", b"\0", b"GET / HTTP/1.0\r\n\r\n", random.Random("gibberish").randbytes(4000),
             struct.pack("<III", 1, 1, 0xFFFFFFFF),
             struct.pack("<III", 0xFFFF, 1, 8) + bytes(8), struct.pack("<III", 5, 1, 0x7FFFFFF0) + bytes(64),
             struct.pack("<IIIQ", 2, 1, 8, 0xFFFFFFFFFFFFFFFF), struct.pack("<IIIQ", 1, 2, 8, 0))


def start(bench, count, options=(), workers=1):
    """A switch and stations that have all said hello."""
    names = [f"vhost{number}" for number in range(1, count + 1)]
    switch = VhostSwitch(bench, names, options, workers=workers).ready()
    stations = {number: Station(bench, f"station{number}", bench.path(name), number)
                for number, name in enumerate(names, 1)}
    for station in stations.values():
        station.ready()
    switch.wait_guests(names)
    for station in stations.values():
        station.begin()
    for number, station in stations.items():
        station.send_frames(traffic.make(station.address, traffic.BROADCAST, f"hello{number}"))
    for station in stations.values():
        station.wait_received(count - 1)
    return switch, stations


def to(source, destination, stream, count, **options):
    """Frames from one station to another."""
    return traffic.make(source.address, destination.address, stream, count, **options)


def deliver(source, destination, stream, count=BATCH):
    """Frames from one station to another all arrive unharmed, in slices that fit a ring."""
    batch = to(source, destination, stream, count)
    before = len(destination.received())
    for at in range(0, count, 100):
        source.send_frames(batch[at:at + 100])
        destination.wait_received(before + min(at + 100, count))
    check(destination.received()[before:] == batch, f"{stream}: not what was sent")


def run_hang(bench, options, workers):
    """A guest stops for good: what goes to it is dropped and counted, all others go on; when it wakes, so does it."""
    switch, (one, two, three) = (lambda s, m: (s, m.values()))(*start(bench, 3, options, workers))
    deliver(one, two, "before", 100)
    taken = len(two.received())
    two.hang()
    flood = to(one, two, "flood", FLOOD, longest=frames.SHORTEST)
    one.send_frames(flood)
    # One can only talk to three if what it sends to two does not stay in its way.
    deliver(one, three, "one-three")
    deliver(three, one, "three-one")
    totals = switch.settled_totals()
    lost = totals["drops"]["ring_full"]
    check(lost > 0, f"nothing was dropped: {totals['drops']}")
    told = switch.info("vhost2")
    check(told["drops"]["ring_full"] == lost, "the drops are not those of the guest that hangs")
    check(told["queue_dropped"] == [lost], f"nor those of its queue: {told['queue_dropped']}")
    # Broadcasts reach the others all the same.
    before = len(three.received())
    one.send_frames(traffic.make(one.address, traffic.BROADCAST, "broadcast", 10))
    three.wait_received(before + 10)
    broadcast_lost = switch.settled_totals()["drops"]["ring_full"] - lost
    two.resume()
    came = two.wait_received(taken + FLOOD - lost + 10 - broadcast_lost)
    check(traffic.lost([flood], [[frame for frame in came[taken:] if frame[:6] == two.address]], "the flood") == lost,
          "not all that is missing was counted")
    deliver(one, two, "after")
    deliver(two, three, "after-two")
    switch.audit({"vhost1": one, "vhost2": two, "vhost3": three})
    for station in (one, two, three):
        station.leave()
    switch.stop()


def run_hang_and_die(bench):
    """A guest that hangs is killed: it is forgotten, and comes back."""
    switch, stations = start(bench, 3)
    stations[2].hang()
    stations[1].send_frames(to(stations[1], stations[2], "flood", FLOOD, longest=frames.SHORTEST))
    deliver(stations[1], stations[3], "meanwhile")
    stations[2].kill()
    switch.wait_gone("vhost2")
    deliver(stations[3], stations[1], "afterwards")
    stations[2] = Station(bench, "again2", bench.path("vhost2"), 2).ready()
    switch.wait_guests(["vhost1", "vhost2", "vhost3"])
    stations[2].begin()
    stations[2].send_frames(traffic.make(stations[2].address, traffic.BROADCAST, "again"))
    stations[1].wait_received(len(stations[1].received()))
    wait_until(lambda: switch.home_of(stations[2].address) == "vhost2", 20, "the guest to be learned again")
    deliver(stations[1], stations[2], "back")
    switch.settled_totals()
    for station in stations.values():
        station.leave()
    switch.stop()


def run_stop_with_hung_guest(bench):
    """A guest that hangs does not keep the switch from ending."""
    switch, stations = start(bench, 2)
    stations[2].hang()
    stations[1].send_frames(to(stations[1], stations[2], "flood", FLOOD, longest=frames.SHORTEST))
    wait_until(lambda: switch.totals()["drops"]["ring_full"] > 0, 20, "drops")
    switch.stop()


def run_gibberish(bench):
    """Connections that speak something else, or nothing, are nobody's business but their own."""
    switch, stations = start(bench, 2)
    silent = []
    descriptors = switch.descriptors()
    for nonsense in GIBBERISH:
        with socket.socket(socket.AF_UNIX) as talk:
            talk.connect(bench.path("vhost1"))
            try:
                talk.sendall(nonsense)
            except OSError:
                pass
        deliver(stations[1], stations[2], f"g{GIBBERISH.index(nonsense)}", 50)
    for _ in range(20):
        silent.append(socket.socket(socket.AF_UNIX))
        silent[-1].connect(bench.path("vhost2"))
    deliver(stations[2], stations[1], "beside")
    for talk in silent:
        talk.close()
    wait_until(lambda: switch.descriptors() <= descriptors, 20, "descriptors of strangers to be closed")
    check(sorted(switch.connected()) == ["vhost1", "vhost2"], f"guests: {switch.connected()}")
    switch.audit({"vhost1": stations[1], "vhost2": stations[2]})
    for station in stations.values():
        station.leave()
    switch.stop()


def run_second_guest(bench):
    """Two guests on one socket both get through, each under a name of its own."""
    switch = VhostSwitch(bench, ["vhost0"]).ready()
    names = ["vhost0", "vhost0.1", "vhost0.2"]
    stations = []
    for number in (1, 2, 3):
        stations.append(Station(bench, f"station{number}", bench.path("vhost0"), number).ready())
        switch.wait_guests(names[:number])
    for station in stations:
        station.begin()
    for source, destination in ((0, 1), (1, 2), (2, 0), (1, 0)):
        hello = traffic.make(stations[destination].address, traffic.BROADCAST, f"{source}{destination}")
        stations[destination].send_frames(hello)
        for number, station in enumerate(stations):
            if number != destination:
                wait_until(lambda s=station: s.received() and s.received()[-1][6:12] == stations[destination].address,
                           20, "a broadcast")
        deliver(stations[source], stations[destination], f"{source}to{destination}")
    switch.audit(dict(zip(names, stations)))
    # The names are given again.
    stations[1].leave()
    switch.wait_gone("vhost0.1")
    stations[1] = Station(bench, "again", bench.path("vhost0"), 2).ready()
    switch.wait_guests(names)
    for station in stations:
        station.leave()
    switch.stop()


def cases():
    """Name and function of each case."""
    yield "misbehave-hang", lambda bench: run_hang(bench, (), 1)
    yield "misbehave-hang-without-retry", lambda bench: run_hang(bench, ("--rx-retry=0",), 1)
    yield "misbehave-hang-two-lcores", lambda bench: run_hang(bench, (), 2)
    yield "misbehave-hang-and-die", run_hang_and_die
    yield "misbehave-stop-with-hung-guest", run_stop_with_hung_guest
    yield "misbehave-gibberish", run_gibberish
    yield "misbehave-second-guest", run_second_guest
