"""Programs for tests out of Debian's packages, installed where they are missing, which needs root."""

import os
import shutil
import subprocess

import pytest

PACKAGES = {
    "promtool": "prometheus",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
}


def program(name: str) -> str:
    """Its path. Nothing of the package is started: the tests run their own."""
    if (found := shutil.which(name)) is not None:
        return found
    package = PACKAGES[name]
    if os.geteuid() != 0:
        pytest.fail(f"{name} is not installed, and only root may: `apt-get install {package}`, then try again")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["apt-get", "update"], ["apt-get", "-y", "--no-install-recommends", "install", package]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.fail(f"{package} could not be installed: `{' '.join(command)}` said\n{done.stdout}{done.stderr}")
    found = shutil.which(name)
    assert found is not None
    return found
