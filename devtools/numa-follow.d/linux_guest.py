# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A Linux guest of QEMU that sends numbered frames and takes them back.

Booting Linux takes two minutes in an emulated machine, which has to emulate the
guest in turn.  So the guest is booted once outside, without a network device,
and its memory and the state of its devices are stored; a guest that goes on from
there is up within seconds.  Then its network device is plugged in.
"""

import contextlib
import ctypes
import mmap
import os
import re
import shutil
import socket
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(1, os.path.join(os.path.dirname(HERE), 'article.d'))
sys.path.append(os.path.join(HERE, '../../app/test/interop'))
import guests
from guest import HUGEPAGES
from waiting import Program, ScenarioError, wait_for

MEMORY = 128            # MiB
WINDOW = 64             # frames; a ring has 256 buffers
PATIENCE = 300
QUEUE_PAIRS = 1
SYS_SET_MEMPOLICY = 238         # x86_64
MPOL_BIND = 2
# What is stored or loaded is the state without the memory, which is a file.
LEAVE_MEMORY = 'migrate_set_capability x-ignore-shared on'
MACHINE = ['qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max,-la57', '-nodefaults',
           '-no-user-config', '-machine', 'pc,memory-backend=mem', '-m', f'{MEMORY}M',
           '-display', 'none', '-no-reboot']
# QEMU 7.2 with TCG fails with vhost-user and MSI-X: no vectors.
NETWORK = 'virtio-net-pci,vectors=0,mac=52:54:00:00:00:01'
# The guest's processor counts on as if it had never been away; time stamps do not.
KERNEL_OPTIONS = ('console=ttyS0 quiet panic=-1 no_timer_check mitigations=off '
                  'ipv6.disable=1 tsc=unstable clocksource=acpi_pm')
INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in {modules}; do
	[ $module = virtio_net.ko ] || $b insmod /lib/$module
done
echo @@ asleep
read line < /dev/console
$b insmod /lib/virtio_net.ko
$b ip link set eth0 up
echo @@ awake
/bin/bounce eth0 {window} < /dev/console
$b sleep 1000
"""


def make_state(path, bounce):
    """Boot a guest on this machine until it waits for its network device."""
    kernel, modules_top = guests.find_kernel()
    with tempfile.TemporaryDirectory(prefix='numa-follow.') as folder:
        initramfs = os.path.join(folder, 'initramfs')
        write_initramfs(initramfs, modules_top, bounce)
        log, monitor = os.path.join(folder, 'console'), os.path.join(folder, 'monitor')
        memory = os.path.join(folder, 'memory')
        command = [*MACHINE, *memory_options(memory),
                   '-kernel', kernel, '-initrd', initramfs, '-append', KERNEL_OPTIONS,
                   '-device', NETWORK, '-serial', 'stdio',
                   '-monitor', f'unix:{monitor},server=on,wait=off']
        with Program('guest', command, log) as guest:
            wait_for('the guest', lambda: '@@ asleep' in text_of(log), PATIENCE, [guest])
            Monitor(monitor).do(LEAVE_MEMORY)
            Monitor(monitor).do(f'migrate "exec:cat > {path}"')
            wait_for('its state', lambda: 'completed' in Monitor(monitor).do('info migrate'),
                     PATIENCE, [guest])
        shutil.copyfile(memory, memory_of(path))


def memory_of(state):
    """The file with the memory that belongs to a state."""
    return f'{state}.memory'


def memory_options(path):
    return ['-object', f'memory-backend-file,id=mem,size={MEMORY}M,mem-path={path},share=on']


def load_memory(source, path, node):
    """Make a file of hugepages of a node."""
    with open(source, 'rb') as file, open(path, 'wb+') as huge:
        os.ftruncate(huge.fileno(), MEMORY << 20)
        with mmap.mmap(huge.fileno(), MEMORY << 20) as memory, bound_to(node):
            file.readinto(memory)


@contextlib.contextmanager
def bound_to(node):
    """What this thread touches first comes from a node."""
    libc = ctypes.CDLL(None, use_errno=True)
    mask = ctypes.c_ulong(1 << node)
    if libc.syscall(SYS_SET_MEMPOLICY, MPOL_BIND, ctypes.byref(mask), ctypes.c_ulong(64)) != 0:
        raise OSError(ctypes.get_errno(), 'set_mempolicy')
    try:
        yield
    finally:
        libc.syscall(SYS_SET_MEMPOLICY, 0, None, ctypes.c_ulong(0))


def write_initramfs(path, modules_top, bounce):
    # Some releases have them compressed; here they are plain.
    modules = {os.path.basename(module).removesuffix('.xz'): module
               for module in guests.find_modules(modules_top, guests.MODULES_QEMU)}
    files = {os.path.join('lib', name): module for name, module in modules.items()}
    files |= {'bin/busybox': guests.BUSYBOX, 'bin/bounce': bounce}
    contents = {}
    for name, source in files.items():
        with open(source, 'rb') as file:
            contents[name] = file.read()
    contents['init'] = INIT.format(modules=' '.join(modules), window=WINDOW).encode()
    guests.write_initramfs(path, contents, ('bin', 'dev', 'lib', 'proc', 'sys'))


def text_of(path):
    with open(path, errors='replace') as file:
        return file.read()


class Monitor:
    """QEMU's prompt."""

    PROMPT = b'(qemu) '

    def __init__(self, path):
        self._path = path

    def do(self, command):
        with socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(PATIENCE)
            wait_for("QEMU's monitor", lambda: talk.connect_ex(self._path) == 0, PATIENCE)
            self._read(talk)
            talk.sendall(command.encode() + b'\n')
            return self._read(talk)

    def _read(self, talk):
        text = b''
        while not text.endswith(self.PROMPT):
            part = talk.recv(65536)
            if not part:
                raise ScenarioError(f'QEMU ended: {text}')
            text += part
        return text.decode(errors='replace')


class LinuxGuest(Program):
    """A guest on a node, whose frames go through the vhost-user socket at path."""

    def __init__(self, name, spec, node, path, listens=False):
        cpus = ','.join(map(str, node.cpus[2:] or node.cpus))
        chardev = f'socket,id=port,path={path}' + (',server=on,wait=on' if listens else '')
        self._state = spec.guest
        self._memory = os.path.join(HUGEPAGES, f'{name}.{os.getpid()}')
        load_memory(memory_of(spec.guest), self._memory, node.number)
        self._monitor = f'{path}.monitor'
        self._console = f'{path}.console'
        self._log = os.path.join(spec.logs, f'{name}.log')
        super().__init__(name, [
            'numactl', f'--membind={node.number}', f'--physcpubind={cpus}', *MACHINE,
            # All of it is the process's from the start: pages that it has not mapped stay.
            *memory_options(f'{self._memory},prealloc=on'), '-incoming', 'defer',
            '-chardev', chardev, '-netdev', 'vhost-user,id=net,chardev=port',
            '-device', f'{NETWORK},netdev=net',
            '-chardev', f'socket,id=console,path={self._console},server=on,wait=off,'
            f'logfile={self._log}', '-serial', 'chardev:console',
            '-monitor', f'unix:{self._monitor},server=on,wait=off'], f'{self._log}.stderr')

    def stop(self, patience=10):
        super().stop(patience)
        os.unlink(self._memory)

    def begin(self):
        """Have the driver loaded, and wait for the first frames that are back."""
        monitor = Monitor(self._monitor)
        monitor.do(LEAVE_MEMORY)
        monitor.do(f'migrate_incoming "exec:cat {self._state}"')
        wait_for('the guest', lambda: 'running' in monitor.do('info status'), PATIENCE, [self])
        self._type_until('@@ awake')
        wait_for('its frames', self.packets, PATIENCE, [self])

    def _type_until(self, answer):
        """Give the guest the line that it waits for."""
        with socket.socket(socket.AF_UNIX) as console:
            console.connect(self._console)
            console.sendall(b'\n')
            wait_for(f'"{answer}"', lambda: answer in text_of(self._log), PATIENCE, [self])

    def counts(self):
        """(sent, back, wrong) as the guest said last."""
        found = re.findall(r'@@ (?:count|end) (\d+) (\d+) (\d+)', text_of(self._log))
        return tuple(map(int, found[-1])) if found else (0, 0, 0)

    def packets(self):
        """Frames that came back."""
        return self.counts()[1]

    def finish(self, report, _):
        """Have all frames taken back: each once, in order, unchanged."""
        self._type_until('@@ end')
        sent, back, wrong = self.counts()
        complaints = re.findall(r'@@ (?:wrong|failed) .*', text_of(self._log))
        report.check(f'{sent} frames sent, {back} came back once, in order and unchanged, '
                     f'{wrong} otherwise {complaints or ""}', sent == back and wrong == 0)


if __name__ == '__main__':
    make_state(sys.argv[1], sys.argv[2])
