# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Two Linux guests, TCP both ways at once, with and without offloads of checksums and segments."""

from guests import BUSYBOX, QemuGuest, UmlGuest
from processes import check
from vswitch import VhostSwitch

MEBIBYTES = 32
PORT = 5001
TRANSFER_SECONDS = 180
# The features that make a large segment cross in one piece.
OFFLOADS = {"CSUM", "GUEST_CSUM", "GUEST_TSO4", "HOST_TSO4"}
LARGEST_FRAME = 1514
ADDRESSES = {1: "10.9.9.2", 2: "10.9.9.3"}
NO_RECEIVE_OFFLOADS = "guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off"


def script(peer, mebibytes):
    """Send a file to the peer's address and receive one from there, at the same time."""
    # nc takes the end of the other's input for the end of all: nobody's input ends early.
    return f"""
{BUSYBOX} mkfifo /tmp/endless
exec 9<> /tmp/endless
dd if=/dev/urandom of=/tmp/data bs=1M count={mebibytes} 2>/dev/null
say sent $(md5sum < /tmp/data)
nc -l -p {PORT} <&9 | md5sum > /tmp/sum &
until ping -q -c 1 -w 1 {peer} > /tmp/answer; do say waits for its peer; done
until nc {peer} {PORT} < /tmp/data; do usleep 100000; done
wait
say received $(cat /tmp/sum)
cd /sys/class/net/eth0/statistics
say traffic $(cat rx_bytes) $(cat rx_packets)
say bad $(awk '/^Tcp: [0-9]/ {{ print $14 }}' /proc/net/snmp)
say end
# Not before the other one has all of its file.
nc -l -p {PORT + 1} <&9
"""


def guest_pair(bench, device, peer_device):
    """Two QEMU guests with these device options."""
    return {number: QemuGuest(bench, f"guest{number}", bench.path(f"vhost{number}"), ADDRESSES[number],
                              script(ADDRESSES[3 - number], MEBIBYTES), device=options, mac=number)
            for number, options in ((1, device), (2, peer_device))}


def exchange(guests, offloads):
    """Both files arrive; for each guest, its mean length of received frames. offloads: what each must negotiate."""
    for number, guest in guests.items():
        negotiated = guest.wait_ready() & OFFLOADS
        check(negotiated == offloads[number], f"guest {number} has negotiated {negotiated}, not {offloads[number]}")
    sent = {number: guest.hear("sent ([0-9a-f]+) .*", TRANSFER_SECONDS)[0] for number, guest in guests.items()}
    lengths = {}
    for number, guest in guests.items():
        received, = guest.hear("received ([0-9a-f]+) .*", TRANSFER_SECONDS)
        check(received == sent[3 - number], f"guest {number} received a file with sum {received}, "
                                            f"not {sent[3 - number]}")
        volume, packets = map(int, guest.hear(r"traffic (\d+) (\d+)", 20))
        check(volume >= MEBIBYTES << 20, f"only {volume} bytes came through the device")
        lengths[number] = volume / packets
        bad, = guest.hear(r"bad (\d+)", 20)
        check(bad == "0", f"guest {number} has seen {bad} segments with errors")
        guest.hear("end", 20)
        complaints = guest.kernel_complaints()
        check(not complaints, f"the kernel of guest {number}: {complaints[:1]}")
    return lengths


def run_pair(bench, options, offloads, device="", peer_device=None, whole=(1, 2)):
    """One cell: options of the switch and of the devices, what is negotiated, who receives segments whole."""
    switch = VhostSwitch(bench, ["vhost1", "vhost2"], options).ready()
    guests = guest_pair(bench, device, device if peer_device is None else peer_device)
    lengths = exchange(guests, offloads)
    for number, length in lengths.items():
        check((length > LARGEST_FRAME) == (number in whole),
              f"guest {number} received {length:.0f} bytes in a frame, as if segments were "
              + ("cut" if number in whole else "whole"))
    totals = switch.audit({"vhost1": None, "vhost2": None})
    check((totals["gso_segments"] > 0) == (len(set(map(frozenset, offloads.values()))) > 1),
          f"segments cut by the switch: {totals['gso_segments']}")
    for guest in guests.values():
        guest.kill()
    for number in guests:
        switch.wait_gone(f"vhost{number}")
    switch.stop()


def run_uml(bench):
    """User-mode Linux and QEMU."""
    switch = VhostSwitch(bench, ["vhost1", "vhost2"]).ready()
    guests = {1: UmlGuest(bench, "guest1", bench.path("vhost1"), ADDRESSES[1], script(ADDRESSES[2], MEBIBYTES)),
              2: QemuGuest(bench, "guest2", bench.path("vhost2"), ADDRESSES[2], script(ADDRESSES[1], MEBIBYTES), mac=2)}
    exchange(guests, {1: OFFLOADS, 2: OFFLOADS})
    switch.audit({"vhost1": None, "vhost2": None})
    for guest in guests.values():
        guest.kill()
    switch.stop()


def cases():
    """Name and function of each case."""
    everything, nothing = {1: OFFLOADS, 2: OFFLOADS}, {1: set(), 2: set()}
    plain = {"CSUM", "GUEST_CSUM"}
    sends_only = OFFLOADS - {"GUEST_CSUM", "GUEST_TSO4"}
    yield "linux-offloads", lambda bench: run_pair(bench, [], everything)
    yield "linux-offloads-packed", lambda bench: run_pair(bench, [], everything, "packed=on")
    yield "linux-offloads-plain", lambda bench: run_pair(bench, ["--mergeable=0"], everything)
    yield "linux-no-tso", lambda bench: run_pair(bench, ["--tso=0"], {1: plain, 2: plain}, whole=())
    yield "linux-no-offloads", lambda bench: run_pair(bench, ["--tso=0", "--tx-csum=0"], nothing, whole=())
    yield "linux-one-with-offloads", lambda bench: run_pair(
        bench, [], {1: OFFLOADS, 2: sends_only}, peer_device=NO_RECEIVE_OFFLOADS, whole=(1,))
    yield "linux-uml", run_uml
