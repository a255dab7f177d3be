"""``fairlane demo``: the mistake that Fairlane prevents, made with Keras alone, and then made right.

In: images, or scikit-learn's digits. Out: what two learning rates seem to give when ``model_copy = model`` is
taken for a copy, what they do give, a table of both, and a figure.
"""

from fairlane.demo.programs import LOGS, RATES, compared, script_with_alias
from fairlane.demo.story import run
from fairlane.demo.task import digits, load

__all__ = ["LOGS", "RATES", "compared", "digits", "load", "run", "script_with_alias"]
