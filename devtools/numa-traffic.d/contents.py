# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What lies where in the memory of a switch and of its guest.

A process is asked from outside: its mappings (/proc/PID/maps, pagemap), DPDK's
telemetry (memzones) and the list that the preloaded allocations.c keeps.  The
answer is a list of places for the plug-in, each with the kind of its content.
"""

import collections
import os
import re

from places import pagemap

# What the watched core may touch; the position is the plug-in's number.
KINDS = ('rest', 'structures', 'handles', 'rings', 'guest', 'mbufs', 'stack', 'dpdk',
         'variables')
REST, STRUCTURES, HANDLES, RINGS, GUEST, MBUFS, STACK, DPDK, VARIABLES = range(len(KINDS))
MEANING = {
    'structures': 'what the vhost library allocates on nodes: chunks of its own, DPDK memory',
    'handles': 'what else it allocates',
    'rings': 'descriptor, available and used rings',
    'guest': "the guest's other memory: packet buffers",
    'mbufs': "the switch's mbufs, their pool and its caches",
    'stack': 'stack and thread-local variables of the polling thread',
    'variables': "the library's global variables",
    'dpdk': "the switch's other DPDK memory: ports, drivers",
    'rest': 'everything else',
}

Mapping = collections.namedtuple('Mapping', 'first end writable offset path')
Place = collections.namedtuple('Place', 'first end kind')

# In which our library takes memory for structures; see mem_heap.c.
CHUNK = 2 << 20


def mappings(pid):
    """All of a process; what follows a library's variables is more of them, which
    are zero at first and not in its file."""
    found = []
    with open(f'/proc/{pid}/maps') as file:
        for line in file:
            words = line.split(maxsplit=5)
            first, end = (int(word, 16) for word in words[0].split('-'))
            path = words[5].rstrip('\n') if len(words) > 5 else ''
            if not path and found and found[-1].writable and found[-1].end == first and \
                    '.so' in found[-1].path:
                path = found[-1].path
            found.append(Mapping(first, end, words[1][1] == 'w',
                                 int(words[2], 16), path))
    return found


class Contents:
    """Collects places; what is added later is the better answer."""

    def __init__(self, places):
        self._places = places
        self._found = []

    def add(self, pid, first, length, kind):
        """A part of a process's memory, as far as it is present."""
        for address, physical in pagemap(pid, first, length):
            low = max(first - address, 0)
            high = min(first + length - address, 4096)
            place = self._places.of_physical(physical)
            self._found.append(Place(place + low, place + high, kind))

    def add_mappings(self, pid, wanted, kind):
        for mapping in mappings(pid):
            if wanted(mapping):
                self.add(pid, mapping.first, mapping.end - mapping.first, kind)

    def add_zones(self, process, pattern, kind):
        """DPDK memzones whose names match."""
        for name, first, length in process.memzones():
            if re.fullmatch(pattern, name):
                self.add(process.pid, first, length, kind)

    def result(self):
        """Places in rising order, without overlap, neighbours joined."""
        joined = []
        for first, end, kind in _paint(self._found):
            if joined and joined[-1].end == first and joined[-1].kind == kind:
                joined[-1] = Place(joined[-1].first, end, kind)
            else:
                joined.append(Place(first, end, kind))
        return joined


def _paint(places):
    """Cut overlapping places where any begins or ends; the last one wins."""
    edges = sorted([(place.first, 1, order) for order, place in enumerate(places)] +
                   [(place.end, 0, order) for order, place in enumerate(places)])
    active, previous = set(), None
    for at, begins, order in edges:
        if active and at != previous:
            yield previous, at, places[max(active)].kind
        if begins:
            active.add(order)
        else:
            active.discard(order)
        previous = at


def of_switch(switch, guest, thread, places):
    """The contents of both processes, which should stand still meanwhile."""
    contents = Contents(places)
    contents.add_mappings(guest.pid, lambda m: is_hugepages(m, guest), GUEST)
    contents.add_zones(guest, r'port\d+_vq\d+', RINGS)
    contents.add_mappings(switch.pid, lambda m: is_hugepages(m, switch), DPDK)
    contents.add_zones(switch, r'(RG_)?MP_.*', MBUFS)
    contents.add_mappings(switch.pid, is_library_data, VARIABLES)
    dpdk = [m for m in mappings(switch.pid) if is_hugepages(m, switch)]
    for first, length in switch.allocations():
        structures = is_chunk(first, length) or any(m.first <= first < m.end for m in dpdk)
        contents.add(switch.pid, first, length, STRUCTURES if structures else HANDLES)
    pointer = stack_pointer(switch.pid, thread)
    contents.add_mappings(switch.pid, lambda m: m.first <= pointer < m.end, STACK)
    return contents.result()


def lines(found):
    """Of the plug-in's table."""
    return [f'kind {place.first:x} {place.end:x} {place.kind}' for place in found]


def is_chunk(first, length):
    return length == CHUNK and first % CHUNK == 0


def is_hugepages(mapping, process):
    return f'/{process.prefix}map_' in mapping.path


def is_library_data(mapping):
    return mapping.writable and 'librte_vhost.so' in mapping.path


def stack_pointer(pid, thread):
    """Of a thread that stands still."""
    with open(f'/proc/{pid}/task/{thread}/syscall') as file:
        words = file.read().split()
    if words[0] == 'running':
        raise OSError(f'thread {thread} runs')
    return int(words[-2], 16)


def polling_thread(pid, cpu):
    """The thread that may run on that CPU only."""
    for thread in os.listdir(f'/proc/{pid}/task'):
        if os.sched_getaffinity(int(thread)) == {cpu}:
            return int(thread)
    raise OSError(f'no thread of {pid} has CPU {cpu} for itself')
