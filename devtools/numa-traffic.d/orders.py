# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Orders to the plug-in that counts accesses, and what it answers.

See orders.h and traffic.c.  The folder is one that the machine and QEMU share:
a file is there for the other side as soon as it is closed.
"""

import ctypes
import mmap
import os
import struct

MAGIC = 0x4e54
ORDERS = range(6)
ARM, TABLE, WATCH, OPEN, CLOSE, PROBE = ORDERS
NOPL = b'\x0f\x1f\x80'
LOAD_BYTE = b'\x8a\x07'         # mov (%rdi), %al
RETURN = b'\xc3'


class OrderError(Exception):
    """The plug-in did not do as it was told; the text says what."""


class Plugin:
    """The plug-in's side of the shared folder."""

    def __init__(self, folder):
        self._results = os.path.join(folder, 'results')
        self._table = os.path.join(folder, 'table')
        self._read = 0
        self._functions = {}
        self._code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ |
                               mmap.PROT_WRITE | mmap.PROT_EXEC)
        for order in ORDERS:
            self._add_function(order)

    def give(self, order):
        self._functions[order](None)

    def write_table(self, lines):
        with open(self._table, 'w') as file:
            file.write(''.join(f'{line}\n' for line in lines))
        self.give(TABLE)

    def probe(self, address):
        """The place (traffic.c) of an address of this process."""
        self._functions[PROBE](address)
        for words in self.answers():
            if words[0] == 'probe' and int(words[1], 16) == address and words[4] == '1':
                return int(words[2], 16)
        raise OrderError(f'the plug-in cannot tell the place of {address:#x}')

    def answers(self):
        """What the plug-in has written since the last call, as lists of words."""
        if not os.path.exists(self._results):
            return []
        with open(self._results) as file:
            file.seek(self._read)
            text = file.read()
            self._read = file.tell()
        return [line.split() for line in text.splitlines()]

    def _add_function(self, order):
        """A function of machine code that gives the order; PROBE's also loads
        a byte from the address that is its argument."""
        code = NOPL + struct.pack('<I', MAGIC << 16 | order)
        code += (LOAD_BYTE if order == PROBE else b'') + RETURN
        start = order * 32
        self._code[start:start + len(code)] = code
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._code))
        self._functions[order] = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(base + start)
