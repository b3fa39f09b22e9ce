"""The way to MLflow: where it is, and what both trainings and policies need of it. Nothing of ELIAS reads it back."""

import importlib.util
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from federation.settings import Settings

LARGEST = 64 << 20
"""Bytes of a file that is copied to MLflow. Larger weights stay where they are; their digest is in the card."""
FOLDER = "mlflow"
QUIET = {"MLFLOW_LOGGING_LEVEL": "WARNING", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
"""Unless the environment says otherwise; by itself MLflow waits for minutes for a server that does not answer."""
POLICY_TAG, DATA_TAG = "elias.policy", "elias.data"
INSTALL = "pip install 'elias[mlflow]'"


class Place(NamedTuple):
    """uri: of tracking. files: folder for the files of runs; None: wherever its server puts them. name: of the
    experiment and of the registered model."""

    uri: str
    files: Path | None
    name: str


class Mlflow(NamedTuple):
    """client: an MlflowClient. experiment: id. name: as of the place."""

    client: Any
    experiment: str
    name: str


def place(settings: Settings) -> Place:
    folder = settings.state / FOLDER
    uri = settings.mlflow.uri or f"sqlite:///{folder / 'mlflow.db'}"
    return Place(uri, None if uri.startswith("http") else folder, settings.mlflow.name)


def installed() -> bool:
    return importlib.util.find_spec("mlflow") is not None


def wanted(settings: Settings) -> bool:
    """Whether a training is told to MLflow: it is installed and not switched off, and it is a server, or there is an
    installation here that it belongs to."""
    return settings.mlflow.enabled and installed() and (bool(settings.mlflow.uri) or settings.state.is_dir())


def connect(at: Place) -> Mlflow:
    """Makes the database and the experiment where they are not there: some seconds. Blocking. Raises whatever MLflow
    and its database do."""
    _quieten()
    if at.files is not None:
        at.files.mkdir(parents=True, exist_ok=True, mode=0o700)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of SQLAlchemy, on how MLflow uses it
        from mlflow.tracking import MlflowClient  # noqa: PLC0415 - two seconds

        client = MlflowClient(at.uri, at.uri)
    found = client.get_experiment_by_name(at.name)
    if found is not None:
        return Mlflow(client, found.experiment_id, at.name)
    made = client.create_experiment(at.name, artifact_location=at.files.as_uri() if at.files is not None else None)
    return Mlflow(client, made, at.name)


def errors() -> tuple[type[Exception], ...]:
    """What MLflow and its database raise."""
    _quieten()
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    return MlflowException, SQLAlchemyError, OSError


def _quieten() -> None:
    """Before it is imported: then it looks whether it may report how it is used."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def files(folder: Path) -> Iterator[Path]:
    """What MLflow gets of a policy."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST:
            yield path


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """`{"grpo": {"rate": 1e-3}}` as `{"grpo.rate": 1e-3}`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return found


def without_secrets(text: str) -> str:
    """A URI, or words that may hold one, without the user and the password in it."""
    return re.sub(r"//[^/@\s]*@", "//", text)
