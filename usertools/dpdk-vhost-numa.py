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
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

SAMPLE_SECONDS = 0.3    # between two looks at the threads
# Share of a CPU that makes a thread with a CPU for itself a polling one: Open
# vSwitch's may sleep, lcores do when there is nothing to do, others are guesses.
BUSY = (('pmd-c', 0), ('rte-worker-', 0.05), ('lcore-worker-', 0.05), ('', 0.5))
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
            self.banner = json.loads(self._socket.recv(16384))
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
        answer = json.loads(self._socket.recv(self.banner.get('max_output_len', 16384) + 256))
        return answer.get(command.partition(',')[0])


def runtime_folders():
    """Where EAL makes the folders of its programs: one per file prefix."""
    folders = [os.environ.get('RUNTIME_DIRECTORY'), os.environ.get('XDG_RUNTIME_DIR'),
               '/var/run', '/tmp']
    return list(dict.fromkeys(os.path.realpath(f'{folder}/dpdk')
                              for folder in folders if folder))


def programs(prefixes, folders):
    """All that answer and have vhost devices, or could have."""
    found = []
    for path in sorted(path for folder in folders
                       for path in glob.glob(f'{folder}/*/dpdk_telemetry.v2*')):
        prefix = os.path.basename(os.path.dirname(path))
        if prefixes and prefix not in prefixes:
            continue
        # A program that was killed leaves its socket behind.
        with contextlib.suppress(OSError, ValueError), Telemetry(path) as telemetry:
            vids = telemetry.ask('/vhost/list')
            if vids is not None:
                found.append(program(prefix, telemetry, vids))
    return found


def program(prefix, telemetry, vids):
    pid = telemetry.banner['pid']
    found = {'prefix': prefix, 'pid': pid, 'version': telemetry.banner.get('version', ''),
             'program': os.path.basename(read(f'/proc/{pid}/cmdline').split('\0')[0]) or '?',
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
                'name': name, 'mbufs_node': info['mbufs_node'],
                'lcores': sorted({lcore for lcore in info['queue_lcore'] if lcore >= 0})}
    return told


def device(telemetry, vid, told):
    """One guest; None if it left meanwhile."""
    info = telemetry.ask(f'/vhost/info,{vid}')
    numa = telemetry.ask(f'/vhost/numa,{vid}')
    if not info or not numa:
        return None
    kept = ('policy', 'policy_node', 'app_node', 'moves', 'refusals', 'drifts',
            'last_refusal')
    found = {'vid': vid, 'name': os.path.basename(info['path']), 'path': info['path'],
             'node': info['numa_node'], 'running': info['running'], 'regions': regions(numa),
             **{key: numa[key] for key in kept if key in numa}, **told}
    found['queues'] = [queue(telemetry, vid, qid, node_now)
                       for qid, node_now in enumerate(info.get('vring_nodes', []))]
    return found


def queue(telemetry, vid, qid, node_now):
    found = {'queue': qid, 'node': node_now, 'ring_node': UNKNOWN, 'live': 1,
             'direction': 'from guest' if qid % 2 else 'to guest'}
    told = telemetry.ask(f'/vhost/vq,{vid},{qid}') or {}
    found.update({key: told[key] for key in ('node', 'ring_node', 'live', 'enabled',
                  'direction', 'size', 'format', 'bytes', 'moves') if key in told})
    return found


def regions(numa):
    listed = numa.get('regions', {})
    listed = listed if isinstance(listed, list) else \
        [listed[key] for key in sorted(listed, key=int)]
    return [{'size': each.get('size', 0), 'evidence': each.get('evidence', 'none'),
             'bytes': each.get('bytes', {})} for each in listed]


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
                sizes[str(at)] += zone['Length']
        found.append({'name': name, 'buffers': info.get('size', 0),
                      'bytes': dict(sizes or {str(info['socket_id']): 0})})
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
    target = control[1] if control else \
        f'/var/run/openvswitch/ovs-vswitchd.{each["pid"]}.ctl'
    try:
        answer = subprocess.run(['ovs-appctl', '-t', target, 'dpif-netdev/pmd-rxq-show'],
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
    cpus = guest.get('cpus') or [thread['cpu'] for thread in each['threads']]
    guest['buffer_nodes'] = buffer_nodes(guest, each)
    guest['core_nodes'] = sorted({node_of.get(cpu, UNKNOWN) for cpu in cpus})
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
    found += [f'queue {ring["queue"]}' for ring in guest['queues'] if ring['remote']]
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


def on_nodes(nodes):
    return ', '.join('?' if each == UNKNOWN else str(each) for each in nodes) or '-'


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


def columns(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]


def hugepage_text(each):
    return ', '.join(f'{pages["free"]}/{pages["total"]} of {in_units(int(size) * 1024)}'
                     for size, pages in sorted(each['hugepages'].items(), key=lambda p: int(p[0]))
                     if pages['total']) or 'none'


def machine_table(state):
    rows = [('NODE', 'CPUS', 'MEMORY', 'FREE', 'FREE HUGEPAGES', 'DISTANCES')]
    for each in state['machine']['nodes']:
        rows.append((str(each['node']), ranges(cpu['cpu'] for cpu in each['cpus']) or 'none',
                     in_units(each['memory']), in_units(each['free']), hugepage_text(each),
                     ' '.join(f'{at}:{far}' for at, far in each['distances'].items())))
    return columns(rows)


def device_row(guest):
    cpus = f' (CPU {ranges(guest["cpus"])})' if guest.get('cpus') else ''
    return (guest['name'],
            ', '.join(f'{at} ({in_units(size)})' for at, size in guest['memory'].items()) or '?',
            on_nodes([guest['node']]),
            ' '.join(f'{ring["queue"]}:{on_nodes([ring["node"]])}'
                     for ring in guest['queues'] if ring['live']) or '-',
            on_nodes(guest['buffer_nodes']), on_nodes(guest['core_nodes']) + cpus,
            on_nodes([guest.get('app_node', UNKNOWN)]),
            guest.get('policy', 'follow'), verdict(guest))


def verdict(guest):
    if guest['remote']:
        return 'REMOTE: ' + ', '.join(guest['remote'])
    if guest['home'] == UNKNOWN:
        return 'unknown'
    return 'local' if guest['running'] else 'not running'


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
        if guest.get('last_refusal'):
            lines.append(f'  refused {guest.get("refusals", "")} times, last: '
                         f'{guest["last_refusal"]}')
    return lines


def table(state, colour):
    lines = machine_table(state)
    for each in state['programs']:
        lines += program_table(each, colour)
    if not state['programs']:
        lines += ['', 'no program with this vhost library answers']
    return '\n'.join(lines)


# --- The picture -----------------------------------------------------------

COLUMN, GAP, MARGIN, PADDING = 330, 70, 24, 14
CHIP, CHIP_GAP = 24, 6
CORE_WIDTH, CORE_HEIGHT = 44, 30
CHARACTER = 6.6         # pixels, at the size of chips
STYLE = """
text { font: 12px "DejaVu Sans", Verdana, sans-serif; fill: #1f2933 }
.title { font-size: 18px; font-weight: bold } .head { font-size: 15px; font-weight: bold }
.name { font-size: 13px; font-weight: bold } .small { font-size: 11px; fill: #52606d }
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

    def text(self, x, y, words, style=''):
        self._shapes.append(f'<text class="{style}" x="{x:g}" y="{y:g}">'
                            f'{html.escape(words)}</text>')

    def chip(self, style, x, y, width, words, hint=''):
        fits = int((width - 10) / CHARACTER)
        if len(words) > fits:
            words = words[:fits - 1] + '…'
        self.rectangle(style, x, y, width, CHIP, hint)
        self.text(x + width / 2, y + CHIP / 2 + 4, words, 'center')

    def reach(self, start, end):
        """A line from something remote to the guest's memory."""
        middle = (start[0] + end[0]) / 2
        self._shapes.append(f'<path class="reach" d="M{start[0]:g} {start[1]:g} C{middle:g} '
                            f'{start[1]:g} {middle:g} {end[1]:g} {end[0]:g} {end[1]:g}"/>')

    def insert(self, position, other):
        self._shapes[position:position] = other._shapes

    def size(self):
        return len(self._shapes)

    def document(self, width, height):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" '
                f'height="{height:g}" viewBox="0 0 {width:g} {height:g}">\n'
                f'<style>{STYLE}</style>\n<rect width="100%" height="100%" fill="#fff"/>\n'
                + '\n'.join(self._shapes) + '\n</svg>\n')


class Columns:
    """One column per node: where things are drawn, and how far down."""

    def __init__(self, nodes):
        self.numbers = [each['node'] for each in nodes]
        self.width = 2 * MARGIN + len(nodes) * COLUMN + (len(nodes) - 1) * GAP

    def x(self, number):
        return MARGIN + self.numbers.index(number) * (COLUMN + GAP)


def picture(state):
    """The whole SVG document."""
    art, place = Picture(), Columns(state['machine']['nodes'])
    art.text(MARGIN, 34, f'{state["machine"]["name"]}: vhost guests and NUMA nodes', 'title')
    legend(art, 48)
    top = 86
    behind = art.size()
    y = draw_nodes(art, place, state, top)
    for each in state['programs']:
        y = draw_program(art, place, each, y + 18)
    if not state['programs']:
        art.text(MARGIN + PADDING, y + 24, 'no program with this vhost library answers')
        y += 40
    frames = Picture()
    for number in place.numbers:
        frames.rectangle('node', place.x(number), top, COLUMN, y + PADDING - top)
    art.insert(behind, frames)
    return art.document(place.width, y + PADDING + MARGIN)


def legend(art, y):
    for index, (style, words) in enumerate((
            ('memory', 'memory'), ('device', 'structures'), ('buffers', 'buffers'),
            ('core', 'core'), ('remote', 'remote'))):
        art.chip(style, MARGIN + index * 84, y, 78, words)


def draw_nodes(art, place, state, top):
    """Headings and cores; returns how far down it went."""
    polled = {}
    for each in state['programs']:
        for thread in each['threads']:
            polled[thread['cpu']] = (each, thread)
    lowest = top
    for each in state['machine']['nodes']:
        x = place.x(each['node']) + PADDING
        art.text(x, top + 24, f'Node {each["node"]}', 'head')
        art.text(x + 70, top + 24, f'{in_units(each["memory"])}, {in_units(each["free"])} free; '
                 f'CPUs {ranges(cpu["cpu"] for cpu in each["cpus"]) or "none"}', 'small')
        art.text(x, top + 42, f'free hugepages: {hugepage_text(each)}', 'small')
        lowest = max(lowest, draw_cores(art, each['cpus'], polled, x, top + 54))
    return lowest


def draw_cores(art, cpus, polled, x, y):
    """The node's last-level caches, each with its cores."""
    caches = collections.defaultdict(lambda: collections.defaultdict(list))
    for cpu in cpus:
        caches[cpu.get('package'), cpu.get('cache')][cpu.get('core', cpu['cpu'])].append(cpu)
    per_row = (COLUMN - 4 * PADDING) // (CORE_WIDTH + CHIP_GAP)
    for (package, cache), cores in caches.items():
        rows = -(-len(cores) // per_row)
        size = next(iter(cores.values()))[0].get('cache_size', 0)
        words = f'package {package}' if package is not None else ''
        words += f', L3 {in_units(size)}' if cache is not None else ''
        height = 22 + rows * (CORE_HEIGHT + CHIP_GAP) + 4
        art.rectangle('cache', x, y, COLUMN - 2 * PADDING, height)
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
    art.rectangle(style, x, y, CORE_WIDTH, CORE_HEIGHT, hint or 'not polling')
    art.text(x + CORE_WIDTH / 2, y + CORE_HEIGHT / 2 + 4, ranges(numbers), 'center')


def remote_core(each, cpu):
    return any('core' in guest['remote'] and cpu in guest_cpus(guest, each)
               for guest in each['devices'])


def guest_cpus(guest, each):
    return guest.get('cpus') or [thread['cpu'] for thread in each['threads']]


def draw_program(art, place, each, y):
    """A program and its guests; returns how far down it went."""
    art.text(MARGIN + PADDING, y + 14, f'{each["program"]} (pid {each["pid"]}, '
             f'prefix {each["prefix"]})', 'name')
    y += 24
    drawn = set()
    for guest in each['devices']:
        chips = chips_of(guest, each, place.numbers)
        drawn.update(chip.words for column in chips.values() for chip in column)
        y = draw_guest(art, place, guest, chips, y) + 10
    spare = spare_chips(each, drawn, place.numbers)
    if any(spare.values()):
        y = draw_band(art, place, 'of no guest in particular', spare, y, {}) + 10
    return y


# What is drawn as one box, and the node that it should be on.
Chip = collections.namedtuple('Chip', 'style words wanted half')


def chips_of(guest, each, numbers):
    """A guest's boxes, by node."""
    chips = {number: [] for number in numbers}

    def add(number, style, words, remote, wanted=guest['home']):
        if number in chips:
            chips[number].append(Chip('remote' if remote else style, words, wanted,
                                      style == 'queue'))

    remote = guest['remote']
    for number, size in guest['memory'].items():
        add(int(number), 'memory', f'guest memory {in_units(size)}', False)
    add(guest['node'], 'device', 'device', 'device' in remote)
    for ring in guest['queues']:
        if ring['live']:
            wanted = ring['ring_node'] if ring['ring_node'] != UNKNOWN else guest['home']
            add(ring['node'], 'queue', f'queue {ring["queue"]} {ring["direction"]}',
                ring['remote'], wanted)
    wanted = {guest['home']} | {ring['ring_node'] for ring in guest['queues']}
    for pool in each['pools']:
        for number in map(int, pool['bytes']):
            if number in guest['buffer_nodes'] and ('buffers' in remote or number in wanted):
                add(number, 'buffers', f'buffers {pool["name"]}', 'buffers' in remote)
    for thread in each['threads']:
        if thread['cpu'] in guest_cpus(guest, each) and \
                ('core' in remote or thread['node'] in wanted):
            add(thread['node'], 'core', f'CPU {thread["cpu"]} {thread["name"]} '
                f'{thread["busy"]:.0%}', 'core' in remote and thread['node'] not in wanted)
    return chips


def spare_chips(each, drawn, numbers):
    """Pools and polling threads that no guest's band shows."""
    chips = {number: [] for number in numbers}
    for pool in each['pools']:
        for number in map(int, pool['bytes']):
            words = f'buffers {pool["name"]}'
            if words not in drawn and number in chips:
                chips[number].append(Chip('spare', words, number, False))
    for thread in each['threads']:
        words = f'CPU {thread["cpu"]} {thread["name"]} {thread["busy"]:.0%}'
        if words not in drawn and thread['node'] in chips:
            chips[thread['node']].append(Chip('spare', words, thread['node'], False))
    return chips


def draw_guest(art, place, guest, chips, y):
    words = f'{guest["name"]}: {verdict(guest)}'
    if guest.get('policy', 'follow') != 'follow':
        words += f' (policy {guest["policy"]})'
    memory = {number: ((place.x(number) + PADDING, place.x(number) + COLUMN - PADDING),
                       y + 30 + CHIP / 2) for number in chips
              if any(chip.style == 'memory' for chip in chips[number])}
    return draw_band(art, place, words, chips, y, memory)


def lay_out(chips):
    """Rows of a column: two queues share one."""
    rows = []
    for chip in chips:
        if chip.half and rows and len(rows[-1]) == 1 and rows[-1][0].half:
            rows[-1].append(chip)
        else:
            rows.append([chip])
    return rows


def draw_band(art, place, words, chips, y, memory):
    """One band across the nodes; returns its lower edge."""
    rows = {number: lay_out(column) for number, column in chips.items()}
    height = 34 + max(map(len, rows.values())) * (CHIP + CHIP_GAP)
    first = MARGIN + 6
    art.rectangle('band', first, y, place.width - 2 * first, height)
    art.text(first + 8, y + 18, words, 'name')
    for number, column in rows.items():
        left, right = place.x(number) + PADDING, place.x(number) + COLUMN - PADDING
        for depth, row in enumerate(column):
            at = y + 30 + depth * (CHIP + CHIP_GAP)
            width = (right - left - CHIP_GAP) / 2 if row[0].half else right - left
            edges = {}
            for index, chip in enumerate(row):
                x = left + index * (width + CHIP_GAP)
                art.chip(chip.style, x, at, width, chip.words, chip.words)
                if chip.style == 'remote' and chip.wanted in memory:
                    edges.setdefault(chip.wanted, [x, 0])[1] = x + width
            for wanted, ends in edges.items():
                draw_reach(art, ends, at, memory[wanted])
    return y + height


def draw_reach(art, edges, at, memory):
    """From the side of a row's boxes that is nearer to the memory, to its near side."""
    (low, high), y = memory
    if low > edges[1]:
        art.reach((edges[1], at + CHIP / 2), (low, y))
    else:
        art.reach((edges[0], at + CHIP / 2), (high, y))


# --- The program -----------------------------------------------------------

def look(spec):
    """Everything, as it is now or as a file says it was."""
    if spec.read:
        with open(spec.read) as file:
            state = json.load(file)
    else:
        state = {'machine': machine(), 'programs': programs(
            spec.file_prefix, spec.runtime_dir or runtime_folders())}
        add_threads(state['programs'], spec.sample, state['machine']['nodes'])
        add_pollers(state['programs'])
    judge(state)
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
    except (OSError, ValueError) as error:
        print(f'dpdk-vhost-numa: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
