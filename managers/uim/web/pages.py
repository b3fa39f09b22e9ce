"""All pages. Each has a module of its own; no other host is asked for anything."""

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

# A path that two of them could answer goes to the earlier one.
PAGES = (
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
)
