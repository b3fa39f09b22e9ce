"""`elias`: one file a group of commands. Imports nothing heavy, so that `elias --help` is there at once."""


def main() -> None:
    """What `elias` runs."""
    # Here and not above: packages whose commands join import this one for their own, and may be the first to do so.
    from managers.uim.cli.app import main as run  # noqa: PLC0415

    run()
