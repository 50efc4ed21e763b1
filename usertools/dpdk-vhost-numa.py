#! /usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Show on which NUMA nodes the guests of vhost switches have what they need.

The program is in the package vhost_numa, which is beside this file in the tree
and in share/dpdk-vhost-numa where it is installed.
"""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), 'share/dpdk-vhost-numa')]
sys.dont_write_bytecode = True      # root leaves nothing behind
# pylint: disable=wrong-import-position
from vhost_numa.command import main  # noqa: E402

if __name__ == '__main__':
    sys.exit(main())
