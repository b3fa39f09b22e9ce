"""Bundles of specs as artefacts: the file, its signatures, whom to trust, and what may come into force.

`artefact` is the file, `keys` and `signing` who stands for it, `acceptance` the check before use, `history` what was in
force, `region` what a change does to a policy's promise. docs/tiki/bundles.md is the page.
"""
