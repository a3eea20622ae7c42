#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks the size budgets of the C++ sources: files, functions, parameters. Exit 1 when one is passed.

usage: check_budget.py [ROOT] [--all]      --all also prints the ten longest functions

Relies on the clang-format style of this tree: a definition's closing brace stands in the column where it began.
A longer piece with a clear reason says so on the line before it: `// budget: WHY`.
"""
import argparse
import pathlib
import re

MAX_FILE_LINES = 500      # tables (*_tables.cc, *_tables.h) are exempt
MAX_FUNCTION_LINES = 60
MAX_MEDIAN_LINES = 15     # over all functions of the project
MAX_PARAMETERS = 6
NOT_FUNCTIONS = re.compile(r"^(if|else|for|while|switch|do|try|catch|namespace|struct|class|enum|union|extern|return|case|"
                           r"typedef|using|static_assert|#)\b")
SCOPES = re.compile(r"^(template\s*<.*>\s*)?(inline\s+)?(namespace|struct|class|enum|union|extern)\b")


def strip_comments(lines):
    """Lines without comments and string contents, one for one."""
    text = "\n".join(lines)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S).split("\n")


def count_parameters(head):
    """Parameters of the first parenthesised list in `head`, a declaration on one line."""
    start = head.find("(")
    depth, count, seen = 0, 0, False
    for char in head[start:]:
        if char in "(<[{":
            depth += 1
        elif char in ")>]}":
            depth -= 1
            if depth == 0:
                break
        elif char == "," and depth == 1:
            count += 1
        elif depth >= 1 and not char.isspace():
            seen = True
    return count + 1 if seen else 0


def functions(lines):
    """(first line, number of lines, declaration) of each function body that is not inside another."""
    code = strip_comments(lines)
    i = 0
    while i < len(code):
        line = code[i]
        if not line.strip() or not line.rstrip().endswith("{"):
            i += 1
            continue
        if line.strip() == "{" and i > 0 and code[i - 1].rstrip().endswith((",", "{")):
            i += 1  # an initialiser in a list
            continue
        first = i
        while first > 0 and code[first - 1].strip() and not re.search(r"[;{}:]\s*$", code[first - 1]) and i - first < 12:
            first -= 1
        head = " ".join(part.strip() for part in code[first:i + 1])
        if SCOPES.match(head) or "(" not in head or NOT_FUNCTIONS.match(head) or re.search(r"(=\s*|\()\{$", head):
            i += 1
            continue
        indent = len(code[first]) - len(code[first].lstrip())
        end = i + 1
        while end < len(code) and not (code[end].startswith(" " * indent + "}") and not code[end].startswith(" " * (indent + 1))):
            end += 1
        yield first, end - i + 1, head
        i = end + 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", default=str(pathlib.Path(__file__).parent.parent))
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    root = pathlib.Path(options.root)
    problems, sizes = [], []
    for path in sorted(p for folder in ("include", "src", "cli", "tests", "python") for p in (root / folder).glob("**/*")):
        if path.suffix not in (".h", ".cc"):
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        name = path.relative_to(root)
        if len(lines) > MAX_FILE_LINES and not path.stem.endswith("_tables"):
            problems.append(f"{name}: {len(lines)} lines, budget {MAX_FILE_LINES}")
        for first, length, head in functions(lines):
            sizes.append((length, f"{name}:{first + 1}"))
            if any("// budget:" in line for line in lines[max(0, first - 3):first + 1]):
                continue
            if length > MAX_FUNCTION_LINES:
                problems.append(f"{name}:{first + 1}: function of {length} lines, budget {MAX_FUNCTION_LINES}")
            if count_parameters(head) > MAX_PARAMETERS:
                problems.append(f"{name}:{first + 1}: {count_parameters(head)} parameters, budget {MAX_PARAMETERS}")
    sizes.sort(reverse=True)
    median = sizes[len(sizes) // 2][0] if sizes else 0
    if median > MAX_MEDIAN_LINES:
        problems.append(f"median function of {median} lines, budget {MAX_MEDIAN_LINES}")
    if options.all:
        print("\n".join(f"{length:5} {where}" for length, where in sizes[:10]))
    p90 = sizes[len(sizes) // 10][0] if sizes else 0
    print("\n".join(problems) if problems else f"budgets: clean ({len(sizes)} functions, median {median}, p90 {p90} lines)")
    raise SystemExit(1 if problems else 0)


if __name__ == "__main__":
    main()
