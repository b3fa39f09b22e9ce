"""The settings and what they name."""

from pathlib import Path

import pytest

from federation.runtime.session import Session
from federation.settings import Settings
from managers.uim.doctor import settings
from managers.uim.doctor.here import Here

SPEC = """## URM Resource Pressure Spec
- decides: urm.resource_pressure
- otherwise: hlod
"""


def found_in(chosen: Settings, *, runs: bool = False) -> list[tuple[str, str]]:
    session = Session("a", "", 1, 1.0, "m", "t") if runs else None
    here = Here(chosen, session, runs, 1 if runs else None, "head")
    return [(one.code, one.place.rpartition("/")[2]) for one in settings.check(here)]


def test_the_defaults_are_sound() -> None:
    assert found_in(Settings()) == [("settings.sound", "tiki_specs")]


@pytest.mark.parametrize(("runs", "code"), [(False, "settings.specs"), (True, "settings.specs_ignored")])
def test_broken_rules_keep_a_start_from_it_and_change_nothing_while_it_runs(
    tmp_path: Path, runs: bool, code: str
) -> None:
    (tmp_path / "urm.tiki").write_text(SPEC)
    assert found_in(Settings(specs=tmp_path), runs=runs) == [(code, tmp_path.name)]


def test_what_a_setting_names_has_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    slurm = Settings.model_validate({"slurm": {"enabled": True, "commands": tmp_path / "bin"}})
    assert found_in(slurm) == [("settings.program", "slurm.commands")] * 2
    cluster = Settings.model_validate({"kubernetes": {"enabled": True, "kubeconfig": tmp_path / "none"}})
    assert found_in(cluster) == [("settings.file", "kubernetes.kubeconfig")]
    chosen = Settings.model_validate({"policy": {"folder": tmp_path / "none"}, "apps": tmp_path / "apps.yaml"})
    assert found_in(chosen) == [("settings.file", "policy.folder"), ("settings.apps", "apps.yaml")]


def test_a_library_that_is_not_installed_is_missed_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    assert found_in(Settings.model_validate({"kubernetes": {"enabled": True}})) == [
        ("settings.client", "kubernetes.enabled")
    ]
    assert found_in(Settings()) == [("settings.sound", "tiki_specs")]


def test_a_query_for_a_fact_that_there_is_not_is_found() -> None:
    chosen = Settings.model_validate({"prometheus": {"facts": {"gpu_temp": "DCGM_FI_DEV_GPU_TEMP"}}})
    assert found_in(chosen) == [("settings.fact", "prometheus.facts")]
