"""Which words of a command line are credentials of the tools that probes, hooks and jobs start: pure.

A long option says what it is by its name; of the short ones only the tool itself knows. Knows no mask.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# One of these stands in every text that has to be taken apart.
_ANY = ("mysql", "mariadb", "redis-cli", "valkey-cli", "sshpass", "mongo", "sqlcmd", "curl", "etcdctl", "ldap", "login")
_TOKEN = re.compile(r"\s+|[;&|()`]+|(?:[^\s;&|()`'\"]|'[^']*'|\"[^\"]*\")+|['\"]")
_NAME = re.compile(r"[\w.-]{1,60}\Z")
_ENDS = frozenset(";&|\n")  # of one command among several


@dataclass(frozen=True, slots=True)
class _Tool:
    """`apart`: options whose next word it is; `glued`: options that it follows without a space; `pairs`: options with a user
    and a password, either way."""

    name: re.Pattern[str]
    apart: tuple[str, ...] = ()
    glued: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()


_TOOLS = (
    _Tool(re.compile(r"(?:mysql|mariadb)[\w.-]*"), glued=("-p",)),
    _Tool(re.compile(r"(?:redis|valkey)-cli"), apart=("-a",)),
    _Tool(re.compile(r"sshpass"), apart=("-p",), glued=("-p",)),
    _Tool(re.compile(r"mongo[a-z]*"), apart=("-p",)),
    _Tool(re.compile(r"sqlcmd"), apart=("-P",), glued=("-P",)),
    _Tool(re.compile(r"curl"), pairs=("-u", "--user", "-U", "--proxy-user")),
    _Tool(re.compile(r"etcdctl"), pairs=("--user",)),
    _Tool(re.compile(r"ldap[a-z]+"), apart=("-w",), glued=("-w",)),
    _Tool(re.compile(r"login"), apart=("-p",)),  # docker login, helm registry login
)


def may_start_a_tool(text: str) -> bool:
    return " -" in text and starts_a_tool(text)


def starts_a_tool(word: str) -> bool:
    return any(name in word for name in _ANY)


def words_of(line: str) -> list[str]:
    """A command line as a shell takes it apart, with what stands between the words; together they are the line again."""
    return _TOKEN.findall(line)


def credentials_in(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Which word has one, and where in it it begins. `words`: of a list of arguments, or of `words_of`."""
    tool: _Tool | None = None
    awaited = ""  # the option whose word comes next
    for index, word in enumerate(words):
        if not word.strip() or _ENDS.intersection(word[:1]):
            tool, awaited = (tool, awaited) if not _ENDS.intersection(word) else (None, "")
            continue
        if tool is not None and awaited:
            begins = _begin(tool, awaited, word, 0)
            awaited = ""
            if begins is not None:
                yield index, begins
            continue
        if tool is not None and word.startswith("-"):
            awaited = word if word in (*tool.apart, *tool.pairs) else ""
            option = next((o for o in (*tool.glued, *tool.pairs) if word.startswith(o) and len(word) > len(o)), "")
            at = len(option) + (word[len(option) : len(option) + 1] == "=")
            if option and (option in tool.glued or not option.startswith("--") or word[len(option)] == "="):
                begins = _begin(tool, option, word, at)
                if begins is not None:
                    yield index, begins
            continue
        named = _NAME.search(word)
        tool = next((found for found in _TOOLS if named and found.name.fullmatch(named[0])), tool)


def _begin(tool: _Tool, option: str, word: str, at: int) -> int | None:
    """None where a pair has no password."""
    if option not in tool.pairs:
        return at
    colon = word.find(":", at)
    return colon + 1 if 0 <= colon < len(word) - 1 else None
