# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A device that may not follow its guest, and its way home, in pictures.

The second of two ports is pinned to the first one's node when its guest comes:
structures, buffers and polling core are on the wrong node, which
dpdk-vhost-numa.py shows in red.  Then what its --advise says is typed, word for word:
the policy becomes "follow", which leads the switch, that knows nothing of all this,
through the end and the beginning of the device.
"""

import contextlib
import json
import os

import following
import guest
import report
from report import Row
from waiting import holds_within, output_of, wait_for

TOOL = os.path.join(os.path.dirname(os.path.realpath(__file__)),
                    '../../usertools/dpdk-vhost-numa.py')
PATIENCE = 240


def run(ovs, ports, logs, say):
    """Returns the report's rows."""
    for port in ports:
        ovs.add_port(port.name, 'dpdkvhostuser')
        ovs.count_packets(port.name, guest.mac_of(1 - port.number))
    home, stays = ports
    ovs.telemetry(f'/vhost/numa_policy,{stays.path},pin,{home.node.number}')
    with contextlib.ExitStack() as stack:
        guests = []
        for port in ports:
            # One after the other: the second one's pool of mbufs, for a device
            # that is on the wrong node, would leave the first one no memory.
            position = ovs.log_size()
            guests.append(stack.enter_context(guest.start_guest(
                port.number, port.name, port.node, port.path, False, logs)))
            wait_for(f'{port.name} to be added', lambda: f"'{port.path}' has been added"
                     in ovs.log_since(position), PATIENCE, guests + ovs.programs)
        wait_for('packets between the guests',
                 lambda: all(ovs.packets(port.name) for port in ports), PATIENCE,
                 guests + ovs.programs)
        wanted = {home.name: 'local', stays.name: 'REMOTE'}
        before = wait_verdicts(ovs, wanted)
        say(f'{stays.name} is pinned to node {home.node.number}', draw(ovs, logs, 'pinned'))

        said = []
        following.follow(['-f', ovs.prefix], ovs.environment(), said.append)
        say('what was advised, and typed', '\n'.join(said))
        after = wait_verdicts(ovs, dict.fromkeys(wanted, 'local'))
        say(f'{stays.name} may follow its guest', draw(ovs, logs, 'follow'))
    for port in ports:
        ovs.delete_port(port.name)
    return [Row(port.name, report.on_node(port.node.number), 'dpdk-vhost-numa.py',
                before.get(port.name), after.get(port.name),
                before.get(port.name, '').startswith(wanted[port.name]) and
                after.get(port.name) == 'local') for port in ports]


def wait_verdicts(ovs, wanted):
    """The tool's verdict on each guest, once they are as wanted, or at last."""
    found = {}

    def as_wanted():
        found.update(verdicts(ovs))
        return all(found.get(name, '').startswith(verdict)
                   for name, verdict in wanted.items())

    holds_within(as_wanted, PATIENCE // 4, ovs.programs)
    return found


def verdicts(ovs):
    state = json.loads(output_of([TOOL, '-f', ovs.prefix, '--json'], PATIENCE))
    return {each['name']: 'REMOTE: ' + ', '.join(each['remote']) if each['remote'] else
            'unknown' if each['home'] < 0 else 'local'
            for program in state['programs'] for each in program['devices']}


def draw(ovs, logs, name):
    """Write the state and its picture; returns the table."""
    path = os.path.join(logs, f'placement-{name}')
    with open(f'{path}.json', 'w') as file:
        file.write(output_of([TOOL, '-f', ovs.prefix, '--json'], PATIENCE))
    output_of([TOOL, '--read', f'{path}.json', '--svg', f'{path}.svg'])
    return output_of([TOOL, '--read', f'{path}.json'])
