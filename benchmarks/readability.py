"""The length of the sentences that a reader meets: in README, docs, help texts, and docstrings.

    python benchmarks/readability.py [--root A_REPOSITORY] [--long docs/follow.md] [--json FILE --name before]

Code blocks, tables, headings and figures are left out; a link counts as its words, and inline code as one word. Prints,
for the README, the pages of docs, the help texts of the command line, and the docstrings of public things: sentences,
mean and median words of a sentence, the share above 30 words, and the share that begins with a word that turns a
sentence round. `--long` prints the sentences of a page that are above 30 words, so that someone can mend them.
"""

from __future__ import annotations

import argparse
import ast
import re
import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path

from house import QUESTION
from recorded import keep

LONG = 30
MADE = {"data-reference.md", "recipes.md"}
"""Pages that are made of docstrings, which are counted by themselves."""
_END = re.compile(r"(?<=[.!?:])[)\"*_]*\s+(?=[A-Z*\"`(\[])|\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )")
_ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|et al|vs|cf|Fig|eqs?)\.")


def sentences(markdown: str) -> Iterator[str]:
    """Yield the sentences of a text in Markdown."""
    text = re.sub(r"```.*?```|<!--.*?-->", "", markdown, flags=re.DOTALL)
    text = re.sub(r"^( {4}|\||#|!\[|:::).*$|<[^>\n]+>", "", text, flags=re.MULTILINE)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`+[^`]+`+", "Code", text)
    text = _ABBREVIATIONS.sub(r"\1", text)
    for part in _END.split(text):
        one = re.sub(r"\s+", " ", part).strip(" -*")
        if len(one.split()) > 2:
            yield one


def docstrings(folder: Path) -> Iterator[str]:
    """Yield the docstring of each module, class and function that is public."""
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            if documented and not getattr(node, "name", "").startswith("_") and (text := ast.get_docstring(node)):
                yield text


def help_texts(folder: Path) -> Iterator[str]:
    """Yield the words of each option and verb, which typer shows."""
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "help":
                yield "".join(
                    each.value
                    for each in ast.walk(node.value)
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                )


def pages(root: Path) -> list[Path]:
    """Return the pages of docs that people write."""
    return sorted(page for page in (root / "docs").glob("*.md") if page.name not in MADE)


def measured(texts: Iterable[str]) -> dict[str, float]:
    """Return what is printed of some texts."""
    every = [sentence for text in texts for sentence in sentences(text)]
    words = [len(sentence.split()) for sentence in every]
    return {
        "sentences": len(every),
        "mean": statistics.fmean(words),
        "median": statistics.median(words),
        "long": sum(count > LONG for count in words) / len(words),
        "turned": sum(bool(QUESTION.match(sentence)) for sentence in every) / len(every),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="a repository")
    parser.add_argument("--long", type=Path, help="print the long sentences of this page instead")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    parser.add_argument("--name", default="pages", help="the name of the table there")
    asked = parser.parse_args()
    if asked.long:
        for sentence in sentences(asked.long.read_text(encoding="utf-8")):
            if len(sentence.split()) > LONG:
                print(f"{len(sentence.split())}: {sentence}\n")
        return
    root = asked.root
    found = {
        "README": measured([(root / "README.md").read_text(encoding="utf-8")]),
        "docs": measured(page.read_text(encoding="utf-8") for page in pages(root)),
        "help texts": measured(help_texts(root / "src" / "covos" / "cli")),
        "docstrings": measured(docstrings(root / "src" / "covos")),
    }
    print("| | sentences | mean words | median | above 30 words | turned round |\n|---|--:|--:|--:|--:|--:|")
    for name, row in found.items():
        print("| {} | {sentences:.0f} | {mean:.1f} | {median:.0f} | {long:.1%} | {turned:.1%} |".format(name, **row))
    rows = [
        [name, row["sentences"], row["mean"], row["median"], f"{row['long']:.1%}", f"{row['turned']:.1%}"]
        for name, row in found.items()
    ]
    columns = ["", "sentences", "mean words", "median", "above 30 words", "turned round"]
    keep(asked.json, asked.name, columns=columns, rows=rows, digits=[0, 0, 1, 0, 0, 0])


if __name__ == "__main__":
    main()
