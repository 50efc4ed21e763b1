# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The emulated machine: QEMU's command line, its life, and its four streams.

Everything that connects QEMU with us is an inherited descriptor (socket pairs
and a memory file), so the machine has no name, path or port on the host that
could collide with another one or be left behind.
"""

import collections
import os
import selectors
import socket
import subprocess
import time

from initramfs import LabError

QEMU = 'qemu-system-x86_64'
STREAMS = ('control', 'out', 'err', 'console')
CONSOLE_KEPT = 200      # lines of console log to show after a failure
KERNEL_OPTIONS = ('console=ttyS0 panic=-1 mitigations=off init_on_alloc=0 '
                  'no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1 '
                  # all processors' are the host's; guest-start turns to it
                  'tsc=reliable clocksource=hpet')


class Machine:
    """One QEMU process.  Use it as a context manager: leaving it kills QEMU."""

    def __init__(self, spec, accel, kernel, initramfs):
        self.console = collections.deque(maxlen=CONSOLE_KEPT)
        self._rest = {name: b'' for name in STREAMS}
        self._selector = selectors.DefaultSelector()
        self._ours = {}
        self._start(spec, accel, kernel, initramfs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._selector.close()
        for end in self._ours.values():
            end.close()

    def _start(self, spec, accel, kernel, initramfs):
        theirs = {}
        for name in STREAMS:
            self._ours[name], theirs[name] = socket.socketpair()
            self._ours[name].setblocking(False)
            self._selector.register(self._ours[name], selectors.EVENT_READ, name)
        image = os.memfd_create('initramfs')
        with open(image, 'wb') as file:
            file.write(initramfs)
            file.flush()
            fds = {name: end.fileno() for name, end in theirs.items()}
            self.command = command_line(spec, accel, kernel,
                                        f'/proc/self/fd/{image}', fds)
            # setpriv: if we are killed so that we cannot clean up, QEMU ends too.
            self._process = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'KILL'] + self.command,
                stdin=subprocess.DEVNULL, stdout=theirs['console'],
                stderr=theirs['console'], start_new_session=True,
                pass_fds=[image, *fds.values()])
        for end in theirs.values():
            end.close()

    def events(self, deadline):
        """Yield (stream, data) until QEMU ends or the deadline passes.

        Data are lines for control and console, and raw bytes for the command's
        output.  At the deadline one (None, None) is yielded.
        """
        while self._selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                yield None, None
                return
            for key, _ in self._selector.select(left):
                yield from self._receive(key)

    def drain(self):
        """End QEMU and yield what the streams still hold."""
        self._process.kill()
        yield from self.events(time.monotonic() + 10)

    def _receive(self, key):
        name = key.data
        try:
            data = key.fileobj.recv(65536)
        except ConnectionResetError:
            data = b''
        if not data:
            self._selector.unregister(key.fileobj)
        if name in ('out', 'err'):
            if data:
                yield name, data
            return
        *lines, self._rest[name] = (self._rest[name] + data).split(b'\n')
        for line in lines:
            text = line.decode(errors='replace').strip('\r')
            if name == 'console':
                self.console.append(text)
            yield name, text


def command_line(spec, accel, kernel, initramfs, fds):
    """QEMU's arguments for a machine that is cut into nodes as spec says."""
    cpus = spec.nodes * spec.cpus_per_node
    args = [QEMU, '-nodefaults', '-display', 'none', '-no-reboot',
            '-accel', 'tcg,thread=multi' if accel == 'tcg' else accel,
            '-machine', 'q35', '-cpu', 'max,-la57',
            '-m', f'{spec.nodes * spec.mem_per_node}M',
            '-smp', f'{cpus},sockets={spec.nodes},cores={spec.cpus_per_node}',
            '-kernel', kernel, '-initrd', initramfs, '-append', KERNEL_OPTIONS]
    args += _nodes(spec)
    args += _share('root', '/', 'readonly=on,multidevs=remap')
    if spec.artifacts:
        args += _share('artifacts', spec.artifacts, 'multidevs=remap')
    if spec.plugin:
        args += ['-plugin', spec.plugin]
    for name in STREAMS:
        args += ['-chardev', f'socket,id={name},fd={fds[name]}']
    args += ['-serial', 'chardev:console', '-device', 'virtio-serial-pci']
    for name in ('control', 'out', 'err'):
        args += ['-device', f'virtserialport,chardev={name},name={name}']
    return args


def _nodes(spec):
    args = []
    for node in range(spec.nodes):
        first = node * spec.cpus_per_node
        last = first + spec.cpus_per_node - 1
        args += ['-object', f'memory-backend-memfd,id=node{node},'
                 f'size={spec.mem_per_node}M',
                 '-numa', f'node,nodeid={node},cpus={first}-{last},'
                 f'memdev=node{node}']
        args += [arg for other in range(node)
                 for arg in ('-numa', f'dist,src={other},dst={node},val=21')]
    return args


def _share(tag, path, options):
    """A folder of the host; QEMU wants commas in values doubled."""
    path = path.replace(',', ',,')
    return ['-virtfs', f'local,path={path},mount_tag={tag},'
            f'security_model=none,{options}']


def wait_ready(machine, seconds, on_event):
    """Return True when the guest is about to run the command, False when it
    did not get there in time; LabError if QEMU ended."""
    for stream, data in machine.events(time.monotonic() + seconds):
        if stream is None:
            return False
        on_event(stream, data)
        if stream == 'control' and data == 'ready':
            return True
    raise LabError('the machine ended before it could run the command')
