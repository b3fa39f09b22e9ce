"""Who takes part in this federation; the only place that lists the managers."""

from managers.uam.points import POINTS as UAM
from managers.ucm.points import POINTS as UCM
from managers.ufm.points import POINTS as UFM
from managers.uim.points import POINTS as UIM
from managers.ulm.points import POINTS as ULM
from managers.urm.points import POINTS as URM

POINTS = (*UFM, *UCM, *URM, *ULM, *UIM, *UAM)

MANAGERS = {
    "ufm": "managers.ufm.manager:Ufm",
    "ucm": "managers.ucm.manager:Ucm",
    "urm": "managers.urm.manager:Urm",
    "ulm": "managers.ulm.manager:Ulm",
    "uim": "managers.uim.manager:Uim",
    "uam": "managers.uam.manager:Uam",
}

SERVICES = {
    "ufm": "managers.ufm.service:UfmService",
    "ulm": "managers.ulm.service:UlmService",
    "uam": "managers.uam.service:UamService",
    "ucm": "managers.ucm.service:UcmService",
    "uim": "managers.uim.service:UimService",
}

DOERS = {
    "jobs": "managers.ufm.jobs:doers",
    "cordon": "managers.ufm.doing:doers",
    "process": "managers.uam.processes:doers",
    "restart": "managers.uim.restarting:doers",
}

# FastAPI and what stands on it: 0.7 s of CPU for which a gateway that was killed would keep everybody waiting.
BEFOREHAND = ("managers.uim.serving",)
