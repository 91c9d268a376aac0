"""The length of the sentences that a reader meets: in README, docs, help texts, errors and docstrings.

    python benchmarks/readability.py [--root A_REPOSITORY] [--show docs/follow.md errors] [--json FILE --name before]

Code blocks, tables, headings and figures are left out; a link counts as its words, and inline code as one word. Prints,
for the README and the other pages beside it, the pages of docs, the help texts of the command line, the errors, and the
docstrings of public things: sentences, mean and median words of a sentence, the share above 30 words, and the share
that begins with a word that turns a sentence round. Questions may begin so. `--show`
prints the long and the turned sentences of pages, or of a row of the table, so that someone can mend them.
"""

from __future__ import annotations

import argparse
import ast
import re
import statistics
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from house import QUESTION
from recorded import keep

sys.path.insert(0, str(Path(__file__).parents[1] / "docs" / "tools"))

import messages

LONG = 30
MADE = {"data-reference.md", "recipes.md"}
"""Pages that are made of docstrings, which are counted by themselves."""
_END = re.compile(r"(?<=[.!?:])[)\"*_]*\s+(?=[A-Z*\"`(\[]|covos)|\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )")
_ABBREVIATIONS = re.compile(r"\b(e\.g|i\.e|et al|vs|cf|Fig|eqs?)\.")


def sentences(markdown: str) -> Iterator[str]:
    """Yield the sentences of a text in Markdown."""
    text = re.sub(r"```.*?```|<!--.*?-->", "", markdown, flags=re.DOTALL)
    text = re.sub(r"^( {4}|\||#|!\[|:::).*$", "", text, flags=re.MULTILINE)
    # Code comes before tags: of `<stem>` a backtick would be left, which takes the next one for its end.
    text = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "Code", text, flags=re.DOTALL)
    text = re.sub(r"<[^>\n]+>", "", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
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


def errors(folder: Path) -> Iterator[str]:
    """Yield each sentence of the errors that stand in the code: what failed, why, and how to fix it."""
    for message in messages.messages(folder):
        yield from (message.what, message.why, message.fix)


def pages(root: Path) -> list[Path]:
    """Return the pages of docs that people write."""
    return sorted(page for page in (root / "docs").glob("*.md") if page.name not in MADE)


def texts(root: Path) -> dict[str, Iterable[str]]:
    """Return everything that a reader meets in a repository, by the rows of the table."""
    package = root / "src" / "covos"
    return {
        "README": [(root / "README.md").read_text(encoding="utf-8")],
        "other pages beside it": [page.read_text(encoding="utf-8") for page in sorted(root.glob("[!R]*.md"))],
        "docs": [page.read_text(encoding="utf-8") for page in pages(root)],
        "help texts": list(help_texts(package / "cli")),
        "errors": list(errors(package)),
        "docstrings": list(docstrings(package)),
    }


def is_turned(sentence: str) -> bool:
    """Say if a sentence begins with a word that turns it round; a question may."""
    return bool(QUESTION.match(sentence)) and not sentence.endswith("?")


def measured(texts: Iterable[str]) -> dict[str, float]:
    """Return what is printed of some texts."""
    every = [sentence for text in texts for sentence in sentences(text)]
    words = [len(sentence.split()) for sentence in every]
    return {
        "sentences": len(every),
        "mean": statistics.fmean(words),
        "median": statistics.median(words),
        "long": sum(count > LONG for count in words) / len(words),
        "turned": sum(map(is_turned, every)) / len(every),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="a repository")
    parser.add_argument("--show", nargs="+", help="print the long and the turned sentences of these pages or rows")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    parser.add_argument("--name", default="pages", help="the name of the table there")
    parser.add_argument("--note", default="", help="a sentence that is kept with it, such as the commit of --root")
    asked = parser.parse_args()
    every = texts(asked.root)
    if asked.show:
        for name in asked.show:
            for text in every.get(name) or [Path(name).read_text(encoding="utf-8")]:
                for sentence in sentences(text):
                    count = len(sentence.split())
                    if count > LONG or is_turned(sentence):
                        print(f"{count}{', turned' * is_turned(sentence)}: {sentence}\n")
        return
    found = {name: measured(each) for name, each in every.items()}
    print("| | sentences | mean words | median | above 30 words | turned round |\n|---|--:|--:|--:|--:|--:|")
    for name, row in found.items():
        print("| {} | {sentences:.0f} | {mean:.1f} | {median:.0f} | {long:.1%} | {turned:.1%} |".format(name, **row))
    rows = [
        [name, row["sentences"], row["mean"], row["median"], f"{row['long']:.1%}", f"{row['turned']:.1%}"]
        for name, row in found.items()
    ]
    columns = ["", "sentences", "mean words", "median", "above 30 words", "turned round"]
    keep(asked.json, asked.name, columns=columns, rows=rows, digits=[0, 0, 1, 0, 0, 0], note=asked.note)


if __name__ == "__main__":
    main()
