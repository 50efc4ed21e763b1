#! /usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Show on which NUMA nodes the guests of vhost switches have what they need.

For every guest of every running program that uses this vhost library: where
its memory is, where the device and queue structures, the packet buffers and
the polling cores are, and what of it is remote, that is, on another node than
the guest's memory.

It asks the programs through DPDK telemetry, the kernel through /proc and /sys,
hwloc's lstopo for the machine's topology if it is installed, and Open vSwitch
through ovs-appctl which core polls what.
"""

import argparse
import bisect
import collections
import contextlib
import glob
import html
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

SAMPLE_SECONDS = 0.3    # between two looks at the threads
LONGEST_ANSWER = 1 << 18
MOST = 1 << 63          # of anything that is counted
# Share of a CPU that makes a thread with a CPU for itself a polling one: Open
# vSwitch's may sleep, lcores do when there is nothing to do, others are guesses.
# The workers' names are those of three ages of EAL.
BUSY = (('pmd-c', 0), ('rte-worker-', 0.05), ('lcore-worker-', 0.05), ('dpdk-worker', 0.05), ('', 0.5))
UNKNOWN = -1


# --- The machine -----------------------------------------------------------

def read(path, default=''):
    try:
        with open(path, errors='replace') as file:
            return file.read()
    except OSError:
        return default


def parse_list(text):
    """'0-2,5' gives [0, 1, 2, 5]."""
    numbers = []
    for part in text.strip().split(','):
        if part:
            first, _, last = part.partition('-')
            numbers += range(int(first), int(last or first) + 1)
    return numbers


def machine():
    """The nodes, with their memory, and their cores and shared caches."""
    cpus = cpus_of_lstopo() or cpus_of_sysfs()
    paths = glob.glob('/sys/devices/system/node/node[0-9]*')
    numbers = sorted(int(path.rpartition('node')[2]) for path in paths) or [0]
    return {'name': os.uname().nodename, 'nodes': [node(number, numbers, cpus)
                                                   for number in numbers]}


def node(number, numbers, cpus):
    folder = f'/sys/devices/system/node/node{number}'
    info = dict(re.findall(r'(\w+):\s+(\d+) kB', read(f'{folder}/meminfo')))
    own = parse_list(read(f'{folder}/cpulist')) or \
        ([] if os.path.isdir(folder) else sorted(cpus))
    pages = {}
    for path in glob.glob(f'{folder}/hugepages/hugepages-*kB'):
        size = int(re.search(r'-(\d+)kB', path)[1])
        pages[str(size)] = {'total': int(read(f'{path}/nr_hugepages', '0')),
                            'free': int(read(f'{path}/free_hugepages', '0'))}
    distances = read(f'{folder}/distance').split()
    return {'node': number, 'memory': int(info.get('MemTotal', 0)) * 1024,
            'free': int(info.get('MemFree', 0)) * 1024, 'hugepages': pages,
            'distances': dict(zip(map(str, numbers), map(int, distances))),
            'cpus': [{'cpu': cpu, **cpus.get(cpu, {})} for cpu in own]}


def cpus_of_lstopo():
    """{cpu: its package, core and last cache}, or {} without hwloc."""
    program = shutil.which('lstopo-no-graphics') or shutil.which('lstopo')
    if not program:
        return {}
    try:
        answer = subprocess.run([program, '--of', 'xml'], capture_output=True, timeout=20)
        tree = ElementTree.fromstring(answer.stdout)
    except (OSError, subprocess.SubprocessError, ElementTree.ParseError):
        return {}
    cpus = {}
    walk_lstopo(tree, {}, cpus)
    return cpus


def walk_lstopo(element, above, cpus):
    kind = element.get('type')
    if kind == 'Package':
        above = {**above, 'package': int(element.get('os_index', 0))}
    elif kind == 'L3Cache':
        above = {**above, 'cache': int(element.get('gp_index')),
                 'cache_size': int(element.get('cache_size', 0))}
    elif kind == 'Core':
        above = {**above, 'core': int(element.get('gp_index'))}
    elif kind == 'PU':
        cpus[int(element.get('os_index'))] = above
    for child in element:
        walk_lstopo(child, above, cpus)


def cpus_of_sysfs():
    """The same from the kernel.  A core, a cache is named by its first CPU."""
    cpus = {}
    for path in glob.glob('/sys/devices/system/cpu/cpu[0-9]*'):
        siblings = parse_list(read(f'{path}/topology/thread_siblings_list'))
        shared = parse_list(read(f'{path}/cache/index3/shared_cpu_list'))
        size = re.match(r'(\d+)K', read(f'{path}/cache/index3/size'))
        found = {'package': int(read(f'{path}/topology/physical_package_id', '0'))}
        if siblings:
            found['core'] = siblings[0]
        if shared:
            found.update(cache=shared[0], cache_size=int(size[1]) * 1024 if size else 0)
        cpus[int(path.rpartition('cpu')[2])] = found
    return cpus


# --- The programs ----------------------------------------------------------

class Telemetry:
    """One program's telemetry socket."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(10)
        try:
            self._socket.connect(path)
            self.version = as_text(self._receive().get('version', ''))
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
        self._socket.send(command.encode())
        return self._receive().get(command.partition(',')[0])

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


def closed_folders(folders):
    """How many programs only their user, or root, may ask."""
    return sum(os.path.isdir(path) and not os.access(path, os.R_OK | os.X_OK)
               for folder in folders for path in glob.glob(f'{folder}/*'))


def programs(prefixes, folders):
    """All that answer and have vhost devices, or could have."""
    found = []
    for path in sorted(path for folder in folders
                       for path in glob.glob(f'{folder}/*/dpdk_telemetry.v2*')):
        prefix = os.path.basename(os.path.dirname(path))
        if prefixes and prefix not in prefixes:
            continue
        # A program that was killed leaves its socket behind, one may end or be
        # stopped while it is asked, and one with that name may be something else.
        with contextlib.suppress(OSError, ValueError, ArithmeticError, LookupError, TypeError,
                                 AttributeError), Telemetry(path) as telemetry:
            vids = telemetry.ask('/vhost/list')
            if isinstance(vids, dict):      # more than one array holds
                vids = [vid for part in vids.values() for vid in part]
            if vids is not None:
                found.append(program(prefix, telemetry, vids))
    return found


def program(prefix, telemetry, vids):
    pid = telemetry.pid
    found = {'prefix': as_text(prefix), 'pid': pid, 'version': telemetry.version,
             'program': as_text(os.path.basename(
                 read(f'/proc/{pid}/cmdline').split('\0')[0])) or '?',
             'pools': pools(telemetry, pid)}
    told = told_by_switch(telemetry)
    found['devices'] = [each for each in (device(telemetry, vid, told.get(vid, {}))
                                          for vid in vids) if each]
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
                                  if lcore >= 0})}
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
    found['queues'] = [queue(telemetry, vid, qid, as_node(node_now))
                       for qid, node_now in enumerate(info.get('vring_nodes', []))]
    return found


OF_GUEST = {'policy': as_text, 'policy_node': as_node, 'app_node': as_node,
            'moves': as_number, 'refusals': as_number, 'drifts': as_number,
            'last_refusal': as_text}
OF_QUEUE = {'node': as_node, 'ring_node': as_node, 'live': as_number,
            'enabled': as_number, 'direction': as_text, 'size': as_number, 'format': as_text,
            'bytes': as_number, 'moves': as_number}


def kept(told, wanted):
    return {key: kind(told[key]) for key, kind in wanted.items() if key in told}


def queue(telemetry, vid, qid, node_now):
    found = {'queue': qid, 'node': node_now, 'ring_node': UNKNOWN, 'live': 1,
             'direction': 'from guest' if qid % 2 else 'to guest'}
    found.update(kept(telemetry.ask(f'/vhost/vq,{vid},{qid}') or {}, OF_QUEUE))
    return found


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


# --- Who polls -------------------------------------------------------------

def cpu_times(pid):
    """{thread: (name, seconds on a CPU)}"""
    ticks, found = os.sysconf('SC_CLK_TCK'), {}
    for path in glob.glob(f'/proc/{pid}/task/*/stat'):
        start, _, rest = read(path).rpartition(') ')
        fields = rest.split()
        if fields:
            found[int(path.split('/')[4])] = (start.partition('(')[2],
                                              (int(fields[11]) + int(fields[12])) / ticks)
    return found


def add_threads(found, seconds, nodes):
    """To each program: its threads that have one CPU for themselves and use it."""
    before = {each['pid']: cpu_times(each['pid']) for each in found}
    start = time.monotonic()
    if found:
        time.sleep(seconds)
    node_of = {cpu['cpu']: each['node'] for each in nodes for cpu in each['cpus']}
    for each in found:
        passed = time.monotonic() - start
        each['threads'] = []
        for thread, (name, used) in sorted(cpu_times(each['pid']).items()):
            cpus = parse_list(''.join(re.findall(r'Cpus_allowed_list:\s*(\S+)', read(
                f'/proc/{each["pid"]}/task/{thread}/status'))))
            busy = (used - before[each['pid']].get(thread, (name, used))[1]) / passed
            enough = next(share for start_of, share in BUSY if name.startswith(start_of))
            if len(cpus) == 1 and busy >= enough:
                each['threads'].append({
                    'thread': thread, 'name': name, 'cpu': cpus[0],
                    'node': node_of.get(cpus[0], UNKNOWN), 'busy': round(min(busy, 1), 2)})


def add_pollers(found):
    """To each device: the CPUs that poll it, if anybody can tell."""
    for each in found:
        asked = pollers_of_switch(each)
        for guest in each['devices']:
            cpus = asked.get(guest['name'])
            if 'lcores' in guest:
                cpus = cpus_of_lcores(each, guest['lcores'])
            elif cpus is None and len(each['threads']) == 1:
                cpus = [each['threads'][0]['cpu']]
            if cpus:
                guest['cpus'] = cpus


def cpus_of_lcores(each, lcores):
    """EAL names an lcore's thread after the lcore's number."""
    return [thread['cpu'] for thread in each['threads']
            if re.fullmatch(r'(rte|lcore)-worker-(\d+)', thread['name']) and
            int(thread['name'].rpartition('-')[2]) in lcores]


def is_switch(each):
    return 'vswitchd' in each['program']


def pollers_of_switch(each):
    """{port or socket name: [cpu]} of an Open vSwitch."""
    if not is_switch(each):
        return {}
    command = read(f'/proc/{each["pid"]}/cmdline')
    control = re.search(r'--unixctl=([^\0]+)', command)
    # Its name begins with the program's, of which there are several.
    target = [control[1]] if control else glob.glob(
        f'{os.environ.get("OVS_RUNDIR", "/var/run/openvswitch")}/*.{each["pid"]}.ctl')
    if not target:
        return {}
    try:
        answer = subprocess.run(['ovs-appctl', '-t', target[0], 'dpif-netdev/pmd-rxq-show'],
                                capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return {}
    polled, cpu = collections.defaultdict(list), None
    for line in answer.stdout.splitlines():
        if match := re.match(r'pmd thread numa_id \d+ core_id (\d+)', line):
            cpu = int(match[1])
        elif (match := re.match(r'\s+port: (\S+)\s+queue-id:\s+\d+ ', line)) and cpu is not None:
            polled[match[1]].append(cpu)
    return {name: sorted(set(cpus)) for name, cpus in polled.items()}


# --- What is remote --------------------------------------------------------

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


# --- The table -------------------------------------------------------------

def in_units(size):
    for unit, factor in (('TiB', 1 << 40), ('GiB', 1 << 30), ('MiB', 1 << 20)):
        if size >= factor:
            return f'{size / factor:.3g} {unit}'
    return f'{size / 1024:.3g} KiB'


def on_nodes(nodes, between=', '):
    return between.join('?' if each == UNKNOWN else str(each) for each in nodes) or '-'


def ranges(numbers):
    """[0, 1, 2, 5] as '0-2,5'."""
    parts = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ','.join(str(first) if first == last else f'{first}-{last}'
                    for first, last in parts)


def queues_text(queues):
    return f'queue {queues[0]}' if len(queues) == 1 else f'queues {ranges(queues)}'


def columns(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]


def hugepage_texts(each):
    """One for each size of which there are any."""
    return [f'{pages["free"]}/{pages["total"]} of {in_units(int(size) * 1024)}'
            for size, pages in sorted(each['hugepages'].items(), key=lambda p: int(p[0]))
            if pages['total']]


def machine_table(state):
    rows = [('NODE', 'CPUS', 'MEMORY', 'FREE', 'FREE HUGEPAGES', 'DISTANCES')]
    for each in state['machine']['nodes']:
        rows.append((str(each['node']), ranges(cpu['cpu'] for cpu in each['cpus']) or 'none',
                     in_units(each['memory']), in_units(each['free']),
                     ', '.join(hugepage_texts(each)) or 'none',
                     ' '.join(f'{at}:{far}' for at, far in each['distances'].items())))
    return columns(rows)


def device_row(guest):
    cpus = f' (CPU {ranges(guest["cpus"])})' if guest.get('cpus') else ''
    return (guest['name'],
            ', '.join(f'{at} ({in_units(size)})' for at, size in guest['memory'].items()) or '?',
            on_nodes([guest['node']]),
            ' '.join(f'{ring["queue"]}:{on_nodes([ring["node"]])}'
                     for ring in guest['queues'] if ring['live']) or '-',
            on_nodes(guest['buffer_nodes'], ' or '), on_nodes(guest['core_nodes']) + cpus,
            on_nodes([guest.get('app_node', UNKNOWN)]),
            guest.get('policy', 'follow'), verdict(guest))


def verdict(guest):
    if guest['remote']:
        return 'REMOTE: ' + ', '.join(guest['remote'])
    if not guest['running']:
        return 'not running'
    return 'unknown' if guest['home'] == UNKNOWN else 'local'


def notes(guest):
    """What else there is to say of a guest, a line each."""
    found = []
    if guest.get('last_refusal'):
        found.append(f'refused {times(guest.get("refusals", 0))}, last: '
                     f'{guest["last_refusal"]}')
    if guest.get('drifts'):
        found.append(f'drift: memory or rings were on another node than before, '
                     f'{times(guest["drifts"])}')
    if 'application' in guest['remote']:
        found.append(f'the application was told node {guest["app_node"]}: '
                     f'/vhost/numa_refresh,{guest["vid"]} tells it anew')
    return found


def times(n):
    return 'once' if n == 1 else f'{n} times'


def program_table(each, colour):
    polls = ', '.join(f'{thread["name"]} on CPU {thread["cpu"]}, node {thread["node"]} '
                      f'({thread["busy"]:.0%})' for thread in each['threads']) or 'nobody'
    lines = ['', f'{each["program"]} (pid {each["pid"]}, prefix {each["prefix"]}, '
             f'{each["version"]})', f'polling: {polls}']
    if not each['devices']:
        return lines + ['no guest']
    rows = columns([('GUEST', 'MEMORY', 'DEVICE', 'QUEUES', 'BUFFERS', 'CORES', 'SEEN',
                     'POLICY', 'VERDICT')] + [device_row(guest) for guest in each['devices']])
    lines.append(rows[0])
    for guest, row in zip(each['devices'], rows[1:]):
        red = colour and guest['remote']
        lines.append(f'\033[31m{row}\033[0m' if red else row)
        lines += [f'  {note}' for note in notes(guest)]
    return lines


def nobody(state):
    closed = state.get('closed')
    return 'no program with this vhost library answers' + (
        f'; {closed} of other users may not be asked (try as root)' if closed else '')


def table(state, colour):
    lines = machine_table(state)
    for each in state['programs']:
        lines += program_table(each, colour)
    if not state['programs']:
        lines += ['', nobody(state)]
    return '\n'.join(lines)


# --- The picture -----------------------------------------------------------

COLUMN, GAP, MARGIN, PADDING = 330, 70, 24, 14
CHIP, CHIP_GAP = 24, 6
CORE_WIDTH, CORE_HEIGHT = 44, 30
LINE = 16               # from one line of small text to the next
NARROWEST = 520         # the title and the legend need it
MOST_QUEUES = 4         # that are drawn one by one
# Width of a character in pixels.
CHARACTER, BOLD, SMALL = 6.9, 8.6, 6.3
STYLE = """
text { font: 12px "DejaVu Sans", Verdana, sans-serif; fill: #1f2933 }
.title { font-size: 18px; font-weight: bold } .head { font-size: 15px; font-weight: bold }
.name { font-size: 13px; font-weight: bold } .small { font-size: 11px; fill: #52606d }
.alarm { font-size: 13px; font-weight: bold; fill: #a61b1b } .digits { font-size: 11px }
.center { text-anchor: middle }
.node { fill: #eef2f7; stroke: #9aa5b1 }
.band { fill: #fff; fill-opacity: 0.7; stroke: #9aa5b1 }
.cache { fill: #fff; stroke: #cbd2d9 } .idle { fill: #e4e7eb; stroke: #9aa5b1 }
.memory { fill: #c6f1e7; stroke: #0c7c66 } .device { fill: #d9e8fb; stroke: #1c5fb0 }
.queue { fill: #d9e8fb; stroke: #1c5fb0 } .buffers { fill: #fcefc7; stroke: #a07b0a }
.core { fill: #e0d9f7; stroke: #5d40b5 } .spare { fill: #eef0f2; stroke: #9aa5b1 }
.remote { fill: #fbd3d3; stroke: #c81e1e; stroke-width: 2 } .remote + text { fill: #a61b1b }
.reach { fill: none; stroke: #c81e1e; stroke-width: 1.5; stroke-dasharray: 5 4 }
"""


class Picture:
    """Shapes of an SVG file, in the order of drawing."""

    def __init__(self):
        self._shapes = []

    def rectangle(self, style, x, y, width, height, hint=''):
        title = f'<title>{html.escape(hint)}</title>' if hint else ''
        self._shapes.append(f'<rect class="{style}" x="{x:g}" y="{y:g}" width="{width:g}" '
                            f'height="{height:g}" rx="4">{title}</rect>')

    def text(self, x, y, words, style='', hint=''):
        title = f'<title>{html.escape(hint)}</title>' if hint else ''
        self._shapes.append(f'<text class="{style}" x="{x:g}" y="{y:g}">'
                            f'{html.escape(words)}{title}</text>')

    def fitted(self, x, y, width, words, style, character):
        """Words that may be too long; the hint has all of them."""
        shown = shorten(words, int(width / character))
        self.text(x, y, shown, style, words if shown != words else '')

    def chip(self, style, x, y, width, words, hint=''):
        self.rectangle(style, x, y, width, CHIP, hint)
        self.text(x + width / 2, y + CHIP / 2 + 4,
                  shorten(words, int((width - 10) / CHARACTER)), 'center')

    def reach(self, points):
        """A line from something remote to the guest's memory, with soft corners."""
        path = f'M{points[0][0]:g} {points[0][1]:g}'
        for (x, y), (to_x, to_y) in zip(points, points[1:]):
            middle = (x + to_x) / 2
            path += f' C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}'
        self._shapes.append(f'<path class="reach" d="{path}"/>')

    def insert(self, position, other):
        self._shapes[position:position] = other._shapes

    def size(self):
        return len(self._shapes)

    def document(self, width, height):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" '
                f'height="{height:g}" viewBox="0 0 {width:g} {height:g}">\n'
                f'<style>{STYLE}</style>\n<rect width="100%" height="100%" fill="#fff"/>\n'
                + '\n'.join(self._shapes) + '\n</svg>\n')


def shorten(words, most):
    """Without the middle if it is too long: the ends tell more of names and lists."""
    if len(words) <= most:
        return words
    head = (most - 1) // 2
    return f'{words[:head]}…{words[len(words) - (most - 1 - head):]}'


class Columns:
    """One column per node: where things are drawn, and how far down."""

    def __init__(self, nodes):
        self.numbers = [each['node'] for each in nodes]
        self.column = COLUMN if len(nodes) > 1 else NARROWEST - 2 * MARGIN
        self.width = 2 * MARGIN + len(nodes) * (self.column + GAP) - GAP

    def x(self, number):
        return MARGIN + self.numbers.index(number) * (self.column + GAP)


def picture(state):
    """The whole SVG document."""
    art, place = Picture(), Columns(state['machine']['nodes'])
    art.fitted(MARGIN, 34, place.width - 2 * MARGIN,
               f'{state["machine"]["name"]}: vhost guests and NUMA nodes', 'title', 11.5)
    legend(art, 48)
    top = 86
    behind = art.size()
    y = draw_nodes(art, place, state, top)
    for each in state['programs']:
        y = draw_program(art, place, each, y + 18)
    if not state['programs']:
        art.text(MARGIN + PADDING, y + 24, nobody(state))
        y += 40
    frames = Picture()
    for number in place.numbers:
        frames.rectangle('node', place.x(number), top, place.column, y + PADDING - top)
    art.insert(behind, frames)
    return art.document(place.width, y + PADDING + MARGIN)


def legend(art, y):
    for index, (style, words) in enumerate((
            ('memory', 'memory'), ('device', 'structures'), ('buffers', 'buffers'),
            ('core', 'core'), ('remote', 'remote'))):
        art.chip(style, MARGIN + index * 95, y, 89, words)


def draw_nodes(art, place, state, top):
    """Headings and cores; returns how far down it went."""
    polled = {}
    for each in state['programs']:
        for thread in each['threads']:
            polled[thread['cpu']] = (each, thread)
    lowest = top
    for each in state['machine']['nodes']:
        x, y = place.x(each['node']) + PADDING, top + 24
        art.text(x, y, f'Node {each["node"]}', 'head')
        art.fitted(x + 74, y, place.column - 74 - 2 * PADDING,
                   f'CPUs {ranges(cpu["cpu"] for cpu in each["cpus"]) or "none"}',
                   'small', SMALL)
        free = f'{in_units(each["memory"])}, {in_units(each["free"])} free'
        for words in [free, *(f'free hugepages: {words}'
                              for words in hugepage_texts(each) or ['none'])]:
            y += LINE
            art.text(x, y, words, 'small')
        width = place.column - 2 * PADDING
        lowest = max(lowest, draw_cores(art, each['cpus'], polled, x, y + LINE, width))
    return lowest


def draw_cores(art, cpus, polled, x, y, width):
    """The node's last-level caches, each with its cores."""
    caches = collections.defaultdict(lambda: collections.defaultdict(list))
    for cpu in cpus:
        caches[cpu.get('package'), cpu.get('cache')][cpu.get('core', cpu['cpu'])].append(cpu)
    per_row = (width - 2 * PADDING) // (CORE_WIDTH + CHIP_GAP)
    for (package, cache), cores in caches.items():
        rows = -(-len(cores) // per_row)
        size = next(iter(cores.values()))[0].get('cache_size', 0)
        words = f'package {package}' if package is not None else ''
        words += f', L3 {in_units(size)}' if cache is not None else ''
        height = 22 + rows * (CORE_HEIGHT + CHIP_GAP) + 4
        art.rectangle('cache', x, y, width, height)
        art.text(x + 8, y + 15, words, 'small')
        for index, members in enumerate(cores.values()):
            draw_core(art, members, polled,
                      x + PADDING + index % per_row * (CORE_WIDTH + CHIP_GAP),
                      y + 22 + index // per_row * (CORE_HEIGHT + CHIP_GAP))
        y += height + CHIP_GAP
    return y


def draw_core(art, members, polled, x, y):
    numbers = [cpu['cpu'] for cpu in members]
    users = [polled[number] for number in numbers if number in polled]
    style = 'core' if users else 'idle'
    hint = ''.join(f'{thread["name"]} of {each["program"]}, {thread["busy"]:.0%} busy\n'
                   for each, thread in users)
    if any(remote_core(each, thread['cpu']) for each, thread in users):
        style = 'remote'
    art.rectangle(style, x, y, CORE_WIDTH, CORE_HEIGHT,
                  f'CPU {ranges(numbers)}\n{hint or "not polling"}')
    draw_numbers(art, numbers, x + CORE_WIDTH / 2, y + CORE_HEIGHT / 2)


def draw_numbers(art, numbers, x, y):
    """A core's CPUs, in two lines if need be."""
    words, fits = ranges(numbers), int((CORE_WIDTH - 8) / CHARACTER)
    if len(words) <= fits:
        art.text(x, y + 4, words, 'center')
        return
    half = -(-len(numbers) // 2)
    for below, part in ((-2, numbers[:half]), (11, numbers[half:])):
        art.text(x, y + below, shorten(ranges(part), fits), 'center digits')


def remote_core(each, cpu):
    return any('core' in guest['remote'] and cpu in guest_cpus(guest, each)
               for guest in each['devices'])


def guest_cpus(guest, each):
    return guest.get('cpus') or [thread['cpu'] for thread in each['threads']]


def draw_program(art, place, each, y):
    """A program and its guests; returns how far down it went."""
    art.fitted(MARGIN + PADDING, y + 14, place.width - 2 * (MARGIN + PADDING),
               f'{each["program"]} (pid {each["pid"]}, prefix {each["prefix"]})', 'name', BOLD)
    y += 24
    drawn = set()
    for guest in each['devices']:
        chips = chips_of(guest, each, place.numbers)
        drawn.update(chip.words for column in chips.values() for chip in column)
        y = draw_guest(art, place, guest, chips, y) + 10
    spare = spare_chips(each, drawn, place.numbers)
    if any(spare.values()):
        y = draw_band(art, place, 'of no guest in particular', spare, y) + 10
    return y


# What is drawn as one box, and the node that it should be on.
Chip = collections.namedtuple('Chip', 'style words wanted half')


def chips_of(guest, each, numbers):
    """A guest's boxes, by node; under UNKNOWN what has no place in the picture."""
    chips = {number: [] for number in [*numbers, UNKNOWN]}

    def add(at, style, words, remote=False, wanted=guest['home'], half=False):
        chips[at if at in chips else UNKNOWN].append(
            Chip('remote' if remote else style, words, wanted, half))

    for at, size in guest['memory'].items():
        add(int(at), 'memory', f'guest memory {in_units(size)}')
    add(guest['node'], 'device', 'device', 'device' in guest['remote'])
    add_queues(guest, add)
    wanted = {guest['home']} | {ring['ring_node'] for ring in guest['queues']}
    for at in guest['buffer_nodes']:
        remote = 'buffers' in guest['remote']
        if remote or at in wanted or guest['home'] == UNKNOWN:
            for name in pools_on(each, at) or ['']:
                add(at, 'buffers', f'buffers {name}'.rstrip(), remote)
    for at, words in cores_of(guest, each):
        remote = 'core' in guest['remote']
        if remote or at in wanted or guest['home'] == UNKNOWN:
            add(at, 'core', words, remote and at not in wanted)
    return chips


def add_queues(guest, add):
    """Each queue, or if there are many, those that are alike."""
    alike = collections.defaultdict(list)
    for ring in guest['queues']:
        if ring['live']:
            wanted = ring['ring_node'] if ring['ring_node'] != UNKNOWN else guest['home']
            alike[ring['node'], ring['remote'], wanted].append(ring)
    for (at, remote, wanted), rings in alike.items():
        if len(rings) > MOST_QUEUES:
            add(at, 'queue', queues_text([ring['queue'] for ring in rings]), remote, wanted)
            continue
        for ring in rings:
            add(at, 'queue', f'queue {ring["queue"]} {ring["direction"]}', remote, wanted,
                half=True)


def pools_on(each, at):
    return [pool['name'] for pool in each['pools'] if str(at) in pool['bytes']]


def cores_of(guest, each):
    """[(node, words)] of the CPUs that poll a guest."""
    known = {thread['cpu']: thread for thread in each['threads']}
    found = []
    for cpu, at in zip(guest_cpus(guest, each), guest['cpu_nodes']):
        found.append((at, core_words(known[cpu]) if cpu in known else f'CPU {cpu}'))
    return found


def core_words(thread):
    return f'CPU {thread["cpu"]} {thread["name"]} {thread["busy"]:.0%}'


def spare_chips(each, drawn, numbers):
    """Pools and polling threads that no guest's band shows."""
    chips = {number: [] for number in numbers}
    for pool in each['pools']:
        for number in map(int, pool['bytes']):
            words = f'buffers {pool["name"]}'
            if words not in drawn and number in chips:
                chips[number].append(Chip('spare', words, number, False))
    for thread in each['threads']:
        words = core_words(thread)
        if words not in drawn and thread['node'] in chips:
            chips[thread['node']].append(Chip('spare', words, thread['node'], False))
    return chips


def draw_guest(art, place, guest, chips, y):
    """The verdict has to be seen, however long the name of the socket is."""
    words = verdict(guest)
    if guest.get('policy', 'follow') != 'follow':
        words += f' (policy {guest["policy"]})'
    fits = int((place.width - 2 * (MARGIN + PADDING)) / BOLD)
    name = shorten(guest['name'], max(fits - len(words) - 2, fits // 3))
    lost = [chip.words for chip in chips.pop(UNKNOWN)]
    more = [f'on a node that is not known: {", ".join(lost)}'] if lost else []
    return draw_band(art, place, shorten(f'{name}: {words}', fits), chips, y,
                     style='alarm' if guest['remote'] else 'name',
                     hint=f'{guest["path"]}: {words}', more=notes(guest) + more)


def lay_out(chips):
    """Rows of a column: two queues share one."""
    rows = []
    for chip in chips:
        if chip.half and rows and len(rows[-1]) == 1 and rows[-1][0].half:
            rows[-1].append(chip)
        else:
            rows.append([chip])
    return rows


def draw_band(art, place, words, chips, y, style='name', hint='', more=()):
    """One band across the nodes; returns its lower edge."""
    rows = {number: lay_out(column) for number, column in chips.items()}
    top = y + 30 + LINE * len(more)
    first = MARGIN + 6
    lower = top + 4 + max(map(len, rows.values())) * (CHIP + CHIP_GAP)
    art.rectangle('band', first, y, place.width - 2 * first, lower - y)
    art.text(first + 8, y + 18, words, style, hint)
    for line, note in enumerate(more):
        art.fitted(first + 8, y + 18 + LINE * (line + 1), place.width - 2 * (first + 8),
                   note, 'small', SMALL)
    memory = [number for number, column in chips.items()
              if any(chip.style == 'memory' for chip in column)]
    for number, column in rows.items():
        for depth, row in enumerate(column):
            draw_row(art, place, row, number, top + depth * (CHIP + CHIP_GAP))
            for wanted in sorted({chip.wanted for chip in row if chip.style == 'remote'}):
                if wanted in memory:
                    draw_reach(art, place, number, row, wanted,
                               top + depth * (CHIP + CHIP_GAP) + CHIP / 2, top)
    return lower


def edges(place, number):
    return place.x(number) + PADDING, place.x(number) + place.column - PADDING


def edges_in_row(place, number, row):
    """Left and right of each box."""
    left, right = edges(place, number)
    width = (right - left - CHIP_GAP) / 2 if row[0].half else right - left
    return [(left + index * (width + CHIP_GAP), left + index * (width + CHIP_GAP) + width)
            for index in range(len(row))]


def draw_row(art, place, row, number, y):
    for chip, (left, right) in zip(row, edges_in_row(place, number, row)):
        art.chip(chip.style, left, y, right - left, chip.words, chip.words)


def draw_reach(art, place, number, row, wanted, y, top):
    """From the side of a row's boxes that is nearer to the memory, to its near side;
    above the boxes of nodes in between."""
    ends = [end for chip, end in zip(row, edges_in_row(place, number, row))
            if chip.style == 'remote' and chip.wanted == wanted]
    rightward = place.x(wanted) > place.x(number)
    start = max(right for _, right in ends) if rightward else min(left for left, _ in ends)
    end = edges(place, wanted)[0 if rightward else 1]
    points = [(start, y), (end, top + CHIP / 2)]
    if abs(place.x(wanted) - place.x(number)) > place.column + GAP:
        aside = GAP if rightward else -GAP
        own_side = edges(place, number)[1 if rightward else 0]
        points[1:1] = [(own_side + aside, top - 5), (end - aside, top - 5)]
    art.reach(points)


# --- The program -----------------------------------------------------------

def look(spec):
    """Everything, as it is now or as a file says it was."""
    if spec.read:
        return read_state(spec.read)
    folders = spec.runtime_dir or runtime_folders()
    state = {'machine': machine(), 'programs': programs(spec.file_prefix, folders),
             'closed': closed_folders(folders)}
    add_threads(state['programs'], spec.sample, state['machine']['nodes'])
    add_pollers(state['programs'])
    judge(state)
    return state


def read_state(path):
    with open(path) as file:
        state = json.load(file)
    try:
        judge(state)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f'{path} is not what --json prints') from error
    return state


def show(state, spec):
    if spec.svg:
        partial = f'{spec.svg}.{os.getpid()}'
        with open(partial, 'w') as file:
            file.write(picture(state))
        os.replace(partial, spec.svg)
    if spec.json:
        print(json.dumps(state, indent=1))
    elif not spec.svg or spec.watch:
        clear = '\033[H\033[2J' if spec.watch and sys.stdout.isatty() else ''
        print(clear + table(state, sys.stdout.isatty()), flush=True)


def something_remote(state):
    return any(guest['remote'] for each in state['programs'] for guest in each['devices'])


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='Exit status: 0; with --check 3 if anything is remote.  Threads and pools '
        "of another user's program, or pages of any, may need root.")
    parser.add_argument('-f', '--file-prefix', action='append', default=[], metavar='PREFIX',
                        help='only the program with this EAL file prefix; may be repeated')
    parser.add_argument('--json', action='store_true', help='print all that is known')
    parser.add_argument('--svg', metavar='FILE', help='draw it')
    parser.add_argument('--watch', type=float, nargs='?', const=2, metavar='SECONDS',
                        help='again and again, every 2 seconds')
    parser.add_argument('--check', action='store_true',
                        help='tell by the exit status whether anything is remote')
    parser.add_argument('--read', metavar='FILE',
                        help='show what an earlier --json has printed')
    parser.add_argument('--runtime-dir', action='append', metavar='DIR',
                        help="folder of EAL's run-time folders (/var/run/dpdk and others)")
    parser.add_argument('--sample', type=float, default=SAMPLE_SECONDS, metavar='SECONDS',
                        help=f'how long to look at the threads ({SAMPLE_SECONDS:g})')
    return parser.parse_args()


def main():
    spec = parse_arguments()
    try:
        while True:
            state = look(spec)
            show(state, spec)
            if not spec.watch:
                return 3 if spec.check and something_remote(state) else 0
            time.sleep(spec.watch)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:     # whoever reads has enough; the interpreter shall not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, ValueError) as error:
        print(f'dpdk-vhost-numa: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
