"""A process that opens cases and answers them until it is killed; it prints the id of each before it answers."""

import sys
from pathlib import Path

from tests.managers.uim.cases.kit import House


def main(folder: Path) -> None:
    house = House(folder)
    number = 0
    while True:
        number += 1
        (id,) = house.warm(f"{folder.name} f{number}")
        print(id, flush=True)
        house.answer(id, by="ada")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
