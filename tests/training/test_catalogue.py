"""What holds of every simulated world."""

from random import Random

import msgspec
import pytest

from federation.policy.calibration import Calibration
from federation.policy.tier import SHIPPED, TABLES
from federation.situation import CANDIDATES
from tiki.values import canonical
from training.quality import measure
from training.scenarios.generate import digest, generate, points, scenario

ASKED = 40  # situations of each family
OFFERED = 6  # candidates of a question at most: what a policy has room for
EACH = pytest.mark.parametrize("point", points())


def situations(point):
    world = scenario(point).world
    for family in world.families:
        random = Random(7)
        yield from ((family, world.ask(family, random)) for _ in range(ASKED))


@EACH
def test_facts_are_those_of_the_point_in_canonical_units(point):
    program = scenario(point).program
    for _, seen in situations(point):
        assert program.to_mapping(program.facts_from(seen.facts)) == dict(seen.facts)


@EACH
def test_candidates_are_actions_of_the_point_with_the_attributes_that_it_declares(point):
    schema = scenario(point).point.schema
    for _, seen in situations(point):
        assert 2 <= len(seen.candidates) <= CANDIDATES
        assert {one.action for one in seen.candidates} <= {action.name for action in schema.actions}
        for one in seen.candidates:
            carried = {attribute.name: attribute for attribute in schema.attributes if one.action in attribute.actions}
            assert set(one.attributes) <= set(carried)
            for name, value in one.attributes.items():
                low, high = carried[name].range
                known = canonical(carried[name].type, value, carried[name].values)
                assert value is None or (known == value and (isinstance(known, str | tuple) or low <= known <= high))


@EACH
def test_the_same_random_numbers_give_the_same_world_whatever_was_asked_before(point):
    world = scenario(point).world
    for (family, seen), (_, again) in zip(situations(point), situations(point), strict=True):
        assert seen == again
        outcome = world.outcomes(seen, Random(3))
        world.outcomes(world.ask(family, Random(11)), Random(5))
        assert world.outcomes(seen, Random(3)) == outcome
        assert len(outcome) == len(seen.candidates)


@EACH
def test_the_spec_consults_in_every_family_and_what_is_best_varies(point):
    world = scenario(point).world
    found = measure(scenario(point), [*generate(point, "validation", 150), *generate(point, "held_out", 30)])
    assert set(found.families) == set(world.families)
    assert world.held_out in world.families
    assert found.near < 0.05
    assert len(found.positions) <= OFFERED
    assert found.balance > 0.4 or max(found.positions) < 0.6


@EACH
def test_chance_is_far_from_the_best_and_rules_alone_stand_between(point):
    reach = measure(scenario(point), generate(point, "validation", 200)).overall
    assert reach.random < 0.6
    assert reach.random < reach.rules < reach.best - 0.05
    assert reach.best > 0.93


@pytest.mark.parametrize("folder", [SHIPPED, TABLES], ids=lambda folder: folder.name)
def test_what_ships_was_calibrated_on_the_questions_of_this_generator(folder):
    """Where a spec or a world changes, its promise is of other questions: `elias policy calibrate` makes it anew."""
    known = msgspec.json.decode((folder / "calibration.json").read_bytes(), type=Calibration)
    assert known.data == digest()
