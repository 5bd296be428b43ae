#!/usr/bin/env python3
"""Holds the budgets of the design: sizes, shapes and who may import whom. Prints every breach and a table; exit 1 on one."""

import re
import subprocess
import sys
from pathlib import Path

from rust_source import Source, closing, is_test_file, split_at_commas

MAX_FILE, P90_FILE, MEDIAN_FILE = 400, 300, 150
MAX_FUNCTION, P99_FUNCTION = 80, 60
MAX_PARAMETERS, MAX_BOOLS, MAX_METHODS, MAX_FIELDS = 5, 1, 3, 8

# Who may import whom, downwards only; `value` lies below all. What stands at the top may see everything beneath it.
BELOW_CLI = set(
    "server config snapshot routing request policy upstream proxy exchange cache consumer fetch reply listener observe admin shared_state websocket"
    .split()
)
IMPORTS = {
    "main": {"cli"},
    "lib": set(),
    "cli": BELOW_CLI,
    "server": BELOW_CLI - {"server"},
    "proxy": set("snapshot routing policy exchange cache upstream request reply observe listener websocket".split()),
    "admin": set("snapshot cache observe".split()),
    "snapshot": set("config routing policy exchange cache upstream consumer fetch listener request reply observe shared_state websocket".split()),
    "config": {"policy", "cache", "shared_state"},
    "policy": set("request reply consumer fetch observe shared_state websocket".split()),
    "exchange": set("upstream routing request reply observe websocket".split()),
    "routing": {"observe", "request"},
    "upstream": {"observe"},
    "cache": {"request", "observe", "shared_state"},
    "listener": {"observe", "reply", "request"},
    "request": {"consumer", "observe", "websocket"},
    "reply": set(),
    "observe": set(),
    "consumer": set(),
    "fetch": {"observe"},
    "shared_state": {"observe"},
    "websocket": {"observe"},
    "value": set(),
}

ROOT_PATH = re.compile(r"\b(?:crate|tollgate|\$crate)\s*::\s*(\{|\w+)")
SUPER_PATH = re.compile(r"\bsuper(?:\s*::\s*super)*\s*::\s*(?:\{|\w+)")
SLEEP = re.compile(r"\b(?:thread|time)::sleep\b|\bsleep(?:_until|_ms)?\s*\(")
ONE_MACHINE = re.compile(r"(?<![\w.}])/(?:work|root|farm)/")
PER_REQUEST = re.compile(r"\w+(?:Cx|Ctx)$")
ONLY_SLEEPER = Path("tests/gateway/support/wait.rs")

breaches = []


def breach(path, line, message):
    breaches.append(f"{path}:{line}: {message}")


def tracked():
    """Files git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    return [Path(name) for name in sorted(set(listed)) if name and Path(name).is_file()]


def check_file(source):
    if not source.text.startswith("//!") and source.path.parts[0] in ("src", "tests", "benches"):
        breach(source.path, 1, "does not open with //! saying what it is for")
    if source.length > MAX_FILE:
        breach(source.path, 1, f"{source.length} lines without tests, at most {MAX_FILE}")
    for found in re.finditer(r"#!?\[allow\(", source.masked):
        breach(source.path, source.line_at(found.start()), "#[allow(…)]: write #[expect(lint, reason = …)]")


def check_functions(source, functions):
    for function in functions:
        where = (source.path, function.line)
        if function.lines > MAX_FUNCTION:
            breach(*where, f"fn {function.name} takes {function.lines} lines, at most {MAX_FUNCTION}")
        if function.in_trait_impl:
            continue
        if len(function.parameters) > MAX_PARAMETERS:
            breach(*where, f"fn {function.name} has {len(function.parameters)} parameters, at most {MAX_PARAMETERS}")
        bools = [part for part in function.parameters if re.search(r":\s*bool$", part)]
        if len(bools) > MAX_BOOLS:
            breach(*where, f"fn {function.name} takes {len(bools)} booleans: use an enum")


def check_shapes(source):
    for name, line, methods in source.traits():
        if methods > MAX_METHODS:
            breach(source.path, line, f"trait {name} has {methods} methods, at most {MAX_METHODS}")
    for name, line, fields in source.structs():
        if PER_REQUEST.match(name) and fields > MAX_FIELDS:
            breach(source.path, line, f"struct {name} has {fields} fields, at most {MAX_FIELDS} in grouped facts")


def module_path(path):
    """src/routing/path.rs → [routing, path]; src/routing/mod.rs → [routing]."""
    parts = list(path.with_suffix("").parts[1:])
    return parts[:-1] if parts[-1] == "mod" else parts


def first_names(code, position, head):
    """The first names of a path that goes on with a name or with a list in braces."""
    if head != "{":
        return [head]
    parts = split_at_commas(code[position + 1 : closing(code, position) - 1])
    return [found.group() for part in parts if (found := re.match(r"\w+", part))]


def imports(source):
    """Each (position, top-level module) named in the code outside tests."""
    depth = len(module_path(source.path))
    for found in ROOT_PATH.finditer(source.code):
        for name in first_names(source.code, found.start(1), found.group(1)):
            yield found.start(), name
    for found in SUPER_PATH.finditer(source.code):
        climbed = found.group().count("super")
        if climbed >= depth:
            start = found.end() - 1 if found.group().endswith("{") else re.search(r"\w+$", found.group()).start()
            head = "{" if found.group().endswith("{") else re.search(r"\w+$", found.group()).group()
            yield from ((found.start(), name) for name in first_names(source.code, start, head))


def check_imports(source):
    own = module_path(source.path)[0]
    if own not in IMPORTS:
        breach(source.path, 1, f"module {own} is not in the table of who may import whom (scripts/budgets.py)")
        return
    allowed = IMPORTS[own] | {own, "value"}
    for position, name in imports(source):
        if name in IMPORTS and name not in allowed:
            breach(source.path, source.line_at(position), f"{own} imports {name}, which is not beneath it")


def check_sleeps(source):
    in_tests = source.path.parts[0] == "tests"
    text = source.masked if in_tests else "".join(source.masked[start:end] for start, end in source.test_spans)
    if source.path != ONLY_SLEEPER and (found := SLEEP.search(text)):
        line = source.line_at(found.start()) if in_tests else source.line_at(source.masked.find(found.group()))
        breach(source.path, line, "a sleep in a test: wait for a condition with a deadline")


def check_paths(path):
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        if ONE_MACHINE.search(line):
            breach(path, number, "a path of one machine")


def at(share, values):
    """The smallest value that at least that share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)] if ordered else 0


def table(lengths, functions):
    rows = [
        ("code file, median", at(50, lengths), MEDIAN_FILE),
        ("code file, 90 of 100", at(90, lengths), P90_FILE),
        ("code file, longest", max(lengths, default=0), MAX_FILE),
        ("function, 99 of 100", at(99, functions), P99_FUNCTION),
        ("function, longest", max(functions, default=0), MAX_FUNCTION),
    ]
    print(f"{'lines without tests':24}{'is':>6}{'at most':>10}")
    for label, value, limit in rows:
        print(f"{label:24}{value:>6}{limit:>10}{'' if value <= limit else '  over'}")
        if value > limit and "longest" not in label:
            breach("src", 0, f"{label}: {value} lines, at most {limit}")


def main():
    paths = tracked()
    lengths, functions = [], []
    for path in paths:
        check_paths(path)
        if path.suffix != ".rs":
            continue
        source = Source(path, path.read_text())
        in_src = path.parts[0] == "src"
        own = list(source.functions(source.code if in_src else source.masked))
        check_file(source)
        check_functions(source, own)
        check_shapes(source)
        check_sleeps(source)
        if in_src:
            functions += [function.lines for function in own]
        if in_src and not is_test_file(path):
            check_imports(source)
            lengths.append(source.length)
    table(lengths, functions)
    for line in breaches:
        print(line)
    print(f"{len(breaches)} breaches in {len(paths)} files")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
