"""A head that knows the offered labels alone.

TRL's trainers ask their model for the log-probability of each answered token. Over a whole vocabulary most of what they
then learn is not to say other words. This head takes the softmax over the labels that are offered in the prompt, so
every method of TRL works on exactly the decision that the policy makes, and it runs each prompt once, however many
answers to it stand in a batch: what is read before an answer does not depend on it.
"""

from collections.abc import Sequence
from types import MethodType
from typing import Any

import torch
from torch import Tensor
from trl.trainer.utils import FusedCausalLMOutput

IGNORED = -100


def offered(tokens: Tensor, labels: Tensor) -> Tensor:
    """Which labels are offered: those that stand before a candidate in the prompt, for in a rendered question a label's
    token is nothing else. tokens: rows x length. labels: LABELS. Returns rows x LABELS, bool."""
    return (tokens.unsqueeze(-1) == labels).any(1)


def answer_logs(model: Any, tokens: Tensor, attended: Tensor, last: Tensor, labels: Tensor) -> Tensor:
    """Log-probabilities of the labels as the next token, over those that are offered; minus infinity for the others.

    tokens, attended (0: padding, on either side): rows x length. last: index of each prompt's last token. Returns rows
    x LABELS, float32.
    """
    states = model.base_model(input_ids=tokens, attention_mask=attended, use_cache=False).last_hidden_state
    state = states[torch.arange(len(tokens), device=tokens.device), last]
    weight = model.get_output_embeddings().weight
    weight = weight[labels.to(weight.device)]
    logits: Tensor = (state.to(weight) @ weight.T).float().to(tokens.device)
    return logits.masked_fill(~offered(tokens, labels), -torch.inf).log_softmax(-1)


def restrict(model: Any, labels: Sequence[int]) -> None:
    """Makes the model answer `model(..., labels=answers, fused_lm_head=True)`, which is how TRL asks, over the offered
    labels alone. model: a causal language model of transformers, not wrapped by PEFT. labels: tokens of LABELS."""
    before = model.forward
    known = torch.tensor(labels)

    def forward(self: Any, *args: Any, fused_lm_head: bool = False, **kwargs: Any) -> Any:
        if not fused_lm_head:
            return before(*args, **kwargs)
        return _answered(self, kwargs["input_ids"], kwargs["attention_mask"], kwargs["labels"], known)

    model.forward = MethodType(forward, model)


def _answered(model: Any, tokens: Tensor, attended: Tensor, answers: Tensor, known: Tensor) -> FusedCausalLMOutput:
    """answers: rows x length, the answer's token at its place and IGNORED elsewhere; one a row."""
    known = known.to(tokens.device)
    given = answers != IGNORED
    place = given.int().argmax(1)
    rows = torch.arange(len(tokens), device=tokens.device)
    asked, inverse = _once(tokens.masked_fill(given, 0), attended.masked_fill(given, 0), place)
    logs = answer_logs(model, *asked, known)[inverse]
    answer = (answers[rows, place].unsqueeze(1) == known).int().argmax(1)
    said = logs[rows, answer]
    shares = logs.exp()
    entropy = -(shares * logs.masked_fill(shares == 0, 0.0)).sum(1)
    top = logs.argmax(1) == answer
    mean = logs.masked_fill(torch.isinf(logs), 0.0).mean(1)

    def placed(values: Tensor) -> Tensor:
        """Zero but where the answer stands: rows x (length - 1), as the next token of the position before."""
        empty = torch.zeros(answers.shape, dtype=values.dtype, device=values.device)
        return empty.index_put((rows, place), values)[:, 1:]

    return FusedCausalLMOutput(
        loss=-said.mean(),
        log_probs=placed(said),
        entropy=placed(entropy),
        mean_logits=placed(mean.detach()),
        is_top1=placed(top),
        label_mask=given[:, 1:],
    )


def _once(tokens: Tensor, attended: Tensor, place: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """Each prompt of a batch once, and the row of it that each row of the batch is. place: of the answers."""
    keys, inverse = torch.unique(torch.cat((tokens, attended, place.unsqueeze(1)), 1), dim=0, return_inverse=True)
    length = tokens.shape[1]
    return (keys[:, :length], keys[:, length : 2 * length], keys[:, -1] - 1), inverse
