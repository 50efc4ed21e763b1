# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Moving a guest's memory, and taking hugepages away from everybody."""

import collections
import ctypes
import mmap
import time

import guest
import nodes
from waiting import ScenarioError

SYS_MBIND = 237         # x86_64
MPOL_BIND = 2
MPOL_MF_MOVE_ALL = 4
MAP_HUGETLB = 0x40000
HUGE_PAGE = 2 << 20
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
    """Holds all hugepages of a node; use it as a context manager."""

    def __init__(self, node):
        self._node = node
        self._held = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for address, size in self._held:
            _libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))

    def free(self):
        with open(f'/sys/devices/system/node/node{self._node}/{nodes.HUGE_2M}') as file:
            return int(file.read())

    def eat(self):
        """Take what is free; how many pages that was."""
        count = self.free()
        if count == 0:
            return 0
        size = count * HUGE_PAGE
        address = _libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE,
                             mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_HUGETLB, -1, 0)
        if address == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), f'{count} hugepages')
        self._held.append((address, size))
        mask = ctypes.c_ulong(1 << self._node)
        if _libc.syscall(SYS_MBIND, ctypes.c_void_p(address), ctypes.c_ulong(size), MPOL_BIND,
                         ctypes.byref(mask), ctypes.c_ulong(64), 0) != 0:
            raise OSError(ctypes.get_errno(), f'mbind to node {self._node}')
        for at in range(address, address + size, HUGE_PAGE):
            ctypes.c_char.from_address(at).value = b'\1'
        return count
