# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Sphinx configuration of the guides."""

import pathlib

from docutils import nodes

LIBRARY = pathlib.Path(__file__).resolve().parents[2] / 'lib/librte_vhost'

project = 'librte_vhost with NUMA relocation'
copyright = '2026, the vhost-numa authors'
master_doc = 'index'
html_theme = 'sphinx_rtd_theme'
html_show_sourcelink = False
html_static_path = ['_static']
html_css_files = ['fit.css']
highlight_language = 'none'
# Part of another page.
exclude_patterns = ['prog_guide/vhost_lib_control_table.rst', 'prog_guide/vhost_lib_cores.rst',
                    'prog_guide/vhost_lib_lines.rst', 'prog_guide/vhost_lib_speed.rst']
# Their folder is the whole source when manual pages are made.
man_pages = [
    ('dpdk-vhost-numa', 'dpdk-vhost-numa.py', 'where vhost switches and their guests are, by NUMA node',
     [], 1),
    ('dpdk-vhost', 'dpdk-vhost', 'switch between virtual machines, aware of NUMA nodes', [], 1),
    ('dpdk-vhost-crypto', 'dpdk-vhost-crypto', 'serve crypto devices to virtual machines', [], 1),
]


def api_role(_name, rawtext, text, lineno, inliner, _options=None, _content=None):
    """:api:`rte_vhost.h` is that header's page in the reference, :api:`reference` its index."""
    page = text.replace('_', '__').replace('.', '_8')
    if text == 'reference':
        page, text = 'index', 'API reference'
    elif not (LIBRARY / text).exists():
        message = inliner.reporter.error(f'there is no header {text}', line=lineno)
        return [inliner.problematic(rawtext, rawtext, message)], [message]
    docname = inliner.document.settings.env.docname
    up = '../' * (docname.count('/') + 2)
    return [nodes.reference(rawtext, text, refuri=f'{up}api/html/{page}.html')], []


def setup(app):
    app.add_role('api', api_role)
    return {'parallel_read_safe': True}
