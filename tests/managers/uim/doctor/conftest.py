"""Settings that name a secret of every kind; and patience, for a machine may be busy."""

from pathlib import Path

import pytest

from federation.settings import Settings
from managers.uim.doctor import checks, reach


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (checks, reach):
        monkeypatch.setattr(module, "PATIENCE", 300.0)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """With a secret of every kind: their values begin with `planted-`."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("SIGN", "CHAT", "OIDC"):
        monkeypatch.setenv(name, f"planted-{name.lower()}")
    monkeypatch.setenv("CHAT", "https://chat.example/services/planted-chat-address")
    for name in ("key", "password", "replica", "alerts", "measures", "redis"):
        (tmp_path / name).write_text(f"planted-{name}\n")
        (tmp_path / name).chmod(0o600)
    (tmp_path / "kubeconfig").write_text("users:\n- user: {token: planted-in-kubeconfig }\n")
    (tmp_path / "kubeconfig").chmod(0o600)
    (tmp_path / "state").mkdir(mode=0o700)
    for name in ("token", "ray.token", "joined.token"):
        (tmp_path / "state" / name).write_text(f"planted-{name}-0123456789abcdef0123456789\n")
        (tmp_path / "state" / name).chmod(0o600)
    return Settings.model_validate(
        {
            "state": tmp_path / "state",
            "ledger": {"url": "postgresql://ada:planted-db%2Fpw@127.0.0.1:1/elias"},
            "ray": {"redis": {"url": "redis://127.0.0.1:1", "password_file": tmp_path / "redis"}},
            "mlflow": {"uri": "http://ada:planted-mlflow@127.0.0.1:1"},
            "alertmanager": {"url": "http://127.0.0.1:1", "secret_file": tmp_path / "alerts"},
            "prometheus": {"url": "http://127.0.0.1:1", "secret_file": tmp_path / "measures"},
            "kubernetes": {"kubeconfig": tmp_path / "kubeconfig"},
            "advisors": {"providers": [{"kind": "anthropic", "model": "m", "key_file": tmp_path / "key"}]},
            "policy": {"key_file": tmp_path / "replica"},
            "access": {
                "oidc": {"issuer": "https://login.example", "client_id": "e", "secret_env": "OIDC", "roles": {}},
            },
            "targets": {
                "hook": {"kind": "webhook", "url": "http://127.0.0.1:1/planted-in-the-path", "secret_env": "SIGN"},
                "chat": {"kind": "slack", "url_env": "CHAT"},
                "mail": {
                    **{"kind": "email", "host": "127.0.0.1", "port": 1, "sender": "a@b", "to": ["a@b"]},
                    **{"user": "ada", "password_file": tmp_path / "password"},
                },
            },
        }
    )
