"""A tiny policy with random weights, and a vLLM server of it on this machine's processor."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from federation.policy import profiles
from federation.policy.question import LABELS, Prompt, Scores

WORDS = ["<unk>", "<s>", "?", *LABELS, *(f"w{number}" for number in range(64))]
START = 300  # seconds that a server may take: 25 on two idle cores


def make_policy(folder: Path) -> Path:
    """A Llama and a tokenizer of words, as transformers and vLLM load them."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        initializer_range=0.2,  # wide: the probabilities differ
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).float().save_pretrained(folder)
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", bos_token="<s>", eos_token="<s>"
    ).save_pretrained(folder)
    return folder


def make_adapter(folder: Path, seed: int) -> Path:
    """A LoRA adapter of rank 8 over the queries and values of the tiny policy."""
    import torch
    from safetensors.torch import save_file

    random = torch.Generator().manual_seed(seed)
    weights = {}
    for layer in range(2):
        for part in ("q_proj", "v_proj"):
            name = f"base_model.model.model.layers.{layer}.self_attn.{part}"
            weights[f"{name}.lora_A.weight"] = torch.randn(8, 128, generator=random)
            weights[f"{name}.lora_B.weight"] = torch.randn(128, 8, generator=random)
    folder.mkdir()
    save_file(weights, folder / "adapter_model.safetensors")
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": ["q_proj", "v_proj"],
        "base_model_name_or_path": "policy",
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


class Direct:
    """The tiny policy in this process, as transformers computes it: what the server is measured against, and an engine
    for the end of a chain."""

    version = "direct"

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._words = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModelForCausalLM.from_pretrained(folder).float().eval()
        self._labels = self._words.convert_tokens_to_ids(list(LABELS))

    async def score(self, prompts: Sequence[Prompt], deadline: float) -> list[Scores]:
        return [self._one(prompt) for prompt in prompts]

    def _one(self, prompt: Prompt) -> Scores:
        import torch

        with torch.no_grad():
            logits = self._model(**self._words(prompt.text, return_tensors="pt")).logits[0, -1]
        return tuple(torch.log_softmax(logits[self._labels[: prompt.labels]], -1).tolist())

    async def close(self) -> None: ...


class Server:
    """A vLLM server as the profile `cpu` starts it, with LoRA adapters allowed, on one core."""

    def __init__(self, policy: Path, log: Path) -> None:
        self.policy = policy
        self.log = log
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers; fails with the end of its log when it does not come up."""
        (launch,) = profiles.launches(
            profiles.load("cpu"), str(self.policy), name="policy", ports=[self.port], cards=[], adapters=True
        )
        environment = {
            **os.environ,
            **launch.environment,
            "OMP_NUM_THREADS": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                launch.command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START
        while not self._well():
            ended = self._process.poll()
            if ended is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"vLLM did not come up ({ended}):\n{self.log.read_text()[-4000:]}")
            time.sleep(0.5)

    def _well(self) -> bool:
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            asked.request("GET", "/health")
            return asked.getresponse().status == 200
        except OSError:
            return False
        finally:
            asked.close()

    @property
    def up(self) -> bool:
        return self._process is not None

    def kill(self) -> None:
        """At once, with all its processes, as when the machine loses power."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
