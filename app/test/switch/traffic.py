# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Frames between stations, and what may have become of them on the way.

Every frame is different: it carries the name of its stream, its number in it,
and random bytes that follow from both. A received frame is found among the sent
ones by its whole content, so a single changed byte shows, and so do copies and a
change of order.
"""

import os
import random
import select
import struct
import time

import frames
from processes import Failure, check

BROADCAST = bytes.fromhex("ffffffffffff")
MULTICAST = bytes.fromhex("333300000001")
# Ethertypes of one tag, and of two of them.
VLAN, SERVICE_VLAN = 0x8100, 0x88A8
SEND_SECONDS = 30


def mac(number):
    """The address of a station."""
    return bytes((0x02, 0, 0, 0, number >> 8, number & 0xFF))


def text(address):
    """An address as people write it."""
    return address.hex(":")


def tag(identifier, priority=0, kind=VLAN):
    """One VLAN tag."""
    return struct.pack(">HH", kind, priority << 13 | identifier)


def make(source, destination, stream, count=1, longest=frames.LONGEST_STANDARD, shortest=frames.SHORTEST, tags=b""):
    """Frames of one stream; the first two have the shortest and the longest length."""
    dice = random.Random(stream)
    header = destination + source + tags + struct.pack(">H", frames.ETHERTYPE) + stream.encode().ljust(12)[:12]
    batch = []
    for number in range(count):
        length = (shortest, longest)[number] if number < 2 and count > 1 else dice.randint(shortest, longest)
        start = header + struct.pack(">I", number)
        batch.append(start + dice.randbytes(max(0, length - len(start))))
    return batch


def lost(sent, received, what):
    """How many frames of the streams in `sent` never arrived; fails if one arrived changed, twice or out of order.

    sent: lists of frames, one for each stream. received: lists of frames, one for
    each queue; order is kept from a stream to a queue.
    """
    place = {frame: (stream, number) for stream, batch in enumerate(sent) for number, frame in enumerate(batch)}
    arrived = set()
    for queue, batch in enumerate(received):
        following = [0] * len(sent)
        for position, frame in enumerate(batch):
            check(frame in place, f"{what}: frame {position} of queue {queue}, {len(frame)} bytes, was never sent "
                                  f"like that: {frame[:40].hex()}")
            check(frame not in arrived, f"{what}: frame {place[frame]} came twice")
            arrived.add(frame)
            stream, number = place[frame]
            check(number >= following[stream], f"{what}: frame {number} of stream {stream} came after "
                                               f"{following[stream] - 1}")
            following[stream] = number + 1
    return len(place) - len(arrived)


class Source:
    """A named pipe in pcap format, from which net_pcap takes a frame as soon as it is written."""

    def __init__(self, path):
        os.mkfifo(path)
        # Open for both, so that neither side waits for the other to open it.
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._write(frames.PCAP_HEADER.pack(frames.PCAP_MAGIC, 2, 4, 0, 0, frames.SNAPSHOT, frames.LINKTYPE_ETHERNET))

    def _write(self, data):
        while data:
            if not select.select((), (self._pipe,), (), SEND_SECONDS)[1]:
                raise Failure(f"nothing is read from a pipe for {SEND_SECONDS} s")
            try:
                data = data[os.write(self._pipe, data):]
            except BlockingIOError:
                # Room, but less than for all of a small piece.
                time.sleep(0.001)

    def send(self, batch):
        """Let the station send these frames."""
        self._write(b"".join(frames.PCAP_RECORD.pack(0, 0, len(frame), len(frame)) + frame for frame in batch))

    def close(self):
        """The end of the file: who reads no longer waits."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None


class Sink:
    """A pcap file that grows while it is read."""

    def __init__(self, path):
        self._path = path
        self._at = frames.PCAP_HEADER.size
        self.frames = []

    def update(self):
        """Take what has come since the last time; all frames so far."""
        with open(self._path, "rb") as file:
            file.seek(self._at)
            data = file.read()
        at = 0
        while len(data) - at >= frames.PCAP_RECORD.size:
            length = frames.PCAP_RECORD.unpack_from(data, at)[2]
            start = at + frames.PCAP_RECORD.size
            if start + length > len(data):
                break
            self.frames.append(data[start:start + length])
            at = start + length
        self._at += at
        return self.frames
