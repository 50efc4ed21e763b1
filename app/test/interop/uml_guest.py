# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A user-mode Linux guest pings testpmd. Its control queue is the backend's to serve."""

from guests import UmlGuest
from pings import ADDRESS, GATEWAY, check_pings, ping_script
from processes import Skip
from qemu_guest import start_echo

# Each line is at least one command on the control queue.
CONTROL_COMMANDS = """
for state in on off; do
    ip link set eth0 promisc $state || say "promisc $state failed"
    ip link set eth0 allmulticast $state || say "allmulticast $state failed"
done
say control queue answered
"""


def run_case(bench):
    """Boot, use the control queue, ping at all sizes."""
    if bench.library.packaged:
        raise Skip("the packaged library offers a control queue and never serves it: the guest would hang")
    socket = bench.path("vhost.sock")
    backend = start_echo(bench, socket)
    guest = UmlGuest(bench, "guest", socket, ADDRESS, CONTROL_COMMANDS + ping_script(GATEWAY))
    guest.wait_ready()
    guest.hear("control queue answered", 30)
    check_pings(guest)
    guest.finish()
    backend.quit()


def cases():
    """Name and function of each case."""
    yield "uml", run_case
