# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Sphinx configuration of the guides."""

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
