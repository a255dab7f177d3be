"""Pages of few and many variants and seeds, on a screen, a phone and paper: nothing is cut off, no two texts are on each other,
and each coloured curve has its variant in the list. `_matrix.py` makes pictures of all of them, to be looked at."""

import pytest
from _matrix import LOOKS, facts, shown

from _chromium import INSTALL, path
from fairlane.results import report

pytestmark = pytest.mark.skipif(path() is None, reason=INSTALL)

OUTSIDE = """[...document.querySelectorAll("svg")].filter((e) => e.getBoundingClientRect().width).flatMap((drawing) => {
    const all = drawing.getBoundingClientRect();
    return [...drawing.querySelectorAll("text")].filter((e) => {
        const box = e.getBoundingClientRect();
        return box.left < all.left - 1 || box.right > all.right + 1 || box.top < all.top - 2 || box.bottom > all.bottom + 2;
    }).map((e) => e.textContent);
})"""
ON_EACH_OTHER = """[...document.querySelectorAll("svg")].filter((e) => e.getBoundingClientRect().width).flatMap((drawing) => {
    const boxes = [...drawing.querySelectorAll("text")].map((e) => [e.textContent, e.getBoundingClientRect()]);
    return boxes.flatMap(([text, a], i) => boxes.slice(i + 1)
        .filter(([, b]) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 5)
        .map(([other]) => `${text} and ${other}`));
})"""
# Tables may be wider than their place, which scrolls, on a screen alone.
CUT_OFF = """[...document.querySelectorAll("h1, p, li, label, figcaption, button, td, svg")].filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width && box.right > document.documentElement.clientWidth + 1 && (matchMedia("print").matches || !e.closest(".scroll"));
}).map((e) => e.textContent.slice(0, 60))"""
UNNAMED = """[...document.querySelectorAll(".panel .curve")].map((e) => [...e.classList].find((c) => /^c[0-9]$/.test(c)))
    .filter((c) => c && ![...document.querySelectorAll("#variants .swatch")].some((e) => e.classList.contains(c)))"""


@pytest.mark.parametrize(("variants", "seeds"), [(1, 1), (2, 5), (8, 5), (60, 1)])
def test_nothing_is_cut_off_and_no_two_texts_are_on_each_other(browser, tmp_path, variants, seeds):
    file = report.write(facts(variants, seeds), tmp_path / "report.html")
    for look in LOOKS:
        if look == "dark":
            continue  # as light, but for its colours
        shown(browser, file, look)
        assert browser.run(OUTSIDE) == [], look
        assert browser.run(ON_EACH_OTHER) == [], look
        assert browser.run(CUT_OFF) == [], look
        assert browser.run("document.documentElement.scrollWidth") == LOOKS[look][0], look
        assert browser.run(UNNAMED) == [], look
        assert browser.complaints == [], look
