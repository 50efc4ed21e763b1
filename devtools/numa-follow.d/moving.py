# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Moving a guest's memory, and taking memory away from everybody."""

import collections
import contextlib
import ctypes
import mmap
import time

import guest
import nodes
from waiting import ScenarioError

SYS_MBIND = 237         # x86_64
MPOL_PREFERRED = 1
MPOL_MF_MOVE = 2
MPOL_MF_MOVE_ALL = 4
MADV_POPULATE_WRITE = 23
MAP_HUGETLB = 0x40000
HUGE_PAGE = 2 << 20
EATEN_PIECES = (64 << 20, HUGE_PAGE)
TRIES = 100

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int,
                       ctypes.c_int, ctypes.c_long]


def _move_pages(pid, addresses, targets, flags):
    """(result, node or error of each page)"""
    count = len(addresses)
    pages = (ctypes.c_void_p * count)(*addresses)
    status = (ctypes.c_int * count)()
    result = _libc.syscall(nodes.SYS_MOVE_PAGES, pid, ctypes.c_ulong(count), pages, targets,
                           status, flags)
    if result < 0:
        raise OSError(ctypes.get_errno(), 'move_pages')
    return result, list(status)


def nodes_of(pid, addresses):
    """How many of these pages are on each node; negative: errors."""
    return dict(collections.Counter(_move_pages(pid, addresses, None, 0)[1]))


def guest_pages(pid):
    """Addresses of the hugepages that a process has mapped and that exist."""
    addresses = []
    with open(f'/proc/{pid}/maps') as file:
        for line in file:
            if guest.HUGEPAGES in line:
                first, last = (int(number, 16) for number in line.split()[0].split('-'))
                addresses += range(first, last, HUGE_PAGE)
    status = _move_pages(pid, addresses, None, 0)[1]
    return [address for address, node in zip(addresses, status) if node >= 0]


def migrate(pid, target):
    """Have the kernel migrate a guest's memory, and nothing else of its process.

    migratepages does the same with all memory, down to that of shared libraries,
    which takes minutes in an emulated machine.
    """
    addresses = guest_pages(pid)
    targets = (ctypes.c_int * len(addresses))(*[target] * len(addresses))
    for _ in range(TRIES):
        # The result counts pages that were in use just then: they are tried again.
        left = _move_pages(pid, addresses, targets, MPOL_MF_MOVE_ALL)[0]
        if left == 0:
            return
        time.sleep(0.05)
    raise ScenarioError(f'move_pages: {left} of {len(addresses)} pages were left')


class Eater:
    """Holds all memory of a node, ordinary and hugepages; use it as a context manager."""

    def __init__(self, node):
        self._node = node
        self._ordinary = []
        self._huge = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _unmap(self._ordinary)
        _unmap(self._huge)

    def free(self):
        with open(f'/sys/devices/system/node/node{self._node}/{nodes.HUGE_2M}') as file:
            return int(file.read())

    def make_room(self, pages):
        """For a guest in so many hugepages, which shall be followed by nobody."""
        while self._huge and self.free() < pages:
            _unmap([self._huge.pop()])

    def eat(self):
        """Take what is free; how much that was, in words."""
        huge, ordinary = self.free(), 0
        while pages := min(self.free(), EATEN_PIECES[0] // HUGE_PAGE):
            self._huge += self._map(pages * HUGE_PAGE, MAP_HUGETLB) or \
                _fail(f'{pages} hugepages')
        for size in EATEN_PIECES:
            while piece := self._map(size, 0):
                self._ordinary += piece
                ordinary += size
        return f'{huge} hugepages and {ordinary >> 20} MiB'

    def _map(self, size, flags):
        """[(address, size)] of memory of the node, [] if there is no more."""
        address = _libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE,
                             mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | flags, -1, 0)
        if address == ctypes.c_void_p(-1).value:
            return []
        # A preference and a move, as the library does it: to be bound to a full node
        # is the end of a process.
        pages = range(address, address + size, HUGE_PAGE if flags else mmap.PAGESIZE)
        if self._prefer(address, size) and self._gather(pages, move=size <= HUGE_PAGE):
            return [(address, size)]
        _unmap([(address, size)])
        return []

    def _prefer(self, address, size):
        mask = ctypes.c_ulong(1 << self._node)
        if _libc.syscall(SYS_MBIND, ctypes.c_void_p(address), ctypes.c_ulong(size),
                         MPOL_PREFERRED, ctypes.byref(mask), ctypes.c_ulong(64), 0) != 0:
            raise OSError(ctypes.get_errno(), f'mbind to node {self._node}')
        return _libc.madvise(ctypes.c_void_p(address), ctypes.c_ulong(size),
                             MADV_POPULATE_WRITE) == 0

    def _gather(self, pages, move):
        """Whether all of them are on the node, or have gone there."""
        if set(_move_pages(0, pages, None, 0)[1]) == {self._node}:
            return True
        if not move:
            return False
        with contextlib.suppress(OSError):  # a full node is one
            _move_pages(0, pages, (ctypes.c_int * len(pages))(*[self._node] * len(pages)),
                        MPOL_MF_MOVE)
        return set(_move_pages(0, pages, None, 0)[1]) == {self._node}


def _fail(what):
    raise OSError(ctypes.get_errno(), what)


def _unmap(pieces):
    while pieces:
        address, size = pieces.pop()
        _libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
