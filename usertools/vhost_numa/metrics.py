# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Metrics, for Prometheus and what reads its formats.

There are two of these, which differ in how a counter is declared: the text format, which
node_exporter's textfile collector and promtool read, and OpenMetrics.  A file has the
former, over HTTP whoever accepts OpenMetrics is given that.

prometheus_client was considered: half of this module would be left, the table of
metrics, for a dependency that hosts of switches do not have.  It reads what is written
here in the tests instead.
"""

import collections
import re

from .model import all_guests
from .text import verdict

PREFIX = 'dpdk_vhost_numa_'
TEXT = 'text/plain; version=0.0.4; charset=utf-8'
OPENMETRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

Metric = collections.namedtuple('Metric', 'kind help')
Sample = collections.namedtuple('Sample', 'name labels value')

# Counters are named as OpenMetrics names their samples, with _total.
METRICS = {
    'program_info': Metric('gauge', 'A program that uses this vhost library.'),
    'other_program_info': Metric('gauge', 'A program that answers and runs on another vhost '
                                          'library, or on none.'),
    'guests': Metric('gauge', 'Guests of a program, by verdict.'),
    'guest_remote': Metric('gauge', 'Whether anything of a guest is on the wrong node.'),
    'guest_remote_blocks': Metric('gauge', 'Structures of a guest on another node than they '
                                           'belong on: its device and queues.'),
    'guest_memory_bytes': Metric('gauge', 'Memory of a guest on a node, estimated from pages.'),
    'guest_memory_node': Metric('gauge', 'The node with most of a guest, -1 if not known.'),
    'guest_application_node': Metric('gauge', 'The node that the application was told.'),
    'device_node': Metric('gauge', "The node of a device's structures."),
    'device_moves_total': Metric('counter', 'Blocks of a device that were moved: device and '
                                            'queues.'),
    'device_refusals_total': Metric('counter', 'Times that a node had no memory for a device.'),
    'device_drifts_total': Metric('counter', 'Times that memory of a guest was found on another '
                                             'node than before.'),
    'device_probes_total': Metric('counter', 'Times that the kernel was asked where a guest is.'),
    'device_restarts_total': Metric('counter', 'Times that the application was led through stop '
                                               'and start after a move.'),
    'queue_node': Metric('gauge', "The node of a queue's structures."),
    'queue_ring_node': Metric('gauge', "The node of a queue's ring, -1 if not known."),
    'queue_moves_total': Metric('counter', 'Times that a queue was moved.'),
    'queue_refusals_total': Metric('counter', 'Times that a node had no memory for a queue.'),
    'queue_last_pause_seconds': Metric('gauge', 'How long the last rebuild of a queue kept '
                                                'bursts out.'),
    'queue_max_pause_seconds': Metric('gauge', 'How long a rebuild of a queue kept bursts out '
                                               'at most.'),
    'queue_packets_total': Metric('counter', 'Packets of a queue, if the program has them '
                                             'counted.'),
    'queue_bytes_total': Metric('counter', 'Bytes of packets of a queue, likewise.'),
    'queue_guest_notifications_total': Metric('counter', 'Interrupts that a queue sent to its '
                                                         'guest.'),
    'queue_dropped_packets_total': Metric('counter', 'Packets that a queue to a guest did not '
                                                     'take, as dpdk-vhost tells them.'),
    'guest_dropped_packets_total': Metric('counter', 'Packets that a switch dropped at a guest, '
                                                     'as dpdk-vhost tells them.'),
    'port_dropped_packets_total': Metric('counter', 'Packets that an Ethernet device of a '
                                                    'program dropped, its vhost ones too.'),
    'limit': Metric('gauge', 'What the frontends of a socket may take.'),
    'limit_used': Metric('gauge', 'What they have taken of it.'),
    'limit_refusals_total': Metric('counter', 'How often a limit refused.'),
    'polling_thread_busy_ratio': Metric('gauge', 'Share of its CPU that a polling thread uses.'),
    'node_memory_free_bytes': Metric('gauge', 'Free memory of a node.'),
    'node_hugepages_free_bytes': Metric('gauge', 'Free hugepages of a node, by their size.'),
}
assert all(name.endswith('_total') == (metric.kind == 'counter')
           for name, metric in METRICS.items())

# Where a number of the state goes: from a guest, from a queue.
OF_GUEST = {'node': 'device_node', 'home': 'guest_memory_node',
            'app_node': 'guest_application_node', 'moves': 'device_moves_total',
            'refusals': 'device_refusals_total', 'drifts': 'device_drifts_total',
            'probes': 'device_probes_total', 'restarts': 'device_restarts_total'}
OF_QUEUE = {'node': 'queue_node', 'ring_node': 'queue_ring_node', 'moves': 'queue_moves_total',
            'refusals': 'queue_refusals_total', 'good_packets': 'queue_packets_total',
            'good_bytes': 'queue_bytes_total', 'dropped_packets': 'queue_dropped_packets_total',
            'guest_notifications': 'queue_guest_notifications_total'}
PAUSES = {'last_pause_ns': 'queue_last_pause_seconds', 'max_pause_ns': 'queue_max_pause_seconds'}
OF_LIMIT = {'limit': 'limit', 'used': 'limit_used', 'refused': 'limit_refusals_total'}


# --- What there is to tell -------------------------------------------------

def samples(state):
    """All samples of a state that was judged, those of a metric together."""
    found = [*of_machine(state['machine'])]
    for each in state['programs']:
        found += of_program(each)
    for each, guest in all_guests(state):
        found += of_guest(guest, {'prefix': each['prefix'], 'guest': guest['name'],
                                  'vid': guest['vid']})
    for each in state.get('others', []):
        found.append(Sample('other_program_info', {
            key: each[key] for key in ('prefix', 'program', 'pid', 'library')}, 1))
    order = list(METRICS)
    return sorted(unique(found), key=lambda sample: order.index(sample.name))


def unique(found):
    """A series occurs once, also where two processes share a prefix."""
    kept = {}
    for sample in found:
        kept.setdefault((sample.name, *sorted(map(str, sample.labels.items()))), sample)
    return kept.values()


def of_machine(machine):
    for each in machine['nodes']:
        node = {'node': each['node']}
        yield Sample('node_memory_free_bytes', node, each['free'])
        for size, pages in each['hugepages'].items():
            if pages['total']:
                yield Sample('node_hugepages_free_bytes', {**node, 'size_kib': size},
                             pages['free'] * int(size) * 1024)


def of_program(each):
    told = each.get('library', {})
    prefix = {'prefix': each['prefix']}
    yield Sample('program_info', {**prefix, 'program': each['program'], 'pid': each['pid'],
                                  'dpdk': each['version'], 'version': told.get('version', ''),
                                  'abi': told.get('abi', '')}, 1)
    counts = collections.Counter(verdict(guest).partition(':')[0].lower().replace(' ', '_')
                                 for guest in each['devices'])
    for word in ('local', 'remote', 'unknown', 'not_running'):
        yield Sample('guests', {**prefix, 'verdict': word}, counts[word])
    for port in each.get('ports', []):
        for reason, count in port['drops'].items():
            yield Sample('port_dropped_packets_total',
                         {**prefix, 'port': port['name'], 'reason': reason}, count)
    for thread in each.get('threads', []):
        yield Sample('polling_thread_busy_ratio', {
            **prefix, 'thread': thread['name'], 'cpu': thread['cpu'], 'node': thread['node']},
            thread['busy'])


def of_guest(guest, labels):
    yield Sample('guest_remote', labels, int(bool(guest['remote'])))
    yield Sample('guest_remote_blocks', labels, ('device' in guest['remote']) +
                 sum(ring['remote'] for ring in guest['queues']))
    for at, size in guest['memory'].items():
        yield Sample('guest_memory_bytes', {**labels, 'node': at}, size)
    for key, name in OF_GUEST.items():
        if key in guest:
            yield Sample(name, labels, guest[key])
    for reason, count in guest.get('drops', {}).items():
        yield Sample('guest_dropped_packets_total', {**labels, 'reason': reason}, count)
    for what, limit in guest.get('limits', {}).items():
        for key, name in OF_LIMIT.items():
            if key in limit:
                yield Sample(name, {**labels, 'limit': what}, limit[key])
    for ring in guest['queues']:
        if ring['live']:
            yield from of_queue(ring, {**labels, 'queue': ring['queue'],
                                       'direction': ring['direction'].replace(' ', '_')})


def of_queue(ring, labels):
    for key, name in OF_QUEUE.items():
        if key in ring:
            yield Sample(name, labels, ring[key])
    for key, name in PAUSES.items():
        if key in ring:
            yield Sample(name, labels, ring[key] / 1e9)


# --- The two formats -------------------------------------------------------

def escape(value):
    return str(value).replace('\\', r'\\').replace('"', r'\"').replace('\n', r'\n')


def text(state, openmetrics=False):
    """A whole answer or file."""
    lines, before = [], None
    for sample in samples(state):
        metric, name = METRICS[sample.name], PREFIX + sample.name
        if sample.name != before:
            family = name.removesuffix('_total') if openmetrics else name
            lines += [f'# HELP {family} {metric.help}', f'# TYPE {family} {metric.kind}']
            before = sample.name
        labels = ','.join(f'{key}="{escape(value)}"' for key, value in sample.labels.items())
        lines.append(f'{name}{{{labels}}} {sample.value}')
    return '\n'.join([*lines, *(['# EOF'] if openmetrics else [])]) + '\n'


def address_of(target):
    """(host, port) of 'HOST:PORT' or ':PORT', which is on the loopback; None for a file."""
    match = re.fullmatch(r'(\[[0-9a-fA-F:.]+\]|[^/:\s]*):(\d{1,5})', target)
    if not match or int(match[2]) > 65535:
        return None
    return match[1].strip('[]') or '127.0.0.1', int(match[2])
