"""The pool engine: jobs go to worker processes, each of which runs the lanes or the reference engine."""
