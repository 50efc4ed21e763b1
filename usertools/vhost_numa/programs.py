# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The running programs, asked through their telemetry sockets."""

import bisect
import collections
import contextlib
import glob
import json
import os
import re
import socket
import struct
import time

from .machine import UNKNOWN, read

PATIENCE_SECONDS = 10   # for an answer
LONGEST_ANSWER = 1 << 18
MOST = 1 << 63          # of anything that is counted


class Telemetry:
    """One program's telemetry socket."""

    def __init__(self, path, patience=PATIENCE_SECONDS):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(patience)
        self.version = None     # until it has said something
        try:
            self._socket.connect(path)
            # Not the pid that it tells, which is another in a container.
            self.pid = struct.unpack('3i', self._socket.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def ask(self, command):
        """The answer, or None if the program has none."""
        if self.version is None:    # it says that before anything else
            self.version = as_text(self._receive().get('version', ''))
        self._socket.send(command.encode())
        answer = self._receive().get(command.partition(',')[0])
        # why there is none
        return None if isinstance(answer, dict) and list(answer) == ['error'] else answer

    def _receive(self):
        answer = json.loads(self._socket.recv(LONGEST_ANSWER))
        if not isinstance(answer, dict):
            raise ValueError('the answer is no object')
        return answer


# What a program says may be anything: it is not shown before it went through these.

def as_text(value):
    """Without what terminals or XML would take for something else."""
    return ''.join(each if each.isprintable() else '?' for each in str(value))


def as_number(value):
    return max(-MOST, min(int(value), MOST))


def as_node(value):
    return max(UNKNOWN, as_number(value))


def sizes_by_node(bytes_of):
    return {str(as_node(at)): as_number(size) for at, size in bytes_of.items()}


def runtime_folders():
    """Where EAL makes the folders of its programs: one per file prefix."""
    folders = [os.environ.get('RUNTIME_DIRECTORY'), os.environ.get('XDG_RUNTIME_DIR'),
               '/var/run', '/tmp']
    return list(dict.fromkeys(os.path.realpath(f'{folder}/dpdk')
                              for folder in folders if folder))


SOCKETS = 'dpdk_telemetry.v2*'


def is_closed(folder):
    return os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK)


def closed(folders):
    """How many programs only their user, or root, may ask; and the folders in which there may
    be others."""
    theirs = [path for folder in folders for path in glob.glob(f'{folder}/*')]
    number = sum(is_closed(path) or any(not os.access(name, os.W_OK)
                                        for name in glob.glob(f'{path}/{SOCKETS}'))
                 for path in theirs)
    return number, [as_text(folder) for folder in folders if is_closed(folder)]


def programs(prefixes, folders, patience=PATIENCE_SECONDS):
    """(those that answer and have vhost devices, or could have; the others)

    Of the others, those that keep silent for longer than the patience say so.
    """
    found, others = [], []
    for path in sorted(path for folder in folders
                       for path in glob.glob(f'{folder}/*/{SOCKETS}')):
        prefix = os.path.basename(os.path.dirname(path))
        if prefixes and prefix not in prefixes:
            continue
        # A program that was killed leaves its socket behind, one may end or be
        # stopped while it is asked, and one with that name may be something else.
        with contextlib.suppress(OSError, ValueError, ArithmeticError, LookupError, TypeError,
                                 AttributeError), Telemetry(path, patience) as telemetry:
            try:
                vids = list_vids(telemetry)
                if vids is not None:
                    found.append({**program(prefix, telemetry, vids), 'socket': as_text(path)})
                    continue
                silent = {}
            except TimeoutError:
                silent = {'silent_seconds': patience}
            others.append(identity(prefix, telemetry) |
                          {'library': library_in_map(telemetry.pid)} | silent)
    return found, others


def list_vids(telemetry):
    """Of all devices; None of a program that does not have this library."""
    vids = telemetry.ask('/vhost/list')
    if isinstance(vids, dict):      # more than one array holds
        vids = [vid for part in vids.values() for vid in part]
    return vids


def identity(prefix, telemetry):
    pid = telemetry.pid
    return {'prefix': as_text(prefix), 'pid': pid, 'version': telemetry.version or '',
            'program': as_text(os.path.basename(
                read(f'/proc/{pid}/cmdline').split('\0')[0])) or '?'}


def library_in_map(pid):
    """The vhost library that a process has in its map; '' for none, or if it may not be read."""
    for line in read(f'/proc/{pid}/maps').splitlines():
        path = line.split(maxsplit=5)[5:]
        if path and os.path.basename(path[0]).startswith('librte_vhost.so'):
            return as_text(path[0])
    return ''


ABOUT = {'name': as_text, 'version': as_text, 'abi': as_number, 'built_against': as_text,
         'file': as_text, 'libnuma': as_number, 'interval_ms': as_number}


def program(prefix, telemetry, vids):
    found = {**identity(prefix, telemetry), 'pools': pools(telemetry, telemetry.pid)}
    about = telemetry.ask('/vhost/about')
    if about:
        found['library'] = kept(about, ABOUT)
    heaps = sizes_of_heaps(telemetry)
    if heaps:
        found['heaps'] = heaps
    ports = ethernet_ports(telemetry)
    if ports:
        found['ports'] = ports
    lcores = lcores_of_switch(telemetry)
    if lcores:
        found['lcores'] = lcores
    told = told_by_switch(telemetry)
    found['devices'] = [each for each in (device(telemetry, vid, told.get(vid, {}))
                                          for vid in vids) if each]
    return found


def lcores_of_switch(telemetry):
    """{lcore that polls in dpdk-vhost: its node}; idle ones sleep, and look like others."""
    found = {}
    for number in telemetry.ask('/vhost_switch/lcores') or []:
        told = telemetry.ask(f'/vhost_switch/lcore,{number}')
        if told:
            found[str(as_number(number))] = as_node(told['node'])
    return found


def sizes_of_heaps(telemetry):
    """{node: bytes of DPDK memory that the program has there}"""
    heaps = {}
    for number in telemetry.ask('/eal/heap_list') or []:
        told = telemetry.ask(f'/eal/heap_info,{number}')
        name = re.fullmatch(r'socket_(\d+)', str(told['Name'])) if told else None
        if name:
            heaps[str(as_node(name[1]))] = as_number(told['Heap_size'])
    return heaps


def packet_counts(found, patience):
    """{(pid, vid): (when, packets, bytes)} of all devices whose program has them counted."""
    counts = {}
    for each in found:
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError,
                                 OverflowError), Telemetry(each['socket'], patience) as telemetry:
            for guest in each['devices']:
                told = [telemetry.ask(f'/vhost/vq,{guest["vid"]},{ring["queue"]}') or {}
                        for ring in guest['queues'] if ring['live']]
                counts[each['pid'], guest['vid']] = (
                    time.monotonic(), *(sum(as_number(one.get(key, 0)) for one in told)
                                        for key in ('good_packets', 'good_bytes')))
    return counts


def add_rates(found, before, after):
    """To each device that moved packets meanwhile: how many in a second."""
    for each in found:
        for guest in each['devices']:
            key = each['pid'], guest['vid']
            if key not in before or key not in after:
                continue
            passed, packets, size = (new - old for new, old in zip(after[key], before[key]))
            if passed > 0 and packets > 0:
                guest['rate'] = {'packets': round(packets / passed), 'bytes': round(
                    size / passed)}


DROPS_OF_PORT = ('imissed', 'ierrors', 'oerrors', 'rx_nombuf')


def ethernet_ports(telemetry):
    """What the program's Ethernet devices, vhost ones too, have dropped."""
    found = []
    for number in telemetry.ask('/ethdev/list') or []:
        stats = telemetry.ask(f'/ethdev/stats,{number}')
        if stats:
            info = telemetry.ask(f'/ethdev/info,{number}') or {}
            found.append({'port': as_number(number), 'name': as_text(info.get('name', number)),
                          'drops': {reason: as_number(stats[reason])
                                    for reason in DROPS_OF_PORT if reason in stats}})
    return found


def told_by_switch(telemetry):
    """{vid: what dpdk-vhost adds about its guest}"""
    told = {}
    for name in telemetry.ask('/vhost_switch/list') or []:
        info = telemetry.ask(f'/vhost_switch/info,{name}')
        if info and info['kind'] == 'guest' and info['connected']:
            told[info['vid']] = {
                'name': as_text(name), 'mbufs_node': as_node(info['mbufs_node']),
                'lcores': sorted({as_number(lcore) for lcore in info['queue_lcore']
                                  if lcore >= 0}),
                'drops': {as_text(reason): as_number(count)
                          for reason, count in (info.get('drops') or {}).items()},
                'queue_drops': [as_number(count) for count in info.get('queue_dropped') or []]}
    return told


def device(telemetry, vid, told):
    """One guest; None if it left meanwhile."""
    info = telemetry.ask(f'/vhost/info,{vid}')
    numa = telemetry.ask(f'/vhost/numa,{vid}')
    if not info or not numa:
        return None
    found = {'vid': as_number(vid), 'name': as_text(os.path.basename(info['path'])),
             'path': as_text(info['path']), 'node': as_node(info['numa_node']),
             'running': as_number(info['running']), 'regions': regions(numa),
             **kept(numa, OF_GUEST), **told}
    found['limits'] = limits(telemetry, vid)
    found['queues'] = [queue(telemetry, vid, qid, as_node(node_now))
                       for qid, node_now in enumerate(info.get('vring_nodes', []))]
    # of the rings that take packets, every other one
    for ring, count in zip(found['queues'][::2], found.pop('queue_drops', [])):
        ring['dropped_packets'] = count
    return found


OF_GUEST = {'policy': as_text, 'policy_node': as_node, 'app_node': as_node,
            'moves': as_number, 'refusals': as_number, 'drifts': as_number,
            'probes': as_number, 'restarts': as_number, 'last_refusal': as_text}
OF_QUEUE = {'node': as_node, 'ring_node': as_node, 'live': as_number,
            'enabled': as_number, 'direction': as_text, 'size': as_number, 'format': as_text,
            'bytes': as_number, 'moves': as_number, 'refusals': as_number,
            'drifts': as_number, 'last_pause_ns': as_number, 'max_pause_ns': as_number,
            'good_packets': as_number, 'good_bytes': as_number,
            'guest_notifications': as_number}


def kept(told, wanted):
    return {key: kind(told[key]) for key, kind in wanted.items() if key in told}


def queue(telemetry, vid, qid, node_now):
    found = {'queue': qid, 'node': node_now, 'ring_node': UNKNOWN, 'live': 1,
             'direction': 'from guest' if qid % 2 else 'to guest'}
    found.update(kept(telemetry.ask(f'/vhost/vq,{vid},{qid}') or {}, OF_QUEUE))
    return found


def limits(telemetry, vid):
    """{what: limit, what is used of it, refusals} of the socket of a device."""
    told = telemetry.ask(f'/vhost/limits,{vid}') or {}
    return {as_text(name): kept(each, {'limit': as_number, 'used': as_number,
                                       'refused': as_number})
            for name, each in told.items() if isinstance(each, dict)}


def regions(numa):
    listed = numa.get('regions', {})
    listed = listed if isinstance(listed, list) else \
        [listed[key] for key in sorted(listed, key=int)]
    return [{'size': as_number(each.get('size', 0)),
             'evidence': as_text(each.get('evidence', 'none')),
             'bytes': sizes_by_node(each.get('bytes', {}))} for each in listed]


def pools(telemetry, pid):
    """Pools of packet buffers, with the bytes of each on each node."""
    where = MemoryOf(pid)
    zones = [telemetry.ask(f'/eal/memzone_info,{number}')
             for number in telemetry.ask('/eal/memzone_list') or []]
    found = []
    for name in telemetry.ask('/mempool/list') or []:
        info = telemetry.ask(f'/mempool/info,{name}')
        if not info:
            continue
        sizes = collections.Counter()
        for zone in zones:
            if zone and re.fullmatch(rf'MP_{re.escape(name)}_\d+', zone['Name']):
                at = where.node(int(zone['Address'], 16), zone['Socket'])
                sizes[at] += zone['Length']
        found.append({'name': as_text(name), 'buffers': as_number(info.get('size', 0)),
                      'bytes': sizes_by_node(sizes or {info['socket_id']: 0})})
    return found


class MemoryOf:
    """On which node the parts of a process's memory are."""

    def __init__(self, pid):
        self._nodes = {}
        for line in read(f'/proc/{pid}/numa_maps').splitlines():
            self._nodes[int(line.split()[0], 16)] = re.findall(r' N(\d+)=\d+', line)
        self._starts = sorted(self._nodes)

    def node(self, address, otherwise):
        """The node of the mapping, if it is on one; else what DPDK says."""
        index = bisect.bisect_right(self._starts, address) - 1
        nodes = self._nodes[self._starts[index]] if index >= 0 else []
        return int(nodes[0]) if len(nodes) == 1 else otherwise
