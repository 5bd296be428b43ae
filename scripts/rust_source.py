"""Reads Rust source far enough to measure it: masks what is not code, finds items and their extent. No parser."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*)
  | (?P<raw>\b(?:b|c)?r(?P<hashes>\#*)")
  | (?P<string>\b[bc]?"|")
  | (?P<char>b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|.)|[^\\'\n])')
    """,
    re.VERBOSE,
)
FUNCTION = re.compile(r"\bfn\s+(\w+)")
TRAIT = re.compile(r"\btrait\s+(\w+)")
IMPL = re.compile(r"^[ \t]*(?:unsafe\s+)?impl\b", re.MULTILINE)
STRUCT = re.compile(r"\bstruct\s+(\w+)")
TEST_ITEM = re.compile(r"#\[cfg\((?:test|all\(test\b[^\]]*)\)?\]|#\[(?:tokio::)?test\b")
CLOSING = {"(": ")", "[": "]", "{": "}"}


def end_of_block_comment(text, start):
    """Rust's block comments nest."""
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(text, start):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def end_of_string(text, start):
    closing = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL).match(text, start)
    return closing.end() if closing else len(text)


def mask(text):
    """The text with comments, strings and characters blanked: same length, same lines, only code left."""
    parts, position = [], 0
    while token := TOKEN.search(text, position):
        end = token.end()
        if token["comment"] == "/*":
            end = end_of_block_comment(text, token.start())
        elif token["raw"]:
            closing = text.find('"' + token["hashes"], end)
            end = len(text) if closing < 0 else closing + 1 + len(token["hashes"])
        elif token["string"]:
            end = end_of_string(text, end)
        parts.append(text[position : token.start()])
        parts.append(re.sub(r"[^\n]", " ", text[token.start() : end]))
        position = end
    return "".join([*parts, text[position:]])


def closing(code, start):
    """The position after the bracket that closes the one at `start`."""
    opening, depth = code[start], 0
    for position in range(start, len(code)):
        if code[position] == opening:
            depth += 1
        elif code[position] == CLOSING[opening]:
            depth -= 1
            if depth == 0:
                return position + 1
    return len(code)


def body_or_semicolon(code, start):
    """The position of the next `{` or `;` that stands in no other bracket: `-> [u8; 4] {` has its body at the end."""
    position = start
    while position < len(code) and code[position] not in "{;":
        position = closing(code, position) if code[position] in "([" else position + 1
    return position


def after_item(code, start):
    """The position after the item whose attributes or head begin at `start`."""
    end = body_or_semicolon(code, start)
    return closing(code, end) if code.startswith("{", end) else min(end + 1, len(code))


def split_at_commas(code):
    """What stands between the commas of a list, those inside brackets and generics apart."""
    parts, depth, last = [], 0, 0
    for position, character in enumerate(code):
        if character in "([{<":
            depth += 1
        elif character in ")]}" or (character == ">" and code[position - 1] not in "-="):
            depth -= 1
        elif character == "," and depth == 0:
            parts.append(code[last:position])
            last = position + 1
    return [part.strip() for part in [*parts, code[last:]] if part.strip()]


@dataclass
class Function:
    """A function: where it begins, how many lines it takes, its parameters without self."""

    name: str
    line: int
    lines: int
    parameters: list
    in_trait_impl: bool


@dataclass
class Source:
    """One Rust file."""

    path: Path
    text: str

    @cached_property
    def masked(self):
        return mask(self.text)

    @cached_property
    def test_spans(self):
        """Where test items begin and end: `#[cfg(test)]` modules and items, `#[test]` functions, a whole test file."""
        if is_test_file(self.path):
            return [(0, len(self.masked))]
        spans, position = [], 0
        while item := TEST_ITEM.search(self.masked, position):
            position = after_item(self.masked, item.end())
            spans.append((item.start(), position))
        return spans

    @cached_property
    def code(self):
        """The masked text with the test items blanked too."""
        code = self.masked
        for start, end in self.test_spans:
            code = code[:start] + re.sub(r"[^\n]", " ", code[start:end]) + code[end:]
        return code

    def line_at(self, position):
        return self.text.count("\n", 0, position) + 1

    @cached_property
    def length(self):
        """Lines of the file, those of test items taken out."""
        tests = sum(self.text.count("\n", start, end) + 1 for start, end in self.test_spans)
        return max(0, self.text.count("\n") - tests)

    def functions(self, code):
        """The functions with a body in `code`."""
        impls = list(self.trait_impls(code))
        for found in FUNCTION.finditer(code):
            opening = code.find("(", found.end())
            end = closing(code, opening)
            body = body_or_semicolon(code, end)
            if opening < 0 or not code.startswith("{", body):
                continue
            first = self.line_at(found.start())
            last = self.line_at(closing(code, body) - 1)
            parameters = [part for part in split_at_commas(code[opening + 1 : end - 1]) if not is_self(part)]
            inside = any(start < found.start() < stop for start, stop in impls)
            yield Function(found.group(1), first, last - first + 1, parameters, inside)

    def trait_impls(self, code):
        """Where `impl Trait for Type` blocks begin and end: their signatures are somebody else's choice."""
        for found in IMPL.finditer(code):
            opening = code.find("{", found.end())
            if opening > 0 and re.search(r"\bfor\b(?!\s*<)", code[found.end() : opening]):
                yield opening, closing(code, opening)

    def traits(self):
        """Name, line and number of methods of each trait."""
        for found in TRAIT.finditer(self.code):
            opening = self.code.find("{", found.end())
            if opening > 0:
                body = self.code[opening : closing(self.code, opening)]
                yield found.group(1), self.line_at(found.start()), len(FUNCTION.findall(body))

    def structs(self):
        """Name, line and number of fields of each struct with named fields."""
        for found in STRUCT.finditer(self.code):
            opening = body_or_semicolon(self.code, found.end())
            if self.code.startswith("{", opening):
                body = self.code[opening + 1 : closing(self.code, opening) - 1]
                yield found.group(1), self.line_at(found.start()), len(split_at_commas(body))


def is_self(parameter):
    return re.fullmatch(r"(?:&\s*(?:'\w+\s+)?)?(?:mut\s+)?self(?:\s*:.*)?", parameter, re.DOTALL) is not None


def is_test_file(path):
    return path.name == "tests.rs" or "tests" in path.parts[:-1] and path.parts[0] == "src"
