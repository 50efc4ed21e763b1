#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Guests whose memory is migrated, and what becomes of their devices.

Runs on a machine with two nodes with hugepages; see devtools/numa-follow.
"""

import argparse
import ctypes
import os
import re
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(1, os.path.join(os.path.dirname(HERE), 'article.d'))
import guest
import nodes
import switch
from testpmd import Testpmd
from waiting import ScenarioError, wait_for

PATIENCE = 120
MPOL_MF_MOVE_ALL = 4
HUGE_PAGE = 2 << 20
TRIES = 100
START = time.monotonic()


class Report:
    """Checks, counted; each is printed as it is made."""

    def __init__(self, path):
        self._file = open(path, 'w')
        self.passed = self.failed = 0

    def say(self, text):
        line = f'[{time.monotonic() - START:4.0f} s] {text}'
        print(line, flush=True)
        print(line, file=self._file, flush=True)

    def check(self, text, good):
        self.passed += bool(good)
        self.failed += not good
        self.say(f'{"PASS" if good else "FAIL"}  {text}')


def main():
    parser = argparse.ArgumentParser(prog='scenario.py', description=__doc__)
    parser.add_argument('--lib', required=True, help='folder of the library')
    parser.add_argument('--logs', required=True, help='folder for logs and report.txt')
    parser.add_argument('--moves', type=int, default=100, help='of the first guest (100)')
    parser.add_argument('--only', choices=('virtio-user', 'ovs'), help='one part')
    spec = parser.parse_args()
    report = Report(os.path.join(spec.logs, 'report.txt'))
    usable = nodes.usable_nodes()[:2]
    parts = {'virtio-user': follow_virtio_user, 'ovs': follow_in_switch}
    with tempfile.TemporaryDirectory(prefix='numa-follow.') as folder:
        try:
            for name, part in parts.items():
                if spec.only in (None, name):
                    part(report, spec, folder, *usable)
        except ScenarioError as error:
            report.say(f'cannot go on: {error}')
            return 2
    report.say(f'{report.passed} passed, {report.failed} failed')
    return 1 if report.failed else 0


def migrate(pid, target):
    """Have the kernel migrate a guest's memory, and nothing else of its process.

    migratepages does the same with all memory, down to that of shared libraries,
    which takes minutes in an emulated machine.
    """
    addresses = guest_pages(pid)
    count = len(addresses)
    pages = (ctypes.c_void_p * count)(*addresses)
    targets = (ctypes.c_int * count)(*[target] * count)
    status = (ctypes.c_int * count)()
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(TRIES):
        # The result counts pages that were in use just then: they are tried again.
        left = libc.syscall(nodes.SYS_MOVE_PAGES, pid, ctypes.c_ulong(count), pages, targets,
                            status, MPOL_MF_MOVE_ALL)
        if left == 0:
            return
        time.sleep(0.05)
    raise ScenarioError(f'move_pages: {left} of {count} pages, '
                        f'{os.strerror(ctypes.get_errno())}')


def guest_pages(pid):
    """Addresses of the hugepages that a process has mapped and that exist."""
    addresses = []
    with open(f'/proc/{pid}/maps') as file:
        for line in file:
            if guest.HUGEPAGES in line:
                first, last = (int(number, 16) for number in line.split()[0].split('-'))
                addresses += [at for at in range(first, last, HUGE_PAGE)
                              if nodes.memory_of_range(pid, at, 1, HUGE_PAGE)]
    return addresses


# testpmd and virtio-user

def follow_virtio_user(report, spec, folder, home, other):
    socket = os.path.join(folder, 'vhost0')
    with Testpmd('backend', {home.number: 64, other.number: 64}, home.cpus[:2], spec.logs,
                 ['--vdev', f'net_vhost0,iface={socket},queues=2', '--', '-i',
                  '--rxq=2', '--txq=2', '--nb-cores=1', '--total-num-mbufs=4096'],
                 {'LD_LIBRARY_PATH': spec.lib}) as backend, \
         Testpmd('frontend', {home.number: 64}, home.cpus[2:4], spec.logs,
                 ['--single-file-segments', '--vdev',
                  f'net_virtio_user0,path={socket},queues=2', '--', '-i',
                  '--rxq=2', '--txq=2', '--nb-cores=1', '--total-num-mbufs=4096']) as frontend:
        backend.do('start')
        frontend.do('start tx_first 4')
        report.say(f'packets go round: {frontend.port_stats()}')
        backend.ask('/vhost/numa_interval,200')
        move_and_watch(report, spec, backend, frontend, home.number, other.number)
        compare_counters(report, backend, frontend)


def is_there(placement, node):
    return {placement['numa_node'], *placement['vring_nodes'], *placement['ring_nodes'],
            *placement['replica_nodes']} == {node}


def move_and_watch(report, spec, backend, frontend, home, other):
    seconds, wrong, still = [], [], []
    packets = frontend.port_stats()['RX-packets']
    for move in range(spec.moves):
        source, target = (home, other) if move % 2 == 0 else (other, home)
        migrate(frontend.pid, target)
        since = time.monotonic()
        try:
            wait_for('the device', lambda: is_there(backend.ask('/vhost/numa,0'), target), 20)
        except ScenarioError:
            wrong.append(move)
            report.say(f'move {move}, from {source} to {target}: {backend.ask("/vhost/numa,0")}')
            if len(wrong) == 3:
                break
        seconds.append(time.monotonic() - since)
        if move % 10 == 9:
            now = frontend.port_stats()['RX-packets']
            if now == packets:
                still.append(move)
            packets = now
    placement = backend.ask('/vhost/numa,0')
    queues = [backend.ask(f'/vhost/vq,0,{i}') for i in range(4)]
    report.check(f'{spec.moves} migrations, device and queues followed all but {wrong}', not wrong)
    report.check(f'packets went round between them, but for {still}', not still)
    report.check(f'{placement["moves"]} moves, {placement["drifts"]} drifts',
                 placement['drifts'] >= spec.moves)
    report.check(f'{placement["refusals"]} refusals', placement['refusals'] == 0)
    report.check(f'{placement["restarts"]} restarts of the device for the application',
                 placement['restarts'] == 0)
    report.say(f'followed after {statistics.median(seconds):.1f} s, at most {max(seconds):.1f} s '
               '(two looks, 0.2 s apart)')
    report.say('longest pause of each queue in us: ' +
               ', '.join(f'{q["max_pause_ns"] / 1000:.0f}' for q in queues))


def compare_counters(report, backend, frontend):
    """The frontend sends no more, then takes what is still on the way."""
    frontend.do('stop')
    wait_for('what the frontend sent', lambda: frontend.port_stats()['TX-packets'] ==
             backend.port_stats()['RX-packets'], 20)
    backend.do('stop')
    frontend.do('set fwd rxonly')
    frontend.do('start')
    sent = backend.port_stats()['TX-packets']
    try:
        wait_for('the rest', lambda: frontend.port_stats()['RX-packets'] == sent, 20)
    except ScenarioError:
        pass
    theirs, ours = frontend.port_stats(), backend.port_stats()
    report.check(f'to the backend: {theirs["TX-packets"]} sent, {ours["RX-packets"]} received',
                 theirs['TX-packets'] == ours['RX-packets'])
    report.check(f'to the frontend: {ours["TX-packets"]} sent, {theirs["RX-packets"]} received',
                 ours['TX-packets'] == theirs['RX-packets'])
    # io forwarding sends what it receives, and the first packets were the frontend's.
    report.check('none was dropped between receiving and sending',
                 ours['RX-packets'] == ours['TX-packets'])


# Open vSwitch and QEMU

def follow_in_switch(report, spec, folder, home, other):
    with switch.Switch(folder, spec.logs, spec.lib, home, other) as ovs:
        names = ('vhost0', 'vhost1')
        paths = [os.path.join(folder, name) for name in names]
        for number, name in enumerate(names):
            ovs.add_port(name, 'dpdkvhostuser')
            ovs.count_packets(name, guest.mac_of(1 - number))
        guests = [guest.start_guest(number, name, home, path, False, spec.logs)
                  for number, (name, path) in enumerate(zip(names, paths))]
        try:
            wait_for('packets between the guests',
                     lambda: all(map(ovs.packets, names)), PATIENCE, guests + ovs.programs)
            report.say('two guests talk, both on the switch\'s node')
            check_port(report, ovs, home.number)
            for target in (other, home):
                migrate_and_refresh(report, ovs, guests, paths[1], target.number)
        finally:
            for program in guests:
                program.stop()


def vid_of(ovs, path):
    for vid in ovs.telemetry('/vhost/list') or []:
        if ovs.telemetry(f'/vhost/info,{vid}')['path'] == path:
            return vid
    raise ScenarioError(f'no device of {path}')


def status_numa(ovs):
    text = ovs._vsctl('--if-exists', 'get', 'Interface', 'vhost1', 'status:numa')
    return int(re.sub(r'\D', '', text) or -1)


def check_port(report, ovs, node):
    """Interface status is renewed every few seconds; cores at the reconfiguration."""
    def settled():
        return status_numa(ovs) == node and ovs.polling()['vhost1'][0] == node
    try:
        wait_for('Open vSwitch', settled, 60, ovs.programs)
    except ScenarioError:
        pass
    report.check(f'ovs-vsctl get Interface vhost1 status:numa says {status_numa(ovs)}',
                 status_numa(ovs) == node)
    polling = ovs.polling()['vhost1']
    report.check(f'pmd-rxq-show: a core of node {polling[0]} polls vhost1', polling[0] == node)


def migrate_and_refresh(report, ovs, guests, path, target):
    vid = vid_of(ovs, path)
    ovs.telemetry('/vhost/numa_interval,0')
    migrate(guests[1].pid, target)
    memory = nodes.memory_by_node(guests[1].pid, guest.HUGEPAGES)
    report.check(f'the guest\'s memory was migrated to node {target}: {memory}',
                 set(memory) == {target})
    position = ovs.log_size()
    answer = ovs.telemetry(f'/vhost/numa_refresh,{vid}')
    report.check(f'refreshed: {answer}', answer['result'] == 0 and answer['numa_node'] == target)
    added = f"'{path}' has been added on numa node {target}"
    wait_for('new_device', lambda: added in ovs.log_since(position), 30, ovs.programs)
    report.check(f'the switch says: vHost Device {added}', True)
    check_port(report, ovs, target)
    mbufs = ovs.mbuf_memory('vhost1')
    report.check(f'mbufs of vhost1: {mbufs}', set(mbufs) == {target})
    before = ovs.packets('vhost0'), ovs.packets('vhost1')
    wait_for('packets after the move', lambda: ovs.packets('vhost0') > before[0] and
             ovs.packets('vhost1') > before[1], PATIENCE, guests + ovs.programs)
    report.check('packets go on in both directions', True)


if __name__ == '__main__':
    sys.exit(main())
