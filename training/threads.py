"""How many threads a fit takes."""

from contextlib import AbstractContextManager
from typing import Any


def one_thread() -> AbstractContextManager[Any]:
    """On tables as small as ours the threads of OpenMP and of BLAS wait for one another: beside other work a fit took
    40 times as long."""
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - comes with scikit-learn

    limit: AbstractContextManager[Any] = threadpool_limits(1)
    return limit
