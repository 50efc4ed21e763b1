# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Run steps in two lanes: while one waits, or uses one core, another goes on.

A step is an object with these members:

    makes   what is there once it has succeeded, or None
    needs   what has to be there before it starts
    wants   what no other step may want at the same time: BUILD, MACHINE, or '' for nothing

A lane that is free takes the first step of the list that can run.  So the order of the
list is an order of preference: what much else waits for comes first.
"""

import threading

# Not more on two cores: peers that poll take the more time the longer they run.
LANES = 2
BUILD = 'build'         # compiling uses all cores
MACHINE = 'machine'     # an emulated machine or guest does, too


class Plan:
    """Which steps wait and which run; what is there, and what never will be."""

    def __init__(self, steps):
        self._waiting = list(steps)
        self._running = []
        self._made = set()
        self._changed = threading.Condition()

    def next(self):
        """The next step for a lane, with True if all that it needs was made; None at the end."""
        with self._changed:
            while self._waiting:
                step = self._first()
                if step is not None:
                    self._waiting.remove(step)
                    self._running.append(step)
                    return step, all(need in self._made for need in step.needs)
                self._changed.wait()
        return None

    def done(self, step, succeeded):
        """A lane has finished its step."""
        with self._changed:
            self._running.remove(step)
            if succeeded and step.makes is not None:
                self._made.add(step.makes)
            self._changed.notify_all()

    def _first(self):
        wanted = {step.wants for step in self._running} - {''}
        for step in self._waiting:
            if step.wants not in wanted and not self._comes(step.needs):
                return step
        return None

    def _comes(self, needs):
        """Whether something of it may still be made."""
        return any(step.makes in needs for step in self._waiting + self._running)


def run(steps, run_step):
    """Call run_step(step, ready) for each step; it returns whether the step succeeded.

    Ready says whether all was made that it needs: if not it has to fail at once.
    """
    plan = Plan(steps)

    def lane():
        while (chosen := plan.next()) is not None:
            succeeded = False
            try:
                succeeded = run_step(*chosen)
            finally:
                plan.done(chosen[0], succeeded)

    threads = [threading.Thread(target=lane, name=f'lane {number}') for number in range(LANES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
