"""``compare`` and ``fit``: the plan, the jobs, the driver. The only layer that knows all others."""

from fairlane.running.compare import compare as _compare
from fairlane.running.rebuilding import Rebuilt as _Rebuilt

_Rebuilt.trainer = staticmethod(_compare)  # here, since `compare` itself needs `Rebuilt`
