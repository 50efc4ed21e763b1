#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Check that no file of the library includes a header of a higher layer.

The layers are those of doc/guides/prog_guide/vhost_lib.rst.  Public headers may
be included anywhere.
"""

import pathlib
import re
import sys

LIBRARY = pathlib.Path(__file__).resolve().parent.parent / 'lib' / 'librte_vhost'

LAYERS = (
    ('public', 'rte_vhost rte_vhost_async rte_vhost_crypto rte_vhost_limits '
               'rte_vhost_numa '
               'rte_vdpa vdpa_driver'),
    ('ground', 'doorbell event_loop mem_file mem_guard mem_heap mem_log mem_map mem_node mem_probe '
               'quota '
               'vhost_log vhost_trace vu_discard vu_message'),
    ('running halves', 'net_copy net_header net_notify net_stats '
                       'ring ring_log ring_packed ring_piece ring_split '
                       'vhost_virtqueue virtio_net'),
    ('queues and packets', 'inflight_area net_dequeue net_enqueue net_isa placement queue '
                           'queue_inflight'),
    ('device', 'device net_ctrl numa_watch plan postcopy settle vu_backchannel'),
    ('protocol', 'vu_dispatch vu_on vu_on_device vu_on_inflight vu_on_memory '
                 'vu_on_migration vu_on_queue'),
    ('outside', 'api api_driver api_inflight api_limits api_numa api_stats burst socket socket_path telemetry '
                'unsupported '
                'vdpa vdpa_device'),
)
LAYER_OF = {name: number for number, (_, names) in enumerate(LAYERS)
            for name in names.split()}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)\.h"', re.MULTILINE)


def complaints(path):
    """What is wrong with one file, a line each."""
    layer = LAYER_OF.get(path.stem)
    if layer is None:
        yield f'{path.name}: has no layer'
        return
    for name in INCLUDE.findall(path.read_text()):
        if name not in LAYER_OF:
            yield f'{path.name}: includes "{name}.h", which has no layer'
        elif LAYER_OF[name] > layer:
            yield (f'{path.name} ({LAYERS[layer][0]}): includes "{name}.h" '
                   f'({LAYERS[LAYER_OF[name]][0]})')


def main():
    files = sorted(LIBRARY.glob('*.[ch]'))
    wrong = [line for path in files for line in complaints(path)]
    print('\n'.join(wrong) if wrong else f'{len(files)} files, each in its layer')
    return 1 if wrong or not files else 0


if __name__ == '__main__':
    sys.exit(main())
