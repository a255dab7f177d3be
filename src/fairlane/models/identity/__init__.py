"""Who an object is: its state as text, the same in every process."""
