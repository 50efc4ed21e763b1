# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Guests and ports: pcap files, a ring that loops back, a tap and a packet socket with the host behind them."""

import hashlib

import frames
import netns
import traffic
from guests import QemuGuest
from pings import hear_pings
from processes import check, wait_until
from station import Station
from vswitch import VhostSwitch

FRAMES = 300
SLICE = 50
TAP = "vhtap0"
HOST, GUEST = "10.9.9.1", "10.9.9.2"
PORT = 5001
MEBIBYTES = 32
TRANSFER_SECONDS = 120
HOST_END, SWITCH_END = "vhhost0", "vhswitch0"


def run_pcap(bench):
    """From file to file through the switch without any guest, and from a guest to a file."""
    before = traffic.make(traffic.mac(0x50), traffic.mac(0x51), "file", FRAMES)
    frames.write(bench.path("in.pcap"), before)
    switch = VhostSwitch(bench, ["vhost1"], ["-p", "0x3"], eal=[
        f"--vdev=net_pcap0,rx_pcap={bench.path('in.pcap')},tx_pcap={bench.path('out0.pcap')}",
        f"--vdev=net_pcap1,tx_pcap={bench.path('out1.pcap')}"]).ready()
    out = [traffic.Sink(bench.path(f"out{number}.pcap")) for number in (0, 1)]
    wait_until(lambda: len(out[1].update()) >= FRAMES, 20, "the file at the other port")
    check(out[1].frames == before, "the file has changed on its way")
    station = Station(bench, "station", bench.path("vhost1"), 1).ready()
    switch.wait_guests(["vhost1", "net_pcap0", "net_pcap1"])
    station.begin()
    known = traffic.make(station.address, traffic.mac(0x50), "known", FRAMES)
    unknown = traffic.make(station.address, traffic.mac(0x52), "unknown", FRAMES)
    for batch in (known, unknown):
        station.send_frames(batch)
        wait_until(lambda b=batch: out[0].update()[-1:] == b[-1:], 20, "the last frame at the first port")
    wait_until(lambda: len(out[1].update()) >= 2 * FRAMES, 20, "frames at the second port")
    check(out[0].frames == known + unknown, "the first port did not get what was for it")
    check(out[1].frames == before + unknown, "the second port did not get what was for it")
    switch.audit({"vhost1": station, "net_pcap0": None, "net_pcap1": None})
    station.leave()
    switch.stop()


def run_ring(bench):
    """A port on which everything comes back: each guest hears all broadcasts from there, also its own."""
    switch = VhostSwitch(bench, ["vhost1", "vhost2"], ["-p", "0x1"], eal=["--vdev=net_ring0"]).ready()
    stations = [Station(bench, f"station{number}", bench.path(f"vhost{number}"), number).ready() for number in (1, 2)]
    switch.wait_guests(["vhost1", "vhost2", "net_ring0"])
    for station in stations:
        station.begin()
    broadcast = traffic.make(stations[0].address, traffic.BROADCAST, "broadcast", SLICE)
    stations[0].send_frames(broadcast)
    check(stations[0].wait_received(SLICE) == broadcast, "not every broadcast has come back unharmed")
    twice = sorted(stations[1].wait_received(2 * SLICE))
    check(twice == sorted(2 * broadcast), "the other did not hear each one twice")
    where = switch.home_of(stations[0].address)
    check(where in ("net_ring0", "vhost1"), f"station 1 is learned at {where}")
    totals = switch.audit({"vhost1": stations[0], "vhost2": stations[1], "net_ring0": None})
    check(totals["received"] == 2 * SLICE and totals["sent"] == 4 * SLICE, f"totals: {totals}")
    for station in stations:
        station.leave()
    switch.stop()


def run_null(bench):
    """A port that takes everything, and one that gives for ever: all is counted, guests get through."""
    switch = VhostSwitch(bench, ["vhost1"], ["-p", "0x1"], eal=["--vdev=net_null0,no-rx=1"]).ready()
    station = Station(bench, "station", bench.path("vhost1"), 1).ready()
    switch.wait_guests(["vhost1", "net_null0"])
    station.begin()
    station.send_frames(traffic.make(station.address, traffic.mac(2), "null", FRAMES))
    wait_until(lambda: switch.totals()["received"] == FRAMES, 20, "all frames at the switch")
    totals = switch.audit({"vhost1": station, "net_null0": None})
    check(totals["sent"] == FRAMES, f"totals: {totals}")
    station.leave()
    switch.stop()


def run_orders(bench):
    """All that can be typed at the prompt can be said over telemetry, and wrong words are told why."""
    switch = VhostSwitch(bench, ["vhost1"], ["-p", "0x1"], eal=["--vdev=net_null0,no-rx=1"]).ready()
    station = Station(bench, "station", bench.path("vhost1"), 1).ready()
    switch.wait_guests(["vhost1", "net_null0"])
    station.begin()
    station.send_frames(traffic.make(station.address, traffic.mac(2), "orders", FRAMES))
    wait_until(lambda: switch.home_of(station.address) == "vhost1", 20, "the station to be learned")
    page = switch.ask("/vhost_switch/fdb_show")
    check(page["next"] == -1 and len(page["addresses"]) == 1 and
          page["addresses"][0].lower().startswith(f"{station.address.hex(':')} vhost1 "), f"addresses: {page}")
    lcore = switch.ask("/vhost_switch/lcores")[0]
    for order in "rebalance", "fdb_flush", f"rxq_affinity,vhost1,0,{lcore}":
        check(switch.ask(f"/vhost_switch/{order}") == {"result": "done"}, f"{order} is not done")
    check(switch.home_of(station.address) is None, "the address is still known")
    check([row["pinned"] for row in switch.queues("vhost1")] == [1], "the queue is not pinned")
    switch.ask("/vhost_switch/rxq_affinity,vhost1,0,none")
    check([row["pinned"] for row in switch.queues("vhost1")] == [0], "the queue is still pinned")
    for wrong in ("rxq_affinity", "rxq_affinity,vhost1,0", "rxq_affinity,vhost1,x,0", "rxq_affinity,nobody,0,none",
                  "rxq_affinity,vhost1,0,99", "socket_restart", "socket_restart,vhost1", "info,nobody", "lcore,99",
                  "fdb_lookup,x", "fdb_show,x", "list,x", "lcores,0", "totals,x", "pools,0", "fdb,x", "fdb_flush,x",
                  "rebalance,x", "quit,7"):
        check(list(switch.ask(f"/vhost_switch/{wrong}")) == ["error"], f"{wrong} is answered without a reason")
    answer = switch.ask(f"/vhost_switch/socket_restart,{bench.path('vhost1')}")
    check(answer == {"result": "done"}, f"the socket is not started again: {answer}")
    check(switch.connected() == ["net_null0"], "the guest of a socket that was started again is still there")
    # it would send to a socket that is closed, and die of that
    station.kill()
    Station(bench, "next", bench.path("vhost1"), 1).ready()
    switch.wait_guests(["vhost1", "net_null0"])
    switch.ask("/vhost_switch/quit")
    switch.finish()


def start_with_tap(bench):
    """A switch with a tap and one socket."""
    return VhostSwitch(bench, ["vhost1"], ["-p", "0x1"], eal=[f"--vdev=net_tap0,iface={TAP}"],
                       launcher=netns.launcher()).ready()


def start_with_packet_socket(bench):
    """A switch with one end of a pair of Ethernet devices, of which the host has the other."""
    switch = VhostSwitch(
        bench, ["vhost1"], ["-p", "0x1"], eal=[f"--vdev=net_af_packet0,iface={SWITCH_END}"],
        launcher=netns.launcher(f"ip link add {HOST_END} type veth peer name {SWITCH_END}; "
                                f"ip link set {HOST_END} up; ip link set {SWITCH_END} up; ")).ready()
    netns.send_nothing_unfinished(switch, HOST_END)
    return switch


def run_wire(bench, start, port, interface):
    """Frames of all sizes, tagged ones among them, both ways between a guest and the host's interface."""
    switch = start(bench)
    station = Station(bench, "station", bench.path("vhost1"), 1).ready()
    switch.wait_guests(["vhost1", port])
    station.begin()
    wire = netns.Wire(switch, interface)
    host = traffic.mac(0x60)
    to_host = traffic.make(station.address, host, "up", FRAMES)
    to_guest = (traffic.make(host, station.address, "down", FRAMES - 20) +
                traffic.make(host, station.address, "tagged", 20, tags=traffic.tag(7), longest=1000))
    for at in range(0, FRAMES, SLICE):
        station.send_frames(to_host[at:at + SLICE])
        wire.wait_received(at + SLICE)
        wire.send(to_guest[at:at + SLICE])
        station.wait_received(at + SLICE)
    check(wire.received() == to_host, "the host did not get what the guest sent")
    check(station.received() == to_guest, "the guest did not get what the host sent")
    wire.close()
    switch.audit({"vhost1": station, port: None})
    station.leave()
    switch.stop()


TALK = f"""
say pings 56 $(pings 50 56 {HOST})
say pings 1472 $(pings 50 1472 {HOST})
dd if=/dev/urandom of=/tmp/data bs=1M count={MEBIBYTES} 2>/dev/null
say sum $(md5sum < /tmp/data)
until nc {HOST} {PORT} < /tmp/data; do usleep 100000; done
say sent
nc -l -p {PORT + 1} > /tmp/back
say back $(md5sum < /tmp/back)
"""


def run_linux(bench, start, port, interface, device):
    """A Linux guest pings the host, and a file goes up and down over TCP with the guest's offloads on."""
    switch = start(bench)
    for words in (("addr", "add", f"{HOST}/24", "dev", interface), ("link", "set", interface, "up")):
        netns.run(switch, "ip", *words)
    stored = bench.path("stored")
    store = netns.start(bench, "store", switch, "sh", "-c", f"busybox nc -l -p {PORT} > {stored}")
    guest = QemuGuest(bench, "guest", bench.path("vhost1"), GUEST, TALK, device=device)
    guest.wait_ready()
    for size in (56, 1472):
        lost, _ = hear_pings(guest, f"pings {size}", 50)
        check(lost == 0, f"{lost} pings of {size} bytes lost")
    sent, = guest.hear("sum ([0-9a-f]+) .*", TRANSFER_SECONDS)
    guest.hear("sent", TRANSFER_SECONDS)
    store.finish(TRANSFER_SECONDS)
    check(md5(stored) == sent, f"the file arrived at the host as {md5(stored)} instead of {sent}")
    fetch = netns.start(bench, "fetch", switch, "sh", "-c",
                        f"until busybox nc {GUEST} {PORT + 1} < {stored}; do sleep 0.1; done")
    fetch.finish(TRANSFER_SECONDS)
    back, = guest.hear("back ([0-9a-f]+) .*", TRANSFER_SECONDS)
    check(back == sent, f"the file came back as {back} instead of {sent}")
    complaints = guest.kernel_complaints()
    check(not complaints, f"the guest's kernel: {complaints[:1]}")
    guest.finish()
    switch.wait_gone("vhost1")
    switch.audit({"vhost1": None, port: None})
    switch.stop()


def md5(path):
    """The sum of a file as md5sum prints it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def cases():
    """Name and function of each case."""
    tap = start_with_tap, "net_tap0", TAP
    packet = start_with_packet_socket, "net_af_packet0", HOST_END
    yield "ports-pcap", run_pcap
    yield "ports-ring", run_ring
    yield "ports-null", run_null
    yield "ports-orders", run_orders
    yield "ports-tap-frames", lambda bench: run_wire(bench, *tap)
    yield "ports-af-packet-frames", lambda bench: run_wire(bench, *packet)
    yield "ports-tap-linux", lambda bench: run_linux(bench, *tap, "")
    yield "ports-tap-linux-packed", lambda bench: run_linux(bench, *tap, "packed=on")
    yield "ports-af-packet-linux", lambda bench: run_linux(bench, *packet, "")
