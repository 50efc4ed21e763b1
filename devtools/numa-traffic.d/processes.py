# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The switch and the guest, which are unmodified programs."""

import contextlib
import glob
import json
import os
import signal
import socket
import struct
import subprocess

from waiting import ScenarioError, wait_for

HUGEPAGES = '/dev/hugepages'
START_SECONDS = 120
MAC = '02:00:00:00:01:0'
READY = 'virtio is now ready for processing'
FORWARDS = 'packet forwarding - ports='


class DpdkProcess:
    """A DPDK program that is spoken to through stdin and telemetry.

    Use it as a context manager: leaving it ends the process.
    """

    def __init__(self, name, prefix, command, log, env=None):
        self.name = name
        self.prefix = prefix
        self.log = log
        with open(log, 'wb') as file:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE,
                                             stdout=file, stderr=file, env=env)
        self.pid = self._process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        for rest in glob.glob(f'{HUGEPAGES}/{self.prefix}map_*'):
            os.unlink(rest)

    def check(self):
        """Raise if the process has ended by itself."""
        if self._process.poll() is not None:
            raise ScenarioError(f'{self.name} ended with status '
                                f'{self._process.returncode}:\n{self.log_tail()}')

    def log_text(self):
        with open(self.log, errors='replace') as file:
            return file.read()

    def log_tail(self):
        return '\n'.join(self.log_text().splitlines()[-15:])

    def say(self, line):
        self._process.stdin.write(line.encode() + b'\n')
        self._process.stdin.flush()

    @contextlib.contextmanager
    def standing_still(self):
        self._process.send_signal(signal.SIGSTOP)
        try:
            wait_for(f'{self.name} to stop', self._all_stopped, 20)
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _all_stopped(self):
        states = []
        for path in glob.glob(f'/proc/{self.pid}/task/*/stat'):
            with open(path) as file:
                states.append(file.read().rpartition(')')[2].split()[0])
        return set(states) == {'T'}

    def telemetry(self, command):
        path = f'/var/run/dpdk/{self.prefix}/dpdk_telemetry.v2'
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as talk:
            talk.settimeout(20)
            talk.connect(path)
            talk.recv(16384)
            talk.send(command.encode())
            return json.loads(talk.recv(65536))[command.partition(',')[0]]

    def memzones(self):
        """[(name, address, length)], asked once: call it when all are made."""
        if not hasattr(self, '_memzones'):
            zones = [self.telemetry(f'/eal/memzone_info,{number}')
                     for number in self.telemetry('/eal/memzone_list')]
            self._memzones = [(zone['Name'], int(zone['Address'], 16), zone['Length'])
                              for zone in zones]
        return self._memzones

    def read_u16(self, address):
        with open(f'/proc/{self.pid}/mem', 'rb', buffering=0) as file:
            file.seek(address)
            return struct.unpack('<H', file.read(2))[0]


class Switch(DpdkProcess):
    """A switch on the vhost library under test."""

    def __init__(self, folder, plan, spec, command, arguments, sockets, pools_node=None):
        self.sockets = [os.path.join(folder, name) for name in sockets]
        self._allocations = os.path.join(folder, 'allocations')
        env = dict(os.environ, VHOST_ALLOCATIONS=self._allocations,
                   LD_PRELOAD=os.path.join(spec.tools, 'allocations.so'))
        if plan.structures is not None:
            env['VHOST_ALLOCATIONS_NODE'] = str(plan.structures)
        if pools_node is not None:
            env['VHOST_POOLS_NODE'] = str(pools_node)
        if spec.lib:
            env['LD_LIBRARY_PATH'] = spec.lib
        prefix = f'traffic{os.getpid()}s'
        super().__init__('switch', prefix, [
            'stdbuf', '-oL', '-eL', command, '-l', f'{plan.main_cpu},{plan.cpu}',
            '--main-lcore', str(plan.main_cpu), '--no-pci',
            '--file-prefix', prefix, '--socket-mem', '128,128', *arguments],
            os.path.join(folder, 'switch.log'), env)

    def wait_listening(self):
        wait_for('the switch', lambda: all(map(os.path.exists, self.sockets)),
                 START_SECONDS, [self])

    def wait_devices(self, guest):
        """Packets to a queue that the switch does not serve yet are lost."""
        wait_for('the devices', lambda: self.log_text().count(READY) == len(self.sockets),
                 START_SECONDS, [self, guest])

    def allocations(self):
        """[(address, length)] of what the vhost library holds."""
        held = {}
        with open(self._allocations) as file:
            for line in file:
                what, address, *length = line.split()
                if what == '+':
                    held[int(address, 16)] = int(length[0], 16)
                else:
                    held.pop(int(address, 16), None)
        return sorted(held.items())

    def library(self):
        with open(f'/proc/{self.pid}/maps') as file:
            for line in file:
                if 'librte_vhost.so' in line:
                    return line.split()[-1]
        raise ScenarioError('the switch has no vhost library')


class Testpmd(Switch):
    """net_vhost with one port, which sends every packet back to its guest."""

    def __init__(self, folder, plan, spec):
        path = os.path.join(folder, 'vhost0')
        super().__init__(folder, plan, spec, 'dpdk-testpmd', [
            '--vdev', f'net_vhost0,iface={path},queues=1', '--', '-i',
            '--total-num-mbufs', '4096', '--port-numa-config', f'(0,{plan.mbufs})',
            '--forward-mode', 'mac'], ['vhost0'])

    def begin(self, guest):
        self.say('start')
        wait_for('the switch to forward', lambda: FORWARDS in self.log_text(),
                 START_SECONDS, [self, guest])


class DpdkVhost(Switch):
    """The sample switch, between two ports of the guest.

    It takes the mbufs from the node where the library's structures are, unless
    its pools are made to be elsewhere.
    """

    def __init__(self, folder, plan, spec):
        sockets = ['vhost0', 'vhost1']
        arguments = [word for name in sockets
                     for word in ('--socket-file', os.path.join(folder, name))]
        super().__init__(folder, plan, spec, spec.dpdk_vhost, [
            '--', *arguments, '--total-num-mbufs', '8192'], sockets,
            plan.mbufs if plan.name in ('structures', 'mbufs') else None)

    def begin(self, guest):
        """It forwards as soon as there are guests."""


class Guest(DpdkProcess):
    """virtio-user; changes each packet that it gets and sends it again."""

    def __init__(self, folder, plan, paths, nodes, packed=False):
        memory = ['0'] * nodes
        memory[plan.guest] = '128'
        prefix = f'traffic{os.getpid()}g'
        main_cpu, cpu = plan.guest_cpus
        self._queues = len(paths)
        self._packed = packed
        options = ',packed_vq=1' if packed else ''
        devices = [word for number, path in enumerate(paths) for word in (
            '--vdev', f'net_virtio_user{number},path={path},queues=1,mac={MAC}{number}{options}')]
        # Each port talks to the next one, which may be itself.
        peers = [f'--eth-peer={number},{MAC}{(number + 1) % len(paths)}'
                 for number in range(len(paths))]
        super().__init__('guest', prefix, [
            'stdbuf', '-oL', 'dpdk-testpmd', '-l', f'{main_cpu},{cpu}',
            '--main-lcore', str(main_cpu), '--no-pci',
            '--file-prefix', prefix, '--single-file-segments',
            '--socket-mem', ','.join(memory), *devices, '--', '-i',
            '--total-num-mbufs', '4096', '--forward-mode', 'macswap',
            '--port-topology', 'loop', *peers], os.path.join(folder, 'guest.log'))

    def wait_started(self, switch):
        wait_for('the guest', lambda: 'testpmd>' in self.log_text(), START_SECONDS,
                 [switch, self])

    def given_back(self):
        """How many buffers with packets the switch has given back, modulo 2^16,
        for each queue.  A packed ring has no such count: there it is the packets
        that the guest got."""
        if self._packed:
            return [self.telemetry(f'/ethdev/stats,{port}')['ipackets'] % 65536
                    for port in range(self._queues)]
        return [self._used_index(port) for port in range(self._queues)]

    def _used_index(self, port, size=256):
        """virtio 1.2, 2.7.2 for where, 2.7.8 for what; queue 1 is the guest's
        queue for sending."""
        after_available = 16 * size + 2 * (3 + size)
        used = (after_available + 4095) // 4096 * 4096
        return self.read_u16(self._ring(f'port{port}_vq1') + used + 2)

    def _ring(self, zone):
        for name, address, _ in self.memzones():
            if name == zone:
                return address
        raise ScenarioError(f'the guest has no {zone}: {self.memzones()}')
