"""The rules: their codes, titles and pages.

In: a code. Out: its `Rule`. The pages are Markdown files of this package, so that ``fairlane check
--explain`` finds them wherever Fairlane is installed, and the documentation links to the same files.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib import resources


class Confidence(StrEnum):
    """How sure a finding is: ``certain`` fails a run; ``likely`` may be meant, and is a note."""

    CERTAIN = "certain"
    LIKELY = "likely"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule.

    Attributes:
        code: ``FL001``.
        name: a short name, ``second-name``.
        title: one line that says what is found.
    """

    code: str
    name: str
    title: str

    @property
    def page(self) -> str:
        """The rule's page, in Markdown."""
        folder = resources.files("fairlane.check") / "pages"
        return (folder / f"{self.code}.md").read_text(encoding="utf-8")


RULES = {
    rule.code: rule
    for rule in (
        Rule("FL001", "second-name", "A second name for a model is trained as if it were another model"),
        Rule("FL002", "trained-again", "A trained model is compiled and trained again"),
        Rule("FL003", "trained-in-loop", "A model built outside a loop is compiled and trained inside it"),
        Rule("FL004", "shared-optimizer", "An optimizer is used for several models"),
        Rule("FL005", "shared-callback", "A callback watches the training of several models"),
        Rule("FL006", "shared-metric", "A metric is used for several models"),
        Rule("FL007", "shared-initializer", "An initializer is used for several layers"),
        Rule("FL008", "shared-layer", "A layer with weights is in two models that are trained"),
        Rule("FL009", "seed-before-loop", "A seed is set once, before a loop over variants"),
        Rule("FL010", "folds-share-model", "A cross-validation does not rebuild the model"),
    )
}
"""All rules, by code."""
