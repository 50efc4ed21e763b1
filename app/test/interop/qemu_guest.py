# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A QEMU Linux guest pings testpmd, which answers as icmpecho."""

import re

from guests import QemuGuest
from pings import ADDRESS, GATEWAY, check_pings, ping_script
from processes import check
from testpmd import Testpmd


def start_echo(bench, socket, queues=1, client=False, name="backend"):
    """A testpmd with net_vhost that answers ARP requests and pings."""
    backend = Testpmd(bench, name, [f"net_vhost0,iface={socket},queues={queues},client={int(client)}"],
                      ["--forward-mode=icmpecho", f"--rxq={queues}", f"--txq={queues}"], backend=True)
    backend.ready()
    backend.command_ok("start", "packet forwarding")
    return backend


def check_queues_used(backend, queues):
    """Each of the guest's CPUs sends on a queue of its own: all queues have seen packets."""
    statistics = backend.command("show port xstats 0")
    for queue in range(queues):
        seen = re.search(rf"rx_q{queue}_good_packets: (\d+)", statistics)
        check(seen and int(seen.group(1)), f"no packets on queue pair {queue}")


def run_case(bench, server=False, queues=1, mergeable=True):
    """Boot a guest, ping at all sizes, and end both sides in good order."""
    socket = bench.path("vhost.sock")
    backend = start_echo(bench, socket, queues, client=server)
    guest = QemuGuest(bench, "guest", socket, ADDRESS, ping_script(GATEWAY, queues), server, queues,
                      "" if mergeable else "mrg_rxbuf=off")
    negotiated = guest.wait_ready()
    check(("MRG_RXBUF" in negotiated) == mergeable, f"the guest has negotiated {negotiated}")
    check_pings(guest, queues, lambda: check_queues_used(backend, queues))
    guest.finish()
    backend.quit()


def cases():
    """Name and function of each case."""
    yield "qemu-mergeable", run_case
    yield "qemu-plain", lambda bench: run_case(bench, mergeable=False)
    yield "qemu-client-2q", lambda bench: run_case(bench, server=True, queues=2)
