#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The experiment, in the emulated machine; devtools/numa-traffic runs it."""

import argparse
import collections
import contextlib
import json
import os
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
from processes import START_SECONDS, Guest, Switch
from waiting import ScenarioError, wait_for

WARM_PACKETS = 6000     # the cache model fills up before the window opens
IN_FLIGHT = 7           # bursts of 32 packets
PATIENCE = 60
READY = 'virtio is now ready for processing'
FORWARDS = 'packet forwarding - ports='

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
    parser.add_argument('--scenario')
    parser.add_argument('--packets', type=int, default=20000)
    return parser.parse_args()


def measure(spec, plugin, plan, folder):
    """One run of the switch; returns what was counted."""
    with contextlib.ExitStack() as stack:
        switch = stack.enter_context(Switch(folder, plan, spec.tools, spec.lib))
        stack.callback(keep_log, spec, plan, switch)
        wait_for('the switch', lambda: os.path.exists(switch.socket), START_SECONDS, [switch])
        guest = stack.enter_context(Guest(folder, plan, switch.socket, 2))
        stack.callback(keep_log, spec, plan, guest)
        wait_for('the guest', lambda: 'testpmd>' in guest.log_text(), START_SECONDS,
                 [switch, guest])
        # Packets to a queue that the switch does not serve yet are lost.
        wait_for('the device', lambda: READY in switch.log_text(), START_SECONDS,
                 [switch, guest])
        switch.say('start')
        wait_for('the switch to forward', lambda: FORWARDS in switch.log_text(),
                 START_SECONDS, [switch, guest])
        guest.say(f'start tx_first {IN_FLIGHT}')
        wait_packets(switch, guest, 1000)
        # Only now: it makes the machine several times slower.
        plugin.give(orders.ARM)
        where = places.Places(plugin)
        lines, found = tell_contents(switch, guest, plan, where)
        plugin.write_table(lines)
        watch(plugin, plan.cpu)
        wait_packets(switch, guest, WARM_PACKETS)
        packets = count_window(plugin, switch, guest, spec.packets)
        return {'scenario': plan.name, 'packets': packets, 'library_file': switch.library(),
                'core': plan.core, 'nodes': nodes_of(found, where),
                **read_counts(plugin, switch)}


def keep_log(spec, plan, process):
    with open(os.path.join(spec.folder, f'{plan.name}-{process.name}.log'), 'w') as file:
        file.write(process.log_text())


def wait_packets(switch, guest, packets):
    """Return when that many more have come from the guest; their number."""
    seen, last = 0, guest.used_index(1)

    def enough():
        nonlocal seen, last
        now = guest.used_index(1)
        seen += (now - last) % 65536
        last = now
        return seen >= packets

    wait_for(f'{packets} packets', enough, PATIENCE, [switch, guest])
    return seen


def tell_contents(switch, guest, plan, where):
    """The plug-in's table, and the list of places it was made from."""
    switch.memzones(), guest.memzones()
    thread = contents.polling_thread(switch.pid, plan.cpu)
    with switch.standing_still(), guest.standing_still():
        found = contents.of_switch(switch, guest, thread, where)
    lines = [f'home 0 0 {plan.core}', *where.node_lines()]
    lines += [f'kind {place.first:x} {place.end:x} {place.kind}' for place in found]
    return lines, found


def watch(plugin, cpu):
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    plugin.give(orders.WATCH)
    os.sched_setaffinity(0, own)


def count_window(plugin, switch, guest, packets):
    plugin.answers()
    first = guest.used_index(1)
    plugin.give(orders.OPEN)
    seen = wait_packets(switch, guest, packets)
    last = guest.used_index(1)
    plugin.give(orders.CLOSE)
    return seen + (last - first - seen) % 65536


def nodes_of(found, where):
    """Bytes of each kind on each node: is it as the plan says?"""
    sizes = collections.defaultdict(collections.Counter)
    for place in found:
        node = where.node_of(place.first)
        sizes[contents.KINDS[place.kind]][node] += place.end - place.first
    return sizes


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
                    lines += [f'kind {p.first:x} {p.end:x} {p.kind}' for p in found.result()]
                    plugin.write_table(lines)
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
