#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Opens a page of `llmcodec report` in headless Chromium as people do, and says what is wrong with it.

usage: check_page.py REPORT.html [--screenshots DIR] [--chromium PROGRAM]

On a desktop, a dark desktop and a phone, each with all that can be unfolded open: messages in the console, requests to anywhere,
findings of axe-core (the accessibility rules that most checkers use), a page that is wider than its window, links that lead nowhere,
charts that were not drawn, say nothing under the pointer or could be sent away, tables that the keyboard does not reach. Exit code 1 if there is any.

Needs Chromium (Debian's package chromium) and from PyPI playwright and axe-playwright-python, which brings axe-core: `./dev page` has all.
"""
import argparse
import os
import pathlib
import shutil
import sys
from dataclasses import dataclass

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright


@dataclass(frozen=True)
class View:
    name: str
    width: int
    height: int
    scheme: str = "light"
    is_phone: bool = False

    def context(self, browser):
        return browser.new_context(viewport={"width": self.width, "height": self.height}, color_scheme=self.scheme, is_mobile=self.is_phone,
                                   has_touch=self.is_phone)


VIEWS = (View("desktop", 1280, 900), View("dark", 1280, 900, "dark"), View("phone", 390, 844, is_phone=True))
LINKS_TO_NOTHING = "[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href')).filter(to => !document.querySelector(to))"
NOT_DRAWN = "[...document.querySelectorAll('[data-figure]')].filter(place => !place.querySelector('svg')).map(place => place.dataset.figure)"
SENDING = "[...document.querySelectorAll('.modebar-btn')].map(button => button.ariaLabel || button.dataset.title).filter(name => /share|cloud/i.test(name))"
UNREACHABLE = "[...document.querySelectorAll('.scroll')].filter(place => place.tabIndex < 0).length"


def accessibility(page):
    """Findings of axe-core: how bad, which rule, where first."""
    for found in Axe().run(page).response["violations"]:
        nodes = found["nodes"]
        yield f"axe-core, {found['impact']}: {found['id']}: {found['help']}; {len(nodes)} places, first {nodes[0]['target']}: {nodes[0]['html'][:160]}"


def layout(page):
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    if wide > 0:
        yield f"the page is {wide} pixels wider than its window"
    for script, words in ((LINKS_TO_NOTHING, "links lead nowhere"), (NOT_DRAWN, "charts were not drawn"),
                          (SENDING, "buttons would send a chart away")):
        if found := page.evaluate(script):
            yield f"{words}: {', '.join(dict.fromkeys(found))}"
    if count := page.evaluate(UNREACHABLE):
        yield f"{count} tables cannot be scrolled by keys"


def hover(page):
    """Whether the first chart says something under the pointer."""
    points = page.locator("[data-figure] .scatterlayer .point")
    if points.count() == 0:
        return
    points.first.scroll_into_view_if_needed()
    points.first.hover(force=True)
    page.wait_for_timeout(500)
    if page.locator(".hoverlayer .hovertext").count() == 0:
        yield "no text under the pointer on a point of a chart"


def keyboard(page):
    """Whether the first key press offers to skip the links, and the next ones go through them."""
    page.evaluate("window.scrollTo(0, 0)")
    page.keyboard.press("Tab")
    if page.evaluate("document.activeElement.className") != "skip":
        yield "the first Tab does not reach the link to the results"
    page.keyboard.press("Tab")
    if page.evaluate("document.activeElement.closest('nav') === null"):
        yield "the second Tab does not reach the list of sections"


def look(browser, view, address, screenshots):
    """What is wrong in one view."""
    context = view.context(browser)
    page, problems = context.new_page(), []
    page.on("console", lambda message: problems.append(f"console, {message.type}: {message.text}") if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(f"error of a script: {error}"))
    page.on("request", lambda request: problems.append(f"request to {request.url[:100]}") if not request.url.startswith(("file:", "data:", "blob:")) else None)
    page.goto(address)
    page.wait_for_timeout(1000)  # charts are drawn
    if screenshots:
        page.screenshot(path=screenshots / f"{view.name}.png")
        page.screenshot(path=screenshots / f"{view.name}-whole.png", full_page=True)
    if not view.is_phone:
        problems += [*keyboard(page), *hover(page)]
    page.evaluate("document.querySelectorAll('details').forEach(place => { place.open = true; })")
    problems += [*layout(page), *accessibility(page)]
    context.close()
    return [f"{view.name}: {problem}" for problem in dict.fromkeys(problems)]


def check(report, chromium, screenshots=None):
    """What is wrong with the page, a line each; none if nothing is."""
    if screenshots:
        screenshots.mkdir(parents=True, exist_ok=True)
    sandbox = [] if os.getuid() else ["--no-sandbox"]  # Chromium's does not work for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=sandbox)
        try:
            address = pathlib.Path(report).resolve().as_uri()
            return [problem for view in VIEWS for problem in look(browser, view, address, screenshots)]
        finally:
            browser.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=pathlib.Path)
    parser.add_argument("--screenshots", type=pathlib.Path, help="folder for pictures of each view")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="default: the one in PATH")
    options = parser.parse_args()
    if not options.chromium:
        parser.error("no chromium: install it, or pass --chromium")
    problems = check(options.report, options.chromium, options.screenshots)
    print("\n".join(problems) or f"{options.report}: nothing is wrong in {', '.join(view.name for view in VIEWS)}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
