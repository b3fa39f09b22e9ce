"""The style sheet, the module and the drawing that every page names."""

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from managers.uim.api import envelope
from managers.uim.web.render import HERE

router = APIRouter(include_in_schema=False)
_TYPES = {"style.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}


@router.get("/static/{name}")
async def static(name: str) -> Response:
    if name not in _TYPES:
        return envelope.error(404, "not-found", f"there is no file `{name}`")
    headers = {"Cache-Control": "max-age=60"}
    return FileResponse(HERE / "static" / name, media_type=_TYPES[name], headers=headers)
