"""The drawings beside words: 16 x 16, strokes alone, in the colour of the text around them."""

from collections.abc import Mapping

from markupsafe import Markup

_ICONS: Mapping[str, str] = {
    "alert": '<path d="M8 2.2 14.4 13.4H1.6Z"/><path d="M8 6.4v3.2M8 11.6v.1"/>',
    "apps": '<rect x="2.2" y="2.2" width="4.8" height="4.8" rx="1"/>'
    '<rect x="9" y="2.2" width="4.8" height="4.8" rx="1"/>'
    '<rect x="2.2" y="9" width="4.8" height="4.8" rx="1"/><rect x="9" y="9" width="4.8" height="4.8" rx="1"/>',
    "bell": '<path d="M3.4 11.4c1-1 1-2.4 1-4a3.6 3.6 0 0 1 7.2 0c0 1.6 0 3 1 4z"/><path d="M6.6 13.6h2.8"/>',
    "case": '<path d="M2.2 5.4h11.6v8H2.2z"/><path d="M5.6 5.4V3h4.8v2.4M2.2 9h11.6"/>',
    "check": '<path d="m3 8.6 3.2 3.2L13 5"/>',
    "clock": '<circle cx="8" cy="8" r="6"/><path d="M8 4.6V8l2.4 1.6"/>',
    "cross": '<path d="m4 4 8 8M12 4l-8 8"/>',
    "decision": '<path d="M8 2v4.4M8 6.4 3.6 10v3.6M8 6.4 12.4 10v3.6"/><circle cx="8" cy="2.6" r=".8"/>',
    "down": '<path d="M8 3v9.6M4.4 9 8 12.6 11.6 9"/>',
    "eye": '<path d="M1.6 8S4 3.6 8 3.6 14.4 8 14.4 8 12 12.4 8 12.4 1.6 8 1.6 8z"/><circle cx="8" cy="8" r="1.9"/>',
    "forbid": '<circle cx="8" cy="8" r="6"/><path d="m3.8 3.8 8.4 8.4"/>',
    "freeze": '<path d="M8 1.6v12.8M2.4 4.8l11.2 6.4M13.6 4.8 2.4 11.2"/>',
    "gear": '<circle cx="8" cy="8" r="2.2"/><path d="M8 1.8v2M8 12.2v2M1.8 8h2M12.2 8h2M3.6 3.6 5 5M11 11l1.4 1.4'
    'M12.4 3.6 11 5M5 11l-1.4 1.4"/>',
    "hand": '<path d="M4.4 8.4V4.6a1 1 0 0 1 2 0V7M6.4 6.6V3.2a1 1 0 0 1 2 0V7M8.4 6.6V3.8a1 1 0 0 1 2 0V8M10.4'
    ' 7V5.6a1 1 0 0 1 2 0v4a4.4 4.4 0 0 1-8.4 1.6L2.6 8.6a1 1 0 0 1 1.8-.6"/>',
    "home": '<path d="M2.2 7.6 8 2.4l5.8 5.2M4 6.4v7h8v-7"/>',
    "keys": '<rect x="1.6" y="4" width="12.8" height="8" rx="1.4"/><path d="M4 6.6h.1M6.6 6.6h.1M9.2 6.6h.1M11.8'
    ' 6.6h.1M5 9.4h6"/>',
    "ledger": '<path d="M3.2 2.2h9.6v11.6H3.2z"/><path d="M5.6 5.2h4.8M5.6 8h4.8M5.6 10.8h2.8"/>',
    "mail": '<path d="M2 3.8h12v8.4H2z"/><path d="m2 4.4 6 4.4 6-4.4"/>',
    "minus": '<path d="M3.6 8h8.8"/>',
    "node": '<rect x="2" y="2.6" width="12" height="4.4" rx="1"/><rect x="2" y="9" width="12" height="4.4" rx="1"/>'
    '<path d="M4.6 4.8h.1M4.6 11.2h.1"/>',
    "pause": '<path d="M5.4 3.4v9.2M10.6 3.4v9.2"/>',
    "person": '<circle cx="8" cy="5.4" r="2.8"/><path d="M2.8 13.8c.6-2.8 2.6-4.2 5.2-4.2s4.6 1.4 5.2 4.2"/>',
    "play": '<path d="M5 3.2v9.6L12.6 8z"/>',
    "policy": '<path d="M2.2 13.8h11.6M3.6 11V8M6.6 11V4.6M9.6 11V6.4M12.6 11V2.8"/>',
    "question": '<circle cx="8" cy="8" r="6"/><path d="M6.2 6.2a1.8 1.8 0 1 1 2.6 1.6c-.6.3-.8.7-.8 1.3M8 11.3v.1"/>',
    "right": '<path d="m6 3.4 4.6 4.6L6 12.6"/>',
    "search": '<circle cx="7" cy="7" r="4.4"/><path d="m10.4 10.4 3.4 3.4"/>',
    "snooze": '<path d="M3 4h4.4L3 9.6h4.4M9.4 8h3.8l-3.8 4.6h3.8"/>',
    "spark": '<path d="M8 1.8 9.6 6.4 14.2 8 9.6 9.6 8 14.2 6.4 9.6 1.8 8l4.6-1.6z"/>',
    "specs": '<path d="M4 1.8h5.6L12.4 4.6v9.6H4z"/><path d="M6.4 7.4h3.6M6.4 10.2h3.6"/>',
    "tree": '<rect x="5.8" y="1.8" width="4.4" height="3.2" rx=".8"/><rect x="1.6" y="11" width="4.4" height="3.2"'
    ' rx=".8"/><rect x="10" y="11" width="4.4" height="3.2" rx=".8"/><path d="M8 5v3M3.8 11V8h8.4v3"/>',
    "undo": '<path d="M3 6.4h6.4a3.6 3.6 0 0 1 0 7.2H6M3 6.4 5.8 3.6M3 6.4l2.8 2.8"/>',
    "up": '<path d="M8 13V3.4M4.4 7 8 3.4 11.6 7"/>',
}


def icon(name: str) -> Markup:
    """A drawing beside a word that says the same; hidden from those who hear the page."""
    return Markup(f'<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">{_ICONS[name]}</svg>')  # noqa: S704 - constants
