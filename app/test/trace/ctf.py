# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Read a trace of rte_trace: just enough of CTF 1.8 for its layout.

A folder holds a text that describes the events (metadata), and a stream for
each thread (channel0_*): a header, then events, each at a multiple of 8 bytes.
"""

import collections
import pathlib
import re
import struct

MAGIC = 0xc1fc1fc1
STREAM_HEADER = 4 + 16 + 4 + 32     # magic, UUID of the trace, CPU, name of the thread
ALIGNMENT = 8
TIME_BITS = 48                      # the rest of an event's first word is its number
TYPES = {'uint8_t': 'B', 'uint16_t': 'H', 'uint32_t': 'I', 'uint64_t': 'Q',
         'int8_t': 'b', 'int16_t': 'h', 'int32_t': 'i', 'int64_t': 'q', 'size_t': 'Q',
         'uintptr_t': 'Q', 'long': 'Q', 'float': 'f', 'double': 'd'}

Event = collections.namedtuple('Event', 'time name fields thread')


def descriptions(metadata):
    """{number: (name, [(field, type, number of elements or None)])}"""
    found = {}
    for number, name, body in re.findall(
            r'event \{\s*id = (\d+);\s*name = "([^"]+)";\s*fields := struct \{(.*?)\};\s*\};',
            metadata, re.DOTALL):
        found[int(number)] = name, [
            (field, kind, int(count) if count else None) for kind, field, count in
            re.findall(r'(\w+) (\w+)(?:\[(\d+)\])?;', body)]
    return found


def read(folder):
    """All events, in the order of their times."""
    folder = pathlib.Path(folder)
    known = descriptions((folder / 'metadata').read_text(errors='replace'))
    events = [event for path in folder.glob('channel0_*')
              for event in read_stream(path.read_bytes(), known)]
    return sorted(events, key=lambda event: event.time)


def read_stream(data, known):
    magic, = struct.unpack_from('<I', data)
    if magic != MAGIC:
        raise ValueError(f'{magic:#x} is not how a stream begins')
    thread = data[STREAM_HEADER - 32:STREAM_HEADER].rstrip(b'\0').decode()
    at = STREAM_HEADER
    while at + 8 <= len(data):
        head, = struct.unpack_from('<Q', data, at)
        name, fields = known[head >> TIME_BITS]
        at += 8
        values = {}
        for field, kind, count in fields:
            if kind == 'string_bounded_t':
                values[field] = data[at:at + count].partition(b'\0')[0].decode()
                at += count
                continue
            values[field], = struct.unpack_from('<' + TYPES[kind], data, at)
            at += struct.calcsize(TYPES[kind])
        yield Event(head & (1 << TIME_BITS) - 1, name, values, thread)
        at = -(-at // ALIGNMENT) * ALIGNMENT
