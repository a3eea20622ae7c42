#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes one C++ file that holds every example of the headers, so that a broken example breaks the build.

usage: header_examples.py OUTPUT FOLDER...      folders from the root of the project, e.g. include/llmcodec src/base

An example is a comment of this form; in parentheses stand the things that it uses, as parameters of a function:

    // Example (const std::string& path):
    //
    //   LLMC_ASSIGN_OR_RETURN(const std::string text, read_text_file(path, 1000));
    //   use(text);

Each becomes the body of a function that returns a Status, in the header's own namespace, and the compiler's messages
name the header and the line. `use()` takes anything and stands for whatever a caller does. Lines `#include "..."` of
an example move to the top. An ellipsis is an error, as is C++ in a header's comment that is no example. Highway's
"-inl.h" files, which cannot be included alone, are left out.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLE = re.compile(r"^\s*// Example(?: \((?P<parameters>.*)\))?:$")
INDENTED = re.compile(r"^\s*//   (?P<code>.*)$")
NAMESPACE = re.compile(r"^namespace (llmcodec\S*) \{$", re.M)
LOOKS_LIKE_CODE = re.compile(r"[)}];$|^\S.* = .*;$|\) \{$|^\s*LLMC_|^\s*#include")


class Example:
    def __init__(self, header, line, parameters):
        self.header, self.line, self.parameters, self.code = header, line, parameters or "", []


def without_comment(code):
    return re.sub(r"\s*//.*$", "", code)


def examples_of(header, lines):
    """The examples of one header; complains about code outside them."""
    example = None
    for number, line in enumerate(lines, 1):
        start, indented = EXAMPLE.match(line), INDENTED.match(line)
        if start:
            example = Example(header, number, start["parameters"])
            yield example
        elif indented and example:
            if "..." in indented["code"]:
                sys.exit(f"{header}:{number}: an example must be whole, without an ellipsis")
            example.code.append((number, indented["code"]))
        elif indented and LOOKS_LIKE_CODE.search(without_comment(indented["code"])):
            sys.exit(f"{header}:{number}: code in a comment that does not begin with \"// Example:\"")
        elif line.strip() != "//":
            example = None


def function_of(number, example, namespace):
    text = [f"namespace {namespace}::example_{number} {{",
            f'#line {example.line} "{example.header}"',
            f"Status example({example.parameters}) {{"]
    for line, code in example.code:
        if not code.startswith("#include"):
            text += [f'#line {line} "{example.header}"', code]
    return text + ["return Status::ok();", "}", "}", ""]


def main():
    output, folders = pathlib.Path(sys.argv[1]), sys.argv[2:]
    includes, functions, count = [], [], 0
    headers = (path for folder in folders for path in (ROOT / folder).glob("**/*.h"))
    for header in sorted(path for path in headers if not path.name.endswith("-inl.h")):
        text = header.read_text(encoding="utf-8")
        for example in list(examples_of(header.relative_to(ROOT), text.splitlines())):
            if not example.code:
                sys.exit(f"{example.header}:{example.line}: an example without code")
            count += 1
            includes.append(f'#include "{header}"')
            includes += [code for _, code in example.code if code.startswith("#include")]
            functions += function_of(count, example, NAMESPACE.search(text)[1])
    if not count:
        sys.exit(f"no examples in {' '.join(folders)}")
    use = ["namespace llmcodec {", "template <class... Values>", "void use(const Values&...) {}", "}", ""]
    output.write_text("\n".join([*dict.fromkeys(includes), '#include "llmcodec/status.h"', "", *use, *functions]))


if __name__ == "__main__":
    main()
