# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A QEMU Linux guest whose virtio-crypto device is served by dpdk-vhost-crypto.

The guest's kernel tests the driver's algorithm itself when it registers it, and
alg_guest.c compares what the device does with what the kernel's software does.
"""

import os
import socket
import subprocess

import qemu
from guests import BUSYBOX, MARK, Guest, find_kernel, find_modules, write_initramfs
from processes import Process, Skip, check, need_programs, wait_until
from vhost_library import driver_folder

PROGRAM = "app/vhost-crypto/dpdk-vhost-crypto"
PROBE = os.path.join(os.path.dirname(os.path.realpath(__file__)), "alg_guest.c")
BOOT_SECONDS = 90
WORK_SECONDS = 60
MODULES = ("virtio_pci", "virtio_crypto", "algif_skcipher")
ROUNDS = 20

SCRIPT = """#!{busybox} sh
say() {{ echo "{mark} $*"; }}
for applet in awk cat dmesg grep mount poweroff sleep; do alias $applet="{busybox} $applet"; done
mount -t proc proc /proc
mount -t sysfs sysfs /sys
[ -c /dev/null ] || mount -t devtmpfs dev /dev
for module in {modules}; do {busybox} insmod $module || say "no module $module"; done
say ready $(cat /sys/bus/virtio/devices/virtio0/features)
/bin/alg_guest virtio_crypto_aes_cbc "cbc(aes-generic)" {rounds}
say compared $?
say selftest $(awk '/^driver/ {{ own = $3 == "virtio_crypto_aes_cbc" }} own && /^selftest/ {{ print $3 }}' /proc/crypto)
while read command; do
    /bin/alg_guest virtio_crypto_aes_cbc "cbc(aes-generic)" {rounds}
    say compared $?
    [ "$command" = last ] && break
done
poweroff -f
"""


class CryptoGuest(Guest):
    """The host's kernel under QEMU, with one vhost-user crypto device."""

    MEMORY_MIB = 160

    def __init__(self, bench, path, queues):
        need_programs("busybox", "cc")
        kernel, modules_top = find_kernel()
        initramfs = bench.path("guest.cpio")
        self.monitor = bench.path("monitor.sock")
        self._write_initramfs(bench, initramfs, modules_top)
        super().__init__(bench, "guest", [
            *qemu.command(), "-accel", "tcg,thread=multi", "-cpu", "max,-la57",
            "-machine", "pc,memory-backend=ram", "-m", f"{self.MEMORY_MIB}M",
            "-object", f"memory-backend-memfd,id=ram,size={self.MEMORY_MIB}M,share=on",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
            "-kernel", kernel, "-initrd", initramfs,
            "-append", "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off",
            "-monitor", f"unix:{self.monitor},server=on,wait=off",
            "-chardev", f"socket,id=chr,path={path}",
            "-object", f"cryptodev-vhost-user,id=crypto,chardev=chr,queues={queues}",
            "-device", "virtio-crypto-pci,cryptodev=crypto,vectors=0"])

    @staticmethod
    def _write_initramfs(bench, path, modules_top):
        probe = bench.path("alg_guest")
        compiled = subprocess.run(["cc", "-static", "-O2", "-o", probe, PROBE], capture_output=True, text=True,
                                  check=False)
        if compiled.returncode != 0:
            raise Skip("no static program: " + compiled.stderr)
        modules = find_modules(modules_top, MODULES)
        names = ["lib/" + os.path.basename(module) for module in modules]
        files = {"init": SCRIPT.format(busybox=BUSYBOX, mark=MARK, rounds=ROUNDS,
                                       modules=" ".join("/" + name for name in names)).encode()}
        for name, source_path in (*zip(names, modules), ("bin/busybox", BUSYBOX), ("bin/alg_guest", probe)):
            with open(source_path, "rb") as source:
                files[name] = source.read()
        write_initramfs(path, files, ("bin", "dev", "lib", "proc", "sys"))

    def tell_qemu(self, *commands):
        """Say something to QEMU's monitor and wait until it has done so."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(WORK_SECONDS)
            monitor.connect(self.monitor)
            for command in ("", *commands):
                if command:
                    monitor.sendall(command.encode() + b"\n")
                heard = b""
                while not heard.endswith(b"(qemu) "):
                    heard += monitor.recv(4096)

    def check_compared(self):
        """The guest has compared its device with its software."""
        status, = self.hear("compared (\\d+)", WORK_SECONDS)
        check(status == "0", f"{status} results differ")


def find_program(bench):
    """The backend, beside the library of a build folder."""
    top = os.path.realpath(bench.library.directory or os.path.join(os.path.dirname(__file__), "../../../build/lib"))
    program = os.path.join(os.path.dirname(top), PROGRAM)
    if not os.access(program, os.X_OK):
        raise Skip(f"no {program}")
    return program


def start_backend(bench, path, cryptodev, options):
    """dpdk-vhost-crypto on a packaged cryptodev, ready for the guest."""
    if bench.library.packaged:
        # it waits for messages that this QEMU does not send to a crypto backend, and new_device never comes
        raise Skip("DPDK's library does not serve cryptodev-vhost-user of QEMU 7.2")
    drivers = [f"{driver_folder()}/librte_{name}.so" for name in ("mempool_ring", cryptodev)]
    if not os.path.exists(drivers[1]):
        raise Skip(f"no {drivers[1]}")
    vdev = {"crypto_ipsec_mb": "crypto_aesni_mb"}.get(cryptodev, cryptodev)
    backend = Process(bench, "backend", [
        find_program(bench), "--no-huge", "-m", "512", "--no-pci", "--no-telemetry", "--no-shconf", "-l", "0",
        "-d", drivers[0], "-d", drivers[1], "--vdev", vdev, "--", "--socket", path, *options], bench.library.environment())
    backend.expect("^ready$", BOOT_SECONDS)
    bench.library.check_loaded_by(backend)
    return backend


def end_backend(backend):
    """It ends when it is told to, and says how much it has done."""
    backend.terminate()
    _, requests = backend.expect(r"^(\d+) requests$", WORK_SECONDS)
    check(int(requests) > ROUNDS, f"only {requests} requests came to the device")
    backend.finish()


def start(bench, cryptodev, options, queues):
    """A guest that has compared its device with its software once."""
    path = bench.path("crypto.sock")
    backend = start_backend(bench, path, cryptodev, options)
    guest = CryptoGuest(bench, path, queues)
    guest.hear("ready ([01]+)", BOOT_SECONDS)
    guest.check_compared()
    selftest, = guest.hear("selftest (\\w*)", WORK_SECONDS)
    check(selftest == "passed", f"the kernel's test of its own: {selftest or 'none'}")
    return backend, guest


def run_case(bench, cryptodev="crypto_openssl", options=(), queues=1):
    """The kernel's own test, then requests of a program, compared with software."""
    backend, guest = start(bench, cryptodev, options, queues)
    guest.send("last")
    guest.check_compared()
    guest.finish(WORK_SECONDS)
    end_backend(backend)


def run_pause(bench):
    """A guest that is paused has its sessions when it goes on."""
    backend, guest = start(bench, "crypto_openssl", (), 1)
    for _ in range(3):
        guest.tell_qemu("stop", "cont")
    wait_until(lambda: len(backend.output().split("is gone")) == 4, WORK_SECONDS, "three pauses")
    guest.send("last")
    guest.check_compared()
    guest.finish(WORK_SECONDS)
    end_backend(backend)


def cases():
    """Name and function of each case."""
    yield "crypto-openssl", run_case
    yield "crypto-zero-copy", lambda bench: run_case(bench, options=("--zero-copy",))
    yield "crypto-ipsec-mb", lambda bench: run_case(bench, "crypto_ipsec_mb", queues=2)
    yield "crypto-pause", run_pause
