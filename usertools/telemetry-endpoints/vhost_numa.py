# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""An endpoint of DPDK's dpdk-telemetry-exporter.py: see vhost_numa/exporter.py.

The exporter finds it in share/dpdk/telemetry-endpoints of /usr/local and /usr, and elsewhere
with --load-path; the package is found from here.
"""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [os.path.dirname(HERE),
                os.path.join(os.path.dirname(os.path.dirname(HERE)), 'dpdk-vhost-numa')]
# pylint: disable=wrong-import-position
from vhost_numa.exporter import info, metrics  # noqa: E402

__all__ = ['info', 'metrics']
