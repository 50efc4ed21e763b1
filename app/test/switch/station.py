# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A guest of the switch that sends what it is told and keeps what it gets: an
unmodified testpmd between virtio-user (port 0) and pcap files (port 1).

    Source (pipe or file) -> net_pcap -> virtio-user ==ring==> the switch
    Sink   (file)         <- net_pcap <- virtio-user <==ring== the switch

Each of the two directions of each queue has an lcore of its own, because the one
that waits at a pipe does nothing else.
"""

import os
import signal

import frames
import traffic
from processes import wait_until
from testpmd import Testpmd

ARRIVE_SECONDS = 30


class Station(Testpmd):
    """One guest, numbered from 1, whose address is traffic.mac(number).

    bulk: frames to send from the start, a list for each queue; without it send_frames()
    says what and when.
    """

    def __init__(self, bench, name, socket, number, *, queues=1, packed=False, mergeable=True, server=False,
                 bulk=None, options="", **kwargs):
        self.number = number
        self.address = traffic.mac(number)
        self.queues = queues
        self.sources = []
        inputs = [bench.path(f"{name}-in-{queue}") for queue in range(queues)]
        outputs = [bench.path(f"{name}-out-{queue}") for queue in range(queues)]
        self.sinks = [traffic.Sink(path) for path in outputs]
        for queue, path in enumerate(inputs):
            if bulk:
                frames.write(path, bulk[queue])
            else:
                self.sources.append(traffic.Source(path))
        device = (f"net_virtio_user0,path={socket},mac={traffic.text(self.address)},queues={queues},cq=1,"
                  f"packed_vq={int(packed)},mrg_rxbuf={int(mergeable)},server={int(server)}{options}")
        files = ",".join([f"rx_pcap={path}" for path in inputs] + [f"tx_pcap={path}" for path in outputs])
        arguments = [f"--rxq={queues}", f"--txq={queues}", "--forward-mode=io"]
        if not bulk:
            # Bursts would wait until they are complete.
            arguments.append("--burst=1")
        super().__init__(bench, name, [device, "net_pcap0," + files], arguments, forwarders=2 * queues, **kwargs)

    def begin(self):
        """Start to send and to receive; a full ring does not lose a frame of ours."""
        self.command("set fwd io retry")
        self.command("set burst tx delay 20 retry 1000000")
        self.command_ok("start", "packet forwarding")
        return self

    def send_frames(self, batch, queue=0):
        """Send these frames, one after the other."""
        self.sources[queue].send(batch)

    def received_by_queue(self):
        """All frames received so far, a list for each queue."""
        return [sink.update() for sink in self.sinks]

    def received(self):
        """All frames received so far, queue after queue."""
        return [frame for batch in self.received_by_queue() for frame in batch]

    def wait_received(self, count, seconds=ARRIVE_SECONDS):
        """Wait until that many frames have been received in all; the frames."""
        wait_until(lambda: len(self.received()) >= count, seconds, f"{count} frames at {self.name}")
        return self.received()

    def sent_count(self):
        """How many frames this guest has put on its ring."""
        return self.port_counters()["TX-packets"]

    def received_count(self):
        """How many frames this guest has taken from its ring."""
        return self.port_counters()["RX-packets"]

    def end_sources(self):
        """No more frames; lcores that wait for one are free."""
        for source in self.sources:
            source.close()

    def hang(self):
        """From now on nothing is taken from any ring and no message is answered."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self):
        """Undo hang()."""
        os.killpg(self.pid, signal.SIGCONT)

    def leave(self):
        """Stop and end in good order."""
        self.end_sources()
        self.command("stop")
        self.quit()

    def kill(self):
        self.end_sources()
        super().kill()
