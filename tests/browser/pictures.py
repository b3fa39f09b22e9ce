"""Takes the pictures of `docs/dashboard/`: every page, wide in light and narrow in dark, on the simulated cluster.

python -m tests.browser.pictures docs/dashboard
"""

import io
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from managers.uim.cases.queue import Wanted
from managers.uim.reading import Wanted as Decisions
from tests.browser.conftest import SWITCHES
from tests.browser.ward import Ward, ward

SECONDS = 900.0  # that the cluster runs before anybody looks
SHOTS = (("wide", 1440, 900, "light"), ("narrow", 390, 844, "dark"))
QUALITY = 62  # of WebP: text stays sharp, and all of them together stay below 1.5 MB


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state, ward(Path(state), SECONDS) as cluster, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(SWITCHES))
        for size, width, height, scheme in SHOTS:
            _take(cluster, browser, folder, size, (width, height), scheme)
        browser.close()
    total = sum(path.stat().st_size for path in folder.glob("*.webp"))
    print(f"{len(list(folder.glob('*.webp')))} pictures, {total / 1000:.0f} kB")


def _take(cluster: Ward, browser: Browser, folder: Path, name: str, size: tuple[int, int], scheme: str) -> None:
    headers = {"Authorization": f"Bearer {cluster.token}"}
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if scheme == "dark" else "light",
        extra_http_headers=headers,
    )
    page = context.new_page()
    for title, path in _pages(cluster).items():
        page.goto(cluster.url + path)
        page.locator("#pulse").filter(has_text="Live").wait_for()
        picture = Image.open(io.BytesIO(page.screenshot()))
        picture.save(folder / f"{title}-{name}.webp", "WEBP", quality=QUALITY, method=6)
    context.close()
    context = browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    page.goto(f"{cluster.url}/login")
    Image.open(io.BytesIO(page.screenshot())).save(folder / f"login-{name}.webp", "WEBP", quality=QUALITY, method=6)
    context.close()


def _pages(cluster: Ward) -> Mapping[str, str]:
    scored = next(g for g in cluster.uim.book.page(Wanted()).groups if cluster.uim.book.cases(g)[0][0].proposer)
    decision = cluster.context.reader.page(Decisions(tier="policy", limit=1)).decisions[0].id
    paths = ("/cases", "/decisions", "/nodes", "/nodes/n01", "/apps", "/messages", "/managers", "/managers/urm")
    rules = ("/specs", "/policy", "/ledger", "/ledger/400", "/settings", "/account", "/accounts")
    named = {re.sub(r"\W+", "-", path.strip("/")): path for path in (*paths, *rules)}
    return {"overview": "/", "case": f"/cases/{scored.id}", "decision": f"/decisions/{decision}", **named}


if __name__ == "__main__":
    main()
