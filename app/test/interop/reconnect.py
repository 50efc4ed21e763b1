# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Peers that come and go: nothing may be left behind, and traffic flows each time."""

import os
import re
import time

from guests import QemuGuest
from pings import ADDRESS, GATEWAY
from processes import check, wait_until
from qemu_guest import start_echo
from testpmd import Testpmd

CONNECTS = 200
FRONTEND_KILLS = 10
BACKEND_KILLS = 10
# The first connections fill caches and pools that are kept on purpose.
WARM_UP = 5
# Pages of the C library's heap and of stacks come and go; a leak of 2 KiB for each connection shows.
RESIDENT_SLACK_KIB = 400
BURST = 32
RESUME_SECONDS = 30
SETTLE_SECONDS = 10

# A burst of pings every now and then, for ever.
PING_FOR_EVER = f"""
while :; do
    say $(ping -A -q -c 10 -w 2 {GATEWAY} | grep transmitted)
    usleep 100000
done
"""


def heap_blocks(testpmd):
    """How many blocks of DPDK's heap are in use."""
    answer = testpmd.command("dump_socket_mem")
    found = re.search(r"Total\s*:.*count alloc:\s*(\d+)", answer)
    check(found, f"{testpmd.name}: no heap statistics in {answer[-200:]!r}")
    return int(found.group(1))


class Footprint:
    """What a backend holds at a moment that comes again and again."""

    def __init__(self, backend):
        self.descriptors = backend.descriptors()
        self.heap_blocks = heap_blocks(backend)
        self.resident_kib = backend.resident_kib()

    def change_since(self, earlier):
        """What is different from an earlier footprint, or an empty string."""
        for what in ("descriptors", "heap_blocks"):
            before, now = getattr(earlier, what), getattr(self, what)
            if before != now:
                return f"{what} went from {before} to {now}"
        growth = self.resident_kib - earlier.resident_kib
        return f"memory grew by {growth} KiB" if growth > RESIDENT_SLACK_KIB else ""


def idle_footprint(backend):
    """The footprint once the last connection is gone: the link goes down before all of it is released."""
    wait_until(lambda: "Link status: down" in backend.command("show port info 0"), SETTLE_SECONDS,
               "the backend to notice that its peer has gone")
    seen = [Footprint(backend)]

    def steady():
        time.sleep(0.2)
        seen.append(Footprint(backend))
        return not seen[-1].change_since(seen[-2])

    wait_until(steady, SETTLE_SECONDS, "the backend to settle without a peer")
    return seen[-1]


def check_same(start, end, connections):
    """Fail if the later footprint differs from the earlier one."""
    change = end.change_since(start)
    check(not change, f"{change} in {connections} connections")


def start_mirror(bench, socket, client=False):
    """A backend that sends every packet back."""
    backend = Testpmd(bench, "backend", [f"net_vhost0,iface={socket},client={int(client)}"], backend=True)
    backend.ready()
    backend.command_ok("start", "packet forwarding")
    return backend


def check_traffic(frontend):
    """A burst goes to the backend and comes back complete."""
    before = frontend.port_counters()["RX-packets"]
    frontend.command_ok("start tx_first", "packet forwarding")
    wait_until(lambda: frontend.port_counters()["RX-packets"] - before == BURST, RESUME_SECONDS,
               f"{BURST} packets to come back to {frontend.name}")
    frontend.command("stop")


def connect_once(frontend, socket):
    """virtio-user appears, exchanges packets, and goes."""
    frontend.command_ok(f"port attach net_virtio_user0,path={socket}", "is attached")
    frontend.command_ok("port start 0", "Done")
    check_traffic(frontend)
    frontend.command("port stop 0")
    frontend.command_ok("port detach 0", "is detached")


def run_connects(bench):
    """200 connections of one virtio-user to one backend."""
    socket = bench.path("vhost.sock")
    backend = start_mirror(bench, socket)
    frontend = Testpmd(bench, "frontend", []).ready()
    frontend.command("set fwd rxonly")
    for _ in range(WARM_UP):
        connect_once(frontend, socket)
    start = idle_footprint(backend)
    for _ in range(CONNECTS):
        connect_once(frontend, socket)
    check_same(start, idle_footprint(backend), CONNECTS)
    total = (WARM_UP + CONNECTS) * BURST
    received = backend.port_counters()["RX-packets"]
    check(received == total, f"the backend counted {received} packets of {total}")
    frontend.quit()
    backend.quit()


def kill_one_frontend(bench, backend, number, socket):
    """virtio-user listens, the backend connects by itself, packets flow, virtio-user is killed.

    Returns the footprint while connected: without a peer it depends on where the next attempt stands.
    """
    frontend = Testpmd(bench, f"frontend-{number}", [f"net_virtio_user0,path={socket},server=1"]).ready()
    frontend.wait_link_up()
    frontend.command("set fwd rxonly")
    check_traffic(frontend)
    footprint = Footprint(backend)
    frontend.kill()
    os.unlink(socket)
    return footprint


def run_frontend_kills(bench):
    """A client backend outlives frontends that die without a word."""
    socket = bench.path("vhost.sock")
    backend = start_mirror(bench, socket, client=True)
    footprints = [kill_one_frontend(bench, backend, number, socket) for number in range(WARM_UP + FRONTEND_KILLS)]
    check_same(footprints[WARM_UP - 1], footprints[-1], FRONTEND_KILLS)
    backend.quit()


def hear_all_answered(guest):
    """Wait for a burst of pings of which none was lost."""
    guest.hear("10 packets transmitted, 10 packets received, 0% packet loss", RESUME_SECONDS)


def run_backend_kills(bench, device="", server=False):
    """Backends are killed under a QEMU guest that pings; QEMU comes back to each new one, or is come back to."""
    socket = bench.path("vhost.sock")
    backend = start_echo(bench, socket, name="backend-0", client=server)
    guest = QemuGuest(bench, "guest", socket, ADDRESS, PING_FOR_EVER, server=server, device=device)
    check(("RING_PACKED" in guest.wait_ready()) == ("packed=on" in device), "the ring is not what was asked for")
    hear_all_answered(guest)
    descriptors, resident, qemu = [backend.descriptors()], [backend.resident_kib()], [guest.descriptors()]
    resumed = 0
    for number in range(1, BACKEND_KILLS + 1):
        backend.kill()
        if not server:
            os.unlink(socket)
        backend = start_echo(bench, socket, name=f"backend-{number}", client=server)
        backend.wait_link_up(seconds=RESUME_SECONDS)
        guest.skip_to_end()
        hear_all_answered(guest)
        resumed += "as its descriptors tell" in backend.output()
        check("do not tell" not in backend.output(), f"{backend.name} did not find the position")
        descriptors.append(backend.descriptors())
        resident.append(backend.resident_kib())
        qemu.append(guest.descriptors())
    check(len(set(descriptors)) == 1, f"descriptors of the backends: {descriptors}")
    check(len(set(qemu)) == 1, f"descriptors of QEMU: {qemu}")
    check(max(resident) - min(resident) <= RESIDENT_SLACK_KIB, f"memory of the backends: {resident} KiB")
    complaints = guest.kernel_complaints()
    check(not complaints, f"the guest's kernel: {complaints[:1]}")
    check(resumed == (BACKEND_KILLS if "packed=on" in device else 0), f"{resumed} rings were read for their position")
    backend.quit()


def check_flow(frontend, what):
    """Packets that the frontend sends without end come back."""
    before = frontend.port_counters()["RX-packets"]
    wait_until(lambda: frontend.port_counters()["RX-packets"] > before + 10 * BURST, RESUME_SECONDS,
               f"packets to come back from {what}")


def run_virtio_user_kills(bench, options):
    """Backends are killed under a virtio-user that sends without end and waits for them as server."""
    socket = bench.path("vhost.sock")
    backend = start_mirror(bench, socket, client=True)
    frontend = Testpmd(bench, "frontend", [f"net_virtio_user0,path={socket},server=1,{options}"]).ready()
    frontend.command("set fwd flowgen")
    frontend.command_ok("start", "packet forwarding")
    check_flow(frontend, "the first backend")
    for number in range(1, BACKEND_KILLS + 1):
        backend.kill()
        backend = Testpmd(bench, f"backend-{number}", [f"net_vhost0,iface={socket},client=1"], backend=True).ready()
        backend.command_ok("start", "packet forwarding")
        backend.wait_link_up(seconds=RESUME_SECONDS)
        check_flow(frontend, backend.name)
        check("do not tell" not in backend.output(), f"{backend.name} did not find the position")
    frontend.quit()
    backend.quit()


def cases():
    """Name and function of each case."""
    yield "reconnect-200-connects", run_connects
    yield "reconnect-frontend-kills", run_frontend_kills
    yield "reconnect-backend-kills", run_backend_kills
    yield "reconnect-virtio-user-kills", lambda bench: run_virtio_user_kills(bench, "mrg_rxbuf=1")
    yield "reconnect-virtio-user-kills-packed", lambda bench: run_virtio_user_kills(bench, "packed_vq=1,mrg_rxbuf=1")
    yield "reconnect-virtio-user-kills-packed-any-order", lambda bench: run_virtio_user_kills(
        bench, "packed_vq=1,mrg_rxbuf=0,in_order=0")
    yield "reconnect-backend-kills-packed", lambda bench: run_backend_kills(bench, "packed=on")
    yield "reconnect-backend-kills-packed-plain", lambda bench: run_backend_kills(
        bench, "packed=on,mrg_rxbuf=off,indirect_desc=off,event_idx=off", server=True)
