# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""testpmd with net_vhost against testpmd with virtio-user, in two processes.

Each side forwards between its vhost end and a pcap port:

    pcap in  -> net_vhost ==ring==> virtio-user -> pcap out
    pcap out <- net_vhost <==ring== virtio-user <- pcap in

Both directions run at once and testpmd retries when a ring is full. So every
frame has to arrive, in order, unchanged. Each stream has an lcore of its own:
two directions that share one wait for each other for ever once both rings are
full.
"""

import itertools
import re

import frames
from processes import Skip, check, wait_until
from testpmd import Testpmd

FRAMES = 6000
RUN_SECONDS = 60

MERGEABLE, PACKED, IN_ORDER = 1 << 15, 1 << 34, 1 << 35
VECTORIZED, ODD_RING = "vectorized=1,", "queue_size=250,"

# The ways in which virtio-user drives a ring: name, features, what else to
# ask for, and the receive function that it then says it uses.
PATHS = (
    ("split-plain", 0, "", "standard"),
    ("split-mergeable", MERGEABLE, "", "mergeable buffer"),
    ("split-plain-inorder", IN_ORDER, "", "inorder"),
    ("split-mergeable-inorder", MERGEABLE | IN_ORDER, "", "inorder"),
    ("split-vectorized", 0, VECTORIZED, "vectorized"),
    ("packed-plain", PACKED, "", "packed ring standard"),
    ("packed-mergeable", PACKED | MERGEABLE, "", "packed ring mergeable buffer"),
    ("packed-plain-inorder", PACKED | IN_ORDER, "", "packed ring standard"),
    ("packed-mergeable-inorder", PACKED | MERGEABLE | IN_ORDER, "", "packed ring mergeable buffer"),
    ("packed-mergeable-oddring", PACKED | MERGEABLE, ODD_RING, "packed ring mergeable buffer"),
    ("packed-vectorized", PACKED | IN_ORDER, VECTORIZED, "packed ring vectorized"),
)
# So that the driver says which functions it uses, and may use the widest.
DRIVER_ARGUMENTS = ("--log-level=pmd.net.virtio.init:info", "--force-max-simd-bitwidth=512")


class Side:
    """One of the two processes: its files, its testpmd, and what it sends."""

    def __init__(self, bench, name, queues, longest):
        self.bench, self.name, self.queues = bench, name, queues
        self.sent = [frames.make(f"{name}{queue}", FRAMES // queues, longest) for queue in range(queues)]
        for queue, batch in enumerate(self.sent):
            frames.write(self._file("in", queue), batch)

    def _file(self, way, queue):
        return self.bench.path(f"{self.name}-{way}-{queue}.pcap")

    def start(self, vdev, backend=False):
        """Start testpmd with the vhost end as port 0 and the files as port 1."""
        files = [f"rx_pcap={self._file('in', queue)}" for queue in range(self.queues)]
        files += [f"tx_pcap={self._file('out', queue)}" for queue in range(self.queues)]
        self.testpmd = Testpmd(
            self.bench, self.name, [vdev, "net_pcap0," + ",".join(files)],
            [f"--rxq={self.queues}", f"--txq={self.queues}"], backend, forwarders=2 * self.queues,
            eal_args=() if backend else DRIVER_ARGUMENTS)

    def forward(self):
        """Start forwarding, with enough retries that no full ring loses a frame."""
        self.testpmd.command("set fwd io retry")
        self.testpmd.command("set burst tx delay 20 retry 1000000")
        self.testpmd.command_ok("start", "packet forwarding")

    def files_written(self):
        """How many frames went out to the pcap files."""
        return self.testpmd.port_counters(1)["TX-packets"]

    def check_contents(self, peer):
        """After quit: what is in our files is what the peer sent, queue by queue."""
        for queue, batch in enumerate(peer.sent):
            wrong = frames.difference(batch, frames.read(self._file("out", queue)))
            check(not wrong, f"queue {queue} of {peer.name} to {self.name}: {wrong}")


def check_counters(backend, frontend):
    """What one end counts as sent the other counts as received, packets and bytes."""
    ours, theirs = backend.testpmd.port_counters(), frontend.testpmd.port_counters()
    for sent, received, way in ((ours, theirs, "to"), (theirs, ours, "from")):
        for unit in ("packets", "bytes"):
            check(sent["TX-" + unit] == received["RX-" + unit],
                  f"{unit} {way} the frontend: {sent['TX-' + unit]} sent, {received['RX-' + unit]} received")


def exchange(backend, frontend):
    """Forward until all frames are through, then compare counters and contents."""
    for side in (backend, frontend):
        side.testpmd.wait_link_up()
    for side in (frontend, backend):
        side.forward()
    total = sum(map(len, backend.sent))
    for side in (backend, frontend):
        wait_until(lambda side=side: side.files_written() >= total, RUN_SECONDS,
                   f"{total} frames at the {side.name}")
    for side in (backend, frontend):
        side.testpmd.command("stop")
    check_counters(backend, frontend)
    for side in (frontend, backend):
        side.testpmd.quit()
    backend.check_contents(frontend)
    frontend.check_contents(backend)


def allow_jumbo(testpmd):
    """Let port 0 receive frames that span several of its buffers, which is what mergeable is for."""
    testpmd.command("port stop 0")
    testpmd.command("port config 0 rx_offload scatter on")
    testpmd.command(f"port config mtu 0 {frames.LONGEST_JUMBO - 14}")
    testpmd.command("port start 0")


def check_path(backend, frontend, features, function):
    """The two have agreed on what this case is about, and the driver uses it."""
    agreed = re.findall(r"negotiated Virtio features: (0x[0-9a-f]+)", backend.output())
    check(agreed, "the backend does not say what was negotiated")
    differ = (int(agreed[-1], 16) ^ features) & (MERGEABLE | PACKED | IN_ORDER)
    check(not differ, f"features {differ:#x} are not as asked for in {agreed[-1]}")
    used = re.findall(r"virtio: using (.*) Rx path", frontend.output())
    if "vectorized" in function and used[-1:] != [function]:
        raise Skip(f"virtio-user uses its {used[-1]} path on this CPU")
    check(used[-1:] == [function], f"virtio-user uses its {used[-1]} path, not {function}")


def run_case(bench, features, wish, function, queues, client):
    """One cell of the matrix."""
    socket = bench.path("vhost.sock")
    longest = frames.LONGEST_JUMBO if features & MERGEABLE else frames.LONGEST_STANDARD
    backend = Side(bench, "backend", queues, longest)
    frontend = Side(bench, "frontend", queues, longest)
    backend.start(f"net_vhost0,iface={socket},queues={queues},client={int(client)}", backend=True)
    if not client:
        backend.testpmd.ready()
    frontend.start(f"net_virtio_user0,path={socket},queues={queues},cq=1,{wish}"
                   f"mrg_rxbuf={int(bool(features & MERGEABLE))},packed_vq={int(bool(features & PACKED))},"
                   f"in_order={int(bool(features & IN_ORDER))},server={int(client)}")
    for side in (backend, frontend):
        side.testpmd.ready()
    if features & MERGEABLE:
        allow_jumbo(frontend.testpmd)
    check_path(backend.testpmd, frontend.testpmd, features, function)
    exchange(backend, frontend)


def cases():
    """Name and function of each case."""
    for client, path, queues in itertools.product((False, True), PATHS, (1, 4)):
        name = f"testpmd-{'client' if client else 'server'}-{path[0]}-{queues}q"
        yield name, lambda bench, p=path, q=queues, c=client: run_case(bench, *p[1:], q, c)
