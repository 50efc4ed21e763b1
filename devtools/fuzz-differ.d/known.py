# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Where this library answers otherwise than the packaged one, and why."""

import re
from typing import Callable, NamedTuple

PACKED = '2'


class Known(NamedTuple):
    """A difference that has a reason.

    Of patterns, all have to match: of the step, and of what became of it.  What goes on where it
    went otherwise cannot be compared, unless "alike" makes the same of both.
    """
    reason: str
    step: str
    ours: str = '.*'
    theirs: str = '.*'
    alike: Callable[[str], str] = None
    of_case: str = '.*'

    @property
    def ends(self):
        return self.alike is None

    def explains(self, case, step, ours, theirs):
        patterns = ((self.step, step), (self.ours, ours), (self.theirs, theirs), (self.of_case, case))
        return all(re.fullmatch(pattern, text) for pattern, text in patterns) and (
            self.ends or self.alike(ours) == self.alike(theirs))


def without(pattern):
    """For "alike": what is left without that."""
    return lambda line: re.sub(pattern, '', line)


PACKED_DEVICE = r'device \S+ \S+ 2 .*'
# What is nothing without its protocol feature (see the specification of each): those that no
# case negotiates, and those of MQ, RARP, MTU and SLAVE_REQ.
NEVER_AGREED = '24|25|31|32|36|37|38|39|40'
OF_PROTOCOL = '17|19|20|21'
# By connections that have not negotiated, by devices that cannot, or anew with other features.
NOTHING_AGREED = r'device( \S+){3} 16 .*|device( \S+){6} 2 .*|.*;(say (2|4|16)|negotiate)\b.*'
REFUSED = r'say (closed|\d+:0x5:8:0100000000000000/0)'

KNOWN = [
    Known('memory slots are offered to everybody', 'say 15 .*',
          alike=lambda line: re.sub(r'(15:0x5:8:..)[08]', r'\1', line)),
    Known('theirs does not look at the version of a message', r'say \d+ (0|2|4|6|8|\d*[02468]) .*',
          ours='say closed'),
    Known('a message of a protocol feature that was not negotiated is refused',
          rf'say ({NEVER_AGREED}) .*', ours=REFUSED),
    Known('a message of a protocol feature that was not negotiated is refused',
          rf'say ({OF_PROTOCOL}) .*', ours=REFUSED, of_case=NOTHING_AGREED),
    Known('a message of a protocol feature that was not negotiated is refused',
          'say 21 .*', ours=REFUSED, of_case=r'device( \S+){8} 0\b.*'),
    Known('GET_CONFIG of a device without a configuration has an answer: no bytes', 'say 24 .*',
          ours='say 24:0x5:0:/0', theirs='say (closed|24:0x5:8:0100000000000000/0)'),
    Known('a ring that runs keeps its size and its base', r'(say 8|say 10|ring|run)( .*|)',
          ours=r'(say|ring|run) (-1|closed|(8|10):0x5:8:0100000000000000/0)'),
    Known('a ring that runs keeps its size and its base: it is not started anew', 'end',
          of_case=r'.*;(ring|run|say 8|say 10)\b.*', alike=without(r' ring\d[-+]')),
    Known('a region that ends behind its file is refused', r'table .*', ours='table (nack|closed)',
          theirs='table ack'),
    Known('an address outside of the memory is refused as soon as it is told', r'address .*',
          ours='address (nack|closed)', theirs='address ack'),
    Known('a buffer that is nowhere, or that is not to be written, is given back; theirs is blocked '
          'by it for good, or writes',
          r'(look|ask|enqueue|dequeue|stop|restart|say 11)\b.*', of_case=r'.*;(offer|spoil) .*'),
    Known('a buffer too short for a frame is given back; theirs is blocked by it for good',
          r'(look|ask|enqueue|dequeue|stop|restart|say 11)\b.*', of_case=r'.*;fill \S+ \S+ \d{1,3} .*'),
    Known('a message has to have the size of its payload',
          r'say ((2|8|10|11|12|13|14|16|18) \d+ (?![0-9a-f]{16} )|(1|3|4|15) \d+ [0-9a-f]).*', theirs=r'say( \d.*|)',
          ours=r'say (closed|\d+:0x5:8:0100000000000000/0)'),
    Known('the index of a ring that cannot be is refused; theirs hangs up, also where an answer is due',
          r'(address|say (8|10|11|12|13|14|18)) .*', ours=r'(address nack|say \d+:0x5:8:0100000000000000/0)',
          theirs='.* closed'),
    Known('a table that is refused changes nothing; one that leaves a ring out is heeded at once', r'(restart|look|enqueue|dequeue|ask|say 12)\b.*',
          of_case=r'.*;(table \d+ (?!0 0)|say 5 ).*'),
    Known('rings that a table left out are there again with one that has them; theirs with their '
          'addresses only', 'end', of_case=r'.*;table \d+ (?!0 0).*;table .*',
          alike=without(r' ring\d[-+]')),
    Known('a ring has to fit the memory by the features in force', r'restart .*', ours='restart (65535|closed)',
          of_case='.*;say 2 .*'),
    Known('other memory is used by bursts without a restart of rings, unless copies are under way', 'end',
          of_case=r'device \S+ \S+ \S+ \S+ \S+ 128 .*;(table|memory)\b.*', alike=without(r' ring\d[-+]')),
    Known('an answer has no other flags than those of an answer', r'say \d+ \d+ .*',
          alike=lambda line: re.sub(r'(?<=:0x)[0-9a-f]+(?=:)', '', line)),
    Known('who asks for the base of a ring does not make it', 'ask', of_case='.*;say 11 .*',
          alike=without(r'(?<=:\d\d\d\d) \d(?= )')),
    Known('theirs ends its process', '.*', theirs='.*(dies|hangs)'),
    Known('the base of a packed ring has both places, as the specification says', r'stop .*',
          of_case=PACKED_DEVICE, alike=lambda line: f'{int(line.split()[1]) & 0xffff}'
          if line.split()[1].isdigit() else line),
    Known('the base of a packed ring has both places, as the specification says', r'say 11 .*',
          of_case=PACKED_DEVICE, alike=without(r'....(?=/0)')),
    Known('a packed ring tells the guest of no bytes written when it took a packet',
          r'look \d*[13579]', of_case=PACKED_DEVICE, alike=without(r':\d+(?=:0x)')),
    Known('theirs looks for the entries of a packed ring as if it were split', 'ask',
          of_case=PACKED_DEVICE, alike=without(r'(?<=\d):\d+:\d+(?= |$)')),
    Known('another call descriptor is used by bursts without a restart of the ring', 'end',
          of_case=r'.*;say 13 .*',
          alike=without(r' ring(\d)- ring\1\+')),
    Known('rings that RESET_OWNER turns off are told of', 'end', of_case='.*;say 4 .*',
          alike=without(r' ring\d[-+]')),
]
