# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What the kernel knows about NUMA nodes and about who has memory on them."""

import collections
import ctypes
import glob
import os
import re

SYS_MOVE_PAGES = 279    # x86_64
HUGE_2M = 'hugepages/hugepages-2048kB/free_hugepages'

Node = collections.namedtuple('Node', 'number cpus free_hugepages')


def usable_nodes():
    """The nodes that have CPUs, memory, and whatever free 2 MiB hugepages."""
    nodes = []
    for path in glob.glob('/sys/devices/system/node/node[0-9]*'):
        cpus = _parse_list(_read(f'{path}/cpulist'))
        memory = re.search(r'MemTotal:\s+(\d+)', _read(f'{path}/meminfo'))
        if cpus and memory and int(memory[1]) > 0:
            nodes.append(Node(int(path.rpartition('node')[2]), cpus,
                              int(_read(f'{path}/{HUGE_2M}') or 0)))
    return sorted(nodes)


def memory_of_range(pid, start, length, page_size):
    """KiB on each node of a part of a process's memory.

    move_pages() without target nodes only tells where pages are.
    """
    first = start - start % page_size
    addresses = range(first, start + length, page_size)
    pages = (ctypes.c_void_p * len(addresses))(*addresses)
    status = (ctypes.c_int * len(addresses))()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(SYS_MOVE_PAGES, pid, ctypes.c_ulong(len(addresses)), pages,
                    None, status, 0) != 0:
        raise OSError(ctypes.get_errno(), 'move_pages')
    counts = collections.Counter(node for node in status if node >= 0)
    return {node: count * page_size // 1024 for node, count in counts.items()}


def memory_by_node(pid, name):
    """KiB on each node of the mappings whose file name contains name."""
    sizes = collections.Counter()
    for line in _read(f'/proc/{pid}/numa_maps').splitlines():
        if f'file={name}' not in line:
            continue
        page_size = int(re.search(r'kernelpagesize_kB=(\d+)', line)[1])
        for node, pages in re.findall(r'\bN(\d+)=(\d+)', line):
            sizes[int(node)] += int(pages) * page_size
    return dict(sizes)


def mapped_files(pid):
    """The files that a process has mapped."""
    return set(re.findall(r'(/\S+)$', _read(f'/proc/{pid}/maps'), re.MULTILINE))


def _parse_list(text):
    """'0-2,5' gives [0, 1, 2, 5]."""
    numbers = []
    for part in text.strip().split(','):
        if part:
            first, _, last = part.partition('-')
            numbers += range(int(first), int(last or first) + 1)
    return numbers


def _read(path):
    if not os.path.exists(path):
        return ''
    with open(path) as file:
        return file.read()
