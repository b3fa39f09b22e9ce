"""All pages. Each has a module of its own; no other host is asked for anything."""

from fastapi import APIRouter

from managers.uim.web import (
    account,
    answering,
    apps,
    assets,
    case,
    decisions,
    home,
    ledger,
    login,
    managers,
    messages,
    nodes,
    policy,
    queue,
    search,
    settings,
    specs,
)

router = APIRouter(include_in_schema=False)
for page in (
    login,
    account,
    home,
    queue,
    case,
    answering,
    decisions,
    nodes,
    apps,
    messages,
    managers,
    specs,
    policy,
    ledger,
    settings,
    search,
    assets,
):
    router.include_router(page.router)
