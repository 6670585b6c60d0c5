"""Every command in the documents is one that the commands' own parsers take; nothing runs."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest

from fer_engine.cli import exit_codes

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "train/finder/*.md", "train/teachers/*.md", "train/*/*/*/*.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"  # tells of what was, too
)
# Shells' words: a block that names no language, or one of these, holds commands.
BLOCK = re.compile(r"^```(?:bash|sh|shell|console)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`((?:fer-\w+)[^`]*)`")
OPTION = re.compile(r"(?<![\w-])--?[a-z][\w-]*")
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]


def commands(text):
    """Give the commands of the blocks, as words; a pipe or && separates two."""
    for block in BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            words = []
            for word in [*shell_words(line), "&&"]:
                if word not in ("&&", "||", "|", ";"):
                    words.append(word)
                    continue
                if words:
                    yield words
                words = []


def shell_words(line):
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # no command: a drawing of folders, or an answer
        return []


def cases(found):
    return [
        pytest.param(words, id=f"{path.relative_to(ROOT)}: {' '.join(words)}")
        for path in DOCUMENTS
        for words in found(path.read_text("utf-8"))
    ]


def ours(text):
    return [words for words in commands(text) if words[0] in SCRIPTS]


def spans(text):
    prose = BLOCK.sub("", text)
    return [words for span in SPAN.findall(prose) if (words := shell_words(span)) and words[0] in SCRIPTS]


def run(words, monkeypatch):
    """Let a command parse its options, and do nothing with them."""
    monkeypatch.setattr(exit_codes, "run_command", lambda body: 0)  # noqa: ARG005
    module, _, function = SCRIPTS[words[0]].partition(":")
    return getattr(importlib.import_module(module), function)(words[1:])


@pytest.mark.parametrize("words", cases(ours))
def test_a_command_of_a_block_is_parsed(words, monkeypatch):
    assert run(words, monkeypatch) == 0


@pytest.mark.parametrize("words", cases(spans))
def test_the_options_of_a_command_in_the_text_are_its_own(words, monkeypatch, capsys):
    asked = [words[0], *(word for word in words[1:2] if word.isalpha())]
    with pytest.raises(SystemExit):
        run([*asked, "--help"], monkeypatch)
    known = set(OPTION.findall(capsys.readouterr().out))
    assert set(OPTION.findall(" ".join(words[1:]))) <= known


def test_the_targets_of_make_are_there():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    found = {
        words[1] for path in DOCUMENTS for words in commands(path.read_text("utf-8")) if words[0] == "make"
    }
    assert found >= {"test", "quick"}
    assert {target for target in found if not re.search(rf"^{target}:", makefile, re.MULTILINE)} == set()


PROGRAM = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_programs_compile_and_what_they_import_of_ours_is_there(path):
    for program in PROGRAM.findall(path.read_text("utf-8")):
        for node in ast.walk(ast.parse(program)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("fer_"):
                module = importlib.import_module(node.module)
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []


def test_commands_are_found_where_they_stand():
    text = "```\n# a comment\nfer-bench --batch 1 \\\n  --html x  # why\ncurl URL | fer-predict -\n```\n"
    assert list(commands(text)) == [
        ["fer-bench", "--batch", "1", "--html", "x"],
        ["curl", "URL"],
        ["fer-predict", "-"],
    ]
    assert list(commands("```python\nfer-bench --wrong\n```\n")) == []
