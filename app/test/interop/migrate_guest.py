# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A QEMU Linux guest is migrated while it pings, from one backend to another.

Both backends are testpmd and answer as the same host. Without VHOST_F_LOG_ALL QEMU
does not migrate at all. Whether every page has its bit is seen in vhost_log_autotest:
here a missing one shows only if the guest has not looked at the page when it goes.
"""

from guests import BUSYBOX, QemuGuest
from migration import Monitor, incoming_arguments, migrate, monitor_arguments
from pings import ADDRESS, GATEWAY
from processes import Library, check
from qemu_guest import device_options, start_echo

MEBIBYTES = 24
REPLIES = 100
STEP_SECONDS = 90
PING_BYTES = 1400

# Numbered pings in the background. The first finds the neighbour: many that wait for that make ping give up.
SCRIPT = f"""
dd if=/dev/urandom of=/tmp/data bs=1M count={MEBIBYTES} 2>/dev/null
say sum $(md5sum < /tmp/data)
replies() {{ grep -c seq= /tmp/pings; }}
wait_replies() {{
    until [ $(replies) -ge $1 ]; do usleep 50000; done
}}
until ping -q -c 1 -w 1 {GATEWAY} > /tmp/answer; do say waits for its peer; done
{BUSYBOX} ping -i 0.005 -s {PING_BYTES} {GATEWAY} > /tmp/pings &
pings=$!
wait_replies {REPLIES}
say flowing
read line
say here
wait_replies $(($(replies) + {REPLIES}))
kill -INT $pings
wait $pings
say total $(grep transmitted /tmp/pings)
say gaps $(awk -F 'seq=' '/seq=/ {{ split($2, n, " "); if (n[1] != next) print next "-" n[1]; next = n[1] + 1 }}' \
    next=0 /tmp/pings)
say twice $(grep -c DUP /tmp/pings)
say bad checksums $(awk '/^Icmp: [0-9]/ {{ print $4 }}' /proc/net/snmp)
say sum $(md5sum < /tmp/data)
dmesg | grep -i -e virtio -e eth0
say end
"""


def start_guest(bench, name, socket, features, extra, device=""):
    """A QEMU with a monitor, in front of a backend's socket; device: more options of its network device."""
    monitor = bench.path(name + ".qmp")
    options = ",".join(filter(None, [device_options(features), device]))
    guest = QemuGuest(bench, name, socket, ADDRESS, SCRIPT, device=options,
                      extra=[*monitor_arguments(monitor), *extra])
    return guest, Monitor(monitor)


def start_backend(bench, name, library):
    """A testpmd on that library; its socket."""
    socket = bench.path(name + ".sock")
    ours, bench.library = bench.library, library
    try:
        return start_echo(bench, socket, name=name), socket
    finally:
        bench.library = ours


def check_report(guest, before):
    """What the guest says where it went: pings go on, and its memory is what it was."""
    total, = guest.hear("total (.*)", STEP_SECONDS)
    gaps, = guest.hear("gaps ?(.*)", STEP_SECONDS)
    check(len(gaps.split()) <= 1, f"replies are missing at {gaps}: {total}")
    twice, = guest.hear("twice (.*)", STEP_SECONDS)
    check(twice == "0", f"{twice} replies came twice: they are what was in a page before")
    bad, = guest.hear("bad checksums (.*)", STEP_SECONDS)
    check(bad == "0", f"{bad} echo replies with a wrong checksum")
    after, = guest.hear("sum ([0-9a-f]+) .*", STEP_SECONDS)
    check(after == before, f"memory has sum {after} instead of {before}")
    guest.hear("end", STEP_SECONDS)
    complaints = guest.kernel_complaints()
    check(not complaints, f"the guest's kernel: {complaints[:1]}")


def finish_move(guest, moved, before, backends):
    """The QEMU that was left ends, the guest reports from the other one, all end."""
    guest.finish()
    moved.send("go")
    moved.hear("here", STEP_SECONDS)
    check_report(moved, before)
    moved.finish()
    for backend in backends:
        backend.quit()


def run_case(bench, features, to=None):
    """Boot, let pings flow, migrate, let pings flow; the second backend may run on another library."""
    first, socket = start_backend(bench, "backend-1", bench.library)
    second, other = start_backend(bench, "backend-2", to or bench.library)
    guest, monitor = start_guest(bench, "source", socket, features, [])
    negotiated = guest.wait_ready()
    check(negotiated >= features, f"the guest has negotiated {negotiated}, not {features}")
    before, = guest.hear("sum ([0-9a-f]+) .*", STEP_SECONDS)
    path = bench.path("guest")
    moved, target = start_guest(bench, "target", other, features, incoming_arguments(path))
    guest.hear("flowing", STEP_SECONDS)
    migrate(monitor, target, path)
    monitor.execute("quit")
    finish_move(guest, moved, before, (first, second))


def cases():
    """Name and function of each case."""
    usual = {"MRG_RXBUF", "INDIRECT_DESC", "EVENT_IDX"}
    packaged = Library(None)
    yield "migrate", lambda bench: run_case(bench, usual)
    yield "migrate-packed", lambda bench: run_case(bench, usual | {"RING_PACKED"})
    yield "migrate-plain-to-packaged", lambda bench: run_case(bench, {"INDIRECT_DESC"}, packaged)
