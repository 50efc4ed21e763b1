#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Guests whose memory moves, and what becomes of their devices.

Runs on a machine with two nodes with hugepages; see devtools/numa-follow.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(1, os.path.join(os.path.dirname(HERE), 'article.d'))
import in_switch
import linux_guest
import nodes
import testpmd_guest
from backend import LOOK_MS, Backend
from linux_guest import LinuxGuest
from moving import Eater, guest_pages, migrate, nodes_of
from testpmd_guest import TestpmdGuest
from waiting import ScenarioError, holds_within, wait_for

PATIENCE = 120
START = time.monotonic()
# A machine that fails this often has nothing more to tell.
ENOUGH_FAILURES = 3
KINDS = {
    'virtio-user': (TestpmdGuest, testpmd_guest.QUEUE_PAIRS),
    'qemu': (LinuxGuest, linux_guest.QUEUE_PAIRS),
}


class Report:
    """Checks, counted; each is printed as it is made."""

    def __init__(self, path):
        self._file = open(path, 'w')
        self.passed = self.failed = 0

    def say(self, text):
        line = f'[{time.monotonic() - START:4.0f} s] {text}'
        print(line, flush=True)
        print(line, file=self._file, flush=True)

    def check(self, text, good):
        self.passed += bool(good)
        self.failed += not good
        self.say(f'{"PASS" if good else "FAIL"}  {text}')


def main():
    spec = arguments()
    report = Report(os.path.join(spec.logs, 'report.txt'))
    usable = nodes.usable_nodes()[:2]
    for name in spec.scenario:
        report.say(f'== {name}')
        try:
            with tempfile.TemporaryDirectory(prefix='numa-follow.') as folder:
                SCENARIOS[name](report, spec, folder, *usable)
        except ScenarioError as error:
            report.check(f'{name} cannot go on: {error}', False)
    report.say(f'{report.passed} passed, {report.failed} failed')
    return 1 if report.failed else 0


def arguments():
    parser = argparse.ArgumentParser(prog='scenario.py', description=__doc__)
    parser.add_argument('--lib', required=True, help='folder of the library')
    parser.add_argument('--logs', required=True, help='folder for logs and report.txt')
    parser.add_argument('--tools', required=True, help='folder of what was compiled for this')
    parser.add_argument('--guest', help='state of a Linux guest')
    parser.add_argument('--moves', type=int, default=100, help='of each guest (100)')
    parser.add_argument('--restarts', type=int, default=4, help='of each guest (4)')
    parser.add_argument('--scenario', type=lambda text: text.split(','), default=list(SCENARIOS),
                        help='some of ' + ','.join(SCENARIOS))
    spec = parser.parse_args()
    if unknown := set(spec.scenario) - set(SCENARIOS):
        parser.error(f'no scenario {unknown}')
    return spec


@contextlib.contextmanager
def running(report, spec, kind, folder, home, memory):
    """A backend and a guest with packets between them, both at home."""
    make, queue_pairs = KINDS[kind]
    path = os.path.join(folder, 'vhost0')
    with Backend(spec, 'backend', home, memory, path, queue_pairs) as backend, \
         make(f'guest-{kind}', spec, home, path) as guest:
        guest.begin()
        report.check(f'{kind} guest: packets go round, all is on node {home.number}',
                     backend.wait_on(home.number, PATIENCE))
        yield backend, guest


# Moves

def move_guest(report, spec, kind, folder, home, other):
    """There and back, with packets flowing, by the library's regular looks alone."""
    with running(report, spec, kind, folder, home,
                 {home.number: 64, other.number: 64}) as (backend, guest):
        events = backend.link_events()
        watch = Watch(report, backend, guest)
        for move in range(spec.moves):
            target = (other, home)[move % 2].number
            watch.move(move, target)
            if len(watch.wrong) == ENOUGH_FAILURES:
                break
        watch.tell(spec.moves)
        placement = backend.numa()
        report.check(f'{placement["drifts"]} drifts, {placement["moves"]} blocks moved',
                     placement['drifts'] >= spec.moves)
        report.check(f'{placement["refusals"]} refusals', placement['refusals'] == 0)
        report.check(f'application led along {placement["restarts"]} times, '
                     f'{backend.link_events() - events} link events',
                     placement['restarts'] == 0 and backend.link_events() == events)
        guest.finish(report, backend)


class Watch:
    """A guest that moves, and what was seen after each move."""

    def __init__(self, report, backend, guest):
        self._report, self._backend, self._guest = report, backend, guest
        self.wrong, self._still, self._seconds, self._pauses = [], [], [], []
        self._worst = 0

    def move(self, move, target):
        migrate(self._guest.pid, target)
        since = time.monotonic()
        followed = self._backend.wait_on(target)
        self._seconds.append(time.monotonic() - since)
        pages = nodes_of(self._guest.pid, guest_pages(self._guest.pid))
        if not followed or set(pages) != {target}:
            self.wrong.append(move)
            self._report.say(f'move {move} to node {target}: guest {pages}, '
                             f'blocks {self._backend.where()}, {self._backend.numa()}')
        queues = self._backend.queues()
        self._pauses += [queue['last_pause_ns'] for queue in queues]
        self._worst = max(queue['max_pause_ns'] for queue in queues)
        self.check_traffic(move)

    def check_traffic(self, move):
        before = self._guest.packets()
        if not holds_within(lambda: self._guest.packets() > before, PATIENCE):
            self._still.append(move)

    def tell(self, moves):
        report = self._report
        report.check(f'{moves} migrations: all pages of the guest moved; device, queues and '
                     f'all blocks followed all but {self.wrong}', not self.wrong)
        report.check(f'packets went round after each but {self._still}', not self._still)
        report.say(f'followed after {statistics.median(self._seconds):.1f} s, at most '
                   f'{max(self._seconds):.1f} s (two looks, {LOOK_MS / 1000} s apart)')
        report.say(f'pause of a queue: {statistics.median(self._pauses) / 1000:.1f} us median of '
                   f'{len(self._pauses)}, {self._worst / 1000:.1f} us worst')


# A node without memory

def fill_node(report, spec, kind, folder, home, other):
    """The guest comes and goes, but there is no place for its structures."""
    with running(report, spec, kind, folder, home, {home.number: 64}) as (backend, guest), \
         Eater(other.number) as eater:
        report.say(f'{eater.eat()} of node {other.number} eaten')
        watch = Watch(report, backend, guest)
        stays = 0
        for move in range(spec.moves):
            target = (other, home)[move % 2].number
            stay(report, backend, guest, eater, target, home.number, watch.wrong)
            stays += target == other.number
            watch.check_traffic(move)
            if len(watch.wrong) == ENOUGH_FAILURES:
                break
        report.check(f'{spec.moves} migrations to and from a full node: structures stayed '
                     f'on node {home.number} after all but {watch.wrong}', not watch.wrong)
        placement = backend.numa()
        report.check(f'{placement["refusals"]} refusals counted, the last: '
                     f'{placement["last_refusal"]}', placement['refusals'] >= 2 * stays and
                     f'node {other.number}' in placement['last_refusal'])
        logged = backend.refusals_logged(other.number)
        report.check(f'{logged} warnings, in {stays} stays on the full node',
                     1 <= logged <= stays)
        make_room(report, backend, guest, eater, home, other)
        guest.finish(report, backend)


def stay(report, backend, guest, eater, target, home, wrong):
    """Look only when the guest has arrived and nothing is free there."""
    backend.look_no_more()
    if target != home:
        eater.make_room(len(guest_pages(guest.pid)))
    migrate(guest.pid, target)
    eater.eat()
    before = backend.numa()['refusals']
    backend.look_every(LOOK_MS)
    # The second look that finds the guest there would move it, the third is refused again.
    seen = holds_within(lambda: not backend.numa()['refused_nodes'] if target == home else
                        backend.numa()['refusals'] >= before + 2, PATIENCE)
    placement = backend.numa()
    blocks = backend.block_nodes()
    pages = nodes_of(guest.pid, guest_pages(guest.pid))
    if not seen or set(pages) != {target} or \
            {placement['numa_node'], *placement['vring_nodes'], *blocks} != {home}:
        wrong.append(target)
        report.say(f'on node {target}: guest {pages}, blocks {blocks}, {placement}')


def make_room(report, backend, guest, eater, home, other):
    """What was refused is done as soon as there is room."""
    backend.look_no_more()
    eater.make_room(len(guest_pages(guest.pid)))
    migrate(guest.pid, other.number)
    eater.eat()
    backend.look_every(LOOK_MS)
    wait_for('a refusal', lambda: backend.numa()['refused_nodes'] == [other.number], PATIENCE)
    report.check(f'once more on node {other.number}, nothing followed',
                 not backend.is_on(other.number))
    eater.__exit__()
    followed = backend.wait_on(other.number)
    report.check(f'memory free again, {eater.free()} hugepages among it: all followed '
                 f'(nodes told, pages by node: {backend.where()})', followed)


# Restarts

def restart(report, spec, folder, home, other):
    for listens in (False, True):
        for kind in KINDS:
            restart_guest(report, spec, kind, listens, folder, home, other)


def restart_guest(report, spec, kind, listens, folder, home, other):
    """The guest ends and comes again on the other node; the backend goes on."""
    make, queue_pairs = KINDS[kind]
    path = os.path.join(folder, f'{kind}-{"server" if listens else "client"}')
    mode = f'{kind} guest that {"listens" if listens else "connects"}'
    memory = {home.number: 64, other.number: 64}
    with Backend(spec, f'backend-{os.path.basename(path)}', home, memory, path, queue_pairs,
                 client=listens) as backend:
        for number in range(spec.restarts + 1):
            node = (home, other)[number % 2]
            with make(f'{os.path.basename(path)}-{number}', spec, node, path, listens) as guest:
                guest.begin()
                good = backend.wait_on(node.number, PATIENCE)
                pages = nodes_of(guest.pid, guest_pages(guest.pid))
                report.check(f'{mode}, start {number}: on node {node.number}, and all blocks '
                             f'{"" if good else backend.where()}',
                             good and set(pages) == {node.number})
            wait_for('the device to go', lambda: not backend.ask('/vhost/list'), PATIENCE)


SCENARIOS = {
    'virtio-user': lambda *where: move_guest(*where[:2], 'virtio-user', *where[2:]),
    'qemu': lambda *where: move_guest(*where[:2], 'qemu', *where[2:]),
    'ovs': in_switch.run,
    'restart': restart,
    'full-node': lambda *where: fill_node(*where[:2], 'qemu', *where[2:]),
}


if __name__ == '__main__':
    sys.exit(main())
