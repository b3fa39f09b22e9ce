"""The embedded policy: a small network on ONNX Runtime, in this process, on the processor, without torch."""

import asyncio
import math
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from federation.errors import Refused, Temporary
from federation.policy import card
from federation.policy.question import Prompt, Rejected, Scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LENGTH = 1024
"""Tokens of the longest prompt that is scored."""

ROWS = 16
"""Prompts that are scored together: more gain nothing, and an answer would wait for them."""

WAITING = 64
"""Batches that may wait for each thread; who comes later is told to come again."""


class Embedded:
    """An engine for one process. Batches of like length are scored beside the event loop, one thread a core."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """folder: of the policy. threads: 0 is one for each core that this process may use, at most four.

        Raises Refused where the folder is no whole policy. Takes a fifth of a second.
        """
        self._card = card.read(folder)
        self._version = self._card.version
        self._network = _Network(folder)
        self._threads = threads or min(len(os.sched_getaffinity(0)), 4)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="policy")
        self._waiting = 0

    @property
    def version(self) -> str:
        return self._version

    @property
    def card(self) -> card.Card:
        return self._card

    async def score(self, prompts: Sequence[Prompt], deadline: float) -> list[Scores]:
        """See `Engine`. Raises Rejected for a prompt that is too long, Temporary where too much waits already."""
        ends = time.monotonic() + deadline
        tokens = self._network.tokens(prompts)
        parts = list(_batches(tokens, self._threads))
        if self._waiting + len(parts) > WAITING * self._threads:
            raise Temporary(f"{self._waiting} batches wait for the embedded policy")
        self._waiting += len(parts)
        found: list[Scores] = [()] * len(prompts)
        running = [self._pool.submit(self._batch, tokens, prompts, rows, ends) for rows in parts]
        try:
            async with asyncio.timeout(deadline):
                for rows, future in zip(parts, running, strict=True):
                    scored = await asyncio.wrap_future(future)
                    for row, scores in zip(rows, scored, strict=True):
                        found[row] = scores
        except TimeoutError:
            raise Temporary(f"the embedded policy took longer than {deadline:g} s") from None
        finally:
            self._waiting -= len(parts)
            for future in running:
                future.cancel()
        return found

    def _batch(self, tokens: list[list[int]], prompts: Sequence[Prompt], rows: list[int], ends: float) -> list[Scores]:
        if time.monotonic() > ends:
            raise TimeoutError
        logits = self._network.run([tokens[row] for row in rows])
        return [_scores(logits[at, : prompts[row].labels]) for at, row in enumerate(rows)]

    def lengths(self, prompts: Sequence[Prompt]) -> list[int]:
        """Tokens of each prompt. Raises Rejected for one that is too long."""
        return [len(tokens) for tokens in self._network.tokens(prompts)]

    async def close(self) -> None:
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)


class _Network:
    """The files of a policy, loaded. Safe to call from many threads."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime  # noqa: PLC0415 - half a second, for whoever has a policy of its own only
        from tokenizers import Tokenizer  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # batches run beside each other; two threads in one are slower than that
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            # ONNX Runtime alone would map the weights, and whoever wrote over them would end this process.
            weights = (folder / card.WEIGHTS).read_bytes()
            options.add_external_initializers_from_files_in_memory([card.WEIGHTS], [weights], [len(weights)])
            self._session: Any = onnxruntime.InferenceSession(
                (folder / "model.onnx").read_bytes(), options, providers=["CPUExecutionProvider"]
            )
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # both raise whatever their native half says
            said = f"not a policy: {error}"
            raise Refused("bad-policy", said, place=str(folder), cure="put back the files of this policy") from None

    def tokens(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """Raises Rejected for a prompt that is too long."""
        found: list[list[int]] = [
            encoding.ids for encoding in self._tokenizer.encode_batch_fast([prompt.text for prompt in prompts])
        ]
        longest = max(map(len, found), default=0)
        if longest > LENGTH:
            raise Rejected(f"a prompt of {longest} tokens; the embedded policy takes {LENGTH}")
        return found

    def run(self, rows: list[list[int]]) -> "NDArray[np.float32]":
        """Logits of all labels: rows x LABELS."""
        import numpy as np  # noqa: PLC0415

        lengths = np.array([len(row) for row in rows], np.int64)
        tokens = np.zeros((len(rows), int(lengths.max())), np.int64)
        for at, row in enumerate(rows):
            tokens[at, : len(row)] = row
        logits: NDArray[np.float32] = self._session.run(None, {"tokens": tokens, "last": lengths - 1})[0]
        return logits


def _batches(tokens: list[list[int]], threads: int) -> Iterator[list[int]]:
    """Rows of like length together, so that little is padded, and something for each thread."""
    order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
    rows = max(1, min(ROWS, -(-len(order) // threads)))
    for begin in range(0, len(order), rows):
        yield order[begin : begin + rows]


def _scores(logits: "NDArray[np.float32]") -> Scores:
    values = logits.tolist()
    best = max(values)
    total = best + math.log(sum(math.exp(value - best) for value in values))
    return tuple(value - total for value in values)
