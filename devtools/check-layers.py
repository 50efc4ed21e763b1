#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Check that no file of the library depends on a higher layer, and none on itself.

The layers are those of doc/guides/prog_guide/vhost_lib.rst.  A file includes
headers of its own layer and of lower ones; public headers may be included
anywhere.  Headers do not include each other in a circle.

With a build folder (or an archive, or objects) the same is asked of symbols:
a file calls functions, and uses variables, of its own layer and of lower ones,
and no circle of files do so.  What an inline function of a header calls counts
for every file that the compiler put it in.  A function whose address was handed
down is not called by name and does not count.

usage: check-layers.py [BUILD_FOLDER | ARCHIVE | OBJECT ...]
       check-layers.py --self-test
"""

import collections
import pathlib
import re
import subprocess
import sys
import tempfile

from complaints import tell

LIBRARY = pathlib.Path(__file__).resolve().parent.parent / 'lib' / 'librte_vhost'

# From the bottom up; a name stands for NAME.c and NAME.h, folder_NAME for those in a folder.
LAYERS = (
    ('public', 'rte_vhost rte_vhost_async rte_vhost_crypto rte_vhost_limits '
               'rte_vhost_numa '
               'rte_vdpa vdpa_driver'),
    ('ground', 'mem_chunk mem_dax mem_file mem_fs mem_guard mem_heap mem_iotlb mem_iova mem_log mem_map mem_node mem_probe '
               'mem_sanitizer '
               'dma_channel doorbell event_loop fd_kind quota reaper vhost_abi vu_message vhost_given vhost_log vhost_trace '
               'vduse_kernel'),
    ('running halves', 'gate vhost_virtqueue virtio_net '
                       'ring ring_iova ring_log ring_packed ring_piece ring_resume ring_split '
                       'net_ahead net_async net_async_dequeue net_async_enqueue '
                       'net_copy net_dequeue net_enqueue net_frame net_header net_isa net_mbuf net_notify net_plain net_stats'),
    ('queues', 'crypto_algo crypto_block crypto_lane crypto_request crypto_session crypto_stream '
               'inflight_area inflight_layout inflight_pool inflight_record inflight_recover '
               'queue queue_async queue_inflight queue_wish ring_locate ring_window'),
    ('evidence', 'numa_evidence numa_regions numa_rings numa_sample placement'),
    ('device', 'device device_wish vdpa'),
    ('change', 'plan settle listener_app listeners device_change'),
    ('life', 'crypto_crypto device_life host_notifier iotlb_ask listener_vdpa net_ctrl notify_watch numa_tell numa_watch postcopy vu_backchannel'),
    ('protocol', 'vu_dispatch vu_on vu_on_crypto vu_on_device vu_on_inflight vu_on_iotlb vu_on_memory '
                 'vu_on_migration vu_on_queue '
                 'vduse_memory vduse_serve vduse_state'),
    ('transports', 'socket socket_client socket_connection socket_guard socket_path '
                   'socket_registry socket_server socket_turn vduse_vduse'),
    ('outside', 'abi_api crypto_api crypto_burst crypto_fetch crypto_finalize '
                'about api api_driver api_inflight api_limits api_numa api_stats async burst burst_iova telemetry '
                'vdpa_device'),
)
# of config/, and nobody's
OUTSIDE = ('dpdk_compat', 'vhost_version')
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)\.h"', re.MULTILINE)
# "librte_vhost_device.c.o" of meson, or "device.o" of anything else
OBJECT_NAME = re.compile(r'(?:(?:lib_)?librte_vhost_)?(\w+?)(?:\.c)?\.o')
ABI_OBJECT = re.compile(r'^abi_\d+_')
MEMBER = re.compile(r'(?:.*[(:/])?([^(:/]+\.o)\)?:')
UNDEFINED = 'Uwv'


class Layers:
    """Which layer a file is in."""

    def __init__(self, layers):
        self.names = [name for name, _ in layers]
        self.of = {name: number for number, (_, names) in enumerate(layers)
                   for name in names.split()}

    def name(self, file):
        return self.names[self.of[file]]

    def is_upward(self, user, used):
        """Files without a layer are complained about once, elsewhere."""
        return user in self.of and used in self.of and self.of[used] > self.of[user]


def layer_name(parts):
    """What a file is called in LAYERS: a header of an ABI as it is included, once for all."""
    if parts[0] != 'abi':
        return '_'.join(parts)
    return parts[-1] if parts[-1] == 'vhost_abi' else f'abi_{parts[-1]}'


def sources(folder, suffixes):
    """Name and path of each file of a folder and of the folders in it."""
    for path in sorted(folder.rglob(f'*.[{suffixes}]')):
        yield layer_name(path.relative_to(folder).with_suffix('').parts), path


def included(path):
    """Names of the headers that a file includes by their paths in the library."""
    return [name.replace('/', '_') for name in INCLUDE.findall(path.read_text())
            if name not in OUTSIDE]


def include_complaints(file, path, layers):
    """What is wrong with the includes of one file, a line each."""
    if file not in layers.of:
        yield f'{path.name}: has no layer'
    for name in included(path):
        if name not in layers.of:
            yield f'{path.name}: includes "{name}.h", which has no layer'
        elif layers.is_upward(file, name):
            yield (f'{path.name} ({layers.name(file)}): includes "{name}.h" '
                   f'({layers.name(name)})')


def header_uses(folder):
    """Which header includes which, as find_circles() takes it."""
    return {file: {name: ['#include'] for name in included(path)}
            for file, path in sources(folder, 'h')}


def symbol_lines(objects):
    """Triples of file, type and symbol out of objects and archives."""
    output = subprocess.run(['nm', '-p', *map(str, objects)], capture_output=True, text=True,
                            check=True).stdout
    file = pathlib.Path(objects[0]).name if len(objects) == 1 else None
    for line in output.splitlines():
        member = MEMBER.fullmatch(line)
        if member:
            file = member.group(1)
        elif line.strip() and file:
            yield file, *line.split()[-2:]


def symbol_uses(lines):
    """For each file the files whose symbols it uses, with these symbols.

    A source that is compiled several times is one file.
    """
    home, wanted = {}, collections.defaultdict(set)
    for object_name, kind, symbol in lines:
        file = ABI_OBJECT.sub('abi_', OBJECT_NAME.fullmatch(object_name).group(1))
        wanted.setdefault(file, set())
        if kind in UNDEFINED:
            wanted[file].add(symbol)
        elif kind.isupper():
            home[symbol] = file
    uses = {}
    for file, symbols in wanted.items():
        uses[file] = collections.defaultdict(list)
        for symbol in sorted(symbols):
            if home.get(symbol, file) != file:
                uses[file][home[symbol]].append(symbol)
    return uses


def reachable(uses, start):
    """All files that a file leads to, by one step or many."""
    seen, todo = set(), [start]
    while todo:
        for file in uses.get(todo.pop(), ()):
            if file not in seen:
                seen.add(file)
                todo.append(file)
    return seen


def find_circles(uses):
    """Groups of files each of which leads to every other one of the group."""
    reach = {file: reachable(uses, file) for file in uses}
    circles = []
    for file in sorted(uses):
        if file in reach[file] and not any(file in circle for circle in circles):
            circles.append([file] + sorted(other for other in reach[file]
                                           if other != file and file in reach.get(other, ())))
    return circles


def shortest_way_round(uses, file, circle):
    """The way from a file of a circle back to it, as a list of files."""
    ways, seen = collections.deque([[file]]), set()
    while ways:
        way = ways.popleft()
        for step in uses.get(way[-1], ()):
            if step == file:
                return way + [file]
            if step in circle and step not in seen:
                seen.add(step)
                ways.append(way + [step])
    return [file]


def circle_complaints(uses, suffix):
    """What ties each circle together, a line each."""
    for circle in find_circles(uses):
        way = ' -> '.join(shortest_way_round(uses, circle[0], circle))
        yield f'circle of {len(circle)} files ({" ".join(circle)}), for one {way}:'
        for user in circle:
            for used in circle:
                if used in uses[user]:
                    yield f'    {user}.{suffix} -> {used}.{suffix}: {" ".join(uses[user][used])}'


def upward_complaints(uses, layers):
    for user in sorted(uses):
        for used, symbols in sorted(uses[user].items()):
            if layers.is_upward(user, used):
                yield (f'{user}.c ({layers.name(user)}) -> {used}.c ({layers.name(used)}): '
                       f'{" ".join(symbols)}')


def find_objects(arguments):
    """Objects and archives to look at; a build folder has one archive of all."""
    if len(arguments) == 1 and pathlib.Path(arguments[0]).is_dir():
        return [pathlib.Path(arguments[0]) / 'lib/librte_vhost.a']
    return arguments


def check_sources(folder, layers):
    """All complaints about the source files of a folder."""
    files = dict.fromkeys(file for file, _ in sources(folder, 'ch'))
    for file, path in sources(folder, 'ch'):
        yield from include_complaints(file, path, layers)
    for name in layers.of:
        if name not in files:
            yield f'{name} ({layers.name(name)}): there is no such file'
    yield from circle_complaints(header_uses(folder), 'h')


def check_symbols(uses, layers):
    """All complaints about who uses whose symbols."""
    yield from (f'{file}.c: has no layer' for file in sorted(uses) if file not in layers.of)
    yield from upward_complaints(uses, layers)
    yield from circle_complaints(uses, 'c')


MADE_UP = {
    # a knot of three, one of its calls hidden in a header, one not a call at all
    'low.c': 'int low_word; int high(void); int low(void) { return high(); }',
    'mid.h': 'int other(void); static inline int mid_inline(void) { return other(); }',
    'mid.c': '#include "mid.h"\nint mid(void) { return mid_inline(); }',
    'other.c': 'extern int third_word; int other(void) { return third_word; }',
    'third.c': 'int mid(void); int third_word; int third(void) { return mid(); }',
    'high.c': '#include "mid.h"\n#include "low.h"\nextern int low_word;\n'
              'int high(void) { return mid_inline() + low_word; }',
    # handed down, called by address: nobody's circle
    'passer.c': 'int taker(int (*f)(void)); static int own(void) { return 0; }\n'
                'int passer(void) { return taker(own); }',
    'taker.c': 'int taker(int (*f)(void)); int taker(int (*f)(void)) { return f(); }',
    'low.h': '#pragma once\n#include "round.h"\n#include "high.h"',
    'round.h': '#pragma once\n#include "low.h"',
    'high.h': '',
    'stranger.h': '',
}
MADE_UP_LAYERS = (('ground', 'low round taker passer'), ('middle', 'mid other third'),
                  ('roof', 'high gone'))
FOUND = (
    'low.h (ground): includes "high.h" (roof)',
    'stranger.h: has no layer',
    'gone (roof): there is no such file',
    'circle of 2 files (low round), for one low -> round -> low:',
    '    low.h -> round.h: #include',
    '    round.h -> low.h: #include',
    'low.c (ground) -> high.c (roof): high',
    'circle of 2 files (high low), for one high -> low -> high:',
    '    high.c -> low.c: low_word',
    '    low.c -> high.c: high',
    'circle of 3 files (mid other third), for one mid -> other -> third -> mid:',
    '    mid.c -> other.c: other',
    '    other.c -> third.c: third_word',
    '    third.c -> mid.c: mid',
)


def self_test():
    """Compile a small house with known faults and see that each is found, and no other."""
    layers = Layers(MADE_UP_LAYERS)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, text in MADE_UP.items():
            (folder / name).write_text(text)
        subprocess.run(['cc', '-c', *(n for n in MADE_UP if n.endswith('.c'))], cwd=folder,
                       check=True)
        subprocess.run(['ar', 'rcs', 'all.a', *(p.name for p in folder.glob('*.o'))],
                       cwd=folder, check=True)
        found = list(check_sources(folder, layers))
        for objects in ([folder / 'all.a'], sorted(folder.glob('*.o'))):
            uses = symbol_uses(symbol_lines(objects))
            lines = found + list(check_symbols(uses, layers))
            wrong = set(lines) ^ set(FOUND)
            if wrong:
                print('not as expected:', *sorted(wrong), sep='\n')
                return 1
    print(f'{len(FOUND)} known faults found, and nothing else')
    return 0


def main():
    if sys.argv[1:] == ['--self-test']:
        return self_test()
    if any(argument.startswith('-') for argument in sys.argv[1:]):
        sys.exit(__doc__)
    layers = Layers(LAYERS)
    wrong = list(check_sources(LIBRARY, layers))
    summary = f'{len(list(sources(LIBRARY, "ch")))} files, each in its layer'
    if sys.argv[1:]:
        uses = symbol_uses(symbol_lines(find_objects(sys.argv[1:])))
        wrong += check_symbols(uses, layers)
        summary += (f'; {sum(map(len, uses.values()))} pairs of files by symbols, '
                    'no call upwards, no circle')
        if not any(uses.values()):
            wrong.append('no symbols found')
    return tell(wrong, summary)


if __name__ == '__main__':
    sys.exit(main())
