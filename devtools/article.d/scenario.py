#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The article as a program, on a machine with two NUMA nodes.

Open vSwitch has two vhost-user ports and one polling core on each node.  Before
there are guests it polls both ports on its own node.  Two guests, one bound to
each node, then use the ports.  The device of the guest on the other node has to
follow it: its structures, the mbufs and the polling core.

Run it through devtools/article.
"""

import argparse
import collections
import contextlib
import os
import re
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import guest
import nodes
import report
import show
import switch
from report import Row
from waiting import ScenarioError, holds_within, wait_for

KINDS = {'dpdkvhostuser': 'vhost', 'dpdkvhostuserclient': 'vhostclient'}
HUGEPAGES_NEEDED = (switch.MEMORY + guest.MEMORY) // 2
START = time.monotonic()
PATIENCE = 300          # seconds for anything that a guest or the switch does

Port = collections.namedtuple('Port', 'name number node path')


def main():
    spec = parse_arguments()
    problem = why_not_here()
    if spec.check or problem:
        if problem:
            print(f'article: not on this machine: {problem}')
        return 2 if problem else 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.makedirs(spec.logs, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='article.') as folder:
        try:
            return run(spec, folder)
        except ScenarioError as error:
            print(f'article: {error}', file=sys.stderr)
            return 2


def parse_arguments():
    parser = argparse.ArgumentParser(prog='scenario.py', description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--check', action='store_true',
                        help='only tell, by the exit status, whether it can run here')
    parser.add_argument('--lib', metavar='DIR',
                        help='folder of the library; without it the packaged one')
    parser.add_argument('--packaged', action='store_true',
                        help="expect the packaged library's log lines")
    parser.add_argument('--picture', action='store_true',
                        help='instead of the article: show.py')
    parser.add_argument('--logs', metavar='DIR',
                        default=os.environ.get('LAB_ARTIFACTS', 'article-logs'),
                        help='folder for logs and report')
    return parser.parse_args()


def why_not_here():
    """What this machine lacks, or None."""
    usable = [node for node in nodes.usable_nodes()
              if node.free_hugepages >= HUGEPAGES_NEEDED]
    if len(usable) < 2:
        return ('it takes two nodes with CPUs, memory and '
                f'{HUGEPAGES_NEEDED} free 2 MiB hugepages each')
    if os.geteuid() != 0:
        return 'not root'
    if os.path.exists('/sys/class/net/ovs-netdev'):
        return 'a userspace Open vSwitch is running'
    missing = [path for path in (switch.VSWITCHD, guest.IPXE)
               if not os.path.exists(path)]
    return f'{missing[0]} is missing (devtools/setup-debian)' if missing else None


def run(spec, folder):
    """The whole scenario; returns the exit status."""
    say('Starting Open vSwitch')
    home, other = [node for node in nodes.usable_nodes()
                   if node.free_hugepages >= HUGEPAGES_NEEDED][:2]
    rows = []
    with switch.Switch(folder, spec.logs, spec.lib, home, other) as ovs:
        library = ovs.library()
        say(f'Open vSwitch runs on {library}')
        if spec.lib and not os.path.samefile(os.path.dirname(library), spec.lib):
            raise ScenarioError(f'{spec.lib} was asked for')
        if spec.picture:
            ports = make_ports(folder, 'vhost', home, other)
            rows += show.run(ovs, ports, spec.logs, say)
        else:
            for kind, prefix in KINDS.items():
                ports = make_ports(folder, prefix, home, other)
                rows += run_kind(ovs, kind, ports, spec)
    text = (f'library: {library}\n\n{report.table(rows)}\n\n'
            f'{report.summary(rows)}')
    with open(os.path.join(spec.logs, 'report.txt'), 'w') as file:
        file.write(text + '\n')
    say('Report', f'{text}\nlogs and report: {spec.logs}')
    return 0 if all(row.passed for row in rows) else 1


def make_ports(folder, prefix, home, other):
    return [Port(f'{prefix}{number}', number, node, os.path.join(folder, f'{prefix}{number}'))
            for number, node in enumerate((home, other))]


def run_kind(ovs, kind, ports, spec):
    """Both guests on two ports of one type; returns the report's rows."""
    for port in ports:
        ovs.add_port(port.name, kind)
        ovs.count_packets(port.name, guest.mac_of(1 - port.number))
    say(f'Ports of type {kind}, before: pmd-rxq-show', ovs.rxq_show())
    before = ovs.polling()
    position = ovs.log_size()
    with contextlib.ExitStack() as stack:
        guests = [stack.enter_context(guest.start_guest(
            port.number, port.name, port.node, port.path,
            kind == 'dpdkvhostuserclient', spec.logs)) for port in ports]
        say('Guests are starting, one on each node')
        wait_until_used(ovs, ports, guests, position)
        log = ovs.log_since(position)
        say('What the switch says about the guests',
            '\n'.join(interesting_lines(log)))
        say('After: pmd-rxq-show', ovs.rxq_show())
        rows = []
        for port, program in zip(ports, guests):
            rows += check_port(ovs, port, program, before, log, spec)
    for port in ports:
        ovs.delete_port(port.name)
    return rows


def wait_until_used(ovs, ports, guests, position):
    """Return when the guests talk to each other and polling has settled.

    That polling follows the guest is a check of the report, not a condition.
    """
    def added():
        log = ovs.log_since(position)
        return all(f"'{port.path}' has been added on numa node" in log
                   for port in ports)

    def settled():
        polling = ovs.polling()
        return all(polling.get(port.name, (None,))[0] == port.node.number
                   for port in ports)

    programs = guests + ovs.programs
    wait_for('both devices to be added', added, PATIENCE, programs)
    wait_for('packets between the guests',
             lambda: all(ovs.packets(port.name) for port in ports), PATIENCE, programs)
    holds_within(settled, PATIENCE // 2, programs)


def check_port(ovs, port, program, before, log, spec):
    """The rows of one port, while its guest is running."""
    node = port.node.number
    home, _ = polled = before[port.name]
    polls = ovs.polling()[port.name]
    moves = find_moves(log, port.path, spec.packaged)
    info = holds_within(lambda: ovs.device_info(port.name, port.path), PATIENCE // 4)
    device = report.on_node(info.get('numa_node'))
    queues = map(report.on_node, info.get('vring_nodes', []))
    mbufs = ovs.mbuf_memory(port.name)
    guest_memory = nodes.memory_by_node(program.pid, guest.HUGEPAGES)
    added = re.findall(rf"'{port.path}' has been added on numa node (\S+)", log)
    packets = ovs.packets(port.name)

    def born(what, now):
        return moves[what][0][0] if moves[what] else now

    def row(what, before, after, passed):
        return Row(port.name, report.on_node(node), what, before, after, passed)

    return [
        row('device structures', born('dev', device), device, device == report.on_node(node)),
        *(row(f'queue {index} structures', born('vq', queue), queue,
              queue == report.on_node(node)) for index, queue in enumerate(queues)),
        row('mbufs', 'no pool yet', report.memory(mbufs), set(mbufs) == {node}),
        row('guest memory', 'no guest yet', report.memory(guest_memory),
            set(guest_memory) == {node}),
        row('polling core', core(polled), core(polls), polls[0] == node),
        row('log: device added on', '', ' '.join(added), set(added) == {str(node)}),
        row('packets to the other', '0', str(packets), packets > 0),
        *(row(f'log: reallocate {what}', *check_moves(moves[what], home, node, spec))
          for what in ('vq', 'dev')),
    ]


def check_moves(moves, home, node, spec):
    """(from, to, passed): a device whose guest is at home stays where it was
    born; any other moves to its guest."""
    if not moves:
        return '', 'stays' if node == home else 'no line', node == home
    (source, _), (_, target) = moves[0], moves[-1]
    expected = (source if spec.packaged else report.on_node(home), report.on_node(node))
    return source, target, node != home and (source, target) == expected


def find_moves(log, path, packaged):
    """{'vq': [(from, to), ...], 'dev': [...]} of one port's log lines."""
    start = rf'VHOST_CONFIG: \({re.escape(path)}\) '
    moves = {'vq': [], 'dev': []}
    if packaged:
        # The packaged library does not say where it comes from.
        names = {'virtqueue': 'vq', 'device': 'dev'}
        for what, to in re.findall(start + r'reallocated (\w+) on node (\d+)', log):
            moves[names[what]].append(('another', report.on_node(to)))
    else:
        for what, source, to in re.findall(
                start + r'reallocate (vq|dev) from (\d+) to (\d+) node', log):
            moves[what].append((report.on_node(source), report.on_node(to)))
    return moves


def interesting_lines(log):
    """Relocations, warnings of the library, and devices added, without the
    time stamps of the log."""
    wanted = re.compile(r'reallocate|has been added|(WARN|ERR)\|VHOST_')
    for line in log.splitlines():
        if wanted.search(line):
            yield line.split('|', 3)[-1]


def core(thread):
    return f'node {thread[0]} (core {thread[1]})'


def say(title, text=''):
    """Print what happens as it happens, with the time since the start."""
    print(f'[{time.monotonic() - START:4.0f} s] {title}', flush=True)
    if text:
        print(text.strip('\n') + '\n', flush=True)


if __name__ == '__main__':
    sys.exit(main())
