# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Two QEMU Linux guests move a file over TCP through Open vSwitch, with offloads on."""

from guests import QemuGuest
from processes import check
from switch import Switch

MEBIBYTES = 32
PORT = 5001
SENDER, RECEIVER = "10.9.9.2", "10.9.9.3"
SENDER_PORT, RECEIVER_PORT = "port-s", "port-r"
TRANSFER_SECONDS = 180
# The features that make a large segment cross in one piece.
OFFLOADS = {"CSUM", "GUEST_CSUM", "GUEST_TSO4", "HOST_TSO4"}
LARGEST_WITHOUT_TSO = 1514

RECEIVE = f"""
nc -l -p {PORT} > /tmp/data
say sum $(md5sum < /tmp/data)
cd /sys/class/net/eth0/statistics
say traffic $(cat rx_bytes) $(cat rx_packets)
"""

SEND = f"""
dd if=/dev/urandom of=/tmp/data bs=1M count={MEBIBYTES} 2>/dev/null
say sum $(md5sum < /tmp/data)
until ping -q -c 1 -w 1 {RECEIVER} > /tmp/answer; do say waits for its peer; done
say sending
until nc {RECEIVER} {PORT} < /tmp/data; do usleep 100000; done
say sent
"""


def start_guests(bench, more_receive="", more_send="", device=""):
    """The two guests at their ports, all offloads on: (receiver, sender). What more they run comes after the file."""
    receiver = QemuGuest(bench, "receiver", bench.path(RECEIVER_PORT), RECEIVER, RECEIVE + more_receive, server=True,
                         mac=0x33, device=device)
    sender = QemuGuest(bench, "sender", bench.path(SENDER_PORT), SENDER, SEND + more_send, server=True, mac=0x22,
                       device=device)
    return receiver, sender


def check_file(receiver, sender):
    """Wait for the file and compare sums; segments must have crossed whole."""
    for guest in (receiver, sender):
        missing = OFFLOADS - guest.wait_ready()
        check(not missing, f"{guest.name} has not negotiated {', '.join(missing)}")
    sent, = sender.hear("sum ([0-9a-f]+) .*", TRANSFER_SECONDS)
    sender.hear("sent", TRANSFER_SECONDS)
    received, = receiver.hear("sum ([0-9a-f]+) .*", TRANSFER_SECONDS)
    check(sent == received, f"the file arrived with sum {received} instead of {sent}")
    volume, packets = map(int, receiver.hear(r"traffic (\d+) (\d+)", 20))
    check(volume >= MEBIBYTES << 20, f"only {volume} bytes came through the device")
    check(volume / packets > LARGEST_WITHOUT_TSO,
          f"{volume} bytes in {packets} packets: segments were cut on the way")


def run_case(bench):
    """Boot both guests and let the file move."""
    switch = Switch(bench, (SENDER_PORT, RECEIVER_PORT))
    receiver, sender = start_guests(bench)
    check_file(receiver, sender)
    switch.check_healthy()
    for guest in (receiver, sender):
        guest.finish()
    switch.stop()


def cases():
    """Name and function of each case."""
    yield "ovs-tcp-offloads", run_case
