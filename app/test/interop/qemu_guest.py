# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A QEMU Linux guest pings testpmd, which answers as icmpecho."""

from guests import QemuGuest
from pings import ADDRESS, GATEWAY, check_pings, ping_script
from testpmd import Testpmd


def start_echo(bench, socket, queues=1, client=False, name="backend"):
    """A testpmd with net_vhost that answers ARP requests and pings."""
    backend = Testpmd(bench, name, [f"net_vhost0,iface={socket},queues={queues},client={int(client)}"],
                      ["--forward-mode=icmpecho", f"--rxq={queues}", f"--txq={queues}"], backend=True)
    backend.ready()
    backend.command_ok("start", "packet forwarding")
    return backend


def run_case(bench, server=False, queues=1, device=""):
    """Boot a guest, ping at all sizes, and end both sides in good order."""
    socket = bench.path("vhost.sock")
    backend = start_echo(bench, socket, queues, client=server)
    guest = QemuGuest(bench, "guest", socket, ADDRESS, ping_script(GATEWAY), server, queues, device)
    check_pings(guest)
    guest.finish()
    backend.quit()


def cases():
    """Name and function of each case."""
    yield "qemu-mergeable", run_case
    yield "qemu-plain", lambda bench: run_case(bench, device="mrg_rxbuf=off")
    yield "qemu-client-2q", lambda bench: run_case(bench, server=True, queues=2)
