# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Who gets which frame: flooding, learning, ageing, tags, odd frames. Frames are sent one by one."""

import struct
import time

import frames
import traffic
from processes import check, wait_until
from station import Station
from vswitch import VhostSwitch

STRANGER = traffic.mac(0x7777)
AGE_SECONDS = 2
# Lengths from one byte on, through the end of the addresses, the type, a tag, and the shortest of Ethernet.
HEADER = 14
RUNTS = (1, 6, 12, 13, 14, 15, 17, 18, 20, 42, 59)


class Segment:
    """Some stations at one switch, and what each of them should have received so far."""

    def __init__(self, bench, count, options=()):
        self._bench = bench
        self.stations, self._expected, self._sent = {}, {}, 0
        self.switch = VhostSwitch(bench, [f"vhost{number}" for number in range(1, count + 1)], options).ready()
        for number in range(1, count + 1):
            self.join(number, f"station{number}")

    def join(self, number, name):
        """A station comes, also for the second time."""
        self.stations[number] = Station(self._bench, name, self._bench.path(f"vhost{number}"), number).ready()
        self._expected[number] = []
        self.switch.wait_guests([f"vhost{number}" for number in self.stations])
        self.stations[number].begin()

    def part(self, number):
        """A station leaves."""
        self.stations.pop(number).leave()
        self.switch.wait_gone(f"vhost{number}")

    def send_freely(self, source, batch, what):
        """Send frames from one station and wait until the switch has dealt with them."""
        self.stations[source].send_frames(batch)
        self._sent += len(batch)
        wait_until(lambda: self.switch.totals()["received"] == self._sent, 20, f"{what}: the frames at the switch")
        self.switch.settled_totals()

    def send(self, source, batch, receivers, what):
        """Send frames from one station; exactly these others get them."""
        self.send_freely(source, batch, what)
        for number in receivers:
            self._expected[number] += batch
        self.check_received(what)

    def check_received(self, what):
        """Everybody has got what was expected and nothing else. All is on its way by now."""
        for number, station in self.stations.items():
            wanted = self._expected[number]
            wait_until(lambda s=station, w=wanted: len(s.received()) >= max(len(w), s.received_count()), 20,
                       f"{what}: {len(wanted)} frames in all at station {number}")
            came = station.received()
            check(came == wanted, f"{what}: station {number} got {len(came)} frames in all instead of {len(wanted)}"
                                  + ("" if len(came) != len(wanted) else ", or not the right ones"))

    def forget(self):
        """What was received up to now is not looked at again."""
        for number, station in self.stations.items():
            self._expected[number] = list(station.received())

    def knows(self, address):
        """Where the switch thinks an address lives, or None."""
        return self.switch.home_of(address)

    def age(self, address):
        """Seconds since an address was heard of."""
        return self.switch.ask(f"/vhost_switch/fdb_lookup,{traffic.text(address)}")["age"]

    def table(self):
        """Figures of the table of addresses."""
        return self.switch.ask("/vhost_switch/fdb")

    def drops(self):
        """What was dropped so far, by reason, without zeros."""
        return {reason: count for reason, count in self.switch.totals()["drops"].items() if count}

    def end(self):
        """Audit and end everything; the totals."""
        self.switch.audit({f"vhost{number}": station for number, station in self.stations.items()})
        for station in self.stations.values():
            station.leave()
        return self.switch.stop()


def frame(source, destination, stream, count=1, **options):
    """Frames by numbers of stations or addresses."""
    source, destination = (traffic.mac(end) if isinstance(end, int) else end for end in (source, destination))
    return traffic.make(source, destination, stream, count, **options)


def run_flooding(bench):
    """Broadcast, multicast and what is not known go to everybody else; what is known to one only."""
    net = Segment(bench, 4)
    net.send(1, frame(1, STRANGER, "unknown"), (2, 3, 4), "unknown unicast")
    net.send(2, frame(2, 1, "known"), (1,), "to a learned address")
    net.send(3, frame(3, traffic.BROADCAST, "broad", 5), (1, 2, 4), "broadcast")
    net.send(4, frame(4, traffic.MULTICAST, "multi", 5), (1, 2, 3), "multicast")
    # Everybody has sent something by now.
    for source, destination in ((1, 2), (2, 3), (3, 4), (4, 1), (1, 3)):
        net.send(source, frame(source, destination, f"{source}to{destination}", 5), (destination,), "unicast")
    check(not net.drops(), f"drops: {net.drops()}")
    table = net.table()
    check(table["entries"] == 4 and table["learned"] == 4, f"not four addresses learned: {table}")
    copies = net.end()["flood_copies"]
    check(copies == (1 + 5 + 5) * 2, f"{copies} flood copies")


def run_learning(bench):
    """An address that appears elsewhere is from then on there."""
    net = Segment(bench, 3)
    roamer = traffic.mac(0x99)
    net.send(1, frame(roamer, traffic.BROADCAST, "here"), (2, 3), "the roamer at 1")
    net.send(3, frame(3, roamer, "to1"), (1,), "to the roamer at 1")
    # One that appears here and there at the same time stays for a second at least.
    wait_until(lambda: net.age(roamer) > 1, 20, "the roamer to be old enough to move")
    net.send(2, frame(roamer, traffic.BROADCAST, "there"), (1, 3), "the roamer at 2")
    net.send(3, frame(3, roamer, "to2"), (2,), "to the roamer at 2")
    check(net.knows(roamer) == "vhost2", f"the table says {net.knows(roamer)}")
    check(net.table()["moved"] == 1, "the move is not counted")
    # From where it lives itself, also as its own source.
    net.send(2, frame(2, roamer, "home"), (), "to the own port")
    net.send(2, frame(roamer, roamer, "self"), (), "to itself")
    check(net.drops() == {"same_port": 2}, f"drops: {net.drops()}")
    # Nobody has such an address, whatever becomes of the frame.
    before = net.table()["entries"]
    for number, source in enumerate((traffic.BROADCAST, traffic.MULTICAST, bytes(6))):
        net.send_freely(1, frame(source, traffic.mac(3), f"from{number}"), "group or zero source")
    check(net.table()["entries"] == before, "addresses that are none are learned")
    net.end()


def run_leaving(bench):
    """When a guest goes its addresses are forgotten, and it can come back."""
    net = Segment(bench, 3)
    for number in net.stations:
        net.send(number, frame(number, traffic.BROADCAST, f"hello{number}"),
                 net.stations.keys() - {number}, "broadcast")
    before = net.stations[3].received_count()
    net.part(3)
    info = net.switch.info("vhost3")
    check(not info["connected"] and info["counters"]["tx_packets"] == before,
          f"a guest that has left is not as it was: {info}")
    net.send(1, frame(1, 3, "gone"), (2,), "to a guest that has left")
    net.join(3, "again3")
    net.send(1, frame(1, 3, "back"), (2, 3), "to a guest that came back, not yet learned")
    net.send(3, frame(3, 2, "learn"), (2,), "from it")
    net.send(1, frame(1, 3, "direct"), (3,), "to it")
    counters = net.switch.info("vhost3")["counters"]
    check(counters["tx_packets"] == before + 2, f"the counters do not go on: {counters}")
    for station in net.stations.values():
        station.leave()
    net.switch.stop()


def run_ageing(bench):
    """An address that is not heard of is forgotten, one that is heard of stays."""
    net = Segment(bench, 3, [f"--mac-age={AGE_SECONDS}"])
    net.send(1, frame(1, traffic.BROADCAST, "one"), (2, 3), "broadcast")
    net.send(2, frame(2, traffic.BROADCAST, "two"), (1, 3), "broadcast")
    wait_until(lambda: net.table()["entries"] == 0, 10 * AGE_SECONDS, "the addresses to age")
    check(net.table()["aged"] == 2, f"ageing is not counted: {net.table()}")
    net.send(3, frame(3, 1, "flooded"), (1, 2), "to an address that has aged")
    # Station 1 talks for longer than the age, and is known all the time.
    net.send(1, frame(1, traffic.BROADCAST, "hello"), (2, 3), "broadcast")
    deadline = time.monotonic() + 2 * AGE_SECONDS
    number = 0
    while time.monotonic() < deadline:
        net.send(1, frame(1, traffic.BROADCAST, f"alive{number}"), (2, 3), "keeping alive")
        net.send(3, frame(3, 1, f"answer{number}"), (1,), "to an address that is heard of")
        number += 1
    net.end()


def run_small_table(bench):
    """More addresses than the table holds: forwarding goes on, by flooding."""
    net = Segment(bench, 3, ["--mac-entries=64"])
    many = [traffic.mac(0x4000 + number) for number in range(200)]
    net.send(1, [frame(source, traffic.BROADCAST, f"many{number}")[0] for number, source in enumerate(many)],
             (2, 3), "200 sources")
    table = net.table()
    check(table["entries"] <= table["limit"] == 64 and table["refused"] > 0, f"the table: {table}")
    for number in (0, 199):
        known = net.knows(many[number])
        net.send(2, frame(2, many[number], f"reply{number}"), (1,) if known else (1, 3), "a reply")
    net.end()


def run_tags(bench):
    """VLAN tags pass untouched, one or two, with priority, to one or to all, and do not split the table."""
    net = Segment(bench, 3)
    one = traffic.tag(5, priority=6)
    two = traffic.tag(100, kind=traffic.SERVICE_VLAN) + traffic.tag(0xFFF, priority=7)
    for number, tags in enumerate((one, two, traffic.tag(0), traffic.tag(1))):
        net.send(1, frame(1, traffic.BROADCAST, f"broad{number}", 3, tags=tags), (2, 3), "tagged broadcast")
        net.send(2, frame(2, 1, f"uni{number}", 3, tags=tags, longest=frames.LONGEST_STANDARD), (1,), "tagged unicast")
    check(not net.drops(), f"drops: {net.drops()}")
    net.end()


def run_odd_frames(bench):
    """Frames that are too short for Ethernet, or say nonsense, neither stop the switch nor vanish."""
    net = Segment(bench, 3)
    net.send(2, frame(2, traffic.BROADCAST, "hello"), (1, 3), "broadcast")
    start = traffic.mac(2) + traffic.mac(1) + struct.pack(">H", frames.ETHERTYPE) + bytes(64)
    for length in RUNTS:
        dropped = net.drops().get("malformed", 0)
        net.send_freely(1, [start[:length]], f"a frame of {length} bytes")
        forwarded = net.drops().get("malformed", 0) == dropped
        check(forwarded == (length >= HEADER), f"a frame of {length} bytes was {'not ' * (not forwarded)}forwarded")
    whole = [start[:length] for length in RUNTS if length >= HEADER]
    came = net.stations[2].wait_received(len(whole))
    check(came == whole, "short frames arrived changed")
    net.forget()
    # Headers of protocols that end too early, and lengths that lie: a switch has no business with them.
    nonsense = [traffic.mac(2) + traffic.mac(1) + bytes.fromhex(tail) + bytes(46) for tail in (
        "0800", "08004500ffff", "0800460000000000000006", "86dd6000ffff", "8100", "81000005", "88a8000181000002",
        "0806", "88cc", "05dc", "ffff")]
    net.send(1, nonsense, (2,), "nonsense")
    net.end()


def cases():
    """Name and function of each case."""
    yield "bridge-flooding", run_flooding
    yield "bridge-learning", run_learning
    yield "bridge-leaving", run_leaving
    yield "bridge-ageing", run_ageing
    yield "bridge-small-table", run_small_table
    yield "bridge-tags", run_tags
    yield "bridge-odd-frames", run_odd_frames
