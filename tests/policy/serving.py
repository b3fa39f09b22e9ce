"""A vLLM server of the policy that ships, on this machine's processor, and what it is measured against."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

from federation.policy.question import LABELS, Prompt, Scores
from tests.ports import free_port

START = 900  # seconds that a server may take: 25 on two idle cores


def make_adapter(policy: Path, folder: Path) -> Path:
    """A LoRA adapter of rank 8 over the queries of a policy, with random weights."""
    import torch
    from safetensors.torch import save_file

    config = json.loads((policy / "config.json").read_text())
    width, random = config["hidden_size"], torch.Generator().manual_seed(3)
    weights = {}
    for layer in range(config["num_hidden_layers"]):
        name = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        weights[f"{name}.lora_A.weight"] = torch.randn(8, width, generator=random)
        weights[f"{name}.lora_B.weight"] = torch.randn(width, 8, generator=random)
    folder.mkdir()
    save_file(weights, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


class Direct:
    """The policy in this process, as transformers computes it: what the server is measured against, and an engine
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
    """A vLLM server as `elias policy serve --profile cpu` keeps it, on one core, with adapters allowed."""

    def __init__(self, policy: Path, folder: Path) -> None:
        self._policy = policy
        self._folder = folder
        self._log = folder / "serve.log"
        (folder / "elias.yaml").write_text("state: state\n")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Returns when it answers; fails with what was said when it ends before. Nothing where it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        named = ["--model", str(self._policy), "--name", "policy", "--port", str(self.port)]
        command = [sys.executable, "-m", "managers.uim.cli", "-c", str(self._folder / "elias.yaml"), "policy", "serve"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*command, "--profile", "cpu", "--adapters", "--timeout", str(START), *named],
                env={**os.environ, "OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        self.printed = ""  # the lines for elias.yaml
        while "model:" not in self.printed:
            line = self._process.stdout.readline()
            if not line:
                logs = [self._log, *(self._folder / "state").glob("*.log")]
                raise AssertionError("vLLM did not come up:\n" + "\n".join(log.read_text()[-4000:] for log in logs))
            self.printed += line

    def processes(self) -> list[psutil.Process]:
        """Of the server, without the command that keeps it."""
        assert self._process is not None
        try:
            return psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """At once, with all its processes, as when a machine loses power."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._wait()

    def interrupt(self) -> int:
        """As Ctrl-C does; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._wait()

    def end(self) -> None:
        """What runs of it."""
        if self._process is not None and self._process.poll() is None:
            self.interrupt()

    def _wait(self) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.stdout.close()
        return self._process.wait(60)
