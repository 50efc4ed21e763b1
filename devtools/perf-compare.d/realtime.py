# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Real-time priority for programs while they are measured.

On a machine that is not idle, threads of real-time priority tell the same as on
one that is, as long as they want a core for less than the kernel lets them have it.
"""

import contextlib
import os
import re
from pathlib import Path

PRIORITY = 50
# Names of threads that never give their core back: DPDK's lcores, Open vSwitch's, and QEMU's processors.
POLLS = re.compile("worker|pmd-|^CPU ")


def _set_thread(thread, pid, policy, priority):
    """Threads that poll have the lowest of our priorities; one that has just ended needs none."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        name = Path(f"/proc/{pid}/task/{thread}/comm").read_text(encoding="ascii")
        above = int(not POLLS.search(name))
        os.sched_setscheduler(thread, policy, os.sched_param(priority and priority + above))


def _set_priority(pids, priority):
    """Let nobody but each other disturb the programs, and them not us; 0: as usual."""
    policy = os.SCHED_FIFO if priority else os.SCHED_OTHER
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            _set_thread(int(thread), pid, policy, priority)
    os.sched_setscheduler(0, policy, os.sched_param(priority and priority + 2))


@contextlib.contextmanager
def undisturbed(pids, wanted):
    """Keep all others from the cores on which these processes poll, if that is wanted."""
    if not wanted:
        yield
        return
    try:
        _set_priority(pids, PRIORITY)
        yield
    finally:
        _set_priority(pids, 0)
