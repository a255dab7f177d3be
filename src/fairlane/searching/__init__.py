"""Where a search looks, what proposes its variants, and what ends them: values and rules, without Keras."""
