"""The page in a real Chromium: no complaints, filters, sorting, keys, screen readers, phone, dark and paper.

On Debian and Ubuntu, ``apt-get install --no-install-recommends chromium`` installs it.
"""

import pytest
from _made import HOSTILE, diverge, facts, fail, study

from _chromium import INSTALL, click, count, path, rows, texts
from fairlane.results import report
from fairlane.trials import TrialState

pytestmark = pytest.mark.skipif(path() is None, reason=INSTALL)


@pytest.fixture
def show(browser, tmp_path):
    """Opens the page of records; at the end, nothing must have complained."""

    def opened(records, width=1200, dark=False, **options):
        file = report.write(facts(records, **options), tmp_path / "report.html")
        browser.open(file, width=width, dark=dark)
        return browser

    yield opened
    assert browser.complaints == []


def two_metrics(variants=3, **options):
    return study(variants, logs=("loss", "mae", "val_loss", "val_mae"), **options)


def test_all_parts_are_there(show):
    records = two_metrics()
    fail(records[8])
    page = show(records)
    assert texts(page, "h2") == [
        "What was unusual",
        "Curves",
        "Explore",
        "Variants",
        "Two variants",
        "Trials",
        "Errors",
        "Request",
    ]
    assert page.run("document.title") == "Study a study"
    assert texts(page, "#verdict")[0].startswith("units=8 has the lowest val_loss")
    assert texts(page, "h3") == ["loss", "mae"]
    assert count(page, ".chart svg") == 2
    assert rows(page, "trials", "trial") == [str(i) for i in range(9)]
    assert rows(page, "trials", "engine") == ["lanes"] * 9
    assert rows(page, "variants", "units") == ["8", "9", "10"]


def test_variants_are_filtered_in_curves_and_tables(show):
    page = show(two_metrics())
    assert count(page, ".panel:first-child .curve") == 6  # three variants, training and validation
    click(page, "units=9")
    assert count(page, ".panel:first-child .curve") == 4
    assert rows(page, "trials", "units") == ["8"] * 3 + ["10"] * 3
    assert rows(page, "variants", "units") == ["8", "10"]
    click(page, "None")
    assert count(page, ".curve") == 0
    assert texts(page, ".chart")[0].startswith("Nothing to draw")
    click(page, "All")
    assert count(page, ".panel:first-child .curve") == 6


def test_metrics_and_kinds_of_curves_are_filtered(show):
    page = show(two_metrics())
    click(page, "mae")
    assert texts(page, "h3") == ["loss"]
    click(page, "training (dashed)")
    assert count(page, ".curve") == 3
    assert count(page, ".curve.training") == 0
    click(page, "mean over seeds, with its 95 % interval")
    assert count(page, ".curve") == 9
    assert count(page, ".band") == 0


def test_bands_are_for_three_seeds_and_more_of_few_variants(show):
    page = show(study(2, seeds=3))
    assert (count(page, ".band"), count(page, ".curve.thin")) == (2, 0)
    page = show(study(2, seeds=2))
    assert (count(page, ".band"), count(page, ".curve.thin"), count(page, ".curve")) == (0, 8, 12)
    page = show(study(9, seeds=3))
    assert count(page, ".band") == 0
    click(page, "units=16")
    assert count(page, ".band") == 8


def test_wide_bands_do_not_flatten_the_curves(show):
    records = study(1, seeds=3)
    before = texts(show(records), ".chart text")
    for seed, record in enumerate(records):
        for _, logs in record.epochs:
            logs.update({log: value + seed - 1 for log, value in logs.items()})  # the same mean
    page = show(records)
    assert texts(page, ".chart text") == before
    d = page.run("document.querySelector('.band').getAttribute('d')")
    assert not any(word in d for word in ("NaN", "Infinity"))
    click(page, "logarithmic")  # whose intervals end below 0
    assert not any(
        word in page.run("document.querySelector('.band').getAttribute('d')") for word in ("NaN", "Infinity")
    )


def test_what_is_still_trained_goes_on_beside_what_has_finished(show):
    records = study(1, seeds=4)
    records[3].state = TrialState.RUNNING
    page = show(records)
    assert (count(page, ".band"), count(page, ".curve.thin"), count(page, ".curve")) == (1, 2, 4)
    assert texts(page, ".unusual li") == ["1 trial waiting or running (trial 3)."]


def test_a_logarithmic_scale_has_other_ticks(show):
    page = show(two_metrics(epochs=30))
    before = texts(page, ".panel:first-child text")
    click(page, "logarithmic")
    assert texts(page, ".panel:first-child text") != before


def test_tables_are_sorted_with_missing_values_last(show):
    records = two_metrics(2, seeds=2)
    for record, seconds in zip(records, (3, 10, 2, 1), strict=True):
        record.seconds = seconds
    fail(records[1])
    page = show(records)
    head = "[...document.querySelectorAll('th')].findLast((e) => e.textContent === {})"
    page.run(head.format("'seconds'") + ".firstChild.click()")
    assert rows(page, "trials", "seconds") == ["1", "2", "3", "10"]
    assert page.run(head.format("'seconds'") + ".ariaSort") == "ascending"
    page.run(head.format("'seconds'") + ".firstChild.click()")
    assert rows(page, "trials", "seconds") == ["10", "3", "2", "1"]
    page.run(head.format("'val_loss'") + ".firstChild.click()")
    assert rows(page, "trials", "trial") == ["0", "2", "3", "1"]
    page.run(head.format("'val_loss'") + ".firstChild.click()")
    assert rows(page, "trials", "trial") == ["3", "2", "0", "1"]
    assert count(page, "[aria-sort]") == 1


def test_trials_are_filtered_by_state(show):
    records = study(2, seeds=2)
    fail(records[3])
    page = show(records)
    page.run("state.value = 'failed'; state.dispatchEvent(new Event('change'))")
    assert rows(page, "trials", "trial") == ["3"]
    assert "1 of 4 trials, with the last value of each log" in texts(page, "caption")


def test_the_pointer_reads_values(show):
    page = show(study(1, seeds=1))
    x, y = page.run(
        """(() => {
            scrollTo(0, 0);
            const box = document.querySelector(".chart svg").getBoundingClientRect();
            return [box.left + 60, box.top + 12];
        })()"""
    )
    page.move(x, y)
    assert texts(page, "output")[0] == "Epoch 1: 5. units=8, seed 0, validation"
    assert count(page, ".mark") == 1


def test_keys_read_values_and_work_every_control(show):
    page = show(two_metrics())
    page.run("document.querySelector('.chart').focus()")
    page.press("ArrowRight")
    assert texts(page, "output")[0] == (
        "Epoch 1: 5.01 (95 % interval 4.985 to 5.035). units=8, mean of 3 seeds, validation"
    )
    page.press("ArrowRight")
    page.press("ArrowDown")
    assert texts(page, "output")[0].startswith(
        "Epoch 2: 3.511 (95 % interval 3.484 to 3.538). units=9, mean of 3"
    )
    for _ in range(4):  # the scale and the two files of the next panel
        page.press("Tab")
    assert page.run("document.activeElement.getAttribute('aria-label')").startswith("Curves of mae.")
    page.run("document.querySelector('#s-trials').parentNode.querySelector('th button').focus()")
    page.press("Enter")
    assert page.run("document.activeElement.parentNode.ariaSort") == "ascending"


def test_every_control_has_a_name_for_screen_readers(show):
    records = two_metrics(20)
    fail(records[0])
    told = show(records).accessible()
    names = {role: [name for r, name in told if r == role] for role in {role for role, _ in told}}
    for role in ("button", "checkbox", "combobox", "searchbox", "table", "region", "heading"):
        assert names[role], role
        assert all(names[role]), role
    assert "units=8" in names["checkbox"]
    assert any("Show" in name for name in names["combobox"])


def test_what_diverged_does_not_flatten_the_others(show):
    records = study(2, seeds=2)
    diverge(records[3])
    page = show(records)
    click(page, "mean over seeds, with its 95 % interval")
    assert not any("e" in tick for tick in texts(page, ".chart text") if "epoch" not in tick)
    assert texts(page, "figure p")[0].startswith("\u25b2 and \u25bc mark curves that leave the axes")
    assert count(page, ".outside") > 0


def test_one_far_value_is_marked_and_does_not_flatten_the_others(show):
    records = study(4, seeds=1, epochs=10)
    records[2].epochs[5][1]["val_loss"] = 1e6
    page = show(records)
    assert count(page, ".outside") == 1
    assert not any("e" in tick or len(tick) > 4 for tick in texts(page, ".chart text") if tick != "epoch")


def test_only_what_is_minimised_is_logarithmic_by_default(show):
    records = study(2, seeds=1, epochs=5, logs=("val_loss", "val_accuracy"))
    for record in records:
        for epoch, logs in record.epochs:
            logs.update(val_loss=10.0**-epoch, val_accuracy=10.0 ** (epoch - 5))
    page = show(records)
    scales = "[...document.querySelectorAll('.panel')].map((e) => e.querySelector('input').checked)"
    assert dict(zip(texts(page, "h3"), page.run(scales), strict=True)) == {"loss": True, "accuracy": False}


def test_what_is_pointed_at_is_marked_in_all_panels_beside_the_point(show):
    page = show(two_metrics())
    page.run("document.querySelector('.chart').focus()")
    page.press("ArrowRight")
    first, second = texts(page, ".tip")
    assert first.startswith("Epoch 1: 5.01")
    assert second.startswith("Epoch 1: ")
    assert first.endswith("units=8, mean of 3 seeds, validation")
    assert second.endswith("seeds, validation")
    near = """(() => {
        const [tip, mark] = [".tip", ".mark"].map((s) => document.querySelector(s).getBoundingClientRect());
        return Math.hypot(tip.left - mark.right, tip.top - mark.top);
    })()"""
    assert page.run(near) < 40


def hyperparameters(number):
    return {"rate": [0.1, 0.001][number % 2], "act": ["relu", "gelu", "tanh"][number // 2]}


def choose(page, label, value):
    """Choose an option of the list with this label."""
    found = f"[...document.querySelectorAll('label')].find((e) => e.firstChild.textContent === {label!r})"
    page.run(
        f"(() => {{ const s = {found}.querySelector('select'); s.value = {value!r}; "
        "s.dispatchEvent(new Event('change')) })()"
    )


def drag(page, axis, start, end):
    """Drag along an axis, from a share of its height to another."""
    x, top, height = page.run(
        f"""(() => {{
            const brush = document.querySelectorAll(".brush")[{axis}];
            brush.scrollIntoView({{ block: "center" }});
            const box = brush.getBoundingClientRect();
            return [box.left + box.width / 2, box.top, box.height];
        }})()"""
    )
    for kind, share in (("mousePressed", start), ("mouseMoved", end), ("mouseReleased", end)):
        page.call(
            "Input.dispatchMouseEvent",
            type=kind,
            x=x,
            y=top + share * height,
            button="left",
            buttons=1,
            clickCount=1,
        )


def test_a_range_on_an_axis_filters_curves_and_tables(show):
    page = show(two_metrics(6, names=hyperparameters))
    assert count(page, ".parallel:not(.off)") == 6
    drag(page, 0, 0.01, 0.3)  # the upper end of the rates
    assert set(rows(page, "trials", "rate")) == {"0.1"}
    assert rows(page, "variants", "act") == ["relu", "gelu", "tanh"]
    assert count(page, ".parallel:not(.off)") == 3
    assert count(page, ".panel:first-child .curve") == 6
    drag(page, 1, 0.0, 0.6)  # and the upper values of the activations
    assert rows(page, "variants", "act") == ["relu", "tanh"]
    click(page, "Remove filters")
    assert len(rows(page, "variants", "act")) == 6


def test_values_are_chosen_by_boxes_and_ranges_by_numbers(show):
    page = show(two_metrics(6, names=hyperparameters))
    click(page, "gelu")
    assert "gelu" not in rows(page, "variants", "act")
    page.run(
        "(() => { const e = document.querySelector('[aria-label=\"rate to\"]'); e.value = '0.01'; "
        "e.dispatchEvent(new Event('change')) })()"
    )
    assert set(rows(page, "variants", "rate")) == {"0.001"}
    assert texts(page, "#s-explore ~ p .faint")[0].startswith("Only act: relu, tanh; rate: ")


def test_metric_and_epoch_of_the_ranking_are_chosen(show):
    records = study(3, seeds=1, logs=("val_loss", "val_accuracy"))
    for record, best, last in zip(records, (0.9, 0.5, 0.7), (0.1, 0.3, 0.2), strict=True):
        for epoch, logs in record.epochs:
            logs["val_accuracy"] = best if epoch == 1 else last
    page = show(records)
    assert rows(page, "explore", "variant") == ["0", "1", "2"]
    choose(page, "Metric", "val_accuracy")
    assert rows(page, "explore", "variant") == ["1", "2", "0"]
    choose(page, "Epoch", "best")
    assert rows(page, "explore", "variant") == ["0", "2", "1"]
    assert rows(page, "explore", "mean val_accuracy") == ["0.9", "0.7", "0.5"]


def test_lines_are_coloured_by_a_hyperparameter(show):
    page = show(two_metrics(6, names=hyperparameters))
    strokes = "new Set([...document.querySelectorAll('.parallel')].map((e) => e.getAttribute('stroke'))).size"
    assert page.run(strokes) == 6
    choose(page, "Colour by", "rate")
    assert page.run(strokes) == 2


def test_columns_are_chosen_and_saved(show):
    page = show(two_metrics(2, seeds=1))
    saved = "window.saved = {}; offer = async (name, blob) => { saved[name] = await blob.text(); }"
    page.run(saved)
    page.run(
        "document.querySelector('#s-trials').parentNode.querySelectorAll('.columns label')[2].querySelector('input').click()"
    )
    page.run("document.querySelector('#s-trials').parentNode.querySelector('.tools button').click()")
    lines = page.run("new Promise((r) => setTimeout(() => r(saved['Trials.csv']), 50))").splitlines()
    assert lines[0] == "trial,units,state,epochs done,loss,val_loss,mae,val_mae,seconds,engine,loop"
    assert [line.split(",")[1] for line in lines[1:]] == ["8", "9"]
    assert page.run("csvOf([{ name: 'a', value: (r) => r }], ['=1+1', 'x\"y', -1, null])").splitlines() == [
        *("a", "'=1+1", '"x""y"', "-1", "")
    ]


def test_a_notebook_shows_the_page_in_a_frame(browser, tmp_path):
    records = two_metrics(3, names=lambda n: {HOSTILE: n})
    made = report.page(facts(records, name=HOSTILE))
    file = tmp_path / "notebook.html"
    file.write_text(report.Inline(made, f"Study {HOSTILE}", 700)._repr_html_(), encoding="utf-8")
    browser.open(file)
    counted = browser.framed(
        "[document.querySelectorAll('.curve').length, document.querySelector('h1').textContent]"
    )
    assert counted == [12, f"Study {HOSTILE}"]
    assert browser.run("document.querySelector('iframe').getBoundingClientRect().height") == 700
    assert browser.complaints == []


def test_curves_are_smoothed_and_say_so(show):
    page = show(two_metrics())
    page.run(
        "(() => { const e = document.querySelector('[type=range]'); e.value = 0.5; "
        "e.dispatchEvent(new Event('input')) })()"
    )
    page.run("document.querySelector('.chart').focus()")
    for _ in range(2):
        page.press("ArrowRight")
    # (0.5 * 5.01 + 2.51) / 1.5 of the two epochs' means
    assert texts(page, "output")[0].startswith("Epoch 2: 3.343 ")
    assert texts(page, "output")[0].endswith("validation, smoothed")
    assert page.run("smoothed([{value: 1}, {value: null}, {value: 4}], 0.5)")[1]["value"] is None


def test_a_drawing_is_saved_with_its_looks(show):
    page = show(two_metrics())
    text = page.run("alone(document.querySelector('.chart svg')).text()")
    assert 'stroke="rgb(0, 114, 178)"' in text
    kind = page.run("pngOf(document.querySelector('.chart svg')).then((b) => b.type + (b.size > 5000))")
    assert kind == "image/pngtrue"


def test_hostile_names_do_nothing_but_stand_there(show):
    records = study(2, names=lambda n: {HOSTILE: HOSTILE * (n + 1)}, logs=("val_loss", HOSTILE))
    fail(records[0], HOSTILE, HOSTILE)
    page = show(records, name=HOSTILE)
    assert count(page, "img") == 0
    assert count(page, "script") == 2
    assert texts(page, "h1") == [f"Study {HOSTILE}"]
    assert texts(page, "pre") == [HOSTILE]


def test_nothing_finished_and_no_trials(show):
    records = study(1, seeds=2)
    for record in records:
        fail(record)
    page = show(records)
    assert texts(page, "#verdict")[0].startswith("No verdict: no trial has finished")
    assert "No epoch was logged." in texts(page, "p")
    assert texts(show([]), "#verdict")[0].startswith("No verdict")


def test_many_variants_can_be_searched_and_the_best_have_colours(show):
    page = show(study(200, seeds=1, epochs=2))
    assert count(page, "#variants li") == 200
    assert page.run("document.querySelectorAll('#variants .c0').length") == 1
    page.run(
        "(() => { const s = document.querySelector('[type=search]'); s.value = 'units=20'; s.dispatchEvent(new Event('input')) })()"
    )
    assert count(page, "#variants li:not([hidden])") == 9  # 20 and 200 to 207
    click(page, "None")  # of those that the search finds
    assert count(page, "#variants input:checked") == 191
    click(page, "All")
    assert count(page, "#variants input:checked") == 200
    click(page, "Best 5")
    assert rows(page, "trials", "units") == ["8", "9", "10", "11", "12"]


@pytest.mark.parametrize("width", [390, 768, 1200])
def test_the_page_is_never_wider_than_the_screen(show, width):
    records = two_metrics(9, names=lambda n: {"a_rather_long_hyperparameter": "value" * 20, "n": n})
    fail(records[0], "ValueError: " + "x" * 300)
    page = show(records, width=width)
    assert page.run("document.documentElement.scrollWidth") == width
    page.run("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    assert page.run("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("dark", [False, True])
def test_words_stand_out_from_the_ground(show, dark):
    page = show(two_metrics(), dark=dark)
    code = """(() => {
        const light = (c) => c.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
            .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const ground = light(getComputedStyle(document.body).backgroundColor);
        const contrast = (c) => (Math.max(light(c), ground) + 0.05) / (Math.min(light(c), ground) + 0.05);
        const style = (selector, name) => contrast(getComputedStyle(document.querySelector(selector))[name]);
        return [style("p", "color"), style(".faint", "color"), style(".chart text", "fill"),
            ...[0, 1, 2].map((i) => style(`.curve.c${i}`, "stroke")), ground];
    })()"""
    *words, first, second, third, ground = page.run(code)
    assert (ground < 0.1) is dark
    assert min(words) >= 4.5
    assert min(first, second, third) >= 3


def test_it_can_be_printed(show):
    page = show(two_metrics())
    paper = page.paper()
    assert paper.startswith(b"%PDF-")
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.run("getComputedStyle(document.querySelector('.screen')).display") == "none"
    assert page.run("getComputedStyle(document.querySelector('.scroll')).overflowY") == "visible"
