# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What is remote: the only place that decides it."""

import collections

from .machine import UNKNOWN
from .pollers import is_switch
from .text import queues_text, silent


def judge(state):
    """Say of everything whether it is on its guest's node."""
    node_of = {cpu['cpu']: each['node']
               for each in state['machine']['nodes'] for cpu in each['cpus']}
    for each in state['programs']:
        for guest in each['devices']:
            judge_device(guest, each, node_of)


def judge_device(guest, each, node_of):
    sizes = collections.Counter()
    for region in guest['regions']:
        sizes.update({int(at): size for at, size in region['bytes'].items()})
    guest['memory'] = {str(at): size for at, size in sorted(sizes.items()) if size}
    # An even spread gives no reason to go elsewhere.
    home = max(sizes, key=lambda at: (sizes[at], at == guest['node']), default=UNKNOWN)
    guest['home'] = home
    guest['buffer_nodes'] = buffer_nodes(guest, each)
    guest['cpu_nodes'] = [node_of.get(cpu, UNKNOWN) for cpu in guest_cpus(guest, each)]
    guest['core_nodes'] = sorted(set(guest['cpu_nodes']))
    for ring in guest['queues']:
        wanted = ring['ring_node'] if ring['ring_node'] != UNKNOWN else home
        ring['remote'] = bool(ring['live']) and is_remote(ring['node'], wanted)
    guest['remote'] = remote_things(guest, home)


def guest_cpus(guest, each):
    """CPUs that poll a guest, or may."""
    return guest.get('cpus') or [thread['cpu'] for thread in each['threads']]


def buffer_nodes(guest, each):
    """Where the buffers are that this guest's packets go through, as far as the
    program tells; else where it has any."""
    if 'mbufs_node' in guest:
        return [guest['mbufs_node']]
    nodes = sorted({int(at) for pool in each['pools'] for at in pool['bytes']})
    # Open vSwitch makes a pool on the node that it was told for the device.
    if is_switch(each) and guest.get('app_node') in nodes:
        return [guest['app_node']]
    return nodes


def is_remote(at, home):
    return UNKNOWN not in (at, home) and at != home


def remote_things(guest, home):
    """Names of what is on the wrong node."""
    found = []
    if is_remote(guest['node'], home):
        found.append('device')
    wrong = [ring['queue'] for ring in guest['queues'] if ring['remote']]
    if wrong:
        found.append(queues_text(wrong))
    if not guest['running'] or home == UNKNOWN:
        return found
    seen = guest.get('app_node', UNKNOWN)
    wanted = {home} | {ring['ring_node'] for ring in guest['queues']} - {UNKNOWN}
    if guest['buffer_nodes'] and not wanted & set(guest['buffer_nodes']):
        found.append('buffers')
    if guest['core_nodes'] and not set(guest['core_nodes']) <= wanted and \
            (guest.get('cpus') or not wanted & set(guest['core_nodes'])):
        found.append('core')
    if is_remote(seen, home) and not found:
        found.append('application')
    return found


# --- One answer for monitoring ---------------------------------------------

LOCAL, REMOTE, NOTHING, UNKNOWN_PLACE = 0, 3, 4, 5     # exit statuses


def all_guests(state):
    """(program, guest) of all programs."""
    return [(each, guest) for each in state['programs'] for guest in each['devices']]


def overall(state):
    """The worst that can be said of any guest that runs; LOCAL only if there is one.

    A program that does not answer may have any.
    """
    guests = [guest for _, guest in all_guests(state)]
    if any(guest['remote'] for guest in guests):
        return REMOTE
    if silent(state):
        return UNKNOWN_PLACE
    running = [guest for guest in guests if guest['running']]
    if not running:
        return NOTHING
    return UNKNOWN_PLACE if any(guest['home'] == UNKNOWN for guest in running) else LOCAL
