# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A Linux guest with an IOMMU: nearly every buffer is mapped for its one use, and yet no packet is lost."""

import time

from guests import QemuGuest
from pings import ADDRESS, GATEWAY, SIZE_SECONDS, hear_pings
from processes import check
from qemu_guest import device_options, start_echo

SIZES = (56, 1472, 4000, 8972)
# Pings before which nothing has been translated, and how many of them may be lost.
COLD_COUNT, COLD_LOST = 100, 1
COUNT = 60
# For which testpmd in the guest may start, from the host's file system.
TESTPMD_SECONDS = 180
WARMING_SECONDS = 3
# What the guest's kernel is told: a mapping ends with its use, or never.
STRICT = "intel_iommu=on iommu.strict=1"
PASSTHROUGH = "intel_iommu=on iommu=pt"


def ping_once(name, count, size):
    """Shell line: as many pings as fast as they are answered, and what came of it."""
    return f"say {name} {size} $(pings {count} {size} {GATEWAY})\n"


def script():
    """Pings while everything is cold, then of each size twice: the first time warms."""
    lines = "ip link set eth0 mtu 9000\n" + ping_once("cold", COLD_COUNT, 56)
    for size in SIZES:
        lines += ping_once("warming", COUNT, size) + ping_once("warm", COUNT, size)
    return lines + "dmesg | grep -i -e DMAR -e virtio -e eth0\nsay end\n"


def check_losses(guest):
    """Nothing is lost once warm, and next to nothing before."""
    cold, _ = hear_pings(guest, "cold 56", COLD_COUNT)
    warm = []
    for size in SIZES:
        cold += hear_pings(guest, f"warming {size}", COUNT)[0]
        warm.append(hear_pings(guest, f"warm {size}", COUNT)[0])
    guest.hear("end", 10)
    check(not any(warm), f"warm pings lost: {warm} of {COUNT} each, cold {cold}")
    check(cold <= COLD_LOST, f"{cold} cold pings lost of {COLD_COUNT + COUNT * len(SIZES)}")


class IommuGuest(QemuGuest):
    """A guest whose network device is behind an emulated Intel IOMMU, with a translation cache of its own."""

    def __init__(self, bench, name, socket, guest_script, kernel_options, features, reboots=False,
                 queues=1, extra=()):
        super().__init__(
            bench, name, socket, ADDRESS, guest_script, kernel_options=kernel_options, machine="q35", reboots=reboots,
            queues=queues, extra=extra, buses=("-device", "intel-iommu,device-iotlb=on,intremap=off"),
            device="iommu_platform=on,disable-legacy=on,ats=on," + device_options(features))


def run_case(bench, features, kernel_options):
    """Boot a guest, ping, and end both sides in good order."""
    socket = bench.path("vhost.sock")
    backend = start_echo(bench, socket, extra=",iommu-support=1")
    guest = IommuGuest(bench, "guest", socket, script(), kernel_options, features)
    negotiated = guest.wait_ready()
    check("ACCESS_PLATFORM" in negotiated, f"the guest has negotiated {negotiated} only")
    check_losses(guest)
    check(not guest.kernel_complaints(), f"the guest's kernel: {guest.kernel_complaints()[:1]}")
    guest.finish()
    backend.quit()


# A testpmd of the guest's own, on the host's file system: its memory is mapped once and for all.
VFIO_SCRIPT = """
mount -t 9p -o trans=virtio,version=9p2000.L,ro host /host
for folder in proc sys dev; do mount -o bind /$folder /host/$folder; done
for folder in run tmp; do mount -t tmpfs tmpfs /host/$folder; done
device=$(basename $(realpath /sys/class/net/eth0/device/..))
ip link set eth0 down
# the machine does not remap interrupts
echo 1 > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts
echo vfio-pci > /sys/bus/pci/devices/$device/driver_override
echo $device > /sys/bus/pci/devices/$device/driver/unbind
echo $device > /sys/bus/pci/drivers_probe
say driver $(basename $(realpath /sys/bus/pci/devices/$device/driver))
mkfifo /tmp/in
chroot /host /usr/bin/stdbuf -oL /usr/bin/dpdk-testpmd -l 0,1 --no-huge -m 128 --no-telemetry -a $device -- \\
    --total-num-mbufs=4096 -i --forward-mode=io -a < /tmp/in > /tmp/testpmd 2>&1 &
exec 4> /tmp/in
until grep -q "packet forwarding - ports" /tmp/testpmd; do usleep 200000; done
say up
read word
usleep 3000000
for command in stop "show port stats 0" quit; do echo $command >&4; done
wait
grep -e RX-packets -e TX-packets -e rror /tmp/testpmd | while read line; do say testpmd "$line"; done
say end
"""


class VfioGuest(IommuGuest):
    """One that has the host's programs, and what it takes to drive its device from a process."""

    MEMORY_MIB = 768
    MODULES = (*IommuGuest.MODULES, "9p", "9pnet_virtio", "vfio-pci", "vfio_iommu_type1")


def run_vfio(bench, features):
    """Packets go round between a testpmd here and one in the guest, and none gets lost."""
    socket = bench.path("vhost.sock")
    backend = start_echo(bench, socket, extra=",iommu-support=1", forward="io")
    guest = VfioGuest(bench, "guest", socket, VFIO_SCRIPT, STRICT, features,
                      extra=("-smp", "2", "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,"
                             "multidevs=remap"))
    guest.wait_ready()
    driver, = guest.hear("driver (.*)", SIZE_SECONDS)
    check(driver == "vfio-pci", f"the guest's device is driven by {driver}")
    guest.hear("up", TESTPMD_SECONDS)
    # it polls meanwhile, and has the buffers translated that it will need
    time.sleep(WARMING_SECONDS)
    backend.command("stop")
    backend.command_ok("start tx_first 1", "packet forwarding")
    guest.send("go")
    received, = guest.hear(r"testpmd RX-packets: (\d+).*", TESTPMD_SECONDS)
    check(int(received) > 100, f"only {received} packets went round")
    guest.hear("end", SIZE_SECONDS)
    guest.finish()
    backend.quit()


def run_reboot(bench, features):
    """A second kernel in the same machine has mappings of its own, and is told nothing of the first one's."""
    socket = bench.path("vhost.sock")
    backend = start_echo(bench, socket, extra=",iommu-support=1")
    lines = ping_once("pings", COUNT, 56) + "read word\nif [ $word = again ]; then reboot -f; fi\n"
    guest = IommuGuest(bench, "guest", socket, lines, STRICT, features, reboots=True)
    for word in ("again", "again", "enough"):
        guest.wait_ready()
        cold, _ = hear_pings(guest, "pings 56", COUNT)
        check(cold <= COLD_LOST, f"{cold} pings lost of {COUNT}")
        guest.send(word)
    guest.finish()
    backend.quit()


def cases():
    """Name and function of each case."""
    usual = {"MRG_RXBUF", "INDIRECT_DESC", "EVENT_IDX", "MTU"}
    plain, packed = usual - {"MRG_RXBUF"}, {"RING_PACKED"}
    yield "iommu-strict", lambda bench: run_case(bench, usual, STRICT)
    yield "iommu-strict-plain", lambda bench: run_case(bench, plain, STRICT)
    yield "iommu-strict-packed", lambda bench: run_case(bench, usual | packed, STRICT)
    yield "iommu-strict-packed-plain", lambda bench: run_case(bench, plain | packed, STRICT)
    yield "iommu-passthrough", lambda bench: run_case(bench, usual, PASSTHROUGH)
    yield "iommu-passthrough-packed", lambda bench: run_case(bench, usual | packed, PASSTHROUGH)
    yield "iommu-reboot", lambda bench: run_reboot(bench, usual)
    yield "iommu-vfio", lambda bench: run_vfio(bench, usual)
    yield "iommu-vfio-packed", lambda bench: run_vfio(bench, usual | packed)
