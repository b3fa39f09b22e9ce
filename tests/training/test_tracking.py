"""Trainings and policies in a real MLflow, on SQLite: a copy that follows, and on which nothing depends."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from federation.clock import VirtualClock
from federation.errors import Refused
from federation.ledger.appender import Appender, Batch
from federation.ledger.store import Store
from federation.policy import artefacts
from federation.policy.card import Card, read
from federation.policy.promotions import Registered
from federation.policy.registry import Line, Stage, Step, after, promotion
from federation.policy.tier import SHIPPED
from federation.records import Entry, Kind, encode
from federation.settings import MlflowSettings, Settings
from managers.uim.cli.app import app
from tests.policy.shelf import like_shipped
from training.tracking.client import connect, place
from training.tracking.mirror import mirror
from training.tracking.run import RUN, Training, tracked

POINT = "uam.restart"
_names = (f"elias-{number}" for number in count())


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One for all, for it takes seconds to make; each test has a name of its own in it."""
    settings = Settings(state=tmp_path_factory.mktemp("mlflow"))
    connect(place(settings))
    return place(settings).uri


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return Settings(state=tmp_path / "state", mlflow=MlflowSettings(uri=database, name=next(_names)))


class Federation:
    """The ledger and the store of policies of an installation."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        settings.state.mkdir()
        self.store = Store.open(settings.ledger_url)
        self._clock = VirtualClock()
        self._appender = Appender(self.store, self._clock, "tests")
        self._appender.open(force=True)
        self._ulm = self._appender.register("ulm", {})
        self._number = 0
        self._line = Line()

    def register(self, folder: Path) -> str:
        found = artefacts.store(self.settings.state, folder)
        made = found.card
        body = Registered(
            policy=made.version,
            content=found.content,
            name=made.name,
            parameters=made.parameters,
            preset=made.preset,
            data=made.data,
            metrics=made.metrics,
            calibration="",
            points={POINT: 1},
            estimates={},
            signers=["ada"],
            source="runs/november",
            by="ada",
            at=self._clock.now(),
        )
        self._write(Entry(Kind.POLICY, "", "", "", encode(body)))
        return made.version

    def step(self, version: str, stage: Stage, share: float = 0.0) -> None:
        made = promotion(self._line, version, Step(stage, share), at=self._clock.now(), by="ada", reason="")
        self._line = after(self._line, made)
        self._write(Entry(Kind.PROMOTION, POINT, f"{POINT}/{version[:12]}", "", encode(made)))

    def mirror(self) -> Any:
        return mirror(self.store, self.settings, lambda done, total: None)

    def _write(self, entry: Entry) -> None:
        (receipt,) = self._appender.commit([Batch("ulm", self._ulm, self._number, [entry])])
        assert not isinstance(receipt, Exception), receipt
        self._number += 1


@pytest.fixture
def federation(settings: Settings) -> Iterator[Federation]:
    made = Federation(settings)
    yield made
    made.store.close()


class Looked:
    """What somebody sees who opens MLflow."""

    def __init__(self, settings: Settings) -> None:
        self.name = settings.mlflow.name
        self.mlflow = connect(place(settings))
        self.client = self.mlflow.client

    def aliases(self) -> dict[str, str]:
        """Policy by alias."""
        names = self.client.get_registered_model(self.name).aliases
        return {alias: self.client.get_model_version_by_alias(self.name, alias).tags["elias.policy"] for alias in names}

    def versions(self) -> list[str]:
        return sorted(one.tags["elias.policy"] for one in self.client.search_model_versions(f"name = '{self.name}'"))

    def runs(self) -> list[Any]:
        return list(self.client.search_runs([self.mlflow.experiment]))

    def steps(self, run: str, figure: str) -> list[int]:
        return [one.step for one in self.client.get_metric_history(run, figure)]


TELEMETRY = """
import sys
from pathlib import Path
from training.tracking.client import Place, connect
connect(Place(sys.argv[1], Path(sys.argv[2]), "elias"))
from mlflow.telemetry import get_telemetry_client
print(get_telemetry_client())
"""


def test_it_reports_to_nobody(database: str, tmp_path: Path) -> None:
    """In a process of its own, for MLflow holds its tongue in tests anyway."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = [sys.executable, "-c", TELEMETRY, database, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=True)
    assert said.stdout.strip() == "None"


# -- policies -------------------------------------------------------------------------------------------------------


def test_the_aliases_follow_each_promotion_and_each_way_back(federation: Federation, tmp_path: Path) -> None:
    first, second = (federation.register(like_shipped(tmp_path, number)) for number in (1, 2))
    federation.step(first, Stage.CHAMPION, 1.0)
    federation.step(second, Stage.CANARY, 0.05)
    told = federation.mirror()
    assert (told.policies, told.entered, told.changed) == (2, 2, 2)
    looked = Looked(federation.settings)
    assert looked.versions() == sorted([first, second])
    assert looked.aliases() == {"champion-uam-restart": first, "challenger-uam-restart": second}
    federation.step(second, Stage.CHAMPION, 1.0)
    federation.mirror()
    assert looked.aliases() == {"champion-uam-restart": second}
    federation.step(second, Stage.ROLLED_BACK)
    federation.mirror()
    assert looked.aliases() == {"champion-uam-restart": first}


def test_doing_it_again_changes_nothing_and_what_was_removed_comes_back(federation: Federation, tmp_path: Path) -> None:
    version = federation.register(like_shipped(tmp_path, 3))
    federation.step(version, Stage.SHADOW)
    federation.mirror()
    told = federation.mirror()
    assert (told.entered, told.changed) == (0, 0)
    looked = Looked(federation.settings)
    looked.client.set_registered_model_alias(looked.name, "reviewed", "1")
    looked.client.delete_registered_model_alias(looked.name, "challenger-uam-restart")
    assert federation.mirror().changed == 1
    assert looked.aliases() == {"challenger-uam-restart": version, "reviewed": version}
    looked.client.delete_registered_model(looked.name)
    assert federation.mirror().entered == 1
    assert looked.aliases() == {"challenger-uam-restart": version}


def test_a_policy_is_fetched_by_its_alias_with_all_of_its_files(
    federation: Federation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = federation.register(like_shipped(tmp_path, 4))
    federation.step(version, Stage.CHAMPION, 1.0)
    told = federation.mirror()
    from mlflow.artifacts import download_artifacts

    monkeypatch.setenv("MLFLOW_TRACKING_URI", told.uri)
    name = federation.settings.mlflow.name
    got = download_artifacts(f"models:/{name}@champion-uam-restart", dst_path=str(tmp_path / "got"))
    assert read(Path(got)).version == version
    assert (Path(got) / artefacts.CALIBRATION).exists()


def test_the_command_says_what_it_did_and_how_to_look(federation: Federation, tmp_path: Path) -> None:
    version = federation.register(like_shipped(tmp_path, 5))
    federation.step(version, Stage.CHAMPION, 1.0)
    config = tmp_path / "elias.yaml"
    mlflow = federation.settings.mlflow
    config.write_text(f"state: {federation.settings.state}\nmlflow: {{uri: '{mlflow.uri}', name: {mlflow.name}}}\n")
    said = CliRunner().invoke(app, ["--config", str(config), "policy", "mirror"])
    assert said.exit_code == 0, said.output
    assert f"champion-uam-restart\t{version[:12]}" in said.stdout
    assert "1 policies, 1 of them new, 1 aliases changed" in said.stderr
    assert f"uvx mlflow ui --backend-store-uri {mlflow.uri}" in said.stderr
    again = CliRunner().invoke(app, ["--config", str(config), "policy", "mirror", "--json"])
    assert json.loads(again.stdout)["changed"] == 0


def test_where_mlflow_does_not_answer_the_command_says_so_without_the_password(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "state", mlflow=MlflowSettings(uri="http://ada:secret@127.0.0.1:1"))
    federation = Federation(settings)
    with pytest.raises(Refused, match="MLflow") as refused:
        federation.mirror()
    federation.store.close()
    assert refused.value.place == "http://127.0.0.1:1"
    assert "secret" not in str(refused.value)


# -- trainings ------------------------------------------------------------------------------------------------------

TRAINING = Training("next", {"method": "grpo", "grpo": {"rate": 1e-3}}, "d" * 64)


def card() -> Card:
    return read(SHIPPED)


def test_a_training_is_a_run_with_what_it_was_made_of_and_what_came_of_it(settings: Settings, tmp_path: Path) -> None:
    with tracked(settings, tmp_path / "next.run", TRAINING) as run:
        for step in (1, 2):
            run.figures(step, {"loss": 1 / step})
        run.made(SHIPPED, card())
    looked = Looked(settings)
    (found,) = looked.runs()
    assert (found.info.run_name, found.info.status) == ("next", "FINISHED")
    assert found.data.params == {"method": "grpo", "grpo.rate": "0.001"}
    assert (found.data.tags["elias.data"], found.data.tags["elias.policy"]) == ("d" * 64, card().version)
    assert found.data.metrics["loss"] == 0.5
    assert found.inputs.dataset_inputs[0].dataset.source == "d" * 64
    assert "policy/card.json" in [one.path for one in looked.client.list_artifacts(found.info.run_id, "policy")]


def test_a_training_that_goes_on_goes_on_with_its_run(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "next.run"

    def interrupted() -> None:
        with tracked(settings, folder, TRAINING) as run:
            run.figures(1, {"loss": 1.0})
            run.figures(2, {"loss": 0.5, "score": 0.1})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    looked = Looked(settings)
    assert looked.runs()[0].info.status == "KILLED"
    with tracked(settings, folder, TRAINING) as run:
        for step in (2, 3):
            run.figures(step, {"loss": 1 / step})
    (found,) = looked.runs()
    assert found.info.status == "FINISHED"
    assert looked.steps(found.info.run_id, "loss") == [1, 2, 3]


@pytest.mark.parametrize("lost", ["the run", "the folder"])
def test_one_that_begins_anew_or_was_removed_there_is_a_new_run(settings: Settings, tmp_path: Path, lost: str) -> None:
    folder = tmp_path / "next.run"
    with tracked(settings, folder, TRAINING) as run:
        run.figures(1, {"loss": 1.0})
    looked = Looked(settings)
    if lost == "the run":
        looked.client.delete_run(looked.runs()[0].info.run_id)
    else:
        (folder / RUN).unlink()
    with tracked(settings, folder, TRAINING) as run:
        run.figures(1, {"loss": 1.0})
    assert looked.steps(looked.runs()[0].info.run_id, "loss") == [1]


def test_a_policy_that_was_trained_here_keeps_the_run_of_its_training(federation: Federation, tmp_path: Path) -> None:
    folder = like_shipped(tmp_path, 6)
    with tracked(federation.settings, tmp_path / "next.run", TRAINING) as run:
        run.made(folder, read(folder))
    version = federation.register(folder)
    federation.mirror()
    looked = Looked(federation.settings)
    (found,) = looked.runs()
    (model,) = looked.client.search_model_versions(f"name = '{looked.name}'")
    assert (model.run_id, model.tags["elias.policy"]) == (found.info.run_id, version)


def test_where_mlflow_does_not_answer_the_training_goes_on_and_it_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(state=tmp_path, mlflow=MlflowSettings(uri="http://ada:secret@127.0.0.1:1"))
    with tracked(settings, tmp_path / "next.run", TRAINING) as run:
        for step in range(3):
            run.figures(step, {"loss": 1.0})
        run.made(SHIPPED, card())
    said = capsys.readouterr().err
    assert said.count("MLflow is told no more") == 1
    assert "secret" not in said
    assert str(tmp_path / "next.run") in said


@pytest.mark.parametrize("why", ["switched off", "no installation here"])
def test_mlflow_is_left_alone_where_nobody_wants_it(tmp_path: Path, why: str) -> None:
    state = tmp_path / "state"
    settings = Settings(state=state, mlflow=MlflowSettings(enabled=why != "switched off"))
    if why == "switched off":
        state.mkdir()
    with tracked(settings, tmp_path / "next.run", TRAINING) as run:
        run.figures(1, {"loss": 1.0})
    assert not (state / "mlflow").exists()
    assert not (tmp_path / "next.run").exists()
