# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A guest that is a testpmd with virtio-user, and sends back what it gets."""

import os

from testpmd import Testpmd
from waiting import ScenarioError, wait_for

QUEUE_PAIRS = 2
PATIENCE = 60


class TestpmdGuest(Testpmd):
    """All its memory is on one node, and so are its cores."""

    def __init__(self, name, spec, node, path, listens=False):
        if listens and os.path.exists(path):
            os.unlink(path)
        super().__init__(name, {node.number: 64}, node.cpus[2:4], spec.logs, [
            '--single-file-segments',
            '--vdev', f'net_virtio_user0,path={path},queues={QUEUE_PAIRS},server={int(listens)}',
            '--', '-i', f'--rxq={QUEUE_PAIRS}', f'--txq={QUEUE_PAIRS}', '--nb-cores=1',
            '--total-num-mbufs=4096'])

    def begin(self):
        """Send the first packets, which both sides keep going round."""
        self.do('start tx_first 4')
        wait_for('packets', self.packets, PATIENCE)

    def packets(self):
        return self.port_stats()['RX-packets']

    def finish(self, report, backend):
        """Send no more, then take what is still on the way: nothing may be missing."""
        self.do('stop')
        wait_for('what the guest sent', lambda: self.port_stats()['TX-packets'] ==
                 backend.port_stats()['RX-packets'], PATIENCE)
        backend.do('stop')
        self.do('set fwd rxonly')
        self.do('start')
        sent = backend.port_stats()['TX-packets']
        try:
            wait_for('the rest', lambda: self.port_stats()['RX-packets'] == sent, PATIENCE)
        except ScenarioError:
            pass
        theirs, ours = self.port_stats(), backend.port_stats()
        report.check(f'from the guest: {theirs["TX-packets"]} sent, {ours["RX-packets"]} received',
                     theirs['TX-packets'] == ours['RX-packets'])
        report.check(f'to the guest: {ours["TX-packets"]} sent, {theirs["RX-packets"]} received',
                     ours['TX-packets'] == theirs['RX-packets'])
        # io forwarding sends what it receives, and the first packets were the guest's.
        report.check('none was dropped between receiving and sending',
                     ours['RX-packets'] == ours['TX-packets'])
