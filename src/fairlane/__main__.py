"""``python -m fairlane``: the command line."""

from fairlane.cli import app

if __name__ == "__main__":
    app(prog_name="fairlane")
