#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Test of the trace points: what they record against what the log says.

    test_vhost_trace.py DPDK_TEST

Runs the suite of settling, which moves and refuses a lot, with EAL's --trace,
and reads the trace that it leaves: with ctf.py, and the same with babeltrace2
if that is installed.
"""

import collections
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import ctf

SUITE = 'vhost_settle_autotest'
PREFIX = 'lib.vhost.numa.'
FIELDS = {'probe': ['vid', 'region', 'evidence', 'asked', 'known', 'node'],
          'move': ['vid', 'queue', 'from', 'to', 'pause_ns'],
          'refusal': ['vid', 'queue', 'node', 'instead']}
DEVICE = NOWHERE = -1
NONE, POLICY, PAGES, REFUSED = EVIDENCE = range(4)
MOST_DEVICES, MOST_NODES = 1024, 64
program = None          # set by main()


def run_traced(points, folder):
    """(the log, the folder of the trace)"""
    done = subprocess.run(
        [program, '--no-huge', '--no-pci', '-m', '512', '-l', '0', '--no-telemetry',
         '--no-shconf', '--file-prefix', f'vhost_trace{os.getpid()}',
         '--log-level', 'lib.vhost.config:info', f'--trace={points}', f'--trace-dir={folder}',
         '--trace-bufsz=8M'],
        env={**os.environ, 'DPDK_TEST': SUITE, 'VHOST_TEST_ECHO_LOG': '1'},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors='replace', timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    trace, = glob.glob(f'{folder}/*/')
    return done.stdout, trace


class Traced(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.log, cls.trace = run_traced(PREFIX + '*', cls.folder)
        cls.events = collections.defaultdict(list)
        for event in ctf.read(cls.trace):
            cls.events[event.name.removeprefix(PREFIX)].append(event.fields)

    def test_events_are_described(self):
        with open(os.path.join(self.trace, 'metadata')) as file:
            known = ctf.descriptions(file.read())
        found = {name: [field for field, _, _ in fields] for name, fields in known.values()
                 if name.startswith(PREFIX)}
        self.assertEqual(found, {PREFIX + name: fields for name, fields in FIELDS.items()})

    def test_nothing_else_is_recorded(self):
        self.assertEqual(set(self.events), set(FIELDS))

    def test_moves_are_those_of_the_log(self):
        logged = collections.Counter(
            (int(queue), int(old), int(new)) for old, new, queue in re.findall(
                r'reallocate vq from (-?\d+) to (-?\d+) node \(queue (\d+)\)', self.log))
        logged.update((DEVICE, int(old), int(new)) for old, new in re.findall(
            r'reallocate dev from (-?\d+) to (-?\d+) node', self.log))
        self.assertGreater(sum(logged.values()), 100)
        self.assertEqual(collections.Counter(
            (move['queue'], move['from'], move['to']) for move in self.events['move']), logged)

    def test_bursts_are_kept_out_by_queues_only(self):
        pauses = collections.defaultdict(set)
        for move in self.events['move']:
            pauses[move['queue'] == DEVICE].add(move['pause_ns'])
        self.assertEqual(pauses[True], {0})
        self.assertGreater(max(pauses[False]), 0)

    def test_refusals_are_in_the_log_once_a_node(self):
        logged = collections.Counter(
            (DEVICE if what == 'the device' else int(what.split()[1]), int(node), int(at))
            for node, what, at in re.findall(
                r'no memory on node (-?\d+), where (the device|queue \d+) belongs: '
                r'it stays on node (-?\d+)', self.log))
        traced = collections.Counter(
            (each['queue'], each['node'], each['instead']) for each in self.events['refusal'])
        self.assertGreater(sum(logged.values()), 10)
        self.assertEqual(logged - traced, collections.Counter())
        self.assertEqual({node for _, node, _ in traced}, {node for _, node, _ in logged})

    def test_probes_make_sense(self):
        self.assertIn(PAGES, {probe['evidence'] for probe in self.events['probe']})
        for probe in self.events['probe']:
            with self.subTest(probe):
                self.assertIn(probe['evidence'], EVIDENCE)
                self.assertLessEqual(probe['known'], probe['asked'])
                self.assertEqual(probe['node'] == NOWHERE, probe['evidence'] in (NONE, REFUSED))
                self.assertTrue(probe['known'] > 0 or probe['evidence'] != PAGES)

    def test_devices_and_nodes_are_in_range(self):
        for events in self.events.values():
            for event in events:
                self.assertIn(event['vid'], range(MOST_DEVICES))
                for key in {'node', 'from', 'to', 'instead'} & set(event):
                    self.assertIn(event[key], range(NOWHERE, MOST_NODES))

    def test_only_what_is_asked_for(self):
        with tempfile.TemporaryDirectory() as folder:
            trace = run_traced(PREFIX + 'refusal', folder)[1]
            self.assertEqual({event.name for event in ctf.read(trace)}, {PREFIX + 'refusal'})

    @unittest.skipUnless(shutil.which('babeltrace2'), 'no babeltrace2')
    def test_babeltrace2_reads_the_same(self):
        done = subprocess.run(['babeltrace2', self.trace], capture_output=True, text=True,
                              check=False, timeout=60)
        if done.returncode < 0:
            # Debian 13's does so with traces of DPDK 24.11
            self.skipTest(f'babeltrace2 itself was ended by signal {-done.returncode}')
        self.assertEqual(done.returncode, 0, done.stderr)
        answer = done.stdout
        found = collections.defaultdict(list)
        for name, values in re.findall(rf'{PREFIX}(\w+): .*\{{ (.*) \}}$', answer, re.MULTILINE):
            found[name].append({key: int(value, 0) for key, value in (
                pair.split(' = ') for pair in values.split(', '))})
        self.assertEqual(found, self.events)


def main():
    global program
    program = sys.argv[1]
    result = unittest.TextTestRunner(verbosity=2).run(
        unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__]))
    failed = len(result.failures) + len(result.errors)
    print(f'{max(result.testsRun - failed, 0)} passed, {failed} failed', flush=True)
    return 1 if failed or not result.testsRun else 0


if __name__ == '__main__':
    sys.exit(main())
