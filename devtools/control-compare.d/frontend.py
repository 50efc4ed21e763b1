# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A vhost-user frontend with split rings, as much of it as a measurement needs."""

import array
import contextlib
import mmap
import os
import socket
import struct

# vhost-user, "Front-end message types"
GET_FEATURES, SET_FEATURES, SET_OWNER = 1, 2, 3
SET_MEM_TABLE = 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL = 12, 13
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE = 15, 16, 17, 18
SET_MTU = 20
ADD_MEM_REG = 37
SET_STATUS, GET_STATUS = 39, 40

VERSION, NEED_REPLY = 1, 8
NO_DESCRIPTOR = 1 << 8

F_PROTOCOL_FEATURES, F_VERSION_1 = 1 << 30, 1 << 32
P_MQ, P_REPLY_ACK, P_MTU, P_SLOTS, P_STATUS = 1 << 0, 1 << 3, 1 << 4, 1 << 15, 1 << 16

# Where the frontend has guest memory, for whoever names an address of it.
USER_BASE = 0x7000_0000_0000
RING_SIZE = 256
RING_BYTES = 0x4000
AVAIL_OFFSET, USED_OFFSET = 0x1000, 0x2000
BUFFERS = 0x20000
WRITE = 2       # descriptor flag
HEADER = 12     # struct virtio_net_hdr of virtio 1

TIMEOUT_SECONDS = 60


class Refused(Exception):
    """The backend has closed the connection, or did not answer with success."""


def sparse_file(size):
    """A memory file with no page in it."""
    fd = os.memfd_create("guest", os.MFD_CLOEXEC)
    os.ftruncate(fd, size)
    return fd


def fill(fd, size):
    """Give a memory file all of its pages."""
    with mmap.mmap(fd, size) as memory:
        for offset in range(0, size, 4096):
            memory[offset] = 1


class Guest:
    """Guest memory: regions of memory files, contiguous for the guest."""

    def __init__(self, size, regions=1, gap=0, resident=False):
        each = size // regions
        self.regions = []
        for number in range(regions):
            fd = sparse_file(each)
            if resident:
                fill(fd, each)
            start = number * (each + gap)
            self.regions.append((start, each, USER_BASE + start, 0, fd))

    def close(self):
        for region in self.regions:
            os.close(region[4])


class Frontend:
    """A connection, and the messages of one device."""

    def __init__(self, path=None, connection=None, protocol=P_MQ | P_REPLY_ACK):
        self.socket = connection or socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT_SECONDS)
        if connection is None:
            self._connect(path)
        self.wanted_protocol = protocol
        self.protocol = 0
        self.features = 0

    def _connect(self, path):
        try:
            self.socket.connect(path)
        except OSError as error:
            raise Refused(error) from None

    def send(self, request, payload=b"", fds=(), flags=0):
        head = struct.pack("<III", request, VERSION | flags, len(payload))
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        try:
            self.socket.sendmsg([head + payload], control)
        except OSError as error:
            raise Refused(error) from None

    def receive(self):
        """The payload of an answer; answers with descriptors are not asked for."""
        data = b""
        while len(data) < 12 or len(data) < 12 + struct.unpack("<I", data[8:12])[0]:
            try:
                more = self.socket.recv(4096)
            except OSError as error:
                raise Refused(error) from None
            if not more:
                raise Refused("the backend has closed the connection")
            data += more
        return data[12:]

    def ask(self, request, payload=b""):
        self.send(request, payload)
        return self.receive()

    def ask_number(self, request):
        return struct.unpack("<Q", self.ask(request))[0]

    def tell(self, request, payload=b"", fds=()):
        """Send, and wait for the acknowledgement if that was agreed upon."""
        if not self.protocol & P_REPLY_ACK:
            self.send(request, payload, fds)
            return
        self.send(request, payload, fds, NEED_REPLY)
        if struct.unpack("<Q", self.receive()[:8])[0] != 0:
            raise Refused(f"request {request}")

    def negotiate(self, features=F_PROTOCOL_FEATURES | F_VERSION_1):
        offered = self.ask_number(GET_FEATURES)
        self.protocol = self.ask_number(GET_PROTOCOL_FEATURES) & self.wanted_protocol
        self.send(SET_PROTOCOL_FEATURES, struct.pack("<Q", self.protocol))
        self.send(SET_OWNER)
        self.features = features & offered
        self.set_features()

    def set_features(self):
        self.tell(SET_FEATURES, struct.pack("<Q", self.features))

    def set_memory(self, guest):
        table = struct.pack("<II", len(guest.regions), 0)
        table += b"".join(struct.pack("<QQQQ", *region[:4]) for region in guest.regions)
        self.tell(SET_MEM_TABLE, table, [region[4] for region in guest.regions])

    def add_slots(self, guest):
        for region in guest.regions:
            self.tell(ADD_MEM_REG, bytes(8) + struct.pack("<QQQQ", *region[:4]), [region[4]])

    def set_ring_shape(self, index):
        at = USER_BASE + index * RING_BYTES
        self.tell(SET_VRING_NUM, struct.pack("<II", index, RING_SIZE))
        self.tell(SET_VRING_BASE, struct.pack("<II", index, 0))
        self.tell(SET_VRING_ADDR, struct.pack("<IIQQQQ", index, 0, at, at + USED_OFFSET,
                                              at + AVAIL_OFFSET, 0))

    def set_ring_events(self, index):
        """Give the ring eventfds that nobody listens to."""
        for request in (SET_VRING_CALL, SET_VRING_KICK):
            fd = os.eventfd(0)
            try:
                self.tell(request, struct.pack("<Q", index), [fd])
            finally:
                os.close(fd)

    def enable(self, index, enabled=1):
        self.tell(SET_VRING_ENABLE, struct.pack("<II", index, enabled))

    def start_rings(self, rings=2):
        for index in range(rings):
            self.set_ring_shape(index)
            self.set_ring_events(index)
            self.enable(index)

    def set_up(self, guest, pairs=1):
        """All that a frontend says until packets flow."""
        self.negotiate()
        self.set_memory(guest)
        self.start_rings(2 * pairs)

    def stop_ring(self, index):
        self.ask(GET_VRING_BASE, struct.pack("<II", index, 0))

    def close(self):
        self.socket.close()


def post_buffer(memory, ring, index, size, writable):
    """Make the next buffer of a ring available, at a place of its own; index counts them."""
    base, place = ring * RING_BYTES, index % RING_SIZE
    buffer = BUFFERS + (ring * RING_SIZE + place) * 2048
    struct.pack_into("<QIHH", memory, base + 16 * place, buffer, size,
                     WRITE if writable else 0, 0)
    struct.pack_into("<H", memory, base + AVAIL_OFFSET + 4 + 2 * place, place)
    struct.pack_into("<H", memory, base + AVAIL_OFFSET + 2, index + 1 & 0xffff)
    return buffer


def send_and_receive(guest, packets):
    """Offer packets to the backend, and room for what comes back."""
    start, size, _, _, fd = guest.regions[0]
    with contextlib.closing(mmap.mmap(fd, min(size, 4 << 20))) as memory:
        for index in range(packets):
            post_buffer(memory, 0, index, 2048, True)
            buffer = post_buffer(memory, 1, index, HEADER + 60, False)
            memory[buffer:buffer + HEADER + 60] = bytes(HEADER) + bytes(range(60))


def returned(guest, ring):
    """How many buffers of a ring the backend has given back."""
    with contextlib.closing(mmap.mmap(guest.regions[0][4], 1 << 20)) as memory:
        return struct.unpack_from("<H", memory, ring * RING_BYTES + USED_OFFSET + 2)[0]
