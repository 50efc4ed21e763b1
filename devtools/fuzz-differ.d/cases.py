# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Cases for dpdk-test-vhost-differ: made, and made anew from others.

A case is a list of steps, a step a list of words, see app/test-vhost-differ.  Most of it is as
a good frontend has it, so that most cases get far; one word in some is not.
"""

import struct

SPLIT, PACKED = 1, 2
OPTIONS = (0, 1, 1, 3, 1, 4, 8, 16, 32)
FEATURES = (0, 0, 0x3, 0x3 | 1 << 11 | 1 << 12 | 1 << 7 | 1 << 8)
FLAGS = (0, 0, 0, 1 << 2, 1 << 5, 1 << 6, 1 << 7)
# LOG_SHMFD, NET_MTU, SLAVE_REQ
PROTOCOL = (0, 0, 1 << 1 | 1 << 4 | 1 << 5)
RUNNING, CONNECTED, NEGOTIATED, MEMORY, RINGS = 0, 2, 3, 4, 5
STAGES = (RUNNING,) * 6 + (CONNECTED, NEGOTIATED, MEMORY, RINGS)

# What a number may be when it is not what it should be.
ODD = (0, 1, 2, 3, 7, 8, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
       0xffffffff, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)

# Requests, with what their payload is made of: u64, state, fd (a ring and a descriptor), none,
# config, inflight, region; and the descriptors that belong to them.
REQUESTS = {
    1: ('none', ''), 2: ('u64', ''), 3: ('none', ''), 4: ('none', ''), 8: ('state', ''),
    10: ('state', ''), 11: ('state', ''), 12: ('fd', 'e'), 13: ('fd', 'e'), 14: ('fd', 'e'),
    15: ('none', ''), 16: ('u64', ''), 17: ('none', ''), 18: ('state', ''), 19: ('u64', ''),
    20: ('u64', ''), 21: ('none', 's'), 24: ('config', ''), 25: ('config', ''),
    31: ('inflight', ''), 36: ('none', ''), 37: ('region', 'm'), 38: ('region', ''),
    39: ('u64', ''), 40: ('none', ''),
}


def number(rng, usual):
    """Most often one of the usual numbers."""
    if rng.random() < 0.9:
        return rng.choice(usual)
    return (rng.choice(ODD) + rng.choice((0, 0, 1, -1))) % (1 << 64)


def payload(rng, kind):
    """The bytes of a message of that kind."""
    if kind == 'u64':
        return struct.pack('<Q', number(rng, (0, 1, 0x1d, 0x40000000, 0x150008000, 1500)))
    if kind == 'state':
        return struct.pack('<II', number(rng, (0, 0, 1, 1, 2)) & 0xffffffff,
                           number(rng, (0, 1, 8, 16, 64)) & 0xffffffff)
    if kind == 'fd':
        return struct.pack('<Q', number(rng, (0, 0, 1, 1, 2, 0x100, 0x101)))
    if kind == 'config':
        size = number(rng, (0, 4, 8, 60)) & 0xff
        return struct.pack('<III', number(rng, (0, 4)) & 0xffffffff, size,
                           number(rng, (0, 1)) & 0xffffffff) + bytes(size)
    if kind == 'inflight':
        return struct.pack('<QQHHI', 0, 0, number(rng, (1, 2, 4)) & 0xffff,
                           number(rng, (8, 16, 64)) & 0xffff, 0)
    if kind == 'region':
        return struct.pack('<QQQQQ', 0, number(rng, (1 << 40, 0)), number(rng, (4096, 1 << 20)),
                           number(rng, (1 << 44, 0)), number(rng, (0, 4096)))
    return b''


def say(rng):
    """A message, spoiled in one place or not."""
    request = rng.choice(tuple(REQUESTS)) if rng.random() < 0.97 else rng.choice((0, 41, 90, 255))
    kind, fds = REQUESTS.get(request, ('u64', ''))
    data = payload(rng, kind)
    if kind == 'fd' and data[1] & 1:
        fds = ''
    if rng.random() < 0.06:
        data = data[:rng.randrange(len(data) + 1)] if rng.random() < 0.5 else data + bytes(8)
    if rng.random() < 0.06:
        fds = rng.choice(('', 'n', 'e', 'ee', 't', 'eeeeeeee'))
    flags = rng.choice((1, 1, 9, 9, 9)) if rng.random() < 0.97 else rng.choice((0, 2, 5, 0x11))
    return ['say', request, flags, data.hex() or '-', fds or '-']


def shape(rng):
    return rng.choice(([0, 0, 0], [0, 0, 0], [12, 0, 0], [12, 300, 0], [12, 0, 1], [12, 300, 1],
                       [10, 0, 0], [5, 100, 0]))


def step(rng):
    """Anything that may happen to a device."""
    ring = rng.choice((0, 0, 1, 1, 0, 1, 2, 3))
    length = number(rng, (60, 64, 100, 200, 1000, 1500, 1, 12, 0)) % 3000
    return rng.choice((
        lambda: say(rng), lambda: say(rng), lambda: say(rng),
        lambda: ['address', ring, rng.randrange(5), rng.choice((0, 1, 8, 16, 4096, 1 << 40, 1 << 63))],
        lambda: ['table', rng.randrange(9), rng.choice((0, 1, 4096, 1 << 40, 1 << 63)),
                 rng.choice((0, 0, 0, 1))],
        lambda: [rng.choice(('negotiate', 'memory'))],
        lambda: [rng.choice(('ring', 'restart', 'restart', 'restart')), ring], lambda: ['enable', ring, rng.randrange(2)], lambda: ['stop', ring],
        lambda: ['fill', ring & ~1, rng.choice((1, 4, 16)), number(rng, (1500, 2000, 100, 12)) % 2049,
                 *shape(rng)],
        lambda: ['send', ring | 1, length % 1800, *shape(rng), *rng.choice(((0, 0), (0, 0), (1, 0), (1, 1), (1, 4), (0, 3)))],
        lambda: ['offer', ring, rng.randrange(3), number(rng, (4096, 0, 8192)), number(rng, (100, 1500, 12)) % (1 << 32),
                 rng.randrange(2)],
        lambda: ['spoil', ring, rng.randrange(7), rng.randrange(16), number(rng, (0, 1, 2, 3, 4, 8))],
        lambda: ['dequeue', ring | 1, rng.choice((1, 4, 32))],
        lambda: ['enqueue', ring & ~1, rng.choice((1, 4, 32)), length, rng.choice((0, 0, 100))],
        lambda: ['look', ring], lambda: ['ask'],
    ))()


def device(rng):
    """The first step."""
    ring_format = rng.choice((SPLIT, PACKED))
    size = rng.choice((8, 16, 64)) if ring_format == SPLIT else rng.choice((7, 8, 16, 64))
    return ['device', rng.choice((1, 1, 2)), size, ring_format, rng.choice(OPTIONS),
            rng.choice(FEATURES), rng.choice(FLAGS), rng.choice(STAGES), rng.choice((1, 1, 2)), rng.choice(PROTOCOL)]


def new_case(rng):
    case = [device(rng), *(step(rng) for _ in range(rng.randrange(2, 24)))]
    if case[0][7] in (NEGOTIATED, MEMORY, RINGS):
        # the sooner it runs, the more can happen to it; asked of one that runs it takes seconds
        case[rng.randrange(1, 4):2] = [['memory'], ['run']] if case[0][7] == NEGOTIATED else [['run']]
    return case


def changed_case(rng, case):
    """Like another one, but for one change."""
    case = [list(words) for words in case]
    at = rng.randrange(1, len(case)) if len(case) > 1 else 0
    what = rng.random()
    if what < 0.4 or len(case) < 3:
        case.insert(at + 1, step(rng))
    elif what < 0.6:
        del case[at]
    elif what < 0.8:
        case.insert(rng.randrange(1, len(case)), list(case[at]))
    else:
        case[0] = device(rng)
    return case[:40]


def text(case):
    return ';'.join(' '.join(map(str, words)) for words in case)
