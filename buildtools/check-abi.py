#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright(c) 2026 The vhost-numa authors
"""Compare our librte_vhost with the packaged one: library and headers.

Library against library: SONAME, version nodes, exported names with versions.
Headers against headers: structures, unions and enumerations (size, member
names, offsets, types), function prototypes with their marks, macro values; all
as the compiler sees them, by compiling a probe against each and reading its
DWARF.  Our library against our headers: prototypes of the definitions.  The
driver interface, which no package has a header of, is compared with a table.

Every difference is one line.  Lines that start with "info:" are additions that
break nobody.  Exit status: 0 compatible, 1 not, 2 the check could not be made.
"""

import argparse
import collections
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerSymSection

PUBLIC_HEADERS = ("rte_vhost.h", "rte_vhost_async.h", "rte_vhost_crypto.h",
                  "rte_vdpa.h")
DRIVER_HEADER = "vdpa_driver.h"

DEV = "struct rte_vdpa_device *"
OPS = "struct rte_vdpa_dev_ops *"
INT, U8P, U16, U32 = "signed32", "unsigned8 *", "unsigned16", "unsigned32"
U32P, U64P = "unsigned32 *", "unsigned64 *"


def op(*params):
    return f"{INT} ({', '.join(params)}) *"


# Layout that the drivers of DPDK 22.11 were compiled with: size, and each
# member's name, offset and type.
DRIVER_STRUCTS = {
    "struct rte_vdpa_device": (40, (
        ("next.tqe_next", 0, DEV),
        ("next.tqe_prev", 8, DEV + "*"),
        ("device", 16, "struct rte_device *"),
        ("ops", 24, OPS),
        ("type", 32, U32))),
    "struct rte_vdpa_dev_ops": (144, (
        ("get_queue_num", 0, op(DEV, U32P)),
        ("get_features", 8, op(DEV, U64P)),
        ("get_protocol_features", 16, op(DEV, U64P)),
        ("dev_conf", 24, op(INT)),
        ("dev_close", 32, op(INT)),
        ("dev_cleanup", 40, op(INT)),
        ("set_vring_state", 48, op(INT, INT, INT)),
        ("set_features", 56, op(INT)),
        ("migration_done", 64, op(INT)),
        ("get_vfio_group_fd", 72, op(INT)),
        ("get_vfio_device_fd", 80, op(INT)),
        ("get_notify_area", 88, op(INT, INT, U64P, U64P)),
        ("get_stats_names", 96, op(DEV, "struct rte_vdpa_stat_name *", U32)),
        ("get_stats", 104, op(DEV, INT, "struct rte_vdpa_stat *", U32)),
        ("reset_stats", 112, op(DEV, INT)),
        ("get_config", 120, op(INT, U8P, U32)),
        ("set_config", 128, op(INT, U8P, U32, U32, U32)),
        ("get_dev_type", 136, op(DEV, U32P)))),
}
DRIVER_FUNCTIONS = {
    "rte_vdpa_register_device": f"{DEV} (struct rte_device *, {OPS})",
    "rte_vdpa_unregister_device": f"{INT} ({DEV})",
    "rte_vhost_host_notifier_ctrl": f"{INT} ({INT}, {U16}, boolean8)",
}
DRIVER_MACROS = {"RTE_VHOST_QUEUE_ALL": f"{INT} 0xffff"}


class CheckFailed(Exception):
    """The comparison cannot be made; the text says why."""


class Report:
    """Prints differences as they are found and counts those that break."""

    def __init__(self, out=sys.stdout):
        self.out = out
        self.breaks = 0

    def breaking(self, text):
        self.breaks += 1
        print(text, file=self.out)

    def info(self, text):
        print("info: " + text, file=self.out)

    def compare(self, what, ours, packaged, extra):
        """Compare two dictionaries; extra() is told what only we have."""
        for name in sorted(packaged.keys() | ours.keys()):
            if name not in ours:
                self.breaking(f"{what} {name}: missing, "
                              f"packaged has {packaged[name]}")
            elif name not in packaged:
                extra(f"{what} {name}: only ours has {ours[name]}")
            elif ours[name] != packaged[name]:
                self.breaking(f"{what} {name}: ours {ours[name]}, "
                              f"packaged {packaged[name]}")


# Libraries

Identity = collections.namedtuple("Identity", "soname nodes symbols")


def read_soname(elf):
    dynamic = elf.get_section_by_name(".dynamic")
    for tag in dynamic.iter_tags() if dynamic else ():
        if tag.entry.d_tag == "DT_SONAME":
            return tag.soname
    return "none"


def read_nodes(elf):
    """Version definitions: index to name, and name to the names inherited."""
    names, nodes = {}, {}
    for section in elf.iter_sections():
        if isinstance(section, GNUVerDefSection):
            for definition, aux in section.iter_versions():
                chain = [entry.name for entry in aux]
                names[definition["vd_ndx"]] = chain[0]
                if not definition["vd_flags"] & 1:      # not the file's own name
                    nodes[chain[0]] = "after " + ",".join(chain[1:]) \
                        if chain[1:] else "on its own"
    return names, nodes


def read_identity(path):
    """What the dynamic linker sees of a library."""
    with open(path, "rb") as file:
        elf = ELFFile(file)
        names, nodes = read_nodes(elf)
        versions = next((s for s in elf.iter_sections()
                         if isinstance(s, GNUVerSymSection)), None)
        dynsym = elf.get_section_by_name(".dynsym")
        if dynsym is None:
            raise CheckFailed(f"{path}: not a shared library")
        symbols = {}
        for index, symbol in enumerate(dynsym.iter_symbols()):
            kind = symbol["st_info"]["type"]
            if (symbol["st_shndx"] == "SHN_UNDEF" or symbol.name in nodes or
                    symbol["st_info"]["bind"] == "STB_LOCAL"):
                continue
            number = versions.get_symbol(index)["ndx"] if versions else 1
            number = number & 0x7fff if isinstance(number, int) else 1
            symbols[symbol.name] = f"{names.get(number, 'no version')} " \
                f"{kind.removeprefix('STT_').lower()}"
        return Identity(read_soname(elf), nodes, symbols)


def compare_libraries(report, ours, packaged, documented):
    """documented: names with a prototype in our headers, None if not known."""
    ours, packaged = read_identity(ours), read_identity(packaged)
    report.compare("SONAME", {"": ours.soname}, {"": packaged.soname},
                   report.breaking)
    report.compare("version node", ours.nodes, packaged.nodes, report.breaking)

    known = {n: v for n, v in ours.symbols.items() if n in packaged.symbols}
    report.compare("symbol", known, packaged.symbols, report.breaking)
    for name in sorted(ours.symbols.keys() - packaged.symbols.keys()):
        line = f"symbol {name}: only ours has {ours.symbols[name]}"
        if not ours.symbols[name].startswith("EXPERIMENTAL "):
            report.breaking(line)
        elif documented is not None and name not in documented:
            report.breaking(line + ", in none of our headers")
        else:
            report.info(line)
    return ours


# DWARF

QUALIFIERS = {"DW_TAG_const_type": "const", "DW_TAG_volatile_type": "volatile",
              "DW_TAG_restrict_type": "restrict"}
AGGREGATES = {"DW_TAG_structure_type": "struct", "DW_TAG_union_type": "union",
              "DW_TAG_enumeration_type": "enum"}


def die_name(die):
    attribute = die.attributes.get("DW_AT_name")
    return attribute.value.decode() if attribute else None


def die_value(die, attribute, default=None):
    return die.attributes[attribute].value \
        if attribute in die.attributes else default


def die_type(die):
    return die.get_DIE_from_attribute("DW_AT_type") \
        if "DW_AT_type" in die.attributes else None


def describe_base(die):
    # By DW_ATE_*: names differ between compilers ("long unsigned int").
    encoding = {2: "boolean", 4: "float", 5: "signed", 6: "char",
                7: "unsigned", 8: "unsigned"}
    code = die_value(die, "DW_AT_encoding")
    return f"{encoding.get(code, code)}{8 * die_value(die, 'DW_AT_byte_size')}"


def describe_array(die):
    text = describe(die_type(die))
    for bound in die.iter_children():
        count = die_value(bound, "DW_AT_count")
        upper = die_value(bound, "DW_AT_upper_bound")
        if count is None and isinstance(upper, int):
            count = upper + 1
        text += f"[{'' if count is None else count}]"
    return text


def describe(die):
    """A type in words that are equal for types that are interchangeable."""
    if die is None:
        return "void"
    if die.tag == "DW_TAG_base_type":
        return describe_base(die)
    if die.tag == "DW_TAG_pointer_type":
        text = describe(die_type(die))
        return text + ("*" if text.endswith(" *") else " *")
    if die.tag in QUALIFIERS:
        return f"{describe(die_type(die))} {QUALIFIERS[die.tag]}"
    if die.tag == "DW_TAG_array_type":
        return describe_array(die)
    if die.tag == "DW_TAG_subroutine_type":
        return describe_function(die)
    if die.tag in AGGREGATES:
        return f"{AGGREGATES[die.tag]} {die_name(die) or layout(die)}"
    if die.tag == "DW_TAG_typedef":
        target = die_type(die)
        if target is not None and target.tag in AGGREGATES and \
                die_name(target) is None:
            return die_name(die)
        return describe(target)
    return f"{die.tag} {die_name(die)}"


def describe_unqualified(kind):
    """A type without const and the like at its outermost level."""
    while kind is not None and kind.tag in QUALIFIERS:
        kind = die_type(kind)
    return describe(kind)


def describe_function(die):
    params = []
    for child in die.iter_children():
        if child.tag == "DW_TAG_formal_parameter":
            # A parameter's own qualifiers do not belong to a prototype.
            params.append(describe_unqualified(die_type(child)))
        elif child.tag == "DW_TAG_unspecified_parameters":
            params.append("...")
    return f"{describe(die_type(die))} ({', '.join(params) or 'void'})"


def bit_field(die):
    if "DW_AT_bit_size" not in die.attributes:
        return ""
    return f", {die_value(die, 'DW_AT_bit_size')} bits from bit " \
        f"{die_value(die, 'DW_AT_data_bit_offset', die_value(die, 'DW_AT_bit_offset'))}"


def layout(die, base=0, prefix=""):
    """Names of members to offset and type; nested anonymous ones flattened."""
    members = {}
    for child in die.iter_children():
        if child.tag == "DW_TAG_enumerator":
            members[die_name(child)] = str(die_value(child, "DW_AT_const_value"))
        if child.tag != "DW_TAG_member":
            continue
        offset = base + (die_value(child, "DW_AT_data_member_location") or 0)
        kind, name = die_type(child), die_name(child)
        if kind.tag in AGGREGATES and die_name(kind) is None and \
                kind.tag != "DW_TAG_enumeration_type":
            members.update(layout(kind, offset,
                                  prefix + name + "." if name else prefix))
        else:
            members[prefix + (name or "?")] = \
                f"offset {offset}{bit_field(child)}, type {describe(kind)}"
    return members


def top_level(dwarf):
    for unit in dwarf.iter_CUs():
        yield from unit.get_top_DIE().iter_children()


# Headers

Header = collections.namedtuple("Header", "types functions macros")


class Compiler:
    """Compiles probes against the headers of one folder."""

    def __init__(self, folder):
        self.folder = Path(folder).resolve()
        cflags = subprocess.run(["pkg-config", "--cflags", "libdpdk"],
                                capture_output=True, text=True, check=False)
        if cflags.returncode != 0:
            raise CheckFailed("pkg-config finds no libdpdk: " + cflags.stderr)
        # Not $CC: -aux-info is gcc's alone.
        self.command = ["gcc", f"-I{self.folder}",
                        *shlex.split(cflags.stdout)]

    def run(self, *args):
        """Standard output and error of a compilation that must succeed."""
        # ccache, where "gcc" is that, does not know -aux-info.
        done = subprocess.run([*self.command, *args], text=True, check=False,
                              capture_output=True,
                              env={**os.environ, "LC_ALL": "C", "CCACHE_DISABLE": "1"})
        if done.returncode != 0:
            raise CheckFailed(f"{self.folder}: {done.stderr}")
        return done.stdout, done.stderr


def macros_of(compiler, source, header):
    """Macros that the header defines: name (and parameters) to text."""
    text, _ = compiler.run("-E", "-dD", source)
    macros, inside = {}, False
    for line in text.splitlines():
        if marker := re.match(r'# \d+ "([^"]+)"', line):
            inside = Path(marker[1]) == compiler.folder / header
        elif inside and (found := re.match(r"#define (\w+(?:\([^)]*\))?) (.+)",
                                           line)):
            macros[found[1]] = found[2]
    return macros


def functions_of(compiler, source, header, work):
    """Names of the functions that the header declares or defines inline."""
    listing = work / "aux"
    compiler.run("-fsyntax-only", "-w", "-aux-info", listing, source)
    path = re.escape(str(compiler.folder / header))
    return sorted(set(re.findall(rf"^/\* {path}:\d+:\w+ \*/ [^(]*?(\w+) \(",
                                 listing.read_text(), re.MULTILINE)))


def probe_source(header, functions, macros):
    lines = [f"#include <{header}>"]
    lines += [f"__typeof__({f}) *function_{f} = {f};" for f in functions]
    lines += [f"const __typeof__({m}) macro_{m} = {m};"
              for m in macros if "(" not in m]
    return "\n".join(lines) + "\n"


def is_declared_in(die, unit_files, header):
    return unit_files.get(die_value(die, "DW_AT_decl_file")) == header


def files_of(dwarf, unit):
    """Numbers of the files of a unit (DWARF 4) to their base names."""
    program = dwarf.line_program_for_CU(unit)
    return {number: Path(entry.name.decode()).name for number, entry in
            enumerate(program["file_entry"], start=1)}


def types_of(dwarf, header):
    """Complete types that the header defines, each as size and members."""
    types = {}
    for unit in dwarf.iter_CUs():
        files = files_of(dwarf, unit)
        for die in unit.get_top_DIE().iter_children():
            if "DW_AT_declaration" in die.attributes or \
                    not is_declared_in(die, files, header):
                continue
            if die.tag in AGGREGATES and die_name(die):
                types[describe(die)] = {
                    "size": str(die_value(die, "DW_AT_byte_size")),
                    **layout(die)}
            elif die.tag == "DW_TAG_typedef":
                types["typedef " + die_name(die)] = {"is": describe(die_type(die))}
    return types


def variables_of(elf, dwarf):
    """Global variables of a probe: name to type and initial bytes."""
    data = {}
    for symbol in elf.get_section_by_name(".symtab").iter_symbols():
        if isinstance(symbol["st_shndx"], int) and symbol["st_size"]:
            section = elf.get_section(symbol["st_shndx"])
            start = symbol["st_value"]
            data[symbol.name] = section.data()[start:start + symbol["st_size"]]
    return {die_name(die): (die_type(die), data.get(die_name(die), b""))
            for die in top_level(dwarf) if die.tag == "DW_TAG_variable"}


def read_macros(macros, variables):
    """Values of macros that are constants; the text of those with parameters."""
    values = {}
    for name, text in macros.items():
        if "(" in name:
            values[name] = re.sub(r"\s+", "", text)
        else:
            kind, data = variables["macro_" + name]
            values[name] = f"{describe_unqualified(kind)} " \
                f"{int.from_bytes(data, sys.byteorder):#x}"
    return values


def marks_of(warnings):
    """Functions that the compiler calls deprecated, as __rte_experimental does."""
    return set(re.findall(r"'(\w+)' is deprecated: Symbol is not yet part",
                          warnings))


def read_header(folder, header):
    """What a header declares, as the compiler sees it."""
    compiler = Compiler(folder)
    with tempfile.TemporaryDirectory(prefix="check-abi-") as name:
        work = Path(name)
        source, probe = work / "probe.c", work / "probe.o"
        source.write_text(f"#include <{header}>\n")
        macros = macros_of(compiler, source, header)
        functions = functions_of(compiler, source, header, work)
        source.write_text(probe_source(header, functions, macros))
        _, warnings = compiler.run("-c", "-O0", "-gdwarf-4",
                                   "-fno-eliminate-unused-debug-types",
                                   source, "-o", probe)
        with open(probe, "rb") as file:
            elf = ELFFile(file)
            dwarf = elf.get_dwarf_info()
            variables = variables_of(elf, dwarf)
            marked = marks_of(warnings)
            prototypes = {}
            for function in functions:
                pointer, _ = variables["function_" + function]
                prototypes[function] = describe(die_type(pointer)) + \
                    (" experimental" if function in marked else "")
            return Header(types_of(dwarf, header), prototypes,
                          read_macros(macros, variables))


def compare_header(report, name, ours, packaged):
    report.compare(f"{name}: function", ours.functions, packaged.functions,
                   report.info)
    report.compare(f"{name}: macro", ours.macros, packaged.macros, report.info)
    for kind in sorted(packaged.types):
        if kind in ours.types:
            report.compare(f"{name}: {kind}", ours.types[kind],
                           packaged.types[kind], report.breaking)
        else:
            report.breaking(f"{name}: {kind}: missing")
    for kind in sorted(ours.types.keys() - packaged.types.keys()):
        report.info(f"{name}: {kind}: only ours has it")


def driver_header():
    """The driver interface of DPDK 22.11, from the tables above."""
    types = {kind: {"size": str(size),
                    **{m: f"offset {o}, type {t}" for m, o, t in members}}
             for kind, (size, members) in DRIVER_STRUCTS.items()}
    return Header(types, DRIVER_FUNCTIONS, DRIVER_MACROS)


def compare_headers(report, folder, packaged_folder):
    """Returns the prototypes of all our headers."""
    prototypes = {}
    extra = sorted(p.name for p in Path(folder).glob("rte_*.h")
                   if p.name not in PUBLIC_HEADERS)
    for name in PUBLIC_HEADERS:
        if not Path(folder, name).exists():
            report.breaking(f"{name}: missing")
            continue
        ours = read_header(folder, name)
        compare_header(report, name, ours, read_header(packaged_folder, name))
        prototypes.update(ours.functions)
    for name in extra:
        ours = read_header(folder, name)
        report.info(f"{name}: only ours, {len(ours.functions)} functions, "
                    f"{len(ours.types)} types")
        prototypes.update(ours.functions)
    if Path(folder, DRIVER_HEADER).exists():
        ours = read_header(folder, DRIVER_HEADER)
        compare_header(report, DRIVER_HEADER, ours, driver_header())
        prototypes.update(ours.functions)
    else:
        report.breaking(f"{DRIVER_HEADER}: missing")
    return prototypes


def definitions_of(path, names):
    """Prototypes of the functions a library defines, from its debug data."""
    with open(path, "rb") as file:
        elf = ELFFile(file)
        if not elf.get_section_by_name(".debug_info"):
            raise CheckFailed(f"{path}: no debug data, cannot compare the "
                              "definitions with the headers")
        return {die_name(die): describe_function(die)
                for die in top_level(elf.get_dwarf_info())
                if die.tag == "DW_TAG_subprogram" and die_name(die) in names
                and "DW_AT_declaration" not in die.attributes}


def compare_definitions(report, path, exported, prototypes):
    definitions = definitions_of(path, exported)
    for name in sorted(exported):
        promised = prototypes.get(name, "nothing").removesuffix(" experimental")
        found = definitions.get(name, "no debug data")
        if found != promised:
            report.breaking(f"definition {name}: {found}, header {promised}")


def check(report, libraries, headers, packaged_headers):
    prototypes = None
    if headers:
        prototypes = compare_headers(report, headers, packaged_headers)
    if libraries:
        ours = compare_libraries(report, *libraries, prototypes)
        if prototypes is not None:
            compare_definitions(report, libraries[0], ours.symbols, prototypes)


# Self-test: each edit of a small library and its headers must be noticed.

SELF_TEST_HEADER = """
#include <stdint.h>
#include <rte_compat.h>
#define RTE_VHOST_ONE 1ULL
#define RTE_VHOST_WANTS(x) ((x) & 1)
struct rte_vhost_thing {
	uint32_t first;
	uint32_t second;
	union { void *left; int right; };
	uint16_t list[3];
};
enum rte_vhost_choice { RTE_VHOST_A, RTE_VHOST_B };
typedef int (*rte_vhost_handler)(struct rte_vhost_thing *thing);
int rte_vhost_do(struct rte_vhost_thing *thing, uint16_t n);
__rte_experimental
int rte_vhost_try(rte_vhost_handler handler, const char *name);
"""
# Without the header, which would not compile with a definition that differs.
SELF_TEST_SOURCE = """
struct rte_vhost_thing;
int rte_vhost_do(struct rte_vhost_thing *thing, unsigned short n)
{ return thing != 0 && n != 0; }
int rte_vhost_try(int (*handler)(struct rte_vhost_thing *), const char *name)
{ return handler(0) + name[0]; }
int rte_vhost_new(void)
{ return 0; }
"""
SELF_TEST_MAP = "DPDK_23 { global: rte_vhost_do; local: *; };\n" \
    "EXPERIMENTAL { global: rte_vhost_try; };\n"
SELF_TEST_EDITS = (
    # which text, old, new, what must be printed ("info:" means harmless)
    ("header", "uint32_t second;", "uint64_t second;",
     "struct rte_vhost_thing second: ours offset 8"),
    ("header", "uint32_t first;\n\tuint32_t second;",
     "uint32_t second;\n\tuint32_t first;", "struct rte_vhost_thing first"),
    ("header", "list[3]", "list[4]", "struct rte_vhost_thing list"),
    ("header", "list[3]", "list[300]", "struct rte_vhost_thing size"),
    ("header", "void *left", "char *left", "struct rte_vhost_thing left"),
    ("header", "int right;", "int wrong;", "right: missing"),
    ("header", "RTE_VHOST_A, RTE_VHOST_B", "RTE_VHOST_B, RTE_VHOST_A",
     "enum rte_vhost_choice RTE_VHOST_A: ours 1"),
    ("header", "rte_vhost_thing *thing);", "rte_vhost_thing *thing, int x);",
     "typedef rte_vhost_handler"),
    ("header", "uint16_t n", "uint32_t n", "function rte_vhost_do"),
    ("header", "const char *name", "char *name", "function rte_vhost_try"),
    ("header", "__rte_experimental\n", "", "function rte_vhost_try"),
    ("header", "ONE 1ULL", "ONE 2ULL", "macro RTE_VHOST_ONE: ours unsigned64 0x2"),
    ("header", "ONE 1ULL", "ONE 1", "macro RTE_VHOST_ONE: ours signed32"),
    ("header", "& 1", "& 2", "macro RTE_VHOST_WANTS(x)"),
    ("header", "#define RTE_VHOST_ONE 1ULL\n", "", "macro RTE_VHOST_ONE: missing"),
    ("header", "struct rte_vhost_thing {", "struct rte_vhost_thing;\nstruct x {",
     "struct rte_vhost_thing: missing"),
    ("source", "unsigned short n)", "int n)", "definition rte_vhost_do"),
    ("map", "rte_vhost_do;", "none;", "symbol rte_vhost_do: missing"),
    ("map", "EXPERIMENTAL", "INTERNAL", "version node EXPERIMENTAL: missing"),
    ("map", "rte_vhost_do; local: *; };\nEXPERIMENTAL { global:",
     "none; local: *; };\nEXPERIMENTAL { global: rte_vhost_do;",
     "symbol rte_vhost_do: ours EXPERIMENTAL"),
    ("map", "rte_vhost_try; };", "rte_vhost_try; } DPDK_23;",
     "version node EXPERIMENTAL: ours after DPDK_23"),
    ("soname", "librte_vhost.so.23", "librte_vhost.so.24", "SONAME"),
    ("map", "rte_vhost_do;", "rte_vhost_do; rte_vhost_new;",
     "symbol rte_vhost_new: only ours has DPDK_23"),
    ("map", "rte_vhost_try;", "rte_vhost_try; rte_vhost_new;",
     "symbol rte_vhost_new: only ours has EXPERIMENTAL func, in none"),
    ("header", "struct rte_vhost_thing {", "struct rte_vhost_more { int x; };\n"
     "struct rte_vhost_thing {", "info: rte_vhost.h: struct rte_vhost_more"),
    ("header", "#define RTE_VHOST_ONE", "#define RTE_VHOST_TWO 2\n"
     "#define RTE_VHOST_ONE", "info: rte_vhost.h: macro RTE_VHOST_TWO"),
)


def build_specimen(folder, texts):
    """A library and its header from the self-test's texts."""
    folder.mkdir()
    (folder / "rte_vhost.h").write_text(texts["header"])
    (folder / "lib.map").write_text(texts["map"])
    (folder / "lib.c").write_text(texts["source"])
    compiler = Compiler(folder)
    compiler.run("-shared", "-fPIC", "-g", "-w", "-o", folder / "lib.so",
                 folder / "lib.c", f"-Wl,--version-script={folder / 'lib.map'}",
                 f"-Wl,-soname={texts['soname']}")
    return folder


def compare_specimens(ours, packaged):
    """The lines printed for two specimens, and how many of them break."""
    with tempfile.TemporaryFile("w+") as out:
        report = Report(out)
        header = read_header(ours, "rte_vhost.h")
        compare_header(report, "rte_vhost.h", header,
                       read_header(packaged, "rte_vhost.h"))
        identity = compare_libraries(report, ours / "lib.so",
                                     packaged / "lib.so", header.functions)
        compare_definitions(report, ours / "lib.so", identity.symbols,
                            header.functions)
        out.seek(0)
        return out.read(), report.breaks


def self_test():
    """0 if equal specimens compare equal and every edit is noticed."""
    texts = {"header": SELF_TEST_HEADER, "source": SELF_TEST_SOURCE,
             "map": SELF_TEST_MAP, "soname": "librte_vhost.so.23"}
    failed = 0
    with tempfile.TemporaryDirectory(prefix="check-abi-") as name:
        work = Path(name)
        packaged = build_specimen(work / "packaged", texts)
        printed, breaks = compare_specimens(
            build_specimen(work / "equal", texts), packaged)
        if printed or breaks:
            failed += 1
            print(f"self-test: equal specimens differ: {printed}")
        for number, (which, old, new, expected) in enumerate(SELF_TEST_EDITS):
            edited = {**texts, which: texts[which].replace(old, new, 1)}
            ours = build_specimen(work / str(number), edited)
            printed, breaks = compare_specimens(ours, packaged)
            harmless = expected.startswith("info:")
            if expected not in printed or (breaks == 0) != harmless:
                failed += 1
                print(f"self-test: {which}, {old!r} to {new!r}: expected "
                      f"{expected!r}, got {printed!r}")
    print(f"self-test: {len(SELF_TEST_EDITS) + 1} cases, {failed} failed")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("libraries", nargs="*", metavar="OURS.so PACKAGED.so",
                        help="the libraries; may be left out to compare headers")
    parser.add_argument("--headers", metavar="DIR", help="our headers")
    parser.add_argument("--packaged-headers", metavar="DIR",
                        default="/usr/include/dpdk", help="%(default)s")
    parser.add_argument("--self-test", action="store_true",
                        help="prove that differences are noticed")
    args = parser.parse_args()
    if len(args.libraries) not in (0, 2):
        parser.error("two libraries are compared")
    if not (args.libraries or args.headers or args.self_test):
        parser.error("nothing to compare")

    report = Report()
    try:
        if args.self_test and self_test() != 0:
            return 1
        check(report, args.libraries, args.headers, args.packaged_headers)
    except (CheckFailed, OSError) as error:
        print(f"check-abi: {error}", file=sys.stderr)
        return 2
    print(f"check-abi: {report.breaks} incompatible differences")
    return 1 if report.breaks else 0


if __name__ == "__main__":
    sys.exit(main())
