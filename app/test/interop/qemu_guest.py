# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A QEMU Linux guest pings testpmd, which answers as icmpecho."""

import re

from guests import QemuGuest
from pings import ADDRESS, GATEWAY, JUMBO_SIZES, SIZES, check_pings, ping_script
from processes import check
from testpmd import Testpmd

# Features that the cases are about: what QEMU has to be told without, and with, each.
OPTIONS = {
    "MRG_RXBUF": ("mrg_rxbuf=off", None),
    "INDIRECT_DESC": ("indirect_desc=off", None),
    "EVENT_IDX": ("event_idx=off", None),
    "RING_PACKED": (None, "packed=on"),
    "MTU": (None, "host_mtu=9000"),
}


def start_echo(bench, socket, queues=1, client=False, name="backend", extra="", forward="icmpecho"):
    """A testpmd with net_vhost that answers ARP requests and pings, or forwards as it is told."""
    backend = Testpmd(bench, name, [f"net_vhost0,iface={socket},queues={queues},client={int(client)}{extra}"],
                      [f"--forward-mode={forward}", f"--rxq={queues}", f"--txq={queues}"], backend=True)
    backend.ready()
    backend.command_ok("start", "packet forwarding")
    return backend


def check_queues_used(backend, queues):
    """Each of the guest's CPUs sends on a queue of its own: all queues have seen packets."""
    statistics = backend.command("show port xstats 0")
    for queue in range(queues):
        seen = re.search(rf"rx_q{queue}_good_packets: (\d+)", statistics)
        check(seen and int(seen.group(1)), f"no packets on queue pair {queue}")


def device_options(features):
    """What to say to QEMU's network device so that it offers these FEATURES of OPTIONS and no others of them."""
    return ",".join(option for feature, (absent, present) in OPTIONS.items()
                    if (option := present if feature in features else absent))


def run_case(bench, features, server=False, queues=1):
    """Boot a guest, ping at all sizes, and end both sides in good order."""
    socket = bench.path("vhost.sock")
    sizes = JUMBO_SIZES if "MTU" in features else SIZES
    backend = start_echo(bench, socket, queues, client=server)
    guest = QemuGuest(bench, "guest", socket, ADDRESS, ping_script(GATEWAY, queues, sizes), server, queues,
                      device_options(features))
    negotiated = guest.wait_ready()
    check(negotiated & OPTIONS.keys() == features, f"the guest has negotiated {negotiated}, not {features}")
    check_pings(guest, queues, lambda: check_queues_used(backend, queues), sizes)
    guest.finish()
    backend.quit()


def cases():
    """Name and function of each case."""
    usual = {"MRG_RXBUF", "INDIRECT_DESC", "EVENT_IDX"}
    jumbo, packed = usual | {"MTU"}, usual | {"RING_PACKED"}
    yield "qemu-mergeable", lambda bench: run_case(bench, usual)
    yield "qemu-plain", lambda bench: run_case(bench, usual - {"MRG_RXBUF"})
    yield "qemu-client-2q", lambda bench: run_case(bench, usual, server=True, queues=2)
    yield "qemu-jumbo-direct-flags", lambda bench: run_case(bench, {"MRG_RXBUF", "MTU"})
    yield "qemu-packed", lambda bench: run_case(bench, packed)
    yield "qemu-packed-plain-direct-flags", lambda bench: run_case(bench, {"RING_PACKED"})
    yield "qemu-packed-jumbo-client-2q", lambda bench: run_case(bench, packed | jumbo, server=True, queues=2)
