# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Open vSwitch with two QEMU guests, one of which is migrated and refreshed."""

import os
import re

import guest
import nodes
import switch
from moving import migrate
from waiting import ScenarioError, wait_for

# Each guest is a machine that an emulated machine emulates.
PATIENCE = 300


def run(report, spec, folder, home, other):
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
        wait_for('Open vSwitch', settled, PATIENCE, ovs.programs)
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
    wait_for('new_device', lambda: added in ovs.log_since(position), PATIENCE, ovs.programs)
    report.check(f'the switch says: vHost Device {added}', True)
    check_port(report, ovs, target)
    mbufs = ovs.mbuf_memory('vhost1')
    report.check(f'mbufs of vhost1: {mbufs}', set(mbufs) == {target})
    before = ovs.packets('vhost0'), ovs.packets('vhost1')
    wait_for('packets after the move', lambda: ovs.packets('vhost0') > before[0] and
             ovs.packets('vhost1') > before[1], PATIENCE, guests + ovs.programs)
    report.check('packets go on in both directions', True)
