# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Ethernet frames of known content, and the pcap files that carry them in and out."""

import random
import struct

PCAP_HEADER = struct.Struct("<IHHiIII")
PCAP_RECORD = struct.Struct("<IIII")
PCAP_MAGIC = 0xA1B2C3D4
LINKTYPE_ETHERNET = 1
SNAPSHOT = 16384

LONGEST_STANDARD = 1514
LONGEST_JUMBO = 9014
SHORTEST = 60
# For local experiments (IEEE 802): no driver looks behind it.
ETHERTYPE = 0x88B5


def make(label, count, longest):
    """Frames that differ by label and position; lengths run from shortest to longest, ends included."""
    source = random.Random(label)
    header = bytes.fromhex("02000000000a02000000000b") + struct.pack(">H", ETHERTYPE)
    lengths = [SHORTEST, longest, SHORTEST + 1, longest - 1]
    lengths += (source.randint(SHORTEST, longest) for _ in range(count - len(lengths)))
    return [header + struct.pack(">I", number) + source.randbytes(length - len(header) - 4)
            for number, length in enumerate(lengths)]


def write(path, frames):
    """Store frames as a pcap file."""
    with open(path, "wb") as out:
        out.write(PCAP_HEADER.pack(PCAP_MAGIC, 2, 4, 0, 0, SNAPSHOT, LINKTYPE_ETHERNET))
        for frame in frames:
            out.write(PCAP_RECORD.pack(0, 0, len(frame), len(frame)))
            out.write(frame)


def read(path):
    """The frames of a pcap file, byte for byte."""
    with open(path, "rb") as source:
        data = source.read()
    frames = []
    at = PCAP_HEADER.size
    while at < len(data):
        length = PCAP_RECORD.unpack_from(data, at)[2]
        at += PCAP_RECORD.size
        frames.append(data[at:at + length])
        at += length
    return frames


def difference(sent, received):
    """What is wrong with the received frames in one line, or None if they are what was sent."""
    if len(sent) != len(received):
        return f"{len(received)} frames of {len(sent)}"
    for number, (one, other) in enumerate(zip(sent, received)):
        if one != other:
            return f"frame {number} ({len(one)} bytes) arrived changed ({len(other)} bytes)"
    return None
