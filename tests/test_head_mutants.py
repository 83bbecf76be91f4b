"""Seeded mutants of the head parser: each rule taken out of its source is missed by a row of the table, by name."""

import inspect
from types import ModuleType

import pytest

from broker import head
from tests.head_rows import ACCEPTED, ROWS, seen

SOURCE = inspect.getsource(head)

# What is replaced in the source, by what, and the row that must notice.
MUTANTS = [
    ("if len(head) > LONGEST_HEAD:", "if False:", "a head over 16 KiB"),
    ("16 * 1024", "16 * 1024 - 1", "a head of 16 KiB"),
    (" or len(fields) > MOST_FIELDS", "", "101 fields"),
    ("MOST_FIELDS = 100", "MOST_FIELDS = 99", "100 fields"),
    (" or len(path) + len(rest) > LONGEST_TARGET:", ":", "a URL over 4 KiB"),
    ("len(path) + len(rest) > LONGEST_TARGET:", "len(path) > LONGEST_TARGET:", "a URL over 4 KiB with its query"),
    ("4 * 1024", "4 * 1024 - 1", "a URL of 4 KiB"),
    ("if len(match[2] + match[3]) > LONGEST_TARGET:", "if False:", "a long URL in a long head"),
    ("if len(fields) != len(lines):", "if False:", "two Authorizations"),
    ("fields[name.lower()]", "fields[name]", "plain"),
    ('if "host" not in fields:', "if False:", "no Host"),
    ('value.strip(" ")', "value", "an empty body"),
    ('*+\\r\\n)*+"', '*+\\r?+\\n)*+"', "a bare LF after a field"),
    ("([01])\\r\\n(", "([01])\\r?+\\n(", "a bare LF"),
    (':[ -~]*+\\r\\n)*+"', ':[ -~]*+(?:\\r\\n [ -~]*+)*+\\r\\n)*+"', "a folded field"),
    (':[ -~]*+\\r\\n)*+"', ':(?:[ -~]|\\r(?!\\n))*\\r\\n)*+"', "a bare CR"),
    (':[ -~]*+\\r\\n)*+"', ':[\\0 -~]*+\\r\\n)*+"', "a NUL"),
    (':[ -~]*+\\r\\n)*+"', ':[\\t -~]*+\\r\\n)*+"', "a tab in a value"),
    (':[ -~]*+\\r\\n)*+"', ':[ -\\xff]*+\\r\\n)*+"', "a byte above ASCII"),
    ("(?:{_TOKEN}:[", "(?:{_TOKEN} ?:[", "a space before the colon"),
    ("(?:{_TOKEN}:[", "(?:(?:{_TOKEN}|):[", "a field without a name"),
    (" HTTP/1", " ++HTTP/1", "two spaces after the path"),
    ("([01])", "([0-9])", "HTTP/1.2"),
    ("HTTP/1\\.", "HTTP/[12]\\.", "HTTP/2.0"),
    ('({_FIELDS})\\r\\n")', '({_FIELDS})\\r\\n.*")', "something after the head"),
    ("_HEAD.fullmatch(head.", "_HEAD.match(head.", "a second head"),
    (
        "            raise _malformed()\n        return NOT_PLAIN",
        "            pass\n        return NOT_PLAIN",
        "an absolute form",
    ),
    ('(method, rest) != ("OPTIONS", "*")', 'method != "OPTIONS"', "an absolute form by a foreign method"),
    ('or "//" in path', "", "a doubled slash"),
    ('or "/." in path', "", "two dots"),
    ('(rest and rest[0] != "?") or ', "", "escaped dots"),
    ("[0-9A-Za-z._~@:/-]*+|)", "[0-9A-Za-z._~@:/;-]*+|)", "a semicolon"),
    ("[0-9A-Za-z._~@:/-]*+|)", "[0-9A-Za-z._~@:/%-]*+|)", "an escaped letter"),
    ("if not _QUERY.fullmatch(query):", "if False:", "a backslash in a query"),
    ("if not decoded.isprintable():", "if False:", "a NUL in a query"),
    ("if not decoded.isascii():", "if False:", "UTF-8 in a query"),
    ('.encode("latin-1").decode()', '.encode("latin-1").decode(errors="replace")', "overlong UTF-8 in a query"),
    ('.replace("+", " ")', "", "an escaped query"),
    ("if piece:", "if True:", "a query between marks"),
    ("if body or not allowed", "if not allowed", "a body"),
    ('"transfer-encoding", "expect"})', '"expect"})', "chunks"),
    ('"transfer-encoding", "expect"})', '"transfer-encoding"})', "an expectation"),
    (' or "expect" in fields', "", "any other expectation"),
    ('length != "0"', "int(length)", "a length that two readers read differently"),
    ('("content-length" in fields and "transfer-encoding" in fields)', "False", "a length and an encoding"),
    ("not length.isdecimal()", "not length", "a signed length"),
    ("    if body:\n", "    if False:\n", "a body by POST"),
    ('allowed = method == "GET" or', 'allowed = method in {"GET", "HEAD"} or', "HEAD"),
    ('method == "GET"', 'method.upper() == "GET"', "a lower-case method"),
    ('method == "PUT" and segments in _PUT_PATHS', 'method == "PUT"', "PUT elsewhere"),
    ('minor == "1" and (', "(", "HTTP/1.0"),
    ('option.strip(" ") == "close"', 'option == "close"', "close among others"),
    ('option.strip(" ") == "close"', '"close" in option', "a word with close in it"),
    ("connection.lower()", "connection", "close among others"),
]


def mutant(old: str, new: str) -> ModuleType:
    """The parser with one thing changed."""
    module = ModuleType("mutant")
    exec(compile(SOURCE.replace(old, new), "mutant", "exec"), module.__dict__)  # noqa: S102 - our own source, mutated
    return module


def row_alone(part: str) -> str:
    """A test's name is the row that kills."""
    return part if part in ROWS else ""


class TestMutants:
    @pytest.mark.parametrize(("old", "new", "row"), MUTANTS, ids=row_alone)
    def test_a_rule_taken_out_is_missed_by_its_row(self, old: str, new: str, row: str):
        """A table that lets a mutant live would not notice the day that the rule is lost."""
        raw, expected = ROWS[row]
        changed = mutant(old, new)

        assert old in SOURCE
        assert seen(changed, raw) != expected

    @pytest.mark.parametrize(("old", "new", "row"), [one for one in MUTANTS if one[2] not in ACCEPTED], ids=row_alone)
    def test_a_mutant_that_refuses_too_little_is_a_parser_still(self, old: str, new: str, row: str):
        """One that reads nothing at all would be killed by any row and prove nothing."""
        names = ["plain", "root", "keep-alive"]

        assert {name: seen(mutant(old, new), ROWS[name][0]) for name in names} == {
            name: ROWS[name][1] for name in names
        }

    def test_the_source_itself_passes_every_row(self):
        """Otherwise a mutant could be killed by what was broken before."""
        unchanged = mutant("", "")

        assert [name for name, (raw, expected) in ROWS.items() if seen(unchanged, raw) != expected] == []
