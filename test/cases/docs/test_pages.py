# SPDX-License-Identifier: Apache-2.0
"""The pages of docs/plugins say what the code says: each directive has its page, and the words of its syntax are those
that its source reads. And the whole plugin that docs/writing-a-plugin.md shows is the one that is built and loaded."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = ROOT / "docs/plugins"
OWN = {"load": "src/server", "import": "src/corefile"}  # directives that are no plugins: where they are read
WORD = r"[a-z][a-z0-9_-]*"


def built():
    return re.findall(r"^PLUGIN\((\w+)\)", (ROOT / "src/plugins/order.h").read_text(), re.M)


def source_of(name):
    """The text of everything that the directive is made of."""
    if name in OWN:
        files = sorted((ROOT / OWN[name]).glob("*.c"))
    else:
        files = [ROOT / f"src/plugins/{name}.c", *sorted((ROOT / "src/plugins" / name).glob("*.[ch]"))]
    return "\n".join(file.read_text() for file in files if file.exists())


def page_of(name):
    return (PAGES / f"{name}.md").read_text()


def syntax_of(page):
    """The page's first block of code."""
    return re.search(r"(?:^    .*\n|^\n(?=    ))+", page, re.M).group().strip("\n")


def words_of_syntax(page, name):
    return [word for word in re.findall(rf"(?<![\w-]){WORD}(?![\w-])", syntax_of(page)) if word != name]


def words_of_source(source):
    """Words that are compared with what stands in the Corefile, or are looked up in a table."""
    compared = re.findall(rf'strcmp\([^"]*, "({WORD})"\)', source)
    listed = re.findall(rf'\{{"({WORD})", [^"\s]', source)
    return sorted(set(compared + listed))


def code_of(page):
    """The words that the page shows as code, in its syntax or between backticks."""
    spans = re.findall(r"`([^`\n]+)`", page)
    return set(re.findall(WORD, syntax_of(page) + "\n" + "\n".join(spans)))


def directives():
    return sorted({*built(), *(name for name in OWN if (PAGES / f"{name}.md").exists())})


def test_pages_are_of_directives():
    assert {page.stem for page in PAGES.glob("*.md")} - {*built(), *OWN} == set()


@pytest.mark.parametrize("name", directives())
def test_page(name):
    assert (PAGES / f"{name}.md").exists(), f"docs/plugins/{name}.md is missing"
    page, source = page_of(name), source_of(name)
    assert page.startswith(f"# {name}\n")
    assert syntax_of(page).split()[0] == name
    missing = [word for word in words_of_syntax(page, name) if f'"{word}"' not in source]
    assert not missing, f"the page's syntax has {missing}, the source has not"
    explained = re.findall(r"`([^`\n]+)`", page)
    for option in re.findall(rf"^\s{{8}}({WORD})", syntax_of(page), re.M):
        assert any(re.search(rf"(?<![\w-]){option}(?![\w-])", text) for text in explained), f"{option} is not explained"
    if name not in OWN:
        silent = [word for word in words_of_source(source) if word not in code_of(page)]
        assert not silent, f"the source reads {silent}, the page does not say so"


def test_the_whole_plugin_is_the_example():
    guide = (ROOT / "docs/writing-a-plugin.md").read_text()
    assert (ROOT / "examples/refuse.c").read_text() == re.search(r"^```c\n(.*?)^```$", guide, re.M | re.S).group(1)
