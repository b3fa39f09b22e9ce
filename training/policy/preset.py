"""Presets of training: how large, how long, on how much. YAML in training/presets, one file each."""

from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from federation.errors import Refused
from federation.strictyaml import loads

FOLDER = Path(__file__).parents[1] / "presets"

Positive = Annotated[int, Field(gt=0)]

Some = TypeVar("Some", bound=BaseModel)


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shape(Strict):
    """hidden: width; a multiple of twice the heads. inner: width of the gated layer."""

    hidden: Positive
    layers: Annotated[int, Field(ge=2)]
    heads: Positive
    inner: Positive

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.hidden % (2 * self.heads):
            raise ValueError(f"hidden {self.hidden} is no multiple of twice the {self.heads} heads")
        return self


class Preset(Strict):
    """examples, validation: questions of each decision point to train on, and to choose the best weights by. batch:
    questions a step. rate: of learning, at its highest; it rises over the first `warm_up` (share of the training) and
    falls with a cosine. decay: of the weights (AdamW). value_weight: how much the estimate of each candidate's
    advantage counts beside the choice. check: steps between validations. patience: validations without a better one
    after which training ends. minutes: after which it ends; the rate falls in time for it. points: those trained on;
    empty: all.
    """

    seed: int = 0
    shape: Shape
    points: tuple[str, ...] = ()
    examples: Positive
    validation: Positive
    steps: Positive
    batch: Positive
    rate: Annotated[float, Field(gt=0)]
    warm_up: Annotated[float, Field(ge=0, lt=1)]
    decay: Annotated[float, Field(ge=0)]
    value_weight: Annotated[float, Field(ge=0)]
    check: Positive
    patience: Positive
    minutes: Annotated[float, Field(gt=0)]


def names(folder: Path = FOLDER) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def load(name: str) -> Preset:
    """A preset that ships, by name, or a file of one's own. Raises Refused."""
    return read(Preset, name, FOLDER)


def read(kind: type[Some], name: str, folder: Path) -> Some:
    """A preset of one kind. folder: of those that ship. Raises Refused."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        cure = f"choose one of: {', '.join(names(folder))}; or name a YAML file"
        raise Refused("no-preset", f"there is no preset `{name}`", cure=cure) from None
    try:
        return kind.model_validate(loads(text, str(path)))
    except ValidationError as error:
        first = error.errors()[0]
        place = f"{path}: {'.'.join(map(str, first['loc']))}"
        raise Refused("bad-preset", first["msg"], place=place, cure="correct it in the file") from None
