# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Run user-mode Linux on a processor with AMX: hide_xstate.py PROGRAM [ARGUMENT]...

UML 6.1 keeps at most 2696 bytes of extended registers per process. With AMX the
host wants 11008 in PTRACE_SETREGSET and refuses less, and UML panics at its
first process. Where PTRACE_GETREGSET of this register set fails from the start
UML uses the older calls, which know no AVX. So a seccomp filter lets it fail,
and the guest's C library is told not to use AVX (GUEST_ARGUMENT).
"""

import ctypes
import os
import struct
import sys

GUEST_ARGUMENT = "GLIBC_TUNABLES=glibc.cpu.hwcaps=" + ",".join(
    "-" + name for name in ("AVX", "AVX2", "AVX512F", "AVX512VL", "AVX512BW", "AVX_Fast_Unaligned_Load"))

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
PR_SET_NO_NEW_PRIVS = 38
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
RETURN_EINVAL, ALLOW = 0x00050016, 0x7FFF0000
# Offsets in struct seccomp_data: the call's number, the architecture, the third argument.
NUMBER, ARCHITECTURE, ARGUMENT_2 = 0, 4, 32
X86_64, PTRACE, NT_X86_XSTATE = 0xC000003E, 101, 0x202

FILTER = (
    (LOAD, 0, 0, ARCHITECTURE),
    (JUMP_IF_EQUAL, 0, 5, X86_64),
    (LOAD, 0, 0, NUMBER),
    (JUMP_IF_EQUAL, 0, 3, PTRACE),
    (LOAD, 0, 0, ARGUMENT_2),
    (JUMP_IF_EQUAL, 0, 1, NT_X86_XSTATE),
    (RETURN, 0, 0, RETURN_EINVAL),
    (RETURN, 0, 0, ALLOW),
)


class FilterProgram(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def needed():
    """Whether this machine's processor has AMX."""
    with open("/proc/cpuinfo", encoding="ascii") as info:
        return " amx_tile" in info.read()


def install():
    """Put the filter on this process and all that it starts."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in FILTER)
    program = FilterProgram(len(FILTER), code)
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) != 0):
        sys.exit("seccomp: " + os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    install()
    os.execvp(sys.argv[1], sys.argv[1:])
