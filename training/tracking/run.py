"""A training as a run of MLflow. A training is never the worse for it: the first thing that goes wrong there is said,
and from then on nothing more is told. All of it is in the folder of the training as well."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from federation.policy.card import Card
from federation.settings import Settings
from managers.uim.cli.output import say
from training.tracking.client import DATA_TAG, POLICY_TAG, Mlflow, connect, files, flat, place, wanted, without_secrets

RUN = "mlflow.run"  # in the folder of the training: the id of its run


class Training(NamedTuple):
    """name: of the run, for people. params: what it is done with. data: digest of the data set."""

    name: str
    params: Mapping[str, Any]
    data: str


@contextmanager
def tracked(settings: Settings, folder: Path, training: Training) -> Iterator["Run"]:
    """A run that lasts as long as the block. folder: where the training keeps what it did so far; one that goes on
    after an interruption goes on with its run."""
    run, ended = Run(settings, folder, training), "FAILED"
    try:
        yield run
        ended = "FINISHED"
    except KeyboardInterrupt:
        ended = "KILLED"
        raise
    finally:
        run.end(ended)


class Run:
    """What a training tells of itself; nothing where MLflow is not wanted."""

    def __init__(self, settings: Settings, folder: Path, training: Training) -> None:
        self._folder = folder
        self._open: _Open | None = None
        if wanted(settings):
            with self._survived():
                self._open = _Open(connect(place(settings)), folder, training)

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        self._tell(lambda run: run.figures(step, figures))

    def made(self, folder: Path, card: Card) -> None:
        """The policy that came of it."""
        self._tell(lambda run: run.made(folder, card))

    def end(self, status: str) -> None:
        """status: FINISHED, FAILED or KILLED."""
        self._tell(lambda run: run.end(status))

    def _tell(self, work: Callable[["_Open"], None]) -> None:
        if self._open is not None:
            with self._survived():
                work(self._open)

    @contextmanager
    def _survived(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._open = None
            why = without_secrets(str(error)).strip() or type(error).__name__
            say(f"MLflow is told no more of this training, which goes on: {why.splitlines()[0]}")
            say(f"  nothing is lost, it is all in {self._folder}; `mlflow.uri` in elias.yaml says where MLflow is")


class _Open:
    """Raises whatever MLflow does."""

    def __init__(self, mlflow: Mlflow, folder: Path, training: Training) -> None:
        self._client = mlflow.client
        self._id, self._told = self._again(folder) or (self._begun(mlflow, folder, training), {})

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        """What was told before an interruption comes again afterwards, and is told once."""
        from mlflow.entities import Metric  # noqa: PLC0415

        now = round(time.time() * 1000)
        news = [Metric(name, value, now, step) for name, value in figures.items() if step > self._told.get(name, -1)]
        self._client.log_batch(self._id, metrics=news)

    def made(self, folder: Path, card: Card) -> None:
        self._client.set_tag(self._id, POLICY_TAG, card.version)
        self.figures(card.steps, flat(card.metrics))
        for path in files(folder):
            self._client.log_artifact(self._id, str(path), "policy")

    def end(self, status: str) -> None:
        self._client.set_terminated(self._id, status)

    def _again(self, folder: Path) -> tuple[str, dict[str, int]] | None:
        """The run that was interrupted, with the last step that each figure was told of; None: there is none."""
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

        kept = folder / RUN
        if not kept.exists():
            return None
        try:
            run = self._client.get_run(kept.read_text("utf-8"))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        if run.info.lifecycle_stage != "active":
            return None
        self._client.update_run(run.info.run_id, "RUNNING")
        steps = {name: self._client.get_metric_history(run.info.run_id, name)[-1].step for name in run.data.metrics}
        return run.info.run_id, steps

    def _begun(self, mlflow: Mlflow, folder: Path, training: Training) -> str:
        from mlflow.entities import Dataset, DatasetInput, InputTag, Param  # noqa: PLC0415

        run = self._client.create_run(mlflow.experiment, tags={DATA_TAG: training.data}, run_name=training.name)
        id_: str = run.info.run_id
        params = [Param(name, str(value)) for name, value in flat(training.params).items()]
        self._client.log_batch(id_, params=params)
        data = Dataset(name=training.data[:12], digest=training.data[:36], source_type="elias", source=training.data)
        context = [InputTag("mlflow.data.context", "training")]
        self._client.log_inputs(id_, [DatasetInput(data, context)])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RUN).write_text(id_, "utf-8")
        return id_
