"""A live page in a browser."""

from _chromium import click, count, rows, texts
from store._stores import until


class Page:
    """A page of a store, which is opened once it has asked, and then asked to look again instead of waited for."""

    def __init__(self, browser, served, where, **options):
        self.browser, self.run, self.served = browser, browser.run, served
        browser.open(served.url + where, server=served.url, **options)
        self.wait(lambda: not self.status.startswith("Reading"))

    @property
    def status(self):
        return self.text("[role=status]")

    def text(self, selector):
        return self.run(f"document.querySelector({selector!r}).textContent")

    def texts(self, selector):
        return texts(self.browser, selector)

    def count(self, selector):
        return count(self.browser, selector)

    def click(self, label):
        click(self.browser, label)

    def column(self, name):
        return rows(self.browser, "trials", name)

    def wait(self, condition):
        """Return when it holds; the page asks its server again and again meanwhile, as for one that comes back to it."""

        def holds():
            self.run("document.dispatchEvent(new Event('visibilitychange'))")
            return condition()

        until(holds)

    def points(self):
        """How many points each curve of the first panel has."""
        return self.run(
            "[...document.querySelectorAll('.panel .curve')].map((e) => e.getTotalLength && e.getAttribute('d').split(/[ML]/).length - 1)"
        )
