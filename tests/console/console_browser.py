"""A real headless Chromium for the tests: playwright's own, or the executable that O2O_CHROMIUM names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

WAIT_MS = 150_000  # a machine that is much slower must pass too


@contextmanager
def chromium() -> Iterator[Any]:
    """A playwright Browser; the test is skipped, in one line, where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs a browser: make browser")
    with sync_api.sync_playwright() as playwright:
        told = os.environ.get("O2O_CHROMIUM")
        if not told and not os.path.exists(playwright.chromium.executable_path):
            pytest.skip("no browser: make browser, or set O2O_CHROMIUM to a Chromium's executable")
        browser = playwright.chromium.launch(executable_path=told, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Pages:
    """Opens pages of the console, each as another person's browser, and fails the test on any error of a script."""

    def __init__(self, browser: Any, address: Callable[[], str]) -> None:
        self._browser, self._address = browser, address
        self.problems: list[str] = []
        self._contexts: list[Any] = []

    def open(self, *, width: int = 1280, height: int = 800, first: str = "") -> Any:
        """first: a script that runs before the page's own."""
        context = self._browser.new_context(viewport={"width": width, "height": height})
        context.add_init_script(first)
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda problem: self.problems.append(str(problem)))
        page.goto(self._address())
        page.wait_for_selector("body:not(.is-lost)")
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        self._contexts.clear()


def take_control(page: Any, name: str) -> None:
    page.fill("#name", name)
    page.click("#take")
    page.wait_for_selector(".who.has")
    page.evaluate("document.activeElement.blur()")


def shows(page: Any, selector: str, words: str) -> None:
    """Wait until it does."""
    page.wait_for_function(
        "([where, words]) => document.querySelector(where).textContent.includes(words)", arg=[selector, words]
    )


def told_times(page: Any) -> str:
    """The page's own measurements, ms, as one line."""
    times = page.evaluate("consoleTimes")
    middle = {name: sorted(values)[len(values) // 2] for name, values in times.items() if values}
    return ", ".join(f"{name.removesuffix('_ms')} {value:.1f} ms" for name, value in middle.items())
