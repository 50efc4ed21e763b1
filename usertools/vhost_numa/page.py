# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""A page: the picture, the table, what to do, and what has moved, in one file.

It needs no network and asks for none: a policy in it forbids that.  What has moved since
the file was first written is kept in it, as JSON, and read back when it is written again.

jinja was considered: the page is one string and three loops, all that is said goes
through one function that escapes it, and a template would be a second file to find.
"""

import html
import json
import re
import time

from .advice import advise
from .model import all_guests
from .picture import picture
from .text import (check_line, device_row, hugepage_texts, in_units, library_text, nobody, notes,
                   others, ranges)

MOST_EVENTS = 500       # of the history; older ones are dropped
HEADINGS = ('Guest', 'Memory', 'Device', 'Queues', 'Buffers', 'Cores', 'Seen', 'Policy', 'Verdict')
HISTORY = re.compile(r'<script type="application/json" id="history">(.*?)</script>', re.DOTALL)

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1f2933; --soft: #52606d;
  --line: #9aa5b1; --band: #eef2f7; --alarm: #a61b1b; --alarm-paper: #fbd3d3; --link: #1c5fb0 }
body { margin: 0 auto; padding: 1rem 1.5rem; max-width: 80rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 "DejaVu Sans", Verdana, sans-serif }
a { color: var(--link) } nav a { margin-right: 1rem }
.skip { position: absolute; left: -100rem } .skip:focus { left: 1rem; background: var(--paper) }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
.scroll { overflow-x: auto; border: 1px solid var(--line); padding: 0.5rem }
table { border-collapse: collapse; width: 100% }
caption { text-align: left; font-weight: bold; padding: 0.5rem 0 }
th, td { text-align: left; padding: 0.3rem 0.7rem; border-top: 1px solid var(--line) }
tr.remote td, tr.remote th { color: var(--alarm) } tr.note td { color: var(--soft); border: 0 }
code, pre { background: var(--band); padding: 0.1rem 0.3rem; white-space: pre-wrap;
  overflow-wrap: anywhere } .status { font-weight: bold } .alarm { color: var(--alarm) }
time { white-space: nowrap }
@media (prefers-color-scheme: dark) {
:root { --paper: #14181d; --ink: #e4e7eb; --soft: #b0bac4; --line: #52606d; --band: #232a32;
  --alarm: #ff9a9a; --alarm-paper: #5a1a1a; --link: #8cc2ff }
svg > rect:first-of-type { fill: #14181d } svg text { fill: #e4e7eb } svg .small { fill: #b0bac4 }
svg .alarm, svg .remote + text { fill: #ff9a9a } svg .node { fill: #1c2229 }
svg .band, svg .cache { fill: #232a32 } svg .idle, svg .spare { fill: #39434e }
svg .memory { fill: #0d4438 } svg .device, svg .queue { fill: #16365e }
svg .buffers { fill: #4d3d08 } svg .core { fill: #33236b }
svg .remote { fill: #5a1a1a; stroke: #ff6b6b } svg .reach { stroke: #ff6b6b }
}
@media print { nav, #pause { display: none } }
"""

# Only of a page that is written again and again: read it again, unless told to wait.
RELOAD = """
const button = document.getElementById('pause');
const paused = () => sessionStorage.getItem('paused') === 'yes';
const show = () => { button.setAttribute('aria-pressed', paused());
  button.textContent = paused() ? 'Go on' : 'Pause'; };
button.addEventListener('click', () => {
  sessionStorage.setItem('paused', paused() ? 'no' : 'yes'); show(); });
show();
setInterval(() => { if (!paused()) location.reload(); }, SECONDS * 1000);
"""


# --- What has moved --------------------------------------------------------

def facts(state):
    """{who: {what: where}} of all that may change."""
    found = {}
    for each, guest in all_guests(state):
        who = f'{guest["name"]} of {each["program"]} (pid {each["pid"]})'
        found[who] = {
            'memory': guest['home'], 'device': guest['node'],
            **{f'queue {ring["queue"]}': ring['node'] for ring in guest['queues'] if ring['live']},
            'cores': ', '.join(map(str, guest['core_nodes'])),
            'policy': guest.get('policy', 'follow'), 'refusals': guest.get('refusals', 0)}
    return found


def changes(before, now):
    """[(who, what)] between two looks."""
    for who in sorted({*before, *now}):
        if who not in now:
            yield who, 'has gone'
        elif who not in before:
            yield who, f'is there, its memory on node {now[who]["memory"]}'
        else:
            for what, where in now[who].items():
                old = before[who].get(what, where)
                if old != where:
                    on = '' if what in ('policy', 'refusals') else 'node '
                    yield who, f'{what}: from {on}{old} to {on}{where}'


def history_of(text):
    """What an earlier page knew: {'facts', 'events'}; nothing of what is no such page."""
    found = HISTORY.search(text)
    try:
        told = json.loads(found[1]) if found else {}
        return {'facts': dict(told['facts']), 'events': [tuple(map(str, each)) for each in
                                                         told['events'] if len(each) == 3]}
    except (ValueError, LookupError, TypeError):
        return {'facts': {}, 'events': []}


def go_on(history, state):
    """The history with this state at its end."""
    when = time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(state.get('time', time.time())))
    now = facts(state)
    events = [*history['events'], *((when, *change) for change in changes(history['facts'], now))]
    return {'facts': now, 'events': events[-MOST_EVENTS:]}


# --- The page --------------------------------------------------------------

def escape(words):
    return html.escape(str(words))


def rows_of_nodes(state):
    for each in state['machine']['nodes']:
        yield '<tr>' + f'<th scope="row">{each["node"]}</th>' + ''.join(
            f'<td>{escape(words)}</td>' for words in (
                ranges(cpu['cpu'] for cpu in each['cpus']) or 'none', in_units(each['memory']),
                in_units(each['free']), ', '.join(hugepage_texts(each)) or 'none',
                ' '.join(f'{at}:{far}' for at, far in each['distances'].items()))) + '</tr>'


def rows_of_guests(each):
    for guest in each['devices']:
        name, *cells = device_row(guest)
        style = ' class="remote"' if guest['remote'] else ''
        yield f'<tr{style}><th scope="row" title="{escape(guest["path"])}">{escape(name)}</th>' + \
            ''.join(f'<td>{escape(cell)}</td>' for cell in cells) + '</tr>'
        for note in notes(guest):
            yield f'<tr class="note"><td colspan="{len(HEADINGS)}">{escape(note)}</td></tr>'


def table_of(label, caption, headings, rows):
    """A table that can be scrolled with the keyboard, too."""
    head = ''.join(f'<th scope="col">{escape(words)}</th>' for words in headings)
    return (f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">'
            f'<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>'
            f'<tbody>{"".join(rows)}</tbody></table></div>')


def tables(state):
    yield table_of('Nodes', 'Nodes', ('Node', 'CPUs', 'Memory', 'Free', 'Free hugepages',
                                      'Distances'), rows_of_nodes(state))
    for each in state['programs']:
        caption = f'{each["program"]} (pid {each["pid"]}, prefix {each["prefix"]}, ' \
                  f'{each["version"]}{library_text(each)})'
        yield table_of(f'Guests of {each["program"]}', caption, HEADINGS, rows_of_guests(each))
    words_of_others = others(state.get('others', []))
    for words in [*([] if state['programs'] else [nobody(state)]), *words_of_others]:
        yield f'<p>{escape(words)}</p>'


def advice_of(state):
    found = advise(state)
    if not found:
        return '<p>Nothing: nothing is remote.</p>'
    items = []
    for each in found:
        worth = f', about {each.saves:.3g} lines per second' if each.saves else ''
        commands = '\n'.join(each.commands) or '(nothing to type)'
        other = ''.join(f'<p>Or bring the guest to its switch:</p><pre>{escape(command)}</pre>'
                        for command in ['\n'.join(each.otherwise)] if command)
        items.append(f'<li>{escape(each.guest["name"])}: {escape(", ".join(each.what))} remote'
                     f'{escape(worth)}: {escape(each.why)}<pre>{escape(commands)}</pre>{other}</li>')
    return f'<ol>{"".join(items)}</ol>'


def events_of(history):
    if not history['events']:
        return '<p>Nothing yet.</p>'
    return table_of('History', 'The latest first', ('When', 'Guest', 'What'), (
        f'<tr><td><time datetime="{escape(when.replace(" ", "T"))}">{escape(when)}</time></td>'
        f'<td>{escape(who)}</td><td>{escape(what)}</td></tr>'
        for when, who, what in reversed(history['events'])))


def document(state, status, before='', watch=None):
    """The whole file; before is what the file held until now."""
    history = go_on(history_of(before), state)
    name = escape(state['machine']['name'])
    # what ends a script in HTML does not end a string of JSON
    kept = json.dumps(history).replace('<', '\\u003c')
    when = time.strftime('%Y-%m-%d %H:%M:%S %Z', time.localtime(state.get('time', time.time())))
    pause = '<button id="pause" type="button" aria-pressed="false">Pause</button>' if watch else ''
    reload = f'<script>{RELOAD.replace("SECONDS", f"{watch:g}")}</script>' if watch else ''
    return f'''<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{name}: vhost guests and NUMA nodes</title>
<style>{STYLE}</style>
</head>
<body>
<a class="skip" href="#guests">Skip to the guests</a>
<header>
<h1>{name}: vhost guests and NUMA nodes</h1>
<p class="status{' alarm' if status == 3 else ''}" role="status">{escape(check_line(state, status))}</p>
<p>As of {escape(when)}. {pause}</p>
<nav aria-label="Parts"><a href="#picture">Picture</a><a href="#guests">Guests</a><a href="#advice">What to do</a><a href="#moves">What has moved</a></nav>
</header>
<main>
<section id="picture" aria-labelledby="h-picture"><h2 id="h-picture">Picture</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Picture; the table below says the same">
{picture(state)}</div></section>
<section id="guests" aria-labelledby="h-guests"><h2 id="h-guests">Guests</h2>
{''.join(tables(state))}</section>
<section id="advice" aria-labelledby="h-advice"><h2 id="h-advice">What to do</h2>
{advice_of(state)}</section>
<section id="moves" aria-labelledby="h-moves"><h2 id="h-moves">What has moved</h2>
{events_of(history)}</section>
</main>
<script type="application/json" id="history">{kept}</script>
{reload}</body>
</html>
'''
