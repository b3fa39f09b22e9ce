"""What the page of settings shows."""

from federation.settings import Settings
from managers.uim.web.settings import rows

PASSWORD = "correct-horse"


def test_no_setting_that_may_hold_a_password_is_shown() -> None:
    url = f"https://ada:{PASSWORD}@elsewhere.example/"
    database = f"postgresql://ada:{PASSWORD}@elsewhere.example/elias"
    chosen = Settings.model_validate({"ledger": {"url": database}, "mlflow": {"uri": url}})
    shown = dict(rows(chosen.model_dump(mode="json")))
    assert PASSWORD not in str(shown)
    assert {shown["ledger.url"], shown["mlflow.uri"]} == {"set; not shown"}
