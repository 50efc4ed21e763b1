# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A QEMU Linux guest goes on elsewhere while it pings, and its memory follows (postcopy).

The backend that it finds there touches pages that have not come yet. It has to wait
for each, and may not make one up: the guest's memory would not be what it was.
"""

import re

from migrate_guest import STEP_SECONDS, finish_move, start_guest
from migration import incoming_arguments, wait_migrated, wait_running
from processes import Failure, Library, Skip, check, wait_until
from qemu_guest import start_echo

# So slow that most of the memory is still to come when the guest starts again.
BYTES_PER_SECOND = 24 << 20
CAPABILITIES = [{"capability": "postcopy-ram", "state": True}]


def allow_postcopy(monitor):
    """Have a QEMU agree to postcopy; Skip if the kernel does not let it."""
    try:
        monitor.execute("migrate-set-capabilities", capabilities=CAPABILITIES)
    except Failure as refusal:
        if "Postcopy is not supported" in str(refusal):
            raise Skip(f"QEMU has no userfaultfd: {refusal}") from None
        raise


def migrate_postcopy(source, target, path):
    """Start copying, have the guest go ahead at once, wait until all has followed; QEMU's figures."""
    source.execute("migrate-set-parameters", **{"max-bandwidth": BYTES_PER_SECOND,
                                                "max-postcopy-bandwidth": BYTES_PER_SECOND})
    source.execute("migrate", uri="unix:" + path)
    wait_until(lambda: source.execute("query-migrate").get("status") == "active", STEP_SECONDS, "the first pages")
    source.execute("migrate-start-postcopy")
    wait_running(target)
    return wait_migrated(source)


def run_case(bench, features):
    """Boot on the packaged library, let pings flow, go on before the library under test."""
    ours, bench.library = bench.library, Library(None)
    socket, other = bench.path("backend-1.sock"), bench.path("backend-2.sock")
    first = start_echo(bench, socket, name="backend-1")
    bench.library = ours
    second = start_echo(bench, other, name="backend-2", extra=",postcopy-support=1")
    guest, monitor = start_guest(bench, "source", socket, features, [])
    guest.wait_ready()
    before, = guest.hear("sum ([0-9a-f]+) .*", STEP_SECONDS)
    path = bench.path("guest")
    moved, target = start_guest(bench, "target", other, features, incoming_arguments(path))
    allow_postcopy(target)
    allow_postcopy(monitor)
    guest.hear("flowing", STEP_SECONDS)
    figures = migrate_postcopy(monitor, target, path)
    check(figures["ram"]["postcopy-requests"] > 0, f"no page was asked for: {figures['ram']}")
    monitor.execute("quit")
    finish_move(guest, moved, before, (first, second))
    check(re.search("read message VHOST_USER_POSTCOPY_END", second.output()), "the backend did not take part")


def cases():
    """Name and function of each case."""
    usual = {"MRG_RXBUF", "INDIRECT_DESC", "EVENT_IDX"}
    yield "postcopy", lambda bench: run_case(bench, usual)
