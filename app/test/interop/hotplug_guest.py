# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A QEMU Linux guest is given more memory while it runs, and some of it is taken away again.

The first module is for all uses, and above 4 GiB, from where the guest's kernel takes
memory first: once it has filled its ring anew, frames are in it, and a backend that does
not know it loses them.
"""

from guests import QemuGuest
from migration import Monitor, monitor_arguments
from pings import ADDRESS, GATEWAY, hear_pings
from processes import check, wait_until
from qemu_guest import device_options, start_echo

MODULES = ("all", "movable")
MODULE_MIB = 128
STEP_SECONDS = 60
SIZES = (56, 1471)
# Twice what a ring holds.
COUNT = 512
REGION_LOG = f"guest memory region size: {MODULE_MIB << 20:#x}"

SCRIPT = f"""
total() {{ awk '/^MemTotal/ {{ print $2 }}' /proc/meminfo; }}
ping_all() {{
    for size in {" ".join(map(str, SIZES))}; do say $1 $size $(pings {COUNT} $size {GATEWAY}); done
}}
online() {{ echo $1 > /sys/devices/system/memory/auto_online_blocks; }}
await() {{
    local before=$(total)
    say wants $1
    until [ $(total) $2 $before ]; do usleep 50000; done
}}
ping_all before
online online
await all -gt
dd if=/dev/zero of=/tmp/filler bs=1M count={MODULE_MIB // 4} 2>/dev/null
ping_all with-one
online online_movable
await movable -gt
ping_all with-two
await removal -lt
ping_all after
dmesg | grep -i -e virtio -e eth0
say end
"""


class GrowingGuest(QemuGuest):
    """A guest with empty slots for memory."""

    MEMORY_SLOTS = f",slots={len(MODULES)},maxmem=1G"


def plug(monitor, name):
    """Have one more memory module."""
    monitor.execute("object-add", **{"qom-type": "memory-backend-memfd", "id": "ram-" + name, "share": True,
                                     "size": MODULE_MIB << 20})
    monitor.execute("device_add", driver="pc-dimm", id=name, memdev="ram-" + name)


def unplug(monitor, name):
    """Take a memory module away, once the guest has given it back."""
    monitor.execute("device_del", id=name)
    wait_until(lambda: name not in (device["data"]["id"] for device in monitor.execute("query-memory-devices")),
               STEP_SECONDS, "the guest to give its memory back")
    monitor.execute("object-del", id="ram-" + name)


def hear_all_pings(guest, when):
    for size in SIZES:
        lost, _ = hear_pings(guest, f"{when} {size}", COUNT)
        check(lost == 0, f"{when} {size}: {lost} pings lost")


def run_case(bench, features):
    """Pings before, with one and two modules more, and after one was taken away."""
    socket, path = bench.path("vhost.sock"), bench.path("qmp")
    backend = start_echo(bench, socket)
    guest = GrowingGuest(bench, "guest", socket, ADDRESS, SCRIPT, device=device_options(features),
                         extra=monitor_arguments(path))
    monitor = Monitor(path)
    negotiated = guest.wait_ready()
    check("RING_PACKED" not in features or "RING_PACKED" in negotiated, f"the guest has negotiated {negotiated}")
    hear_all_pings(guest, "before")
    for name, when in zip(MODULES, ("with-one", "with-two")):
        guest.hear("wants " + name, STEP_SECONDS)
        known = backend.output().count(REGION_LOG)
        plug(monitor, name)
        hear_all_pings(guest, when)
        check(backend.output().count(REGION_LOG) > known, f"the backend was not told of memory module {name}")
    guest.hear("wants removal", STEP_SECONDS)
    unplug(monitor, "movable")
    hear_all_pings(guest, "after")
    guest.hear("end", STEP_SECONDS)
    complaints = guest.kernel_complaints()
    check(not complaints, f"the guest's kernel: {complaints[:1]}")
    monitor.close()
    guest.finish()
    backend.quit()


def cases():
    usual = {"MRG_RXBUF", "INDIRECT_DESC", "EVENT_IDX"}
    yield "hotplug-split", lambda bench: run_case(bench, usual)
    yield "hotplug-packed", lambda bench: run_case(bench, usual | {"RING_PACKED"})
