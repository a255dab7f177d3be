"""All that touches one Keras object: its session, its variables, copies of it, what happened to it."""
