"""TIKI in an editor: what `elias tiki lsp` serves.

Everything but `server` is a function of texts: `engine` checks them as they change, `names` tells what each name in
them means, and the rest answers one question of the Language Server Protocol each, from those two.
"""
