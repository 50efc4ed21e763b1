# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What the command line says to the cases."""

import random
import types

SOAK_SECONDS, SOAK_GUESTS = 10, 8

current = types.SimpleNamespace(seconds=SOAK_SECONDS, guests=SOAK_GUESTS, seed=None)


def add_arguments(parser):
    """The options of `run` that are for some cases only."""
    parser.add_argument("--seconds", type=int, default=SOAK_SECONDS, help="how long to soak (%(default)s)")
    parser.add_argument("--guests", type=int, default=SOAK_GUESTS, help="guests of the soak, even (%(default)s)")
    parser.add_argument("--seed", type=int, help="make the same random choices again (printed with each soak)")


def use(options):
    """Let the cases see these options."""
    current.seconds, current.guests = options.seconds, options.guests
    current.seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
