# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Debian's Open vSwitch with DPDK, unmodified, on the vhost library under test.

It has its own database, sockets and hugepage file prefix, so it does not meet
a switch that the host may be running.
"""

import collections
import errno
import glob
import json
import os
import re
import socket

from nodes import mapped_files, memory_of_range
from waiting import Program, ScenarioError, output_of, wait_for

VSWITCHD = '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk'
SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema'
BRIDGE = 'article0'
MEMORY = 256            # MiB of hugepages on each of the two nodes


class Switch:
    """ovsdb-server and ovs-vswitchd; use it as a context manager."""

    def __init__(self, folder, logs, library_dir, home, other):
        """home and other are the nodes: the switch lives on home, and has one
        polling core, the first, on each."""
        self.folder = folder
        self.log = os.path.join(logs, 'ovs-vswitchd.log')
        self._db_log = os.path.join(logs, 'ovsdb-server.log')
        self._library_dir = library_dir
        self._nodes = (home, other)
        self.prefix = f'article{os.getpid()}'
        self.programs = []
        # What the tools and the daemons take from their environment.
        self._env = dict(os.environ, OVS_RUNDIR=folder, OVS_DBDIR=folder)

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for program in reversed(self.programs):
            program.stop()
        for rest in glob.glob(f'/dev/hugepages/{self.prefix}map_*'):
            os.unlink(rest)

    @property
    def pid(self):
        return self.programs[1].pid

    def _start(self):
        database = os.path.join(self.folder, 'conf.db')
        output_of(['ovsdb-tool', 'create', database, SCHEMA])
        self._run('ovsdb-server', [
            'ovsdb-server', database, f'--remote=punix:{self._path("db.sock")}',
            f'--unixctl={self._path("db.ctl")}'], self._db_log, self._env)
        wait_for('ovsdb-server', lambda: os.path.exists(self._path('db.sock')), 60,
                 self.programs)
        self._configure()
        self._start_daemon()

    def _configure(self):
        home, other = self._nodes
        mask = 1 << home.cpus[0] | 1 << other.cpus[0]
        memory = [0] * (max(home.number, other.number) + 1)
        memory[home.number] = memory[other.number] = MEMORY
        memory = ','.join(map(str, memory))
        self._vsctl('--no-wait', 'init')
        self._vsctl('--no-wait', 'set', 'Open_vSwitch', '.',
                    'other_config:dpdk-init=true',
                    f'other_config:dpdk-lcore-mask={1 << (home.cpus * 2)[1]:#x}',
                    f'other_config:pmd-cpu-mask={mask:#x}',
                    # Idle polling would slow down an emulated machine.
                    'other_config:pmd-maxsleep=500',
                    f'other_config:dpdk-socket-mem="{memory}"',
                    f'other_config:dpdk-socket-limit="{memory}"',
                    'other_config:dpdk-extra='
                    f'"--no-pci --file-prefix={self.prefix}"')

    def _start_daemon(self):
        """EAL gives its control threads, vhost's among them, every CPU that
        the process may use and that is no lcore.  With the home node's CPUs
        only, a device is always born there, and has a way to go.  The polling
        core is left out if there are enough: it never sleeps."""
        env = dict(self._env)
        if self._library_dir:
            env['LD_LIBRARY_PATH'] = self._library_dir
        cpus = self._nodes[0].cpus
        cpus = ','.join(map(str, cpus[1:] if len(cpus) > 2 else cpus))
        self._run('ovs-vswitchd', [
            'taskset', '--cpu-list', cpus, VSWITCHD,
            f'unix:{self._path("db.sock")}', f'--unixctl={self._path("ctl")}',
            f'--log-file={self.log}', '--verbose=console:off'],
            self.log + '.stderr', env)
        wait_for('ovs-vswitchd', lambda: os.path.exists(self._path('ctl')), 120,
                 self.programs)
        # Returns when the daemon has started DPDK and read its configuration.
        self._vsctl('add-br', BRIDGE, '--', 'set', 'bridge', BRIDGE,
                    'datapath_type=netdev', seconds=180)

    def _run(self, name, command, log, env):
        self.programs.append(Program(name, command, log, env=env))

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _vsctl(self, *arguments, seconds=120):
        return output_of(['ovs-vsctl', f'--db=unix:{self._path("db.sock")}',
                          f'--timeout={seconds}', *arguments], seconds + 10)

    def _appctl(self, *arguments):
        return output_of(['ovs-appctl', '-t', self._path('ctl'), *arguments])

    def add_port(self, name, kind):
        """A guest reaches the port through the socket of that name in folder."""
        options = []
        if kind == 'dpdkvhostuserclient':
            options = [f'options:vhost-server-path={self._path(name)}']
        self._vsctl('add-port', BRIDGE, name, '--', 'set', 'Interface', name,
                    f'type={kind}', *options)

    def delete_port(self, name):
        self._vsctl('del-port', BRIDGE, name)

    def rxq_show(self):
        return self._appctl('dpif-netdev/pmd-rxq-show')

    def polling(self):
        """Port name to (node, core) of the thread that polls its queue 0."""
        found, thread = {}, None
        for line in self.rxq_show().splitlines():
            if match := re.match(r'pmd thread numa_id (\d+) core_id (\d+)', line):
                thread = int(match[1]), int(match[2])
            elif match := re.match(r'\s+port: (\S+)\s+queue-id:\s+0 ', line):
                found[match[1]] = thread
        return found

    def mbuf_memory(self, port):
        """KiB on each node of the mbufs of the port's pool, asked of the kernel.

        Call it only when the port has carried a packet: asked about a port
        without a pool, which has none until a guest connects, Open vSwitch 3.1
        crashes.
        """
        text = self._appctl('netdev-dpdk/get-mempool-info', port)
        pool = re.search(r'mempool <([^>]*)>', text)[1]
        sizes = collections.Counter()
        for number in self.telemetry('/eal/memzone_list') or []:
            zone = self.telemetry(f'/eal/memzone_info,{number}')
            if re.fullmatch(rf'MP_{pool}_\d+', zone['Name']):
                sizes.update(memory_of_range(
                    self.pid, int(zone['Address'], 16), zone['Length'],
                    zone['Hugepage_size']))
        return dict(sizes)

    def device_info(self, port, path):
        """What is known about the port's device structures: numa_node, and
        vring_nodes if the library has telemetry.

        Without telemetry through Open vSwitch, which asks
        rte_vhost_get_numa_node(), and a little later than its log.
        """
        for vid in self.telemetry('/vhost/list') or []:
            info = self.telemetry(f'/vhost/info,{vid}') or {}
            if info.get('path') == path:
                return info
        node = self._vsctl('--if-exists', 'get', 'Interface', port, 'status:numa')
        return {'numa_node': int(node.strip().strip('"'))} if node.strip() else {}

    def count_packets(self, port, mac):
        """Count from now on what the port sends to that address.

        With a flow, because Open vSwitch 3.1 has no counters for ports of type
        dpdkvhostuser.
        """
        self._ofctl('add-flow', f'in_port={port},dl_dst={mac},actions=NORMAL')

    def packets(self, port):
        """What count_packets() has counted."""
        flows = self._ofctl('dump-flows', f'in_port={port}')
        return sum(map(int, re.findall(r'n_packets=(\d+)', flows)))

    def _ofctl(self, command, *arguments):
        return output_of(['ovs-ofctl', command,
                          f'unix:{self._path(BRIDGE + ".mgmt")}', *arguments])

    def environment(self):
        """For programs that ask the switch and its database."""
        return dict(self._env)

    def telemetry(self, command):
        """The library's own answer, or None if it does not know the command."""
        folder = os.environ.get('RUNTIME_DIRECTORY', '/var/run')
        path = f'{folder}/dpdk/{self.prefix}/dpdk_telemetry.v2'
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as talk:
            talk.settimeout(20)
            try:
                talk.connect(path)
                talk.recv(16384)
                talk.send(command.encode())
                answer = json.loads(talk.recv(65536))
            except (OSError, ValueError):
                return None
        return answer.get(command.partition(',')[0])

    def log_size(self):
        return os.path.getsize(self.log)

    def log_since(self, position):
        """What the log has from there on."""
        def read():
            with open(self.log, errors='replace') as file:
                file.seek(position)
                try:
                    return [file.read()]
                except OSError as error:
                    # Linux 7, of a file on 9p that grows meanwhile
                    if error.errno != errno.ENODATA:
                        raise
                    return None
        return wait_for('the log to be readable', read, 10)[0]

    def library(self):
        """The vhost library that the daemon has really loaded."""
        for path in mapped_files(self.pid):
            if os.path.basename(path).startswith('librte_vhost.so'):
                return path
        raise ScenarioError('no librte_vhost.so is loaded')
