# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The picture, an SVG document."""

import collections
import html

from .machine import UNKNOWN
from .model import guest_cpus
from .text import hugepage_texts, in_units, nobody, notes, queues_text, ranges, verdict

COLUMN, GAP, MARGIN, PADDING = 330, 70, 24, 14
CHIP, CHIP_GAP = 24, 6
CORE_WIDTH, CORE_HEIGHT = 44, 30
LINE = 16               # from one line of small text to the next
NARROWEST = 520         # the title and the legend need it
MOST_QUEUES = 4         # that are drawn one by one
# Width of a character in pixels.
CHARACTER, BOLD, SMALL = 6.9, 8.6, 6.3
STYLE = """
text { font: 12px "DejaVu Sans", Verdana, sans-serif; fill: #1f2933 }
.title { font-size: 18px; font-weight: bold } .head { font-size: 15px; font-weight: bold }
.name { font-size: 13px; font-weight: bold } .small { font-size: 11px; fill: #52606d }
.alarm { font-size: 13px; font-weight: bold; fill: #a61b1b } .digits { font-size: 11px }
.center { text-anchor: middle }
.node { fill: #eef2f7; stroke: #9aa5b1 }
.band { fill: #fff; fill-opacity: 0.7; stroke: #9aa5b1 }
.cache { fill: #fff; stroke: #cbd2d9 } .idle { fill: #e4e7eb; stroke: #9aa5b1 }
.memory { fill: #c6f1e7; stroke: #0c7c66 } .device { fill: #d9e8fb; stroke: #1c5fb0 }
.queue { fill: #d9e8fb; stroke: #1c5fb0 } .buffers { fill: #fcefc7; stroke: #a07b0a }
.core { fill: #e0d9f7; stroke: #5d40b5 } .spare { fill: #eef0f2; stroke: #9aa5b1 }
.remote { fill: #fbd3d3; stroke: #c81e1e; stroke-width: 2 } .remote + text { fill: #a61b1b }
.reach { fill: none; stroke: #c81e1e; stroke-width: 1.5; stroke-dasharray: 5 4 }
"""


class Picture:
    """Shapes of an SVG file, in the order of drawing."""

    def __init__(self):
        self._shapes = []

    def rectangle(self, style, x, y, width, height, hint=''):
        title = f'<title>{html.escape(hint)}</title>' if hint else ''
        self._shapes.append(f'<rect class="{style}" x="{x:g}" y="{y:g}" width="{width:g}" '
                            f'height="{height:g}" rx="4">{title}</rect>')

    def text(self, x, y, words, style='', hint=''):
        title = f'<title>{html.escape(hint)}</title>' if hint else ''
        self._shapes.append(f'<text class="{style}" x="{x:g}" y="{y:g}">'
                            f'{html.escape(words)}{title}</text>')

    def fitted(self, x, y, width, words, style, character):
        """Words that may be too long; the hint has all of them."""
        shown = shorten(words, int(width / character))
        self.text(x, y, shown, style, words if shown != words else '')

    def chip(self, style, x, y, width, words, hint=''):
        self.rectangle(style, x, y, width, CHIP, hint)
        self.text(x + width / 2, y + CHIP / 2 + 4,
                  shorten(words, int((width - 10) / CHARACTER)), 'center')

    def reach(self, points):
        """A line from something remote to the guest's memory, with soft corners."""
        path = f'M{points[0][0]:g} {points[0][1]:g}'
        for (x, y), (to_x, to_y) in zip(points, points[1:]):
            middle = (x + to_x) / 2
            path += f' C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}'
        self._shapes.append(f'<path class="reach" d="{path}"/>')

    def insert(self, position, other):
        self._shapes[position:position] = other._shapes

    def size(self):
        return len(self._shapes)

    def document(self, width, height):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" '
                f'height="{height:g}" viewBox="0 0 {width:g} {height:g}">\n'
                f'<style>{STYLE}</style>\n<rect width="100%" height="100%" fill="#fff"/>\n'
                + '\n'.join(self._shapes) + '\n</svg>\n')


def shorten(words, most):
    """Without the middle if it is too long: the ends tell more of names and lists."""
    if len(words) <= most:
        return words
    head = (most - 1) // 2
    return f'{words[:head]}…{words[len(words) - (most - 1 - head):]}'


class Columns:
    """One column per node: where things are drawn, and how far down."""

    def __init__(self, nodes):
        self.numbers = [each['node'] for each in nodes]
        self.column = COLUMN if len(nodes) > 1 else NARROWEST - 2 * MARGIN
        self.width = 2 * MARGIN + len(nodes) * (self.column + GAP) - GAP

    def x(self, number):
        return MARGIN + self.numbers.index(number) * (self.column + GAP)


def picture(state):
    """The whole SVG document."""
    art, place = Picture(), Columns(state['machine']['nodes'])
    art.fitted(MARGIN, 34, place.width - 2 * MARGIN,
               f'{state["machine"]["name"]}: vhost guests and NUMA nodes', 'title', 11.5)
    legend(art, 48)
    top = 86
    behind = art.size()
    y = draw_nodes(art, place, state, top)
    for each in state['programs']:
        y = draw_program(art, place, each, y + 18)
    if not state['programs']:
        art.text(MARGIN + PADDING, y + 24, nobody(state))
        y += 40
    frames = Picture()
    for number in place.numbers:
        frames.rectangle('node', place.x(number), top, place.column, y + PADDING - top)
    art.insert(behind, frames)
    return art.document(place.width, y + PADDING + MARGIN)


def legend(art, y):
    for index, (style, words) in enumerate((
            ('memory', 'memory'), ('device', 'structures'), ('buffers', 'buffers'),
            ('core', 'core'), ('remote', 'remote'))):
        art.chip(style, MARGIN + index * 95, y, 89, words)


def draw_nodes(art, place, state, top):
    """Headings and cores; returns how far down it went."""
    polled = {}
    for each in state['programs']:
        for thread in each['threads']:
            polled[thread['cpu']] = (each, thread)
    lowest = top
    for each in state['machine']['nodes']:
        x, y = place.x(each['node']) + PADDING, top + 24
        art.text(x, y, f'Node {each["node"]}', 'head')
        art.fitted(x + 74, y, place.column - 74 - 2 * PADDING,
                   f'CPUs {ranges(cpu["cpu"] for cpu in each["cpus"]) or "none"}',
                   'small', SMALL)
        free = f'{in_units(each["memory"])}, {in_units(each["free"])} free'
        for words in [free, *(f'free hugepages: {words}'
                              for words in hugepage_texts(each) or ['none'])]:
            y += LINE
            art.text(x, y, words, 'small')
        width = place.column - 2 * PADDING
        lowest = max(lowest, draw_cores(art, each['cpus'], polled, x, y + LINE, width))
    return lowest


def draw_cores(art, cpus, polled, x, y, width):
    """The node's last-level caches, each with its cores."""
    caches = collections.defaultdict(lambda: collections.defaultdict(list))
    for cpu in cpus:
        caches[cpu.get('package'), cpu.get('cache')][cpu.get('core', cpu['cpu'])].append(cpu)
    per_row = (width - 2 * PADDING) // (CORE_WIDTH + CHIP_GAP)
    for (package, cache), cores in caches.items():
        rows = -(-len(cores) // per_row)
        size = next(iter(cores.values()))[0].get('cache_size', 0)
        words = f'package {package}' if package is not None else ''
        words += f', L3 {in_units(size)}' if cache is not None else ''
        height = 22 + rows * (CORE_HEIGHT + CHIP_GAP) + 4
        art.rectangle('cache', x, y, width, height)
        art.text(x + 8, y + 15, words, 'small')
        for index, members in enumerate(cores.values()):
            draw_core(art, members, polled,
                      x + PADDING + index % per_row * (CORE_WIDTH + CHIP_GAP),
                      y + 22 + index // per_row * (CORE_HEIGHT + CHIP_GAP))
        y += height + CHIP_GAP
    return y


def draw_core(art, members, polled, x, y):
    numbers = [cpu['cpu'] for cpu in members]
    users = [polled[number] for number in numbers if number in polled]
    style = 'core' if users else 'idle'
    hint = ''.join(f'{thread["name"]} of {each["program"]}, {thread["busy"]:.0%} busy\n'
                   for each, thread in users)
    if any(remote_core(each, thread['cpu']) for each, thread in users):
        style = 'remote'
    art.rectangle(style, x, y, CORE_WIDTH, CORE_HEIGHT,
                  f'CPU {ranges(numbers)}\n{hint or "not polling"}')
    draw_numbers(art, numbers, x + CORE_WIDTH / 2, y + CORE_HEIGHT / 2)


def draw_numbers(art, numbers, x, y):
    """A core's CPUs, in two lines if need be."""
    words, fits = ranges(numbers), int((CORE_WIDTH - 8) / CHARACTER)
    if len(words) <= fits:
        art.text(x, y + 4, words, 'center')
        return
    half = -(-len(numbers) // 2)
    for below, part in ((-2, numbers[:half]), (11, numbers[half:])):
        art.text(x, y + below, shorten(ranges(part), fits), 'center digits')


def remote_core(each, cpu):
    return any('core' in guest['remote'] and cpu in guest_cpus(guest, each)
               for guest in each['devices'])


def draw_program(art, place, each, y):
    """A program and its guests; returns how far down it went."""
    art.fitted(MARGIN + PADDING, y + 14, place.width - 2 * (MARGIN + PADDING),
               f'{each["program"]} (pid {each["pid"]}, prefix {each["prefix"]})', 'name', BOLD)
    y += 24
    drawn = set()
    for guest in each['devices']:
        chips = chips_of(guest, each, place.numbers)
        drawn.update(chip.words for column in chips.values() for chip in column)
        y = draw_guest(art, place, guest, chips, y) + 10
    spare = spare_chips(each, drawn, place.numbers)
    if any(spare.values()):
        y = draw_band(art, place, 'of no guest in particular', spare, y) + 10
    return y


# What is drawn as one box, and the node that it should be on.
Chip = collections.namedtuple('Chip', 'style words wanted half')


def chips_of(guest, each, numbers):
    """A guest's boxes, by node; under UNKNOWN what has no place in the picture."""
    chips = {number: [] for number in [*numbers, UNKNOWN]}

    def add(at, style, words, remote=False, wanted=guest['home'], half=False):
        chips[at if at in chips else UNKNOWN].append(
            Chip('remote' if remote else style, words, wanted, half))

    for at, size in guest['memory'].items():
        add(int(at), 'memory', f'guest memory {in_units(size)}')
    add(guest['node'], 'device', 'device', 'device' in guest['remote'])
    add_queues(guest, add)
    wanted = {guest['home']} | {ring['ring_node'] for ring in guest['queues']}
    for at in guest['buffer_nodes']:
        remote = 'buffers' in guest['remote']
        if remote or at in wanted or guest['home'] == UNKNOWN:
            for name in pools_on(each, at) or ['']:
                add(at, 'buffers', f'buffers {name}'.rstrip(), remote)
    for at, words in cores_of(guest, each):
        remote = 'core' in guest['remote']
        if remote or at in wanted or guest['home'] == UNKNOWN:
            add(at, 'core', words, remote and at not in wanted)
    return chips


def add_queues(guest, add):
    """Each queue, or if there are many, those that are alike."""
    alike = collections.defaultdict(list)
    for ring in guest['queues']:
        if ring['live']:
            wanted = ring['ring_node'] if ring['ring_node'] != UNKNOWN else guest['home']
            alike[ring['node'], ring['remote'], wanted].append(ring)
    for (at, remote, wanted), rings in alike.items():
        if len(rings) > MOST_QUEUES:
            add(at, 'queue', queues_text([ring['queue'] for ring in rings]), remote, wanted)
            continue
        for ring in rings:
            add(at, 'queue', f'queue {ring["queue"]} {ring["direction"]}', remote, wanted,
                half=True)


def pools_on(each, at):
    return [pool['name'] for pool in each['pools'] if str(at) in pool['bytes']]


def cores_of(guest, each):
    """[(node, words)] of the CPUs that poll a guest."""
    known = {thread['cpu']: thread for thread in each['threads']}
    found = []
    for cpu, at in zip(guest_cpus(guest, each), guest['cpu_nodes']):
        found.append((at, core_words(known[cpu]) if cpu in known else f'CPU {cpu}'))
    return found


def core_words(thread):
    return f'CPU {thread["cpu"]} {thread["name"]} {thread["busy"]:.0%}'


def spare_chips(each, drawn, numbers):
    """Pools and polling threads that no guest's band shows."""
    chips = {number: [] for number in numbers}
    for pool in each['pools']:
        for number in map(int, pool['bytes']):
            words = f'buffers {pool["name"]}'
            if words not in drawn and number in chips:
                chips[number].append(Chip('spare', words, number, False))
    for thread in each['threads']:
        words = core_words(thread)
        if words not in drawn and thread['node'] in chips:
            chips[thread['node']].append(Chip('spare', words, thread['node'], False))
    return chips


def draw_guest(art, place, guest, chips, y):
    """The verdict has to be seen, however long the name of the socket is."""
    words = verdict(guest)
    if guest.get('policy', 'follow') != 'follow':
        words += f' (policy {guest["policy"]})'
    fits = int((place.width - 2 * (MARGIN + PADDING)) / BOLD)
    name = shorten(guest['name'], max(fits - len(words) - 2, fits // 3))
    lost = [chip.words for chip in chips.pop(UNKNOWN)]
    more = [f'on a node that is not known: {", ".join(lost)}'] if lost else []
    return draw_band(art, place, shorten(f'{name}: {words}', fits), chips, y,
                     style='alarm' if guest['remote'] else 'name',
                     hint=f'{guest["path"]}: {words}', more=notes(guest) + more)


def lay_out(chips):
    """Rows of a column: two queues share one."""
    rows = []
    for chip in chips:
        if chip.half and rows and len(rows[-1]) == 1 and rows[-1][0].half:
            rows[-1].append(chip)
        else:
            rows.append([chip])
    return rows


def draw_band(art, place, words, chips, y, style='name', hint='', more=()):
    """One band across the nodes; returns its lower edge."""
    rows = {number: lay_out(column) for number, column in chips.items()}
    top = y + 30 + LINE * len(more)
    first = MARGIN + 6
    lower = top + 4 + max(map(len, rows.values())) * (CHIP + CHIP_GAP)
    art.rectangle('band', first, y, place.width - 2 * first, lower - y)
    art.text(first + 8, y + 18, words, style, hint)
    for line, note in enumerate(more):
        art.fitted(first + 8, y + 18 + LINE * (line + 1), place.width - 2 * (first + 8),
                   note, 'small', SMALL)
    memory = [number for number, column in chips.items()
              if any(chip.style == 'memory' for chip in column)]
    for number, column in rows.items():
        for depth, row in enumerate(column):
            draw_row(art, place, row, number, top + depth * (CHIP + CHIP_GAP))
            for wanted in sorted({chip.wanted for chip in row if chip.style == 'remote'}):
                if wanted in memory:
                    draw_reach(art, place, number, row, wanted,
                               top + depth * (CHIP + CHIP_GAP) + CHIP / 2, top)
    return lower


def edges(place, number):
    return place.x(number) + PADDING, place.x(number) + place.column - PADDING


def edges_in_row(place, number, row):
    """Left and right of each box."""
    left, right = edges(place, number)
    width = (right - left - CHIP_GAP) / 2 if row[0].half else right - left
    return [(left + index * (width + CHIP_GAP), left + index * (width + CHIP_GAP) + width)
            for index in range(len(row))]


def draw_row(art, place, row, number, y):
    for chip, (left, right) in zip(row, edges_in_row(place, number, row)):
        art.chip(chip.style, left, y, right - left, chip.words, chip.words)


def draw_reach(art, place, number, row, wanted, y, top):
    """From the side of a row's boxes that is nearer to the memory, to its near side;
    above the boxes of nodes in between."""
    ends = [end for chip, end in zip(row, edges_in_row(place, number, row))
            if chip.style == 'remote' and chip.wanted == wanted]
    rightward = place.x(wanted) > place.x(number)
    start = max(right for _, right in ends) if rightward else min(left for left, _ in ends)
    end = edges(place, wanted)[0 if rightward else 1]
    points = [(start, y), (end, top + CHIP / 2)]
    if abs(place.x(wanted) - place.x(number)) > place.column + GAP:
        aside = GAP if rightward else -GAP
        own_side = edges(place, number)[1 if rightward else 0]
        points[1:1] = [(own_side + aside, top - 5), (end - aside, top - 5)]
    art.reach(points)
