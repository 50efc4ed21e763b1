# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Linux guests: the host's own kernel under QEMU, and user-mode Linux.

A guest runs one shell script, given when it starts, and talks through its
console. Lines that start with MARK are for the test; lines with the kernel's
messages may stand between them. Each script starts with eth0 up and addressed.
"""

import glob
import lzma
import os
import platform
import re
import sys

import hide_xstate
import qemu
from processes import Process, Skip, check, need_programs

BOOT_SECONDS = 90
MARK = "@@"
BUSYBOX = "/bin/busybox"
XZ_MAGIC = b"\xfd7zXZ\0"
MODULES_UML = ("virtio_net",)
MODULES_QEMU = ("virtio_pci", "virtio_net")

# Common start of every guest's script. say prints a line for the test.
PRELUDE = """#!{busybox} sh
say() {{ echo "{mark} $*"; }}
for applet in awk basename cat chroot dd dmesg grep ip md5sum mkfifo mount nc ping poweroff realpath reboot taskset usleep; do
    alias $applet="{busybox} $applet"
done
mount -t proc proc /proc
mount -t sysfs sysfs /sys
[ -c /dev/null ] || mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /tmp
for module in {modules}; do {busybox} insmod $module || say "no module $module"; done
ip link set lo up
ip link set eth0 up || say "eth0 does not come up"
ip addr add {address}/24 dev eth0
say ready
say features $(cat /sys/bus/virtio/devices/virtio0/features)
"""
# pings COUNT SIZE DESTINATION [CPU], as fast as they are answered: "LOST of SENT lost, slowest MS ms". Counted by the
# kernel, after a while for the last replies: ping ends with as many as it wants, and sends one more if one is late.
PINGS = r"""
echoes() {
    awk '/^IcmpMsg: [A-Z]/ { for (i = 2; i <= NF; i++) name[i] = $i }
         /^IcmpMsg: [0-9]/ { for (i = 2; i <= NF; i++) count[name[i]] = $i }
         END { print count["OutType8"] + 0, count["InType0"] + 0 }' /proc/net/snmp
}
pings() {
    local before="$(echoes)" count=$1 size=$2 destination=$3 cpu=${4:-0} sent lost slowest i
    taskset -c $cpu BUSYBOX ping -A -q -c $count -w 60 -s $size $destination > /tmp/pings
    slowest=$(awk -F / '/round-trip/ { sub(" ms", ""); print $5 }' /tmp/pings)
    for i in 1 2 3 4 5 6 7 8 9 10; do
        set -- $before $(echoes)
        sent=$(($3 - $1)) lost=$(($3 - $1 - $4 + $2))
        [ $lost -gt 0 ] || break
        usleep 300000
    done
    echo "$lost of $sent lost, slowest ${slowest:-none} ms"
}
""".replace("BUSYBOX", BUSYBOX)
# Bit numbers of virtio-net features, as far as tests ask for them.
FEATURES = {"CSUM": 0, "GUEST_CSUM": 1, "MTU": 3, "GUEST_TSO4": 7, "HOST_TSO4": 11, "MRG_RXBUF": 15, "MQ": 22,
            "INDIRECT_DESC": 28, "EVENT_IDX": 29, "ACCESS_PLATFORM": 33, "RING_PACKED": 34}


def _cpio_entry(number, name, mode, data=b""):
    """One file of a "newc" archive, which is what the kernel unpacks as initramfs."""
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def _plain(content):
    """A file as it was before it was compressed: busybox loads plain modules only, under any name."""
    return lzma.decompress(content) if content.startswith(XZ_MAGIC) else content


def write_initramfs(path, files, directories):
    """Store an initramfs of executable files {name: content} and empty directories."""
    entries = [(name, 0o040755, b"") for name in directories]
    entries += [(name, 0o100755, _plain(content)) for name, content in files.items()]
    entries.append(("TRAILER!!!", 0, b""))
    with open(path, "wb") as archive:
        for number, (name, mode, content) in enumerate(entries):
            archive.write(_cpio_entry(number, name, mode, content))


def _content(path):
    with open(path, "rb") as source:
        return source.read()


def find_kernel():
    """(kernel, its module directory): the newest installed kernel that has virtio_net as a module."""
    # Beside its modules from Linux 7 on, in /boot before.
    kernels = [(path, os.path.dirname(path)) for path in glob.glob("/lib/modules/*/vmlinuz")]
    kernels += [(path, "/lib/modules/" + path.partition("vmlinuz-")[2]) for path in glob.glob("/boot/vmlinuz-*")]
    for kernel, modules in sorted(kernels, key=lambda pair: pair[1], reverse=True):
        if os.access(kernel, os.R_OK) and glob.glob(modules + "/kernel/drivers/net/virtio_net.ko*"):
            return kernel, modules
    raise Skip("no readable kernel with its modules in /boot and /lib/modules (package linux-image-amd64)")


def find_modules(top, names):
    """Paths of modules and of what they need, in the order in which they load; Skip if one is missing.

    What is built into the kernel needs no loading.
    """
    needs = {}
    for line in _content(top + "/modules.dep").decode().splitlines():
        path, _, rest = line.partition(":")
        needs[_module_name(path)] = [path, *rest.split()]
    builtin = {_module_name(path) for path in _content(top + "/modules.builtin").decode().splitlines()}
    names = [name for name in names if name not in builtin]
    missing = [name for name in names if name not in needs]
    if missing:
        raise Skip(f"no modules {', '.join(missing)} in {top}")
    # depmod lists what is needed last to first.
    ordered = dict.fromkeys(path for name in names for path in reversed(needs[name]))
    return [os.path.join(top, path) for path in ordered]


def _module_name(path):
    return os.path.basename(path).partition(".")[0]


def write_guest_initramfs(path, modules_top, names, address, script, programs=None):
    """Store what a guest of QEMU starts from."""
    modules = find_modules(modules_top, names)
    names = ["lib/" + os.path.basename(module) for module in modules]
    init = PRELUDE.format(busybox=BUSYBOX, mark=MARK, address=address,
                          modules=" ".join("/" + name for name in names))
    init += PINGS + script + "\npoweroff -f\n"
    files = {"init": init.encode(), "bin/busybox": _content(BUSYBOX)}
    files.update({name: _content(module) for name, module in zip(names, modules)})
    files.update({"bin/" + name: _content(program) for name, program in (programs or {}).items()})
    write_initramfs(path, files, ("bin", "dev", "host", "lib", "proc", "sys", "tmp"))


class Guest(Process):
    """What the two kinds of guest have in common: the console."""

    def hear(self, pattern, seconds):
        """Wait for the next line the script says that matches; its groups."""
        return [group.rstrip() for group in self.expect(f"^{MARK} {pattern}\\r?\\n", seconds)[1:]]

    def wait_ready(self):
        """Wait until the guest has its network and return the names of the negotiated FEATURES."""
        said, = self.hear("(.*)", BOOT_SECONDS)
        check(said == "ready", f"{self.name}: {said}")
        bits, = self.hear("features ([01]+)", BOOT_SECONDS)
        return {name for name, bit in FEATURES.items() if bits[bit] == "1"}

    def kernel_complaints(self):
        """Lines in which the guest's kernel reports trouble with its network."""
        return [line for line in self.output().splitlines()
                if re.search(r"BUG:|Oops|(virtio|eth0).*(Failed|unexpected|bad|is not a head)|NETDEV WATCHDOG", line)]


class QemuGuest(Guest):
    """The host's kernel under QEMU, emulated, with one vhost-user network device.

    server: QEMU listens and the backend connects. Otherwise QEMU connects, and
    again every second when the backend has gone. vectors=0 because QEMU 7.2
    without KVM crashes itself on MSI-X with vhost-user. extra: further arguments;
    buses: those that have to be before the device; kernel_options: of its command line;
    reboots: QEMU goes on when the guest ends its kernel to start another;
    programs: static ones of the host, by name, that the script can run.
    """

    MEMORY_MIB = 192
    MEMORY_SLOTS = ""
    MODULES = MODULES_QEMU

    def __init__(self, bench, name, socket, address, script, server=False, queues=1, device="", mac=0x10,
                 extra=(), machine="pc", buses=(), kernel_options="", reboots=False, programs=None):
        need_programs("busybox")
        kernel, modules_top = find_kernel()
        initramfs = bench.path(name + ".cpio")
        self._write_initramfs(initramfs, modules_top, address, script, programs or {})
        memory = f"memory-backend-memfd,id=ram,size={self.MEMORY_MIB}M,share=on"
        chardev = f"socket,id=chr,path={socket}," + ("server=on" if server else qemu.reconnecting())
        super().__init__(bench, name, [
            *qemu.command(), "-accel", "tcg,thread=multi", "-cpu", "max,-la57",
            "-machine", f"{machine},memory-backend=ram", "-m", f"{self.MEMORY_MIB}M{self.MEMORY_SLOTS}",
            "-smp", str(queues),
            "-object", memory, "-nodefaults", "-no-user-config", "-display", "none", *(() if reboots else ("-no-reboot",)),
            "-serial", "stdio", "-kernel", kernel, "-initrd", initramfs,
            "-append", "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off " + kernel_options,
            *buses, "-chardev", chardev, "-netdev", f"vhost-user,id=net,chardev=chr,queues={queues}",
            "-device", f"virtio-net-pci,netdev=net,vectors=0,mac=02:00:00:00:00:{mac:02x}"
                       + (",mq=on" if queues > 1 else "") + (("," + device) if device else ""), *extra])

    @classmethod
    def _write_initramfs(cls, path, modules_top, address, script, programs):
        write_guest_initramfs(path, modules_top, cls.MODULES, address, script, programs)


class UmlGuest(Guest):
    """User-mode Linux on the host's own file system, read-only, as a vhost-user frontend."""

    KERNEL = "linux.uml"

    def __init__(self, bench, name, socket, address, script):
        need_programs(self.KERNEL, "setarch", "busybox")
        tops = sorted(glob.glob("/usr/lib/uml/modules/*"))
        if not tops:
            raise Skip("no modules in /usr/lib/uml/modules (package user-mode-linux)")
        init = bench.path(name + "-init")
        with open(init, "w", encoding="ascii") as out:
            out.write(PRELUDE.format(busybox=BUSYBOX, mark=MARK, address=address,
                                     modules=" ".join(find_modules(tops[-1], MODULES_UML))))
            out.write(PINGS + script + "\npoweroff -f\n")
        os.chmod(init, 0o755)
        launcher, extra = [], []
        if hide_xstate.needed():
            launcher, extra = [sys.executable, hide_xstate.__file__], [hide_xstate.GUEST_ARGUMENT]
        super().__init__(bench, name, [
            *launcher, "setarch", platform.machine(), "-R", self.KERNEL, "mem=128M",
            f"virtio_uml.device={socket}:1", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
            "con=null", "con0=null,fd:1", "quiet", f"uml_dir={bench.directory}/", *extra, f"init={init}"],
            {"TMPDIR": bench.directory})
