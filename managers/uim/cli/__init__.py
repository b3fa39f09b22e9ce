"""`elias`: one file a group of commands. Imports nothing heavy, so that `elias --help` is there at once."""

from managers.uim.cli.app import main

__all__ = ["main"]
