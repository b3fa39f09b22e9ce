"""A simulated cluster that ELIAS can run: nodes, jobs, applications, messages and requests, with state and physics.

`world.World` is pure and seeded: the same seed and the same orders give the same world. It asks what a cluster asks,
its nodes report, and it does what ELIAS orders. Two drivers run it: `local` beside a federation in one process on a
virtual clock (a week in minutes), and `service` as the node agents of a federation that really runs (`elias demo`).

All figures of it are invented; they keep the order of magnitude of what operators of clusters report.
"""
