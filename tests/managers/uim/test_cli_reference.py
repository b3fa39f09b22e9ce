"""The table of commands on the page of the command line is the one that the commands make."""

from pathlib import Path

from managers.uim.cli import reference

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"


def test_the_page_lists_every_command_as_it_is() -> None:
    page = PAGE.read_text()
    assert reference.written(page) == page, "run: python -m managers.uim.cli.reference docs/cli.md"


def test_every_row_says_what_the_command_does_in_a_few_words() -> None:
    for row in reference.table().splitlines()[2:]:
        usage, says = row.removeprefix("| ").removesuffix(" |").split(" | ")
        assert usage.startswith("`elias ")
        assert 10 < len(says) < 200
