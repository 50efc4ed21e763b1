# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The metrics of one program for DPDK's dpdk-telemetry-exporter.py (24.03 and later).

The exporter has a connection to the program and puts dpdk_vhost_numa_ before names.
"""

import os

from .machine import machine
from .metrics import METRICS, samples
from .model import judge
from .pollers import SAMPLE_SECONDS, add_pollers, add_threads
from .programs import identity, library_in_map, list_vids, program


class Asked:
    """The exporter's TelemetrySocket, as programs.Telemetry."""

    def __init__(self, telemetry):
        self._telemetry = telemetry
        told = self.ask('/info') or {}
        self.version, self.pid = str(told.get('version', '')), int(told.get('pid', 0))

    def ask(self, command):
        name, _, parameters = command.partition(',')
        answer = self._telemetry.cmd(name, parameters or None)
        return None if isinstance(answer, dict) and list(answer) == ['error'] else answer

    def prefix(self):
        """EAL's file prefix, by which the tool tells programs apart."""
        connection = getattr(self._telemetry, 'sock', None)
        return os.path.basename(os.path.dirname(connection.getpeername())) if connection else ''


def look(telemetry):
    vids = list_vids(telemetry)
    state = {'machine': machine(with_caches=False), 'programs': [], 'others': []}
    if vids is None:
        state['others'].append(identity(telemetry.prefix(), telemetry) |
                               {'library': library_in_map(telemetry.pid)})
    else:
        state['programs'].append(program(telemetry.prefix(), telemetry, vids))
    add_threads(state['programs'], SAMPLE_SECONDS, state['machine']['nodes'])
    add_pollers(state['programs'])
    judge(state)
    return state


def info():
    """{metric: (description, type)}"""
    return {name: (metric.help, metric.kind) for name, metric in METRICS.items()}


def metrics(telemetry):
    """[(metric, value, labels)]"""
    return [(sample.name, sample.value, sample.labels)
            for sample in samples(look(Asked(telemetry)))]
