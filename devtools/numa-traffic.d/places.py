# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""From addresses of processes to places, the plug-in's addresses of memory.

The machine's firmware tells which physical addresses belong to which node
(table SRAT).  QEMU backs each node with one block of memory, which holds the
node's physical addresses in rising order.  To QEMU 7.2's plug-ins a place is the
address where QEMU puts the block, plus the offset in it; to those of QEMU 10 it is the
physical address.  Which of them, and where the blocks are, probes of each node tell.
"""

import collections
import ctypes
import mmap
import os
import struct

from orders import OrderError

SRAT = '/sys/firmware/acpi/tables/SRAT'
SRAT_HEADER = 48
SRAT_MEMORY = 1         # type of an entry
SRAT_ENABLED = 1
PAGE = mmap.PAGESIZE
LEGACY_HOLE = 1 << 20
PRESENT = 1 << 63
FRAME = (1 << 55) - 1
SYS_MBIND = 237         # x86_64
MPOL_BIND = 2

Part = collections.namedtuple('Part', 'first end node offset')


class Places:
    """Translates; made once, when the plug-in is armed."""

    def __init__(self, plugin):
        self.parts = memory_parts()
        probes = {node: self._probe(plugin, node)
                  for node in sorted({part.node for part in self.parts})}
        if all(place == physical for found in probes.values() for place, physical in found):
            # as if each part were a block that lies where the machine has it
            self.parts = [part._replace(offset=part.first) for part in self.parts]
        self._base = {node: self._base_of(node, found) for node, found in probes.items()}

    def of_physical(self, address):
        return self._base[self._part(address).node] + self._offset(address)

    def node_lines(self):
        """The nodes, as lines of the plug-in's table."""
        lines = sorted((self.of_physical(part.first), part.end - part.first, part.node)
                       for part in self.parts)
        return [f'node {place:x} {place + size:x} {node}' for place, size, node in lines]

    def _part(self, address):
        for part in self.parts:
            if part.first <= address < part.end:
                return part
        raise OrderError(f'physical address {address:#x} belongs to no node')

    def _offset(self, address):
        """Of a physical address in its node's block."""
        part = self._part(address)
        return part.offset + address - part.first

    def _probe(self, plugin, node, pages=8):
        """(place, physical address) of some pages of a node."""
        memory = memory_on_node(node, pages)
        found = []
        for start, physical in pagemap(os.getpid(), memory.start, pages * PAGE):
            if self._part(physical).node != node:
                raise OrderError(f'memory for node {node} is on another one')
            found.append((plugin.probe(start), physical))
        return found

    def _base_of(self, node, probes):
        """Where a node's block begins; the probes have to agree on that."""
        bases = {place - self._offset(physical) for place, physical in probes}
        if len(bases) != 1:
            raise OrderError(f'the places of node {node} begin at {bases}')
        return bases.pop()


class Memory:
    """Anonymous memory of this process and its address."""

    def __init__(self, size):
        self._map = mmap.mmap(-1, size)
        self.start = ctypes.addressof(ctypes.c_char.from_buffer(self._map))

    def fill(self, size):
        self._map[:size] = b'\x01' * size


def memory_on_node(node, pages):
    memory = Memory(pages * PAGE)
    mask = ctypes.c_ulong(1 << node)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(SYS_MBIND, ctypes.c_void_p(memory.start),
                    ctypes.c_ulong(pages * PAGE), MPOL_BIND, ctypes.byref(mask),
                    ctypes.c_ulong(64), 0) != 0:
        raise OSError(ctypes.get_errno(), f'mbind to node {node}')
    memory.fill(pages * PAGE)
    return memory


def memory_parts():
    """The parts of physical memory, with their node and the offset in it."""
    with open(SRAT, 'rb') as file:
        table = file.read()
    found, at = [], SRAT_HEADER
    while at < len(table):
        kind, length = table[at], table[at + 1]
        if kind == SRAT_MEMORY:
            node, = struct.unpack_from('<I', table, at + 2)
            base, size = struct.unpack_from('<QQ', table, at + 8)
            flags, = struct.unpack_from('<I', table, at + 28)
            if flags & SRAT_ENABLED and size:
                found.append((base, base + size, node))
        at += length
    return _with_offsets(sorted(found))


def _with_offsets(found):
    """A node's block has no memory for the hole of the address space that ends
    at 4 GiB, but does for the one of old graphics cards below 1 MiB."""
    used, parts = collections.Counter(), []
    for first, end, node in found:
        if 0 < first - (parts[-1].end if parts else first) < LEGACY_HOLE:
            used[node] += first - parts[-1].end
        parts.append(Part(first, end, node, used[node]))
        used[node] += end - first
    return parts


def pagemap(pid, start, length):
    """Yield (address, physical address) of the pages that are present."""
    first = start // PAGE
    pages = (start + length - 1) // PAGE - first + 1
    with open(f'/proc/{pid}/pagemap', 'rb', buffering=0) as file:
        file.seek(first * 8)
        entries = file.read(pages * 8)
    for index, (entry,) in enumerate(struct.iter_unpack('<Q', entries)):
        if entry & PRESENT:
            yield (first + index) * PAGE, (entry & FRAME) * PAGE
