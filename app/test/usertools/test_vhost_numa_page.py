#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Tests of dpdk-vhost-numa.py --html: the structure of the page, and what it remembers.

With --browser the page is also looked at in Chromium (Debian package chromium), in which its
script runs.
"""

import copy
import html.parser
import os
import re
import subprocess
import sys
import tempfile
import unittest

import recorded
from recorded import RECORDED, guest_of, run

EMPTY = ('meta', 'link', 'br', 'hr', 'img', 'input', 'rect', 'path')
BROWSER = '--browser' in sys.argv


class Structure(html.parser.HTMLParser):
    """Elements with their attributes; every one that is opened has to be closed in its turn."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open, self.words, self.scripts = [], [], [], []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY or tag in ('rect', 'path') and not self.get_starttag_text().endswith(
                '/>'):
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open and self._open[-1] == tag, (tag, self._open)
        self._open.pop()

    def handle_data(self, data):
        if self._open and self._open[-1] == 'script':
            self.scripts.append(data)
        elif not self._open or self._open[-1] != 'style':
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self):
        return ' '.join(self.words)


class Page(unittest.TestCase):
    """Written of a recorded state."""

    def setUp(self):
        self.state = copy.deepcopy(RECORDED)
        self.guest = guest_of(self.state, 'vhost1')
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, 'vhost.html')

    def written(self, *arguments):
        self.assertEqual(run('--html', self.path, *arguments, state=self.state), (0, ''))
        with open(self.path) as file:
            return file.read()

    def moves(self):
        """Texts of the history, the latest first."""
        part = self.written().partition('id="h-moves"')[2].partition('</section>')[0]
        return re.findall(r'<td>([^<]*)</td></tr>', part)

    def test_structure(self):
        page = Structure(self.written())
        for tag in 'html', 'head', 'body', 'header', 'nav', 'main', 'svg', 'h1':
            self.assertEqual(len(page.all(tag)), 1, tag)
        self.assertEqual(page.all('html')[0]['lang'], 'en')
        names = [each['id'] for _, each in page.elements if 'id' in each]
        self.assertEqual(len(names), len(set(names)))
        for link in page.all('a'):
            self.assertIn(link['href'].removeprefix('#'), names)
        for each in page.all('section'):
            self.assertIn(each['aria-labelledby'], names)
        self.assertIn('OK: 2 guests, 2 local', page.text())

    def test_needs_no_network(self):
        text = self.written()
        page = Structure(text)
        for _, attributes in page.elements:
            self.assertFalse({'src', 'srcset', 'action'} & set(attributes))
        self.assertEqual(re.findall(r'https?://[^"\s]*', text), ['http://www.w3.org/2000/svg'])
        self.assertNotIn('url(', text)
        policy, = [each['content'] for each in page.all('meta')
                   if each.get('http-equiv') == 'Content-Security-Policy']
        self.assertTrue(policy.startswith("default-src 'none';"))

    def test_light_and_dark(self):
        text = self.written()
        self.assertIn('color-scheme: light dark', text)
        self.assertIn('@media (prefers-color-scheme: dark)', text)

    def test_keyboard(self):
        """All that can be scrolled or pressed can be reached, and is seen to be."""
        page = Structure(self.written())
        scrolled = [each for each in page.all('div') if each.get('class') == 'scroll']
        self.assertTrue(scrolled)
        for each in scrolled:
            self.assertEqual((each['tabindex'], each['role']), ('0', 'region'))
            self.assertTrue(each['aria-label'])
        self.assertEqual(page.all('a')[0]['class'], 'skip')
        self.assertIn(':focus-visible', self.written())
        for each in page.all('th'):
            self.assertIn(each['scope'], ('row', 'col'))

    def test_remote_is_said_and_what_to_do(self):
        self.guest.update(node=0, policy='pin', policy_node=0)
        page = Structure(self.written())
        self.assertIn('REMOTE: device', page.text())
        self.assertIn(f'/vhost/numa_policy,{self.guest["path"]},follow', page.text())
        self.assertEqual(len([each for each in page.all('tr') if each.get('class') == 'remote']),
                         1)

    def test_names_that_are_html(self):
        self.guest.update(name='</script><b>&"', path='/tmp/</script>"')
        page = Structure(self.written())
        self.assertFalse(page.all('b'))
        self.assertIn('</script><b>&"', page.text())
        self.assertEqual(len(self.moves()), 2)

    def test_history_goes_on(self):
        self.assertEqual(self.moves(), ['is there, its memory on node 1',
                                        'is there, its memory on node 0'])
        self.assertEqual(len(self.moves()), 2)
        self.guest['node'] = self.guest['queues'][0]['node'] = 0
        self.assertEqual(self.moves()[:2], ['queue 0: from node 1 to node 0',
                                            'device: from node 1 to node 0'])
        self.state['programs'][0]['devices'].remove(self.guest)
        self.assertEqual(self.moves()[0], 'has gone')
        self.assertEqual(len(self.moves()), 5)

    def test_file_that_was_something_else(self):
        with open(self.path, 'w') as file:
            file.write('<script type="application/json" id="history">[1]</script>')
        self.assertEqual(len(self.moves()), 2)

    def test_history_is_bounded(self):
        self.written()
        with open(self.path) as file:
            text = file.read()
        many = ', '.join(['["2026-01-01 00:00:00", "x", "y"]'] * 600)
        with open(self.path, 'w') as file:
            file.write(text.replace('"events": [', f'"events": [{many}, '))
        self.assertEqual(len(self.moves()), 500)

    def test_no_program(self):
        self.state['programs'] = []
        self.assertIn('no program with this vhost library', Structure(self.written()).text())

    def test_watched_page_reads_itself_again(self):
        self.written()
        with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
            file.write(recorded.json.dumps(self.state))
            file.flush()
            with subprocess.Popen(
                    [sys.executable, recorded.TOOL, '--read', file.name, '--html', self.path,
                     '--watch', '60'], stdout=subprocess.PIPE, text=True) as watching:
                watching.stdout.readline()
                watching.terminate()
                watching.stdout.read()
        with open(self.path) as page:
            page = Structure(page.read())
        self.assertIn('location.reload', ''.join(page.scripts))
        self.assertEqual(page.all('button')[0]['aria-pressed'], 'false')

    @unittest.skipUnless(BROWSER, 'by hand, with --browser')
    def test_in_chromium(self):
        """What the browser made of it, after its script ran."""
        self.guest['node'] = 0
        self.test_watched_page_reads_itself_again()
        dom = subprocess.run(['chromium', '--headless', '--no-sandbox', '--disable-gpu',
                              '--dump-dom', f'file://{self.path}'], capture_output=True, text=True,
                             timeout=120, check=True).stdout
        self.assertIn('REMOTE: 2 guests', dom)
        self.assertIn('aria-pressed="false">Pause</button>', dom)
        self.assertEqual(dom.count('<section'), 4)
        self.assertIn('<svg', dom)


if __name__ == '__main__':
    sys.argv = [word for word in sys.argv if word != '--browser']
    sys.exit(recorded.main(sys.modules[__name__]))
