# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Which QEMU runs the guests: the installed one, or that of another distribution's root tree.

The latter is started by its own loader with its own libraries, so nobody has to enter the tree.
"""

import os
import re
import shutil
import subprocess

from processes import Skip

PROGRAM = "qemu-system-x86_64"
LOADER = "lib64/ld-linux-x86-64.so.2"
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
DATA = ("usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu")
# "reconnect" of a socket (seconds) was superseded in this version, and later taken away.
RECONNECT_MS = (9, 2)

# This version has rings of 1024 descriptors whatever it is asked for, but in-flight areas of the size it is asked for.
LONG_RINGS = (10, 0)

_root = None


def use_root(directory):
    """Run guests under the QEMU of a root tree from now on; None: under the installed one."""
    global _root
    _root = directory and os.path.realpath(directory)


def command():
    """The beginning of QEMU's command line; Skip if there is none."""
    if _root is None:
        if not shutil.which(PROGRAM):
            raise Skip("not installed: " + PROGRAM)
        return [PROGRAM]
    program = os.path.join(_root, "usr/bin", PROGRAM)
    if not os.path.exists(program):
        raise Skip("no " + program)
    data = [argument for folder in DATA for argument in ("-L", os.path.join(_root, folder))]
    return [os.path.join(_root, LOADER), "--library-path",
            ":".join(os.path.join(_root, folder) for folder in LIBRARIES), program, *data]


def version():
    """QEMU's version, as (major, minor)."""
    said = subprocess.run([*command(), "--version"], check=True, capture_output=True, text=True).stdout
    return tuple(map(int, re.search(r"version (\d+)\.(\d+)", said).groups()))


def reconnecting():
    """Option of a socket that is to be connected again a second after its peer has gone."""
    return "reconnect-ms=1000" if version() >= RECONNECT_MS else "reconnect=1"


def queue_size(wanted):
    """The size to ask for, so that a ring and its in-flight area have the same."""
    return 1024 if version() == LONG_RINGS else wanted
