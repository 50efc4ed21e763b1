# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""VDUSE devices, which the kernel's own virtio-net driver uses: testpmd and dpdk-vhost serve two of them.

The host's network interfaces on them talk to each other through the backend, each from
a network namespace of its own. That takes root and a kernel with VDUSE:

    devtools/numa-lab --distro trixie -- app/test/interop/run --lib BUILD/lib vduse
"""

import glob
import os
import signal
import subprocess
import time

import guests
import telemetry
from processes import Failure, Process, Skip, check, need_programs, wait_until

CONTROL = "/dev/vduse/control"
TCP_BYTES = 32 << 20
TCP_PORT = 5001
# Emulated machines are slow, and their clocks are late.
START_SECONDS, DEVICE_SECONDS, TCP_SECONDS = 90, 40, 100
KILLS = 10
RESUME_SECONDS = 40
GUEST_SECONDS = 500

RECEIVE = f"""
import socket, sys
with socket.create_server(("", {TCP_PORT})) as server:
    print("listening", flush=True)
    peer = server.accept()[0]
    count, wrong, expected, modulus = 0, 0, int(sys.argv[1]), int(sys.argv[2])
    while count < expected:
        data = peer.recv(1 << 18)
        if not data:
            break
        wrong += sum(data[i] != (count + i) % modulus for i in range(0, len(data), 509))
        count += len(data)
        print("so far", count, flush=True)
    if modulus > 1:
        peer.sendall(b"!")
    print("received", count, "wrong", wrong, flush=True)
"""
SEND = f"""
import socket, sys
pattern = bytes(i % 251 for i in range(251 * 1044))
with socket.create_connection((sys.argv[2], {TCP_PORT}), timeout=200) as peer:
    left = int(sys.argv[1])
    while left > 0:
        data = pattern[:left]
        peer.sendall(data)
        left -= len(data)
    peer.shutdown(socket.SHUT_WR)
    assert peer.recv(1) == b"!"
"""


def run(*command, seconds=60):
    """Run a short command; what it prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    check(done.returncode == 0, f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-200:]}")
    return done.stdout


def need_vduse():
    """Skip unless this kernel has VDUSE and we may use it."""
    need_programs("vdpa", "ip", "modprobe", "busybox")
    if os.geteuid() != 0:
        raise Skip("only root can have VDUSE devices")
    for module in ("vduse", "virtio_vdpa", "virtio_net"):
        subprocess.run(["modprobe", module], capture_output=True, timeout=60)
    if not os.path.exists(CONTROL):
        raise Skip(f"no {CONTROL}: this kernel has no VDUSE")


class Interface:
    """The kernel's interface on a VDUSE device, in a network namespace of its own."""

    def __init__(self, number, cpus=None):
        self.device, self.namespace = f"vduse{number}", f"vd{number}"
        self.address = f"10.7.7.{number + 1}"
        self._pin = ["taskset", "-c", cpus] if cpus else []

    def attach(self):
        """Have the device on the bus, and its interface up."""
        wait_until(lambda: os.path.exists(f"/dev/vduse/{self.device}"), START_SECONDS, f"device {self.device}")
        run(*self._pin, "vdpa", "dev", "add", "name", self.device, "mgmtdev", "vduse")
        name = wait_until(self._interface, DEVICE_SECONDS, f"an interface on {self.device}")
        run("ip", "netns", "add", self.namespace)
        run("ip", "link", "set", name, "netns", self.namespace)
        run("ip", "-n", self.namespace, "link", "set", "lo", "up")
        run("ip", "-n", self.namespace, "address", "add", self.address + "/24", "dev", name)
        run("ip", "-n", self.namespace, "link", "set", name, "up")

    def _interface(self):
        found = glob.glob(f"/sys/bus/vdpa/devices/{self.device}/virtio*/net/*")
        return os.path.basename(found[0]) if found else None

    def detach(self):
        """Take the device from the bus."""
        run("vdpa", "dev", "del", self.device)
        run("ip", "netns", "del", self.namespace)

    def inside(self, *command):
        """The command line of a program in the interface's namespace."""
        return [*self._pin, "ip", "netns", "exec", self.namespace, *command]

    def ping(self, peer, count, size):
        """Packets of `count` that were not answered."""
        done = subprocess.run(self.inside("busybox", "ping", "-c", str(count), "-W", "10", "-s", str(size),
                                          peer.address), capture_output=True, text=True, timeout=200)
        for line in done.stdout.splitlines():
            if "packets received" in line:
                return count - int(line.split(",")[1].split()[0])
        raise Failure(f"ping: {(done.stderr or done.stdout).strip()[-200:]}")


def receiver(bench, sink, size, modulus):
    """Wait for a connection, and for as many bytes, each its place modulo that."""
    process = Process(bench, "receiver", sink.inside("python3", "-c", RECEIVE, str(size), str(modulus)))
    process.expect("^listening$", 60)
    return process


class Transfer:
    """A TCP connection from one interface to another one, and what has arrived."""

    def __init__(self, bench, source, sink, size):
        self._receiver = receiver(bench, sink, size, 251)
        self._sender = Process(bench, "sender", source.inside("python3", "-c", SEND, str(size), sink.address))
        self._size = size

    def arrived(self):
        """Bytes so far."""
        lines = [line for line in self._receiver.output().splitlines() if line.startswith("so far")]
        return int(lines[-1].split()[-1]) if lines else 0

    def finish(self, seconds=TCP_SECONDS):
        """Wait for the end; all has to be there, as it was sent."""
        self._receiver.expect(rf"received {self._size} wrong 0\b", seconds)
        self._sender.finish(60)
        self._receiver.finish(30)


class Backend(Process):
    """A program that serves both devices."""

    def __init__(self, bench, name, argv):
        self._library = bench.library
        super().__init__(bench, name, argv, {"RUNTIME_DIRECTORY": bench.directory, **bench.library.environment()})

    def ready(self):
        """Its devices are there."""
        self._library.check_loaded_by(self)
        return self

    def end(self):
        """Ask it to end, and see that it does so well."""
        os.kill(self.pid, signal.SIGINT)
        self.finish(60)


def testpmd(bench, name="testpmd", lcores="0,1"):
    """testpmd that passes each packet on to the other device."""
    need_programs("dpdk-testpmd", "stdbuf")
    devices = [option for i in range(2)
               for option in ("--vdev", f"net_vhost{i},iface=/dev/vduse/vduse{i},queues=1")]
    backend = Backend(bench, name, ["stdbuf", "-oL", "dpdk-testpmd", "--no-huge", "-m", "192", "--no-shconf",
                                    "--no-pci", f"--file-prefix={name}", "-l", lcores, *devices, "--", "-i",
                                    "--forward-mode=io", "--auto-start", "--total-num-mbufs=16384"])
    backend.expect("Start automatic packet forwarding|testpmd>", START_SECONDS)
    return backend.ready()


def dpdk_vhost(bench, name="dpdk-vhost", lcores="0,1"):
    """The switch of this tree."""
    program = os.path.join(os.path.dirname(bench.library.directory or "/none"), "examples/vhost/dpdk-vhost")
    if not os.access(program, os.X_OK):
        raise Skip("dpdk-vhost is not built")
    backend = Backend(bench, name, [program, "--no-huge", "-m", "192", "--no-shconf", "--no-pci", "--no-telemetry",
                                    "-l", lcores, "--", "--total-num-mbufs", "16384",
                                    "--socket-file", "/dev/vduse/vduse0", "--socket-file", "/dev/vduse/vduse1"])
    backend.expect("VDUSE device (created|is there already).*(\n|.)*VDUSE device (created|is there already)",
                   START_SECONDS)
    return backend.ready()


def attach(cpus=None):
    """Both interfaces."""
    pair = [Interface(i, cpus) for i in range(2)]
    for interface in pair:
        interface.attach()
    return pair


def detach(pair):
    for interface in pair:
        interface.detach()


def check_pings(source, sink):
    """The first may be lost while the interfaces come up."""
    source.ping(sink, 3, 56)
    for size in (56, 1400):
        lost = source.ping(sink, 4, size)
        check(lost == 0, f"{lost} pings of {size} bytes lost")


def serves(bench, start):
    """Pings and TCP; devices and backend end in order, and nothing is left."""
    need_vduse()
    backend = start(bench)
    pair = attach()
    check_pings(*pair)
    Transfer(bench, *pair, TCP_BYTES).finish()
    detach(pair)
    backend.end()
    check(glob.glob("/dev/vduse/vduse*") == [], "devices are left behind")
    check(os.listdir(bench.path("vduse")) == [], "a state file is left behind")


def follows_node(bench, start, node):
    """The kernel's memory is on a node, by whom adds the device: our structures are there, too."""
    need_vduse()
    with open(f"/sys/devices/system/node/node{node}/cpulist", encoding="ascii") as cpus:
        cpus = cpus.read().strip()
    with open(f"/sys/devices/system/node/node{1 - node}/cpulist", encoding="ascii") as other:
        lcores = ",".join(other.read().strip().split("-"))
    backend = start(bench, lcores=lcores)
    pair = attach(cpus)
    check_pings(*pair)
    Transfer(bench, *pair, TCP_BYTES).finish()
    for queue in range(2):
        told = telemetry.ask(bench.path("dpdk/testpmd/dpdk_telemetry.v2"), f"/vhost/vq,0,{queue}")
        check(told["ring_node"] == node and told["node"] == node,
              f"queue {queue} is on node {told['node']}, its ring on {told['ring_node']}, not {node}")
    detach(pair)
    backend.end()


class VirtualMachine(guests.Guest):
    """A Linux guest of QEMU on a device of vhost_vdpa; emulated in an emulated machine, so it takes its time."""

    MEMORY_MIB = 192

    def __init__(self, bench, device, script):
        need_programs("qemu-system-x86_64", "busybox")
        kernel, modules = guests.find_kernel()
        initramfs = bench.path("guest.cpio")
        guests.write_guest_initramfs(initramfs, modules, guests.MODULES_QEMU, "10.7.7.1", script)
        super().__init__(bench, "guest", [
            "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max,-la57", "-machine", "pc,memory-backend=ram",
            "-m", f"{self.MEMORY_MIB}M", "-object", f"memory-backend-memfd,id=ram,size={self.MEMORY_MIB}M,share=on",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
            "-kernel", kernel, "-initrd", initramfs,
            "-append", "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off",
            "-netdev", f"vhost-vdpa,id=net,vhostdev={device}",
            "-device", "virtio-net-pci,netdev=net,vectors=0,mac=02:00:00:00:00:10"])


def give_to_vhost(name):
    """Have the device on the bus as one for virtual machines; its node."""
    wait_until(lambda: os.path.exists(f"/dev/vduse/{name}"), START_SECONDS, f"device {name}")
    run("modprobe", "vhost_vdpa")
    run("vdpa", "dev", "add", "name", name, "mgmtdev", "vduse")
    device = f"/sys/bus/vdpa/devices/{name}"
    for path, value in ((device + "/driver_override", "vhost_vdpa"), (device + "/driver/unbind", name),
                        ("/sys/bus/vdpa/drivers/vhost_vdpa/bind", name)):
        with open(path, "w", encoding="ascii") as file:
            file.write(value)
    found = wait_until(lambda: glob.glob(device + "/vhost-vdpa-*"), DEVICE_SECONDS, "a device of vhost_vdpa")
    return "/dev/" + os.path.basename(found[0])


GUEST_SCRIPT = f"""
for size in 56 1400; do
    say pings $(ping -c 4 -W 20 -s $size 10.7.7.2 | grep 'packets received' | awk '{{print $4}}')
done
dd if=/dev/zero bs=65536 count={TCP_BYTES >> 16} 2>/dev/null | nc 10.7.7.2 {TCP_PORT}
say sent
"""


def serves_guest(bench):
    """A virtual machine on one device, the kernel on the other one."""
    need_vduse()
    backend = testpmd(bench)
    node = give_to_vhost("vduse0")
    peer = Interface(1)
    peer.attach()
    sink = receiver(bench, peer, TCP_BYTES, 1)
    guest = VirtualMachine(bench, node, GUEST_SCRIPT)
    guest.hear("ready", GUEST_SECONDS)
    for _ in range(2):
        answered, = guest.hear("pings (\\d+)", GUEST_SECONDS)
        check(int(answered) >= 3, f"{answered} of 4 pings answered")
    sink.expect(rf"received {TCP_BYTES} wrong 0\b", GUEST_SECONDS)
    guest.hear("sent", GUEST_SECONDS)
    guest.finish(GUEST_SECONDS)
    run("vdpa", "dev", "del", "vduse0")
    peer.detach()
    backend.end()


class Tap(Interface):
    """The kernel's interface behind a driver of vhost_vdpa: testpmd with virtio-user, and a TAP device."""

    def __init__(self, bench, number, device):
        super().__init__(number)
        self.namespace = None
        self._driver = Process(bench, "driver", [
            "stdbuf", "-oL", "dpdk-testpmd", "--no-huge", "-m", "192", "--no-shconf", "--no-pci",
            "--file-prefix=driver", "-l", "0,1", "--vdev", f"net_virtio_user0,path={device},queues=1",
            "--vdev", f"net_tap0,iface={self.device}", "--", "-i", "--forward-mode=io", "--auto-start",
            "--total-num-mbufs=16384"])
        self._driver.expect("Start automatic packet forwarding|testpmd>", START_SECONDS)

    def attach(self):
        run("ip", "address", "add", self.address + "/24", "dev", self.device)
        run("ip", "link", "set", self.device, "up")

    def detach(self):
        os.kill(self._driver.pid, signal.SIGINT)
        self._driver.finish(60)

    def inside(self, *command):
        return list(command)


def serves_driver(bench):
    """A driver of vhost_vdpa on one device, the kernel on the other one."""
    need_vduse()
    backend = testpmd(bench)
    pair = [Tap(bench, 0, give_to_vhost("vduse0")), Interface(1)]
    for interface in pair:
        interface.attach()
    check_pings(*pair)
    Transfer(bench, *pair, TCP_BYTES).finish()
    Transfer(bench, *reversed(pair), TCP_BYTES).finish()
    detach(pair)
    run("vdpa", "dev", "del", "vduse0")
    backend.end()


def survives_kills(bench, start, kills=KILLS):
    """The backend is killed in mid-traffic; the next one goes on with the same devices."""
    need_vduse()
    backend = start(bench)
    pair = attach()
    check_pings(*pair)
    transfer = Transfer(bench, *pair, 1 << 40)
    slowest = 0
    for i in range(kills):
        before = transfer.arrived()
        wait_until(lambda: transfer.arrived() > before + (1 << 18), RESUME_SECONDS, f"traffic before kill {i}")
        backend.kill()
        backend = start(bench, f"backend-{i}")
        before, since = transfer.arrived(), time.monotonic()
        wait_until(lambda: transfer.arrived() > before + (1 << 18), RESUME_SECONDS, f"traffic after kill {i}")
        slowest = max(slowest, time.monotonic() - since)
    print(f"  {kills} kills, slowest resumption {slowest:.1f} s after the start", flush=True)
    check_pings(*pair)
    detach(pair)
    backend.end()


def serves_in_short(bench):
    """What takes a minute."""
    need_vduse()
    backend = testpmd(bench)
    pair = attach()
    check_pings(*pair)
    Transfer(bench, *pair, TCP_BYTES >> 3).finish()
    backend.kill()
    backend = testpmd(bench, "testpmd-again")
    check_pings(*pair)
    detach(pair)
    backend.end()


def cases():
    yield "vduse-short", serves_in_short
    yield "vduse-testpmd", lambda bench: serves(bench, testpmd)
    yield "vduse-dpdk-vhost", lambda bench: serves(bench, dpdk_vhost)
    yield "vduse-driver", serves_driver
    yield "vduse-guest", serves_guest
    yield "vduse-kill", lambda bench: survives_kills(bench, testpmd)
    yield "vduse-kill-dpdk-vhost", lambda bench: survives_kills(bench, dpdk_vhost)
    for node in (0, 1):
        yield f"vduse-node{node}", lambda bench, node=node: follows_node(bench, testpmd, node)
