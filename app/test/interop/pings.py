# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Pings at all sizes that fit an Ethernet frame: what a guest runs, and what it must report."""

import re

from processes import check

ADDRESS = "10.9.9.2"
GATEWAY = "10.9.9.1"
# Payload bytes: the usual, odd ones, both sides of the 256 bytes that are copied late, and the largest.
SIZES = (56, 57, 215, 511, 1000, 1471, 1472)
# What a device with an MTU of 9000 carries beside.
JUMBO_SIZES = (56, 1472, 1473, 4000, 8971, 8972)
COUNT = 30
SIZE_SECONDS = 60
# A lost notification shows as an answer that comes with the next ping, a second later.
# One such pause may be the machine's.
LATE_MS = 900


def ping_script(destination, cpus=1, sizes=SIZES):
    """Shell lines: pings of each size from each CPU, as fast as they are answered; then the kernel's complaints."""
    return f"""
for size in {" ".join(map(str, sizes))}; do
    for cpu in {" ".join(map(str, range(cpus)))}; do
        say ping $size $cpu $(pings {COUNT} $size {destination} $cpu)
    done
done
say bad checksums $(awk '/^Icmp: [0-9]/ {{ print $4 }}' /proc/net/snmp)
dmesg | grep -i -e virtio -e eth0
say end
"""


def hear_pings(guest, name, count):
    """Pings lost, and the slowest in ms, by what the guest says behind the name of what PINGS reports."""
    report, = guest.hear(name + " (.*)", SIZE_SECONDS + 30)
    found = re.match(r"(\d+) of (\d+) lost, slowest ([\d.]+) ms", report)
    check(found and int(found.group(2)) >= count, f"{name}: {report}")
    return int(found.group(1)), float(found.group(3))


def check_pings(guest, cpus=1, after_first_size=lambda: None, sizes=SIZES):
    """Follow the script's report: every ping of every size is answered, unharmed and in time."""
    late = []
    for size in sizes:
        for cpu in range(cpus):
            lost, slowest = hear_pings(guest, f"ping {size} {cpu}", COUNT)
            check(lost == 0, f"{size} bytes from CPU {cpu}: {lost} pings lost")
            if slowest >= LATE_MS:
                late.append(f"{size} bytes {slowest} ms")
        if size == sizes[0]:
            after_first_size()
    check(len(late) <= 1, f"notifications get lost: {', '.join(late)}")
    bad, = guest.hear("bad checksums (.*)", 10)
    check(bad == "0", f"{bad} echo replies with a wrong checksum")
    guest.hear("end", 10)
    complaints = guest.kernel_complaints()
    check(not complaints, f"the guest's kernel: {complaints[:1]}")
