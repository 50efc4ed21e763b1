# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The switch under test: a testpmd that sends back what it gets, on our library."""

import mmap
import os

from moving import nodes_of
from testpmd import Testpmd
from waiting import holds_within

LOOK_MS = 200
REFUSAL = 'no memory on node {}'
# What net_vhost has testpmd say when a device comes or goes.
LINK_EVENT = 'link state change event'


class Backend(Testpmd):
    """Serves one socket; all that the library allocates is written down."""

    def __init__(self, spec, name, home, memory, path, queues, client=False):
        self._allocations = os.path.join(spec.logs, f'{name}.allocations')
        open(self._allocations, 'w').close()
        super().__init__(name, memory, home.cpus[:2], spec.logs, [
            '--vdev', f'net_vhost0,iface={path},queues={queues},client={int(client)}', '--',
            '-i', f'--rxq={queues}', f'--txq={queues}', '--nb-cores=1',
            '--total-num-mbufs=4096'],
            {'LD_LIBRARY_PATH': spec.lib, 'VHOST_ALLOCATIONS': self._allocations,
             'LD_PRELOAD': os.path.join(spec.tools, 'allocations.so')})

    def __enter__(self):
        super().__enter__()
        self.do('start')
        self.look_every(LOOK_MS)
        return self

    def look_every(self, milliseconds):
        self.ask(f'/vhost/numa_interval,{milliseconds}')

    def look_no_more(self):
        """Returns when the last look is over: what is asked for comes after it."""
        self.look_every(0)
        vid, = self.ask('/vhost/list')
        self.ask(f'/vhost/numa_refresh,{vid}')

    def numa(self):
        """What the library tells of the device, {} without one."""
        vids = self.ask('/vhost/list')
        told = self.ask(f'/vhost/numa,{vids[0]}') if vids else {}
        return {} if 'error' in told else told

    def queues(self):
        vid, = self.ask('/vhost/list')
        count = len(self.numa()['vring_nodes'])
        return [self.ask(f'/vhost/vq,{vid},{index}') for index in range(count)]

    def blocks(self):
        """Addresses of all pages that the library holds for devices: handles, and the
        chunks of blocks."""
        held = {}
        with open(self._allocations) as file:
            for line in file.read().splitlines():
                sign, address, *size = line.split()
                if sign == '+':
                    held[int(address, 16)] = int(size[0], 16)
                else:
                    held.pop(int(address, 16), None)
        pages = set()
        for address, size in held.items():
            if address % mmap.PAGESIZE == 0:
                pages |= set(range(address, address + size, mmap.PAGESIZE))
        return sorted(pages)

    def block_nodes(self):
        """How many of these pages are on each node; of handles that no queue needs yet
        there is none."""
        return {node: count for node, count in nodes_of(self.pid, self.blocks()).items()
                if node >= 0}

    def where(self):
        """(nodes that the library names, pages of its blocks by node as the kernel says)."""
        placement = self.numa()
        if not placement:
            return set(), {}
        told = {placement['numa_node'], *placement['vring_nodes'], *placement['ring_nodes'],
                *placement['replica_nodes'],
                *(queue['replica_node'] for queue in self.queues())}
        return told, self.block_nodes()

    def is_on(self, node):
        told, pages = self.where()
        return told == {node} and set(pages) == {node}

    def wait_on(self, node, seconds=30):
        """Whether device, queues and all their blocks get to a node."""
        return holds_within(lambda: self.is_on(node), seconds)

    def refusals_logged(self, node):
        return self._count(REFUSAL.format(node))

    def link_events(self):
        return self._count(LINK_EVENT)

    def _count(self, text):
        # What was printed is in the log when the next prompt has been seen.
        self.do('show port info 0')
        with open(self.log, errors='replace') as file:
            return file.read().count(text)
