# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""What checkers that find complaints say at their end: each returns the exit status."""


def tell(complaints, good):
    """Print what is wrong, or the words for that nothing is."""
    print('\n'.join(complaints) if complaints else good)
    return 1 if complaints else 0


def tell_self_test(complaints, expected, more=()):
    """Of a subject with known faults: whether these were found, and nothing else; 'more' is
    wrong besides."""
    wrong = sorted({*complaints} ^ {*expected}) + list(more)
    return tell(['not as expected:', *wrong] if wrong else [],
                f'{len(expected)} known faults found, and nothing else')
