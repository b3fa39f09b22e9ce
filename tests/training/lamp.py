"""A small world of its own: which of three lamps to light, by what they give and what they cost."""

from random import Random

import tiki
from federation.points import DecisionPoint, Due
from federation.records import Candidate
from tiki import Action, Attribute, Fact, Point, Setting, Source, Type
from training.scenarios.scenario import Scenario
from training.scenarios.world import Seen

POINT = DecisionPoint(
    Point(
        name="lab.lamp",
        version=1,
        doc="Which lamp is lit?",
        facts=(
            Fact(name="light", type=Type.PERCENT, doc="Outside.", minimum=0, maximum=100),
            Fact(name="price", type=Type.NUMBER, doc="Of power."),
            Fact(name="guests", type=Type.COUNT, doc="In the room."),
        ),
        settings=(Setting(name="dark", type=Type.PERCENT, doc="Below it a lamp is needed.", default="60%"),),
        actions=(
            Action(name="small", doc="Light the small lamp."),
            Action(name="large", doc="Light the large lamp."),
            Action(name="torch", doc="Light the torch."),
            Action(name="hold", doc="Light none."),
        ),
        attributes=(Attribute(name="lamp.smoke", type=Type.NUMBER, doc="What it gives off.", actions=("torch",)),),
        terminal="hold",
        trigger="every",
    ),
    events=("lab.dusk",),
    outcome=Due(60.0, "comfort"),
)
SPEC = """## LAB Lamp Spec
- decides: lab.lamp
- bright: when light >= dark: hold
- dim: when light < dark for 30s: consult [small, large]
- smoke: never large when price > 9
- otherwise: hold
"""


class Lamps:
    point = POINT
    epsilon = 0.05
    families = ("evening", "feast", "storm")
    held_out = "storm"
    rules = (
        "## LAB Lamp Spec\n- decides: lab.lamp\n- many: when guests > 3: large\n- few: when guests > 0: small\n"
        "- otherwise: hold\n"
    )

    def ask(self, family: str, random: Random) -> Seen:
        guests = {"evening": random.randint(0, 4), "feast": random.randint(3, 30), "storm": random.randint(0, 9)}[
            family
        ]
        facts = {"light": random.uniform(0, 80), "price": random.uniform(0, 10), "guests": guests}
        if random.random() < 0.1:
            del facts["price"]
        torch = Candidate("torch", {}, {"lamp.smoke": 1.0})
        return Seen(facts, (Candidate("small"), Candidate("large"), torch, Candidate("hold")))

    def outcomes(self, seen: Seen, random: Random) -> tuple[float, ...]:
        need = (60 - seen.facts["light"]) / 60 * seen.facts["guests"]
        price = seen.facts.get("price", random.uniform(0, 10)) / 10
        noise = random.gauss(0, 0.02)
        return (min(need, 2) - price * 0.5, min(need, 6) - price * 2 + noise, -9.0, 0.0)


WORLD = Lamps()


def lamps(spec: str = SPEC) -> Scenario:
    return Scenario(WORLD, tiki.build([Source("lab.tiki", spec)], {POINT.name: POINT.schema}).programs[POINT.name])
