# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What the command line says to the cases."""

import random
import types

SOAK_SECONDS, SOAK_GUESTS, SOAK_HERD = 10, 8, 4

current = types.SimpleNamespace(seconds=SOAK_SECONDS, guests=SOAK_GUESTS, herd=SOAK_HERD, seed=None)


def add_arguments(parser):
    """The options of `run` that are for some cases only."""
    parser.add_argument("--seconds", type=int, default=SOAK_SECONDS, help="how long to soak (%(default)s)")
    parser.add_argument("--guests", type=int, default=SOAK_GUESTS, help="guests of the soak, even (%(default)s)")
    parser.add_argument("--herd", type=int, default=SOAK_HERD, help="of them, in one process (%(default)s)")
    parser.add_argument("--seed", type=int, help="make the same random choices again (printed with each soak)")


def use(options):
    """Let the cases see these options."""
    current.seconds, current.guests, current.herd = options.seconds, options.guests, options.herd
    current.seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
