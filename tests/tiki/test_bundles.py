import subprocess
import sys
from pathlib import Path

import lab
import pytest

import tiki
from tiki import Action, Fact, Invalid, Point, Setting, Source, Type

SEEDS = """\
## URM Resource Allocation Spec
- memory_threshold: 80%
- cpu_threshold: 75%
- gpu_threshold: 90%
- scale_trigger: all_thresholds_exceeded
- scale_target: next_available_node
- fallback: request_claude_supervision

## UFM Load Balancing Spec
- algorithm: consistent_hashing
- health_check_interval: 30s
- failure_threshold: 3_consecutive
- recovery_validation: 2_successful_health_checks
- circuit_breaker: 5_failures_per_minute
"""


def _point(name: str, title: str, **settings: Type) -> Point:
    return Point(
        name=name,
        version=1,
        doc="A point.",
        facts=(Fact(name="memory", type=Type.PERCENT, doc="Memory in use."),),
        actions=(Action(name="hold", doc="Nothing."),),
        terminal="hold",
        settings=tuple(Setting(name=name, type=type_, doc="A setting.") for name, type_ in settings.items()),
        titles=(title,),
    )


def seed_points() -> dict[str, Point]:
    percent, name = Type.PERCENT, Type.NAME
    points = (
        _point("urm.admission", "URM Resource Allocation", memory_threshold=percent, scale_target=name),
        _point(
            "urm.pressure", "URM Resource Allocation",
            memory_threshold=percent, cpu_threshold=percent, gpu_threshold=percent, scale_trigger=name,
        ),
        _point(
            "ufm.node_health", "UFM Load Balancing", algorithm=name, health_check_interval=Type.DURATION,
            failure_threshold=Type.COUNT, recovery_validation=Type.COUNT, circuit_breaker=Type.RATE,
        ),
    )  # fmt: skip
    return {point.name: point for point in points}


def test_the_first_two_specs_read_as_they_stand() -> None:
    bundle = tiki.build([Source("seeds.tiki", SEEDS)], seed_points())
    assert bundle.warnings == ()
    assert bundle.programs["urm.pressure"].settings["cpu_threshold"] == 75.0
    assert bundle.programs["urm.admission"].settings["memory_threshold"] == 80.0
    assert "cpu_threshold" not in bundle.programs["urm.admission"].settings
    health = bundle.programs["ufm.node_health"].settings
    assert health["health_check_interval"] == 30.0
    assert (health["failure_threshold"], health["recovery_validation"], health["circuit_breaker"]) == (3, 2, 5 / 60)
    assert bundle.programs["urm.pressure"].fallback.tier == "advisor"


def test_the_same_specs_in_a_fence_of_a_page_are_the_same() -> None:
    page = Source("page.md", f"# A page\n\n- prose: yes\n\n```tiki\n{SEEDS}```\n\n- more: prose\n")
    bundle = tiki.build([page], seed_points())
    assert bundle.programs["urm.pressure"].settings["cpu_threshold"] == 75.0


def test_places_in_a_fence_are_those_of_the_page() -> None:
    page = Source("page.md", "# A page\n\n```tiki\n## LAB Pressure Spec\n- otherwise: hodl\n```\n")
    (found,) = tiki.check([page], lab.POINTS)
    assert (found.line, found.column, found.end_column, found.suggestion) == (5, 14, 18, "hold")


def test_the_rendering_shows_the_line_and_where_in_it() -> None:
    with pytest.raises(Invalid) as refused:
        lab.program("when memry > 95%: shed_load", "fallback: hold")
    assert str(refused.value) == (
        "lab.tiki:2:8: error TIKI-301: `memry` is neither a fact nor a setting of lab.pressure\n"
        "  2 | - when memry > 95%: shed_load\n"
        "    |        ^^^^^\n"
        "  did you mean `memory`?"
    )


def test_all_mistakes_are_told_at_once() -> None:
    found = lab.codes("fallback: hold", "memory_treshold: 5%", "when memry > 5%: hold", "otherwise: hodl")
    assert found == ["TIKI-302", "TIKI-301", "TIKI-303"]


def test_specs_of_one_point_are_taken_in_order_of_path() -> None:
    sources = [
        Source("b.tiki", lab.spec("when memory > 80%: scale_out", "otherwise: hold")),
        Source("a.tiki", lab.spec("fallback: hold", "when memory > 90%: shed_load")),
    ]
    program = tiki.build(sources, lab.POINTS).programs[lab.POINT.name]
    assert [rule.verdict.action for rule in program.rules] == ["shed_load", "scale_out"]


def test_a_setting_given_twice_names_both_places() -> None:
    sources = [Source("a.tiki", lab.spec("memory_threshold: 80%")), Source("b.tiki", lab.spec("memory_threshold: 70%"))]
    (found,) = tiki.check(sources, lab.POINTS)
    assert (found.path, found.code) == ("b.tiki", "TIKI-501")
    assert "a.tiki:2" in found.message


def test_one_spec_may_concern_several_points() -> None:
    points = seed_points()
    text = "## URM Both Spec\n- decides: urm.pressure, urm.admission\n- fallback: hold\n- when memory > 5%: hold\n"
    bundle = tiki.build([Source("a.tiki", text)], points)
    assert [len(bundle.programs[name].rules) for name in points] == [1, 1, 0]


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ("when memory > 5%: hold", "a clause of an overlay has no name"),
        ("hoot: when memory > 5%: hold", "has no clause `hoot`"),
        ("hot: never migrate when memory > 5%", "`hot` is another kind of clause"),
        ("memory_treshold: 5%", "is not a setting of lab.pressure"),
        ("otherwise: hold", "has no clause `otherwise`"),
    ],
)
def test_an_overlay_only_replaces(overlay: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        lab.bundle("hot: when memory > 90%: shed_load", "fallback: hold", overlay=lab.spec(overlay))


def test_an_overlay_finds_its_points_by_the_title_of_the_base() -> None:
    base = Source("a.tiki", "## LAB Other Spec\n- decides: lab.pressure\n- fallback: hold\n")
    over = Source("prod/a.tiki", "## LAB Other Spec\n- fallback: request_operator\n")
    bundle = tiki.build([base], lab.POINTS, [over])
    assert bundle.programs[lab.POINT.name].fallback.tier == "operator"
    assert [source.path for source in bundle.overlays] == ["overlays/prod/a.tiki"]


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def test_a_directory_is_loaded_with_its_overlay_and_rebuilt_from_its_texts(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "lab/a.tiki": lab.spec("memory_threshold: 80%", "fallback: hold"),
            "readme.md": "# No specs here\n\n- when in doubt: ask\n",
            "overlays/prod/a.tiki": lab.spec("memory_threshold: 60%"),
            "notes.txt": "nothing",
        },
    )
    plain = tiki.load(tmp_path, lab.POINTS)
    prod = tiki.load(tmp_path, lab.POINTS, tmp_path / "overlays" / "prod")
    assert plain.programs[lab.POINT.name].settings["memory_threshold"] == 80.0
    assert prod.programs[lab.POINT.name].settings["memory_threshold"] == 60.0
    again = tiki.rebuild(prod.texts, lab.POINTS)
    assert again.digest == prod.digest != plain.digest
    assert again.programs[lab.POINT.name].settings == prod.programs[lab.POINT.name].settings


def test_the_digest_covers_texts_and_versions_and_not_the_order_given() -> None:
    one, two = Source("a.tiki", lab.spec("fallback: hold")), Source("b.tiki", lab.spec("otherwise: hold"))
    digest = tiki.build([one, two], lab.POINTS).digest
    newer = {lab.POINT.name: lab.POINT.model_copy(update={"version": 2})}
    assert len(digest) == 32
    assert tiki.build([two, one], lab.POINTS).digest == digest
    assert tiki.build([one], lab.POINTS).digest != digest
    assert tiki.build([one, two], newer).digest != digest


def test_a_failing_example_says_what_was_decided_instead() -> None:
    bundle = lab.bundle(
        "when memory > 90%: shed_load",
        "fallback: hold",
        "### Examples",
        "| memory | decides |",
        "| --- | --- |",
        "| 95% | migrate |",
    )
    (result,) = tiki.run_examples(bundle)
    assert not result.passed
    assert result.message.startswith(
        "lab.tiki:7: expected migrate, decided shed_load, by rule 1\nlab.pressure: shed_load"
    )


def test_the_language_needs_neither_the_cluster_nor_the_log() -> None:
    script = "import sys, tiki; sys.exit(any(name in sys.modules for name in ('ray', 'sqlalchemy', 'federation')))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_point_may_not_declare_a_setting_of_the_language() -> None:
    point = _point("lab.other", "LAB Other", timeout=Type.DURATION)
    with pytest.raises(ValueError, match=r"lab\.other declares timeout"):
        tiki.build([], {point.name: point})
