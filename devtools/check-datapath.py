#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Check what the data path imports: no allocator but for mbufs and external
buffers, no locks, no system call but the one that notifies the guest.

And who allocates at all: what belongs to a device comes from mem_heap.c and
mem_node.c, which know the nodes, but for what only the control thread looks at.

usage: check-datapath.py BUILD_FOLDER
"""

import pathlib
import subprocess
import sys

OBJECTS = ('net_enqueue', 'net_dequeue', 'net_frame', 'net_header', 'net_ahead', 'ring_iova',
           'net_async_enqueue', 'net_async_dequeue', 'crypto_fetch', 'crypto_finalize')

ALLOWED = set('''
    _GLOBAL_OFFSET_TABLE_ __errno_location __tls_get_addr memcpy memmove memset
    poll send write vhost_doorbell_asks_first vhost_doorbell_writers
    rte_log vhost_data_log_level __rte_panic
    per_lcore__lcore_id rte_mempool_ops_table rte_pktmbuf_free_bulk
    __rte_pktmbuf_read
    rte_malloc rte_malloc_socket rte_malloc_virt2iova rte_free
    rte_get_tsc_hz rte_net_get_ptype rte_net_make_rarp_packet
    vhost_net_look_ahead vhost_ring_iova_host_elsewhere vhost_ring_iova_may_look_ahead
    vhost_ring_iova_piece vhost_iotlb_view_find
    vhost_net_async_add_iovas vhost_net_async_give vhost_net_async_submit
    vhost_net_cksum_to_guest vhost_net_frame_parse
    vhost_net_header_from_guest vhost_net_header_from_guest_of_any_kind vhost_net_header_to_guest
    vhost_ring_log_data vhost_ring_log_descs vhost_ring_log_device_area vhost_ring_log_flush
    vhost_virtio_net_gpa vhost_virtio_net_host_elsewhere vhost_virtio_net_piece
    vhost_vduse_inject
    vhost_crypto_get vhost_crypto_request_check vhost_gate_try_again vhost_gate_wait
'''.split())

ALLOCATORS = set('''
    malloc calloc realloc reallocarray aligned_alloc posix_memalign memalign strdup
    strndup asprintf open_memstream mmap mmap64
    rte_malloc rte_zmalloc rte_calloc rte_realloc rte_malloc_socket rte_zmalloc_socket
    rte_calloc_socket rte_realloc_socket rte_memzone_reserve rte_mempool_create rte_pktmbuf_pool_create
'''.split())

MAY_ALLOCATE = {
    'mem_chunk': 'memory for blocks and replicas, on their node',
    'mem_heap': 'the books of that memory',
    'mem_node': 'handles, which are brought to their node',
    'crypto_block': 'buffers for crypto requests, EAL\'s, on the queue\'s node',
    'crypto_session': 'what a frontend said of its crypto sessions',
    'net_dequeue': 'external buffers, on the queue\'s node',
    'net_async_dequeue': 'likewise',
    'mem_file': 'mappings of files of the frontend',
    'mem_map': 'the map of guest memory, of which replicas have a copy',
    'mem_iotlb': 'what the frontend told of the guest\'s IOMMU, of which replicas have views',
    'ring_window': 'scattered pages of a ring that are mapped side by side',
    'mem_log': 'the log of written pages, likewise',
    'mem_guard': 'what stands in for lost guest memory; a signal handler that was there',
    'mem_probe': 'a window on a file that is never filled',
    'inflight_area': 'a window on a new area while it is filled and moved to its node',
    'inflight_pool': 'in-flight areas that were made for frontends',
    'inflight_recover': 'a list of what is left over, while it is sorted',
    'event_loop': 'slots of sources',
    'reaper': 'descriptors that wait to be closed',
    'mem_fs': 'a question about a file that a thread of its own asks',
    'numa_evidence': 'what is known of a guest\'s memory',
    'numa_regions': 'likewise, of its regions',
    'numa_rings': 'likewise, of its rings',
    'numa_tell': 'a copy of it, for a line of the log',
    'postcopy': 'a device\'s part in a postcopy migration',
    'quota': 'what a registration may take',
    'socket_connection': 'connections',
    'socket_registry': 'registrations',
    'vdpa': 'vDPA devices',
    'vduse_vduse': 'VDUSE devices',
    'api': 'a copy for the application',
    'api_numa': 'a report for the application',
}


def imports(path):
    lines = subprocess.run(['nm', '-u', path], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    return {line.split()[-1] for line in lines if line.strip()}


def check_allocations(library):
    """How many files allocate that should not."""
    wrong = 0
    for path in sorted(library.glob('*.p/librte_vhost_*.c.o')):
        name = path.name.removeprefix('librte_vhost_').removesuffix('.c.o')
        symbols = imports(path) & ALLOCATORS
        if symbols and name not in MAY_ALLOCATE:
            print(f'{path.parent.name}/{name}.c: allocates ({" ".join(sorted(symbols))})')
            wrong += 1
    return wrong


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    library = pathlib.Path(sys.argv[1]) / 'lib'
    wrong = check_allocations(library)
    for name in OBJECTS:
        # one for each instruction set
        paths = list(library.glob(f'*.p/librte_vhost_{name}.c.o'))
        if not paths:
            sys.exit(f'{library}: {name}.c was not compiled')
        for path in paths:
            for symbol in sorted(imports(path) - ALLOWED):
                print(f'{path.parent.name}/{name}.c: imports {symbol}')
                wrong += 1
    if not wrong:
        print('the data path imports nothing it should not, and nobody allocates unasked')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
