#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The experiment, in the emulated machine; devtools/numa-traffic runs it."""

import argparse
import collections
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, '..', 'article.d')]
import contents
import orders
import places
from nodes import usable_nodes
from processes import DpdkVhost, Guest, Testpmd
from waiting import ScenarioError, wait_for

WARM_PACKETS = 6000     # the cache model fills up before the window opens
IN_FLIGHT = 7           # bursts of 32 packets
PATIENCE = 120
PACKED = 34             # VIRTIO_F_RING_PACKED

# Nodes of structures (None: as the library decides) and mbufs; CPUs.
Plan = collections.namedtuple(
    'Plan', 'name guest guest_cpus core cpu main_cpu structures mbufs')


def plans(home, away):
    """The guest is on node "away", whose place it is to have everything."""
    common = {'guest': away.number, 'guest_cpus': away.cpus[2:4],
              'main_cpu': home.cpus[0]}
    far = {'core': home.number, 'cpu': home.cpus[1]}
    near = {'core': away.number, 'cpu': away.cpus[1]}
    here, there = home.number, away.number
    return [
        Plan('core', **common, **far, structures=None, mbufs=there),
        Plan('structures', **common, **near, structures=here, mbufs=there),
        Plan('mbufs', **common, **near, structures=None, mbufs=here),
        Plan('placed', **common, **near, structures=None, mbufs=there),
    ]


def main():
    spec = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    home, away = usable_nodes()[:2]
    # The tool itself keeps away from every CPU that matters.
    os.sched_setaffinity(0, {home.cpus[2]})
    plugin = orders.Plugin(spec.folder)
    try:
        if spec.self_check:
            return self_check(spec, plugin, home, away)
        plan = next(plan for plan in plans(home, away) if plan.name == spec.scenario)
        with tempfile.TemporaryDirectory(prefix='traffic.') as folder:
            result = measure(spec, plugin, plan, folder)
        with open(os.path.join(spec.folder, 'measured.json'), 'w') as file:
            json.dump(result, file, indent=1)
        return 0
    except (ScenarioError, orders.OrderError) as error:
        print(f'numa-traffic: {error}', file=sys.stderr)
        return 2


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--folder', default=os.environ.get('LAB_ARTIFACTS'),
                        help='shared with the plug-in, and for logs')
    parser.add_argument('--tools', required=True, help='folder of the compiled programs')
    parser.add_argument('--self-check', action='store_true')
    parser.add_argument('--lib', metavar='DIR', help='library; without it the packaged one')
    parser.add_argument('--dpdk-vhost', metavar='FILE', help='the switch, instead of testpmd')
    parser.add_argument('--scenario')
    parser.add_argument('--packed', action='store_true', help='packed rings, not split ones')
    parser.add_argument('--packets', type=int, default=20000)
    return parser.parse_args()


def measure(spec, plugin, plan, folder):
    """One run of the switch; returns what was counted."""
    with contextlib.ExitStack() as stack:
        kind = DpdkVhost if spec.dpdk_vhost else Testpmd
        switch = stack.enter_context(kind(folder, plan, spec))
        stack.callback(keep_log, spec, plan, switch)
        switch.wait_listening()
        guest = stack.enter_context(Guest(folder, plan, switch.sockets, 2,
                                          spec.packed))
        stack.callback(keep_log, spec, plan, guest)
        guest.wait_started(switch)
        switch.wait_devices(guest)
        switch.begin(guest)
        guest.say(f'start tx_first {IN_FLIGHT}')
        wait_packets(switch, guest, 1000)
        # Only now: it makes the machine several times slower.
        plugin.give(orders.ARM)
        where = places.Places(plugin)
        plugin.write_table(table(switch, guest, plan, where))
        watch(plugin, plan.cpu)
        wait_packets(switch, guest, WARM_PACKETS)
        packets = count_window(plugin, switch, guest, spec.packets)
        check_format(switch, spec)
        return {'scenario': plan.name, 'ring': 'packed' if spec.packed else 'split',
                'packets': packets, 'library_file': switch.library(), 'core': plan.core,
                **read_counts(plugin, switch)}


def check_format(switch, spec):
    """Is it what was asked for?  The packaged library tells only in its log."""
    features = re.findall(r'negotiated Virtio features: 0x([0-9a-f]+)', switch.log_text())
    if not features or bool(int(features[-1], 16) >> PACKED & 1) != spec.packed:
        raise ScenarioError(f'negotiated features {features}: packed or not?')


def keep_log(spec, plan, process):
    with open(os.path.join(spec.folder, f'{plan.name}-{process.name}.log'), 'w') as file:
        file.write(process.log_text())


class Packets:
    """How many packets the switch has taken from the guest since now."""

    def __init__(self, guest):
        self._guest = guest
        self._last = guest.given_back()
        self._seen = 0

    def __call__(self):
        now = self._guest.given_back()
        self._seen += sum((new - old) % 65536 for new, old in zip(now, self._last))
        self._last = now
        return self._seen


def wait_packets(switch, guest, packets):
    seen = Packets(guest)
    wait_for(f'{packets} packets', lambda: seen() >= packets, PATIENCE, [switch, guest])


def table(switch, guest, plan, where):
    """The plug-in's table: what lies where, and on which node that is."""
    # Asked while the processes can answer.
    switch.memzones(), guest.memzones()
    thread = contents.polling_thread(switch.pid, plan.cpu)
    with switch.standing_still(), guest.standing_still():
        found = contents.of_switch(switch, guest, thread, where)
    return [f'home 0 0 {plan.core}', *where.node_lines(), *contents.lines(found)]


def watch(plugin, cpu):
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    plugin.give(orders.WATCH)
    os.sched_setaffinity(0, own)


def count_window(plugin, switch, guest, packets):
    plugin.answers()
    seen = Packets(guest)
    plugin.give(orders.OPEN)
    wait_for(f'{packets} packets', lambda: seen() >= packets, PATIENCE, [switch, guest])
    passed = seen()
    plugin.give(orders.CLOSE)
    return passed


def read_counts(plugin, switch):
    counts, sites = [], []
    modules = [m for m in contents.mappings(switch.pid) if m.path.startswith('/')]
    for words in plugin.answers():
        if words[0] == 'count':
            kind, node, loads, stores, lines = map(int, words[1:])
            counts.append({'kind': contents.KINDS[kind], 'node': node, 'loads': loads,
                           'stores': stores, 'lines': lines})
        elif words[0] == 'site':
            sites.append({'kind': contents.KINDS[int(words[2])],
                          'loads': int(words[3]), 'stores': int(words[4]),
                          'lines': int(words[5]), **module_of(int(words[1], 16), modules)})
        elif words[0] == 'closed':
            unknown = int(words[2])
    return {'counts': counts, 'sites': sites, 'unknown': unknown}


def module_of(pc, modules):
    """The file that an instruction is in, and where in it."""
    for mapping in modules:
        if mapping.first <= pc < mapping.end:
            return {'file': mapping.path, 'offset': pc - mapping.first + mapping.offset}
    return {'file': '', 'offset': pc}


def self_check(spec, plugin, home, away):
    """Compare what is counted with what selfcheck.c does; 0 if all is right."""
    plugin.give(orders.ARM)
    where = places.Places(plugin)
    program = subprocess.Popen(
        [os.path.join(spec.tools, 'selfcheck'), str(home.cpus[1]), str(home.number),
         str(away.cpus[1]), str(away.number)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lines, kinds, failed, cases = [f'home 0 0 {home.number}', *where.node_lines()], {}, 0, 0
    found = contents.Contents(where)
    with program:
        for line in program.stdout:
            what, *words = line.split()
            if what == 'memory':
                kinds[words[0]] = len(kinds) + 1
                found.add(program.pid, int(words[1], 16), int(words[2], 16), kinds[words[0]])
                if len(kinds) == 2:
                    plugin.write_table(lines + contents.lines(found.result()))
            else:
                cases += 1
                node = home.number if words[1] == 'near' else away.number
                failed += not check_case(words, kinds[words[1]], node, plugin.answers())
            if what == 'expect' or len(kinds) == 2:
                program.stdin.write('\n')
                program.stdin.flush()
    failed += program.returncode != 0
    print(f'{cases - failed} passed, {failed} failed')
    return 1 if failed or not cases else 0


def check_case(words, kind, node, answers):
    wanted = [[kind, node, *map(int, words[2:])]]
    got = [list(map(int, answer[1:])) for answer in answers
           if answer[0] == 'count' and answer[1] != '0']
    right = got == wanted
    print(f'{"PASS" if right else "FAIL"}  {words[0]}: kind, node, loads, stores, lines: '
          f'{got}' + ('' if right else f', expected {wanted}'), flush=True)
    return right


if __name__ == '__main__':
    sys.exit(main())
