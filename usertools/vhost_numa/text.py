# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""The table, and words that the others use, too."""

import collections

from .machine import UNKNOWN


def in_units(size):
    for unit, factor in (('TiB', 1 << 40), ('GiB', 1 << 30), ('MiB', 1 << 20)):
        if size >= factor:
            return f'{size / factor:.3g} {unit}'
    return f'{size / 1024:.3g} KiB'


def on_nodes(nodes, between=', '):
    return between.join('?' if each == UNKNOWN else str(each) for each in nodes) or '-'


def ranges(numbers):
    """[0, 1, 2, 5] as '0-2,5'."""
    parts = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ','.join(str(first) if first == last else f'{first}-{last}'
                    for first, last in parts)


def queues_text(queues):
    return f'queue {queues[0]}' if len(queues) == 1 else f'queues {ranges(queues)}'


def count(n, what):
    return f'{n} {what}' if n == 1 else f'{n} {what}s'


def columns(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ['  '.join(map(str.ljust, row, widths)).rstrip() for row in rows]


def hugepage_texts(each):
    """One for each size of which there are any."""
    return [f'{pages["free"]}/{pages["total"]} of {in_units(int(size) * 1024)}'
            for size, pages in sorted(each['hugepages'].items(), key=lambda p: int(p[0]))
            if pages['total']]


def machine_table(state):
    rows = [('NODE', 'CPUS', 'MEMORY', 'FREE', 'FREE HUGEPAGES', 'DISTANCES')]
    for each in state['machine']['nodes']:
        rows.append((str(each['node']), ranges(cpu['cpu'] for cpu in each['cpus']) or 'none',
                     in_units(each['memory']), in_units(each['free']),
                     ', '.join(hugepage_texts(each)) or 'none',
                     ' '.join(f'{at}:{far}' for at, far in each['distances'].items())))
    return columns(rows)


def device_row(guest):
    cpus = f' (CPU {ranges(guest["cpus"])})' if guest.get('cpus') else ''
    return (guest['name'],
            ', '.join(f'{at} ({in_units(size)})' for at, size in guest['memory'].items()) or '?',
            on_nodes([guest['node']]),
            ' '.join(f'{ring["queue"]}:{on_nodes([ring["node"]])}'
                     for ring in guest['queues'] if ring['live']) or '-',
            on_nodes(guest['buffer_nodes'], ' or '), on_nodes(guest['core_nodes']) + cpus,
            on_nodes([guest.get('app_node', UNKNOWN)]),
            guest.get('policy', 'follow'), verdict(guest))


def verdict(guest):
    if guest['remote']:
        return 'REMOTE: ' + ', '.join(guest['remote'])
    if not guest['running']:
        return 'not running'
    return 'unknown' if guest['home'] == UNKNOWN else 'local'


def notes(guest):
    """What else there is to say of a guest, a line each."""
    found = []
    if guest.get('last_refusal'):
        found.append(f'refused {times(guest.get("refusals", 0))}, last: '
                     f'{guest["last_refusal"]}')
    if guest.get('drifts'):
        found.append(f'drift: memory or rings were on another node than before, '
                     f'{times(guest["drifts"])}')
    if 'application' in guest['remote']:
        found.append(f'the application was told node {guest["app_node"]}: '
                     f'/vhost/numa_refresh,{guest["vid"]} tells it anew')
    return found


def times(n):
    return 'once' if n == 1 else f'{n} times'


def library_text(each):
    """Which library a program says that it has; one of before /vhost/about does not."""
    told = each.get('library')
    return f', {told.get("name", "?")} {told.get("version", "?")}' if told else ''


def program_table(each, colour):
    polls = ', '.join(f'{thread["name"]} on CPU {thread["cpu"]}, node {thread["node"]} '
                      f'({thread["busy"]:.0%})' for thread in each['threads']) or 'nobody'
    lines = ['', f'{each["program"]} (pid {each["pid"]}, prefix {each["prefix"]}, '
             f'{each["version"]}{library_text(each)})', f'polling: {polls}']
    if not each['devices']:
        return lines + ['no guest']
    rows = columns([('GUEST', 'MEMORY', 'DEVICE', 'QUEUES', 'BUFFERS', 'CORES', 'SEEN',
                     'POLICY', 'VERDICT')] + [device_row(guest) for guest in each['devices']])
    lines.append(rows[0])
    for guest, row in zip(each['devices'], rows[1:]):
        red = colour and guest['remote']
        lines.append(f'\033[31m{row}\033[0m' if red else row)
        lines += [f'  {note}' for note in notes(guest)]
    return lines


def nobody(state):
    prefixes, hidden = state.get('prefixes'), []
    if state.get('closed'):
        hidden.append(f'{state["closed"]} of other users may not be asked')
    if state.get('closed_folders'):
        hidden.append(f'{", ".join(state["closed_folders"])} may not be looked into')
    return ('no program with this vhost library ' +
            (f'and the prefix {" or ".join(prefixes)} ' if prefixes else '') + 'answers' +
            (f'; {" and ".join(hidden)} (try as root)' if hidden else ''))


def without_guests(state):
    """What is to be said where no guest is; [] if there is one."""
    if any(each['devices'] for each in state['programs']):
        return []
    if state['programs']:
        return [f'{count(len(state["programs"]), "program")}, no guest', *others(silent(state))]
    return [nobody(state), *others(state.get('others', []))]


def silent(state):
    """Programs that do not answer: whatever they have is not known."""
    return [each for each in state.get('others', []) if each.get('silent_seconds')]


def others(programs):
    """A line for each program that answers, but not with this library, or does not answer."""
    return [f'{each["program"]} (pid {each["pid"]}, prefix {each["prefix"]}'
            f'{", " if each["version"] else ""}{each["version"]}) {why_other(each)}'
            for each in programs]


def why_other(each):
    if each.get('silent_seconds'):
        return (f'has not answered within {each["silent_seconds"]:g} s: it is stopped, or has no '
                'time, or somebody else is asking it (--timeout waits longer)')
    if not each['library']:
        return 'has no vhost library loaded, or does not let see which'
    return (f'runs on another vhost library, {each["library"]}: if it has guests, nothing of them '
            'is seen or moved. Restart it with the folder of this one in LD_LIBRARY_PATH, or '
            'install this one and run ldconfig')


def table(state, colour):
    lines = machine_table(state)
    for each in state['programs']:
        lines += program_table(each, colour)
    if not state['programs']:
        lines += ['', nobody(state)]
    if state.get('others'):
        lines += ['', *others(state['others'])]
    return '\n'.join(lines)


def check_line(state, status):
    """What --check says, on one line: the exit status in a word, and why."""
    guests = [(each, guest) for each in state['programs'] for guest in each['devices']]
    verdicts = collections.Counter(verdict(guest).partition(':')[0].lower()
                                   for _, guest in guests)
    total = ', '.join(f'{n} {word}' for word, n in sorted(verdicts.items()))
    words = {0: 'OK', 3: 'REMOTE', 4: 'NOTHING TO CHECK', 5: 'UNKNOWN'}[status]
    remote = '; '.join(f'{guest["name"]} of {each["program"]} (pid {each["pid"]}): '
                       f'{", ".join(guest["remote"])}' for each, guest in guests
                       if guest['remote'])
    told = without_guests(state)
    if guests:
        told = [f'{count(len(guests), "guest")}, {total}' + (f': {remote}' if remote else ''),
                *others(silent(state))]
    return f'{words}: ' + '; '.join(told)
