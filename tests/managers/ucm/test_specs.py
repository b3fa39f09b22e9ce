"""The shipped spec decides as its examples say."""

import tiki
from federation.points import schemas
from federation.settings import shipped_specs
from managers.ucm.points import DELIVERY


def test_the_shipped_examples_hold() -> None:
    bundle = tiki.load(shipped_specs() / "ucm", schemas({DELIVERY.name: DELIVERY}))
    results = tiki.run_examples(bundle)
    assert len(results) >= 10
    assert [result.message for result in results if not result.passed] == []
    assert bundle.warnings == ()
