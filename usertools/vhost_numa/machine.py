# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The machine: its nodes, with their memory, CPUs and caches.

hwloc's lstopo describes caches and cores if it is installed, else the kernel does.
"""

import functools
import glob
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

UNKNOWN = -1            # a node


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


def machine(with_caches=True):
    """The nodes, with their memory, and their cores and shared caches."""
    cpus = with_caches and cpus_of_lstopo() or cpus_of_sysfs()
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


@functools.cache    # it takes seconds on a large machine, and what it tells stays so
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
