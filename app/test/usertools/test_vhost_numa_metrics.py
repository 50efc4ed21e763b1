#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Tests of the metrics of usertools/dpdk-vhost-numa.py: what is told, in which format, to whom."""

import collections
import contextlib
import copy
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

import fake_program
import recorded
from recorded import RECORDED, TOOL, guest_of, run, run_all

from vhost_numa import metrics  # after recorded, which finds it

SAMPLE = re.compile(r'([a-z_]+)\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\} (-?[\d.e+-]+)')
ANSWERS = {
    '/info': {'version': 'DPDK 24.11.0', 'pid': 1, 'max_output_len': 16384},
    '/vhost/about': {'name': 'vhost-numa', 'version': '22.11.0', 'abi': 25, 'libnuma': 1},
    '/vhost/list': [0],
    '/vhost/info,0': {'vid': 0, 'path': '/tmp/vm"0\\', 'running': 1, 'numa_node': 0,
                      'vring_nodes': [0]},
    '/vhost/numa,0': {'policy': 'follow', 'policy_node': -1, 'app_node': 0, 'moves': 4,
                      'refusals': 1, 'drifts': 2, 'probes': 5, 'restarts': 0,
                      'last_refusal': '', 'regions': {'0': {
                          'size': 8192, 'evidence': 'pages', 'bytes': {'0': 8192}}}},
    '/vhost/vq,0,0': {'node': 0, 'ring_node': 0, 'live': 1, 'direction': 'to guest',
                      'moves': 3, 'last_pause_ns': 1500, 'max_pause_ns': 250000,
                      'good_packets': 7, 'good_bytes': 448, 'guest_notifications': 2},
    '/vhost/limits,0': {'path': '/tmp/vm0', 'connections': {'limit': 64, 'used': 1, 'refused': 9}},
    '/vhost_switch/list': ['vm0'],
    '/vhost_switch/info,vm0': {'kind': 'guest', 'connected': 1, 'vid': 0, 'mbufs_node': 0,
                               'queue_lcore': [], 'drops': {'drop_ring_full': 11},
                               'queue_dropped': [10]},
    '/ethdev/list': [0],
    '/ethdev/info,0': {'name': 'net_vhost0'},
    '/ethdev/stats,0': {'ipackets': 1, 'imissed': 5, 'oerrors': 6},
}


def parsed(text):
    """{name: {labels: value}}; every line must be one of the format."""
    found = collections.defaultdict(dict)
    for line in text.splitlines():
        if line.startswith('#'):
            assert re.fullmatch(r'# (HELP [a-z_]+ \S.*\.|TYPE [a-z_]+ (gauge|counter)|EOF)', line), line
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        assert labels not in found[name], line
        found[name][labels] = float(value)
    return found


def by_debian(code, text):
    """What a Python program with Debian's modules says of the text; None if they are not there."""
    done = subprocess.run(['/usr/bin/python3', '-c', code], input=text, text=True,
                          capture_output=True, check=False)
    return None if 'ModuleNotFoundError' in done.stderr else (done.stdout, done.stderr)


class Formats(unittest.TestCase):
    """What is written of a recorded state."""

    def setUp(self):
        self.state = copy.deepcopy(RECORDED)
        self.guest = guest_of(self.state, 'vhost1')

    def written(self):
        return run('--openmetrics', '-', state=self.state)[1]

    def value(self, name, **labels):
        """Of the only sample of that name with these labels."""
        values = [value for told, value in parsed(self.written())[metrics.PREFIX + name].items()
                  if all(f'{key}="{value}"' in told for key, value in labels.items())]
        self.assertEqual(len(values), 1, (name, labels))
        return values[0]

    def test_a_block_that_is_remote_is_counted(self):
        self.assertEqual(self.value('guest_remote_blocks', guest='vhost1'), 0)
        self.guest['node'] = self.guest['queues'][0]['node'] = 0
        self.assertEqual(self.value('guest_remote_blocks', guest='vhost1'), 2)
        self.assertEqual(self.value('guest_remote', guest='vhost1'), 1)
        self.assertEqual(self.value('guest_remote', guest='vhost0'), 0)
        self.assertEqual(self.value('guests', verdict='remote'), 1)
        self.assertEqual(self.value('guests', verdict='local'), 1)

    def test_samples_of_a_metric_are_together(self):
        names = [line.partition('{')[0] for line in self.written().splitlines()
                 if not line.startswith('#')]
        runs = [name for name, before in zip(names, [None, *names]) if name != before]
        self.assertEqual(len(runs), len(set(runs)))

    def test_names_that_are_no_labels(self):
        self.guest['name'] = 'a"b\\c\nd'
        self.assertEqual(self.value('guest_remote', guest='a\\"b\\\\c\\nd'), 0)

    def test_file_is_whole_or_not_there(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'vhost.prom')
            self.assertEqual(run('--openmetrics', path, state=self.state), (0, ''))
            with open(path) as file:
                self.assertEqual(file.read(), self.written())
            self.assertEqual(os.listdir(folder), ['vhost.prom'])
            status, _, err = run_all('--openmetrics', os.path.join(folder, 'no/file'),
                                     state=self.state)
            self.assertEqual((status, err), (1, f'dpdk-vhost-numa: [Errno 2] No such file or '
                                                f"directory: '{folder}/no/file'\n"))

    def test_prometheus_reads_both(self):
        """Its own client library does, where it is installed."""
        for module, openmetrics in ('prometheus_client', False), \
                ('prometheus_client.openmetrics', True):
            said = by_debian(f'import sys\nfrom {module}.parser import '
                             'text_string_to_metric_families as parse\n'
                             'for each in parse(sys.stdin.read()):\n'
                             ' print(each.name, each.type, len(each.samples))\n',
                             metrics.text(self.judged(), openmetrics))
            if said is None:
                self.skipTest('python3-prometheus-client is not installed')
            self.assertEqual(said[1], '')
            self.assertIn('dpdk_vhost_numa_device_moves counter 2', said[0])

    def judged(self):
        return json.loads(run('--json', state=self.state)[1])

    @unittest.skipUnless(shutil.which('promtool'), 'no promtool')
    def test_promtool_has_no_complaint(self):
        done = subprocess.run(['promtool', 'check', 'metrics'], input=self.written(), text=True,
                              capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, '', ''))

    def test_dashboard_shows_what_there_is(self):
        text = (TOOL.parent / 'vhost-numa-dashboard.json').read_text()
        shown = {expr for panel in json.loads(text)['panels'] for target in panel['targets']
                 for expr in re.findall(r'dpdk_vhost_numa_(\w+)', target['expr'])}
        self.assertTrue(shown)
        self.assertEqual(shown - set(metrics.METRICS), set())

    def test_addresses(self):
        for target, address in ((':9876', ('127.0.0.1', 9876)), ('0.0.0.0:1', ('0.0.0.0', 1)),
                                ('[::1]:80', ('::1', 80)), ('localhost:80', ('localhost', 80)),
                                ('/tmp/x:80', None), ('x.prom', None), ('-', None),
                                (':99999', None)):
            self.assertEqual(metrics.address_of(target), address, target)


class Asked(unittest.TestCase):
    """Of programs that answer."""

    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.path = os.path.join(self.folder, 'rte/dpdk_telemetry.v2')
        os.mkdir(os.path.dirname(self.path))
        listener = fake_program.listen(self.path)
        thread = threading.Thread(target=fake_program.accept, args=(listener, ANSWERS))
        self.stack.callback(thread.join)
        self.stack.callback(listener.close)
        self.stack.callback(listener.shutdown, fake_program.socket.SHUT_RDWR)
        thread.start()

    def check(self, found):
        """found: {(name, some label of it or None): value}"""
        for (name, label), value in {
                ('device_moves_total', None): 4, ('queue_moves_total', None): 3,
                ('device_refusals_total', None): 1, ('queue_max_pause_seconds', None): 0.00025,
                ('queue_packets_total', None): 7, ('queue_bytes_total', None): 448,
                ('limit_refusals_total', 'connections'): 9,
                ('guest_dropped_packets_total', 'drop_ring_full'): 11,
                ('queue_dropped_packets_total', 'to_guest'): 10,
                ('port_dropped_packets_total', 'imissed'): 5,
                ('port_dropped_packets_total', 'oerrors'): 6}.items():
            values = [told for (other, labels), told in found.items()
                      if other == name and (label is None or label in labels)]
            self.assertEqual(values, [value], (name, label))

    def test_everything_is_told(self):
        _, text = run('--runtime-dir', self.folder, '--sample', '0.01', '--openmetrics', '-')
        self.check({(name.removeprefix(metrics.PREFIX), labels): value
                    for name, samples in parsed(text).items()
                    for labels, value in samples.items()})

    def test_http(self):
        """On the loopback, in the format that is accepted."""
        with subprocess.Popen([sys.executable, TOOL, '--runtime-dir', self.folder, '--sample',
                               '0.01', '--openmetrics', ':0'], stdout=subprocess.PIPE,
                              text=True) as serving:
            self.addCleanup(serving.kill)
            url = re.fullmatch(r'metrics at (http://127\.0\.0\.1:\d+/metrics)\n',
                               serving.stdout.readline())[1]
            with urllib.request.urlopen(url, timeout=60) as answer:
                self.assertEqual(answer.headers['Content-Type'], metrics.TEXT)
                self.assertIn('\n# TYPE dpdk_vhost_numa_device_moves_total counter\n',
                              answer.read().decode())
            asked = urllib.request.Request(url, headers={
                'Accept': 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5'})
            with urllib.request.urlopen(asked, timeout=60) as answer:
                self.assertEqual(answer.headers['Content-Type'], metrics.OPENMETRICS)
                self.assertTrue(answer.read().decode().endswith('\n# EOF\n'))
            with self.assertRaises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(url + 's', timeout=60)
            caught.exception.close()
            serving.terminate()

    def test_endpoint_of_dpdks_exporter(self):
        """As the exporter of DPDK 24.11 loads and asks it."""
        spec = importlib.util.spec_from_file_location(
            'vhost_numa', TOOL.parent / 'telemetry-endpoints/vhost_numa.py')
        endpoint = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(endpoint)
        with Exporter(self.path) as exporter:
            told = endpoint.metrics(exporter)
        self.check({(name, str(labels)): value for name, value, labels in told})
        info = endpoint.info()
        for name, _, labels in told:
            self.assertIn(info[name][1], ('gauge', 'counter'))
            self.assertIsInstance(labels, dict)
        self.assertEqual({labels['prefix'] for _, _, labels in told if 'prefix' in labels},
                         {'rte'})


class Exporter:
    """What an endpoint is given: one method, and the connection."""

    def __init__(self, path):
        self.sock = fake_program.socket.socket(fake_program.socket.AF_UNIX,
                                               fake_program.socket.SOCK_SEQPACKET)
        self.sock.connect(path)
        self.sock.recv(1 << 16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def cmd(self, uri, arg=None):
        self.sock.send((uri if arg is None else f'{uri},{arg}').encode())
        return json.loads(self.sock.recv(1 << 16))[uri]


if __name__ == '__main__':
    sys.exit(recorded.main(sys.modules[__name__]))
