"""Makes MLflow's registered model say what the ledger says: a version for each policy, and the aliases of today.

Doing it again changes nothing, and what somebody removed there comes back. Serving goes by the ledger and the store of
policies alone.
"""

import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from federation.errors import Refused
from federation.policy import artefacts
from federation.policy.evidence import Records
from federation.policy.promotions import Registered
from federation.records import Kind
from federation.settings import Settings
from training.tracking.aliases import aliases, changes, folded
from training.tracking.client import (
    DATA_TAG,
    INSTALL,
    POLICY_TAG,
    Mlflow,
    connect,
    errors,
    files,
    flat,
    installed,
    place,
)
from training.tracking.client import without_secrets as clean


class Mirrored(NamedTuple):
    """uri: where. policies: in all. entered: of them, now. aliases: policy by alias, in all. changed: of these, now,
    with those that were dropped."""

    uri: str
    policies: int
    entered: int
    aliases: dict[str, str]
    changed: int


def mirror(store: Records, settings: Settings, shown: Callable[[int, int], None]) -> Mirrored:
    """shown: told how many policies are done, and how many there are. Blocking. Raises Refused."""
    at = place(settings)
    if not installed():
        raise Refused("no-mlflow", "MLflow is not installed", cure=INSTALL)
    settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.state / "mlflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two at once would both enter a policy
        try:
            return _mirrored(store, settings, connect(at), shown)._replace(uri=clean(at.uri))
        except errors() as error:
            cure = "see that it answers there, or set `mlflow.uri`; nothing of ELIAS depends on it"
            raise Refused("mlflow", f"MLflow: {clean(str(error)).strip()}", place=clean(at.uri), cure=cure) from None


def _mirrored(store: Records, settings: Settings, mlflow: Mlflow, shown: Callable[[int, int], None]) -> Mirrored:
    found = folded(store.read(kinds=[Kind.POLICY, Kind.PROMOTION]))
    client, name = mlflow.client, mlflow.name
    if not client.search_registered_models(f"name = '{name}'"):
        says = "Policies of ELIAS. A copy: the ledger says which of them answers where."
        client.create_registered_model(name, description=says)
    numbers = {
        one.tags[POLICY_TAG]: str(one.version)
        for one in sorted(client.search_model_versions(f"name = '{name}'"), key=lambda one: -int(one.version))
        if POLICY_TAG in one.tags
    }
    entered = 0
    for done, policy in enumerate(found.policies.values()):
        shown(done, len(found.policies))
        if policy.policy not in numbers:
            numbers[policy.policy] = _entered(mlflow, policy, artefacts.place(settings.state, policy.policy))
            entered += 1
    policies = {number: version for version, number in numbers.items()}
    has = client.get_registered_model(name).aliases
    wanted = {alias: version for alias, version in aliases(found.lines).items() if version in numbers}
    change = changes({alias: policies.get(str(number), "") for alias, number in has.items()}, wanted, found.lines)
    for alias in change.dropped:
        client.delete_registered_model_alias(name, alias)
    for alias, version in change.set.items():
        client.set_registered_model_alias(name, alias, numbers[version])
    return Mirrored("", len(found.policies), entered, wanted, len(change.set) + len(change.dropped))


def _entered(mlflow: Mlflow, policy: Registered, folder: Path) -> str:
    """The number of a new version of the model, with the run of its training, or one made of the record where MLflow
    knows none. folder: of the policy in the store."""
    client = mlflow.client
    told = client.search_runs([mlflow.experiment], f"tags.`{POLICY_TAG}` = '{policy.policy}'", max_results=1)
    run = told[0].info.run_id if told else _made_of(mlflow, policy)
    if folder.is_dir():  # with the calibration, which came after the training
        for path in files(folder):
            client.log_artifact(run, str(path), "policy")
    tags = {
        POLICY_TAG: policy.policy,
        DATA_TAG: str(policy.data.get("digest", "")),
        "elias.points": " ".join(sorted(policy.points)),
        "elias.signers": " ".join(policy.signers),
        "elias.by": policy.by,
    }
    made = client.create_model_version(
        mlflow.name, f"runs:/{run}/policy", run, tags=tags, description=policy.source, await_creation_for=0
    )
    return str(made.version)


def _made_of(mlflow: Mlflow, policy: Registered) -> str:
    from mlflow.entities import Metric, Param  # noqa: PLC0415

    tags = {POLICY_TAG: policy.policy, DATA_TAG: str(policy.data.get("digest", ""))}
    made = mlflow.client.create_run(mlflow.experiment, policy.at // 1_000_000, tags, policy.name)
    run: str = made.info.run_id
    params = [Param(name, str(value)) for name, value in flat(policy.preset).items()]
    metrics = [Metric(name, float(value), policy.at // 1_000_000, 0) for name, value in flat(policy.metrics).items()]
    mlflow.client.log_batch(run, metrics=metrics, params=params)
    mlflow.client.set_terminated(run)
    return run
