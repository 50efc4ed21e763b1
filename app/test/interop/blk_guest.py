# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A QEMU Linux guest writes and reads a disk whose backend dies again and again.

QEMU's vhost-user-blk keeps the area in which the backend records what it works
on, and connects again. A request that is lost hangs the guest, one that is given
back twice is reported by its kernel, and data that is not what was written by
its checksum.
"""

import os

import qemu
from guests import BUSYBOX, MARK, Guest, find_kernel, find_modules, write_initramfs
from processes import Process, Skip, check, need_programs, wait_until
from vhost_library import PACKAGED, driver_folder

PROGRAM = "app/test-vhost-blk/dpdk-test-vhost-blk"
DISK_MIB = 24
# After how many requests each backend dies, the last one never; modulo 3 it is where (dpdk-test-vhost-blk).
LIVES = (30, 31, 32, 60, 61, 62, 0)
# Enough requests for all lives, however large the guest's kernel makes them.
ROUNDS = 10
BOOT_SECONDS = 90
WORK_SECONDS = 60
MODULES = ("virtio_pci", "virtio_blk")

# Rounds of writing and reading back, past the guest's cache, until the disk was written often enough.
SCRIPT = """#!{busybox} sh
say() {{ echo "{mark} $*"; }}
for applet in cat dd md5sum mount poweroff usleep; do alias $applet="{busybox} $applet"; done
mount -t proc proc /proc
mount -t sysfs sysfs /sys
[ -c /dev/null ] || mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
for module in {modules}; do {busybox} insmod $module || say "no module $module"; done
dd if=/dev/urandom of=/tmp/data bs=1M count=8 2>/dev/null
say ready $(cat /sys/bus/virtio/devices/virtio0/features)
wanted=$(md5sum < /tmp/data)
round=0
while [ $round -lt {rounds} ]; do
    dd if=/tmp/data of=/dev/vda bs=64k seek=$((round % 3 * 128)) conv=fsync 2>/dev/null
    echo 3 > /proc/sys/vm/drop_caches
    got=$(dd if=/dev/vda bs=64k skip=$((round % 3 * 128)) count=128 2>/dev/null | md5sum)
    [ "$got" = "$wanted" ] && say "round $round good" || say "round $round bad"
    round=$((round + 1))
done
poweroff -f
"""


class BlkGuest(Guest):
    """The host's kernel under QEMU, with one vhost-user disk."""

    MEMORY_MIB = 160

    def __init__(self, bench, socket, rounds, options):
        need_programs("busybox")
        kernel, modules_top = find_kernel()
        initramfs = bench.path("guest.cpio")
        self._write_initramfs(initramfs, modules_top, rounds)
        super().__init__(bench, "guest", [
            *qemu.command(), "-accel", "tcg,thread=multi", "-cpu", "max,-la57",
            "-machine", "pc,memory-backend=ram", "-m", f"{self.MEMORY_MIB}M",
            "-object", f"memory-backend-memfd,id=ram,size={self.MEMORY_MIB}M,share=on",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
            "-kernel", kernel, "-initrd", initramfs,
            "-append", "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off",
            "-chardev", f"socket,id=chr,path={socket},{qemu.reconnecting()}",
            "-device", "vhost-user-blk-pci,chardev=chr,vectors=0,num-queues=1,"
            f"queue-size={qemu.queue_size(64)}" + options])

    @staticmethod
    def _write_initramfs(path, modules_top, rounds):
        modules = find_modules(modules_top, MODULES)
        names = ["lib/" + os.path.basename(module) for module in modules]
        files = {"init": SCRIPT.format(busybox=BUSYBOX, mark=MARK, rounds=rounds,
                                       modules=" ".join("/" + name for name in names)).encode()}
        for name, module in (*zip(names, modules), ("bin/busybox", BUSYBOX)):
            with open(module, "rb") as source:
                files[name] = source.read()
        write_initramfs(path, files, ("bin", "dev", "lib", "proc", "sys", "tmp"))


def find_program(bench):
    """The backend, beside the library of a build folder."""
    top = os.path.realpath(bench.library.directory or os.path.join(os.path.dirname(__file__), "../../../build/lib"))
    program = os.path.join(os.path.dirname(top), PROGRAM)
    if not os.access(program, os.X_OK):
        raise Skip(f"no {program}")
    return program


def start_disk(bench, number, socket, image):
    """A backend that waits for the guest."""
    environment = {"LD_LIBRARY_PATH": PACKAGED} if bench.library.packaged else \
        bench.library.environment()
    if bench.library.packaged and os.path.exists(socket):
        os.unlink(socket)
    backend = Process(bench, f"backend{number}", [
        find_program(bench), socket, image, str(LIVES[number]), "--no-huge", "-m", "64", "--no-pci",
        "--no-telemetry", "--no-shconf", "-l", "0", "-d", driver_folder() + "/librte_mempool_ring.so"],
        environment)
    backend.expect("^ready$", BOOT_SECONDS)
    bench.library.check_loaded_by(backend)
    return backend


def check_backend(number, backend):
    """It starts with what the one before died over, and dies itself when its time has come."""
    _, held = backend.expect(r"^starts with (\d+) requests$", BOOT_SECONDS)
    check(int(held) > 0 if number > 0 else int(held) == 0, f"backend {number} starts with {held} requests")
    if LIVES[number] > 0:
        wait_until(lambda: not backend.is_alive(), WORK_SECONDS, f"backend {number} to die")


def run_case(bench, options="", rounds=ROUNDS):
    """Write and read while backends die; nothing is lost, and nothing done twice that the guest was given."""
    socket, image = bench.path("vhost.sock"), bench.path("disk")
    with open(image, "wb") as disk:
        disk.truncate(DISK_MIB << 20)
    backend = start_disk(bench, 0, socket, image)
    guest = BlkGuest(bench, socket, rounds, options)
    for number in range(len(LIVES)):
        if number > 0:
            backend = start_disk(bench, number, socket, image)
        check_backend(number, backend)
    features, = guest.hear("ready ([01]+)", BOOT_SECONDS)
    check((features[34] == "1") == ("packed" in options), f"features {features}")
    for number in range(rounds):
        verdict, = guest.hear(f"round {number} (\\w+)", WORK_SECONDS)
        check(verdict == "good", f"round {number}: the guest read something else than it had written")
    guest.finish()
    complaints = [line for line in guest.output().splitlines() if "virtio" in line or "I/O error" in line]
    check(not complaints, complaints[0] if complaints else "")


def cases():
    """Name and function of each case."""
    yield "blk-split", run_case
    yield "blk-packed", lambda bench: run_case(bench, ",packed=on")
