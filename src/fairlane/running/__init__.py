"""``compare`` and ``fit``: the plan, the jobs, the driver. The only layer that knows all others."""
