# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Lines over numbers, as an SVG picture."""

import html
import math

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 60, 50
COLOURS = ("#1f6fb4", "#d9822b", "#3a8f4d", "#8a4fbf")
TICKS = 5


def _step(largest):
    """A round distance between about TICKS lines from 0 to the largest value."""
    rough = largest / TICKS
    power = 10 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)


def _text(x, y, words, anchor="middle", size=13):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}">{html.escape(words)}</text>'


def draw(title, xs, lines):
    """The picture: values of each named line at the places xs; the vertical axis begins at 0."""
    step = _step(max(max(values) for values in lines.values()))
    top = step * math.ceil(max(max(values) for values in lines.values()) / step)
    across = lambda x: LEFT + (WIDTH - LEFT - RIGHT) * (x - min(xs)) / ((max(xs) - min(xs)) or 1)
    down = lambda y: HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / top
    parts = ['<rect width="100%" height="100%" fill="white"/>', _text(WIDTH / 2, 24, title, size=15)]
    for number in range(round(top / step) + 1):
        y = down(number * step)
        parts += [f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>',
                  _text(LEFT - 8, y + 4, f"{number * step:g}", "end")]
    parts += [_text(across(x), HEIGHT - BOTTOM + 22, f"{x:g}") for x in xs]
    for number, (name, values) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in zip(xs, values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="3.5" fill="{colour}"/>'
                  for x, y in zip(xs, values)]
        x = LEFT + 20 + 260 * number
        parts += [f'<line x1="{x}" x2="{x + 24}" y1="44" y2="44" stroke="{colour}" stroke-width="2.5"/>',
                  _text(x + 32, 48, name, "start")]
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
            f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">\n' + "\n".join(parts) + "\n</svg>\n")
