"""A policy as something to train: weights and tokenizer of a folder, loaded by transformers."""

from pathlib import Path
from typing import Any, NamedTuple

from federation.errors import Refused
from training.learning.labels import label_tokens
from training.learning.preset import Adapter, Preset


class Policy(NamedTuple):
    """labels: tokens of LABELS."""

    model: Any
    tokenizer: Any
    labels: list[int]


def load(folder: Path, preset: Preset) -> Policy:
    """Nothing is taken from the network, and no code of the folder is run. Raises Refused where it is no policy."""
    import torch  # noqa: PLC0415 - seconds, for training alone
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    given: dict[str, Any] = {"dtype": getattr(torch, preset.precision), **options}
    if preset.cards:
        limits = dict.fromkeys(range(preset.cards), f"{preset.memory}GiB")
        given |= {"device_map": "balanced" if preset.cards > 1 else {"": 0}, "max_memory": limits}
    if preset.adapter is not None and preset.adapter.four_bit:
        given |= {"quantization_config": _four_bit()}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **options)
        model = AutoModelForCausalLM.from_pretrained(str(folder), **given)
    except (OSError, ValueError) as error:
        cure = "name a folder with config.json, model.safetensors and tokenizer.json"
        raise Refused("bad-policy", f"not a policy: {error}", place=str(folder), cure=cure) from None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Policy(model, tokenizer, label_tokens(tokenizer))


def peft(adapter: Adapter) -> Any:
    """PEFT's configuration of it."""
    from peft import LoraConfig  # noqa: PLC0415

    return LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.scale,
        lora_dropout=adapter.dropout,
        target_modules=list(adapter.modules),
        task_type="CAUSAL_LM",
    )


def _four_bit() -> Any:
    """NF4 with its constants quantised too (Dettmers et al. 2023)."""
    import torch  # noqa: PLC0415
    from transformers import BitsAndBytesConfig  # noqa: PLC0415

    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
