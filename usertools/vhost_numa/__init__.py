# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""dpdk-vhost-numa.py, in pieces.

Whoever looks makes a state: a dictionary that --json prints and --read takes, of
the machine (machine.py) and of the programs (programs.py, pollers.py).  model.py
says of a state what is remote, and is the only one that does; text.py, picture.py and
metrics.py show it, page.py all of that; advice.py says what to do.  command.py has the
options; server.py and exporter.py serve metrics.

What others have made and why it is or is not used: the tool has to run on a bare
host, as one command of a package that depends on Python alone.

* hwloc knows caches and cores of machines whose sysfs is wrong, so its lstopo is
  asked, for XML.  Its bindings for Python are not in Debian, and tell no more.
* python3-libnuma does not exist in Debian; sysfs says what is needed.
* prometheus_client would leave a table of metrics and take ten lines of format and sixty
  of HTTP; a test has it read what we write.  See metrics.py.
* jinja would add a template to a page that is one string, see page.py.
* The shapes of the picture are five, its layout is its own: svgwrite would save
  forty lines, graphviz would place boxes where it likes, matplotlib is 100 MB.
"""
