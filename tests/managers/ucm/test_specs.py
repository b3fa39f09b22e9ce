"""The shipped spec decides as its examples say."""

import tiki
from federation.points import schemas
from federation.settings import shipped_specs
from managers.ucm.points import POINTS


def test_the_shipped_examples_hold() -> None:
    bundle = tiki.load(shipped_specs() / "ucm", schemas({point.name: point for point in POINTS}))
    results = tiki.run_examples(bundle)
    assert len(results) >= 25
    assert [result.message for result in results if not result.passed] == []
    assert bundle.warnings == ()
