"""Small helpers that have no home of their own: text, files, optional packages, lines of a program."""
