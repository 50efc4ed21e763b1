# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Pings at all sizes that fit an Ethernet frame: what a guest runs, and what it must report."""

import re

from processes import check

ADDRESS = "10.9.9.2"
GATEWAY = "10.9.9.1"
# Payload bytes: the usual, odd ones, both sides of the 256 bytes that are copied late, and the largest.
SIZES = (56, 57, 215, 511, 1000, 1471, 1472)
COUNT = 30
SIZE_SECONDS = 60


def ping_script(destination):
    """Shell lines: pings of each size as fast as they are answered, then what the kernel found wrong."""
    sizes = " ".join(map(str, SIZES))
    return f"""
for size in {sizes}; do
    say ping $size $(ping -A -q -c {COUNT} -w {SIZE_SECONDS} -s $size {destination} | grep transmitted)
done
say bad checksums $(awk '/^Icmp: [0-9]/ {{ print $4 }}' /proc/net/snmp)
dmesg | grep -i -e virtio -e eth0
say end
"""


def check_pings(guest):
    """Follow the script's report: every ping of every size is answered, unharmed."""
    guest.wait_ready()
    for size in SIZES:
        report, = guest.hear(f"ping {size} (.*)", SIZE_SECONDS + 30)
        check(re.match(f"{COUNT} packets transmitted, {COUNT} packets received, 0% packet loss", report),
              f"{size} bytes: {report or 'ping failed'}")
    bad, = guest.hear("bad checksums (.*)", 10)
    check(bad == "0", f"{bad} echo replies with a wrong checksum")
    guest.hear("end", 10)
    complaints = guest.kernel_complaints()
    check(not complaints, f"the guest's kernel: {complaints[:1]}")
