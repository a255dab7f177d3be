"""What a trial's callbacks remember, as plain data, and back."""
