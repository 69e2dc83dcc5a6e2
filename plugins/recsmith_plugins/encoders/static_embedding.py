"""Text as the mean of pretrained token vectors: no network is run.

The weights come inside the wheel `wordllama` (MIT), which reads the token vectors out of a large language model. Its
files are read directly: its own loader may ask a hub, and importing it sets up logging. Nothing is downloaded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from recsmith.contracts.config import Config
from recsmith.contracts.data import Column, FloatArray, Role, State
from recsmith.contracts.errors import PluginError
from recsmith.contracts.hooks import hookimpl
from recsmith.contracts.plugins import EncoderSpec

if TYPE_CHECKING:
    from recsmith.contracts.plugins import BuildContext

PACKAGE = "wordllama"
TOKENIZER, WEIGHTS = "tokenizers/l2_supercat_tokenizer_config.json", "weights/l2_supercat_256.safetensors"
MATRICES = ("embeddings", "embedding.weight")  # what model2vec and sentence-transformers call the token vectors


class StaticEmbeddingConfig(Config):
    """Settings.

    `path`: a folder with `tokenizer.json` and `model.safetensors`, as model2vec saves one; empty, the wheel's files.
    """

    path: str = ""


@dataclass(frozen=True)
class Files:
    """Where tokens and their vectors are read from."""

    model: str
    tokenizer: Path
    weights: Path

    @classmethod
    def of(cls, path: str) -> Files:
        """The files that `path` names, or those of the installed wheel.

        Raises:
            PluginError: a package or a file is missing.
        """
        if find_spec("tokenizers") is None:
            raise PluginError("static_embedding: needs the package tokenizers: pip install 'recsmith[text]'")
        if path:
            folder = Path(path).expanduser()
            files = cls(folder.name, folder / "tokenizer.json", folder / "model.safetensors")
        else:
            found = find_spec(PACKAGE)  # finds it without running it
            if found is None or not found.submodule_search_locations:
                raise PluginError(f"static_embedding: needs the package {PACKAGE}: pip install 'recsmith[text]'")
            folder = Path(found.submodule_search_locations[0])
            files = cls(PACKAGE, folder / TOKENIZER, folder / WEIGHTS)
        for file in (files.tokenizer, files.weights):
            if not file.is_file():
                raise PluginError(f"static_embedding: no file {str(file)!r}: {'path' if path else PACKAGE} is not one.")
        return files

    def digest(self) -> str:
        """sha256 over both files."""
        digest = hashlib.sha256()
        for file in (self.tokenizer, self.weights):
            digest.update(file.read_bytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Table:
    """A tokenizer and the vector of each of its tokens."""

    tokenizer: Any
    unknown: int | None  # the token for what the tokenizer cannot read
    vectors: FloatArray  # [tokens, D]

    @classmethod
    def read(cls, files: Files) -> Table:
        """Read both.

        Raises:
            PluginError: a file does not hold what it should.
        """
        from safetensors import safe_open
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(files.tokenizer))
            with safe_open(files.weights, "pt") as file:  # numpy knows no bfloat16
                arrays = {name: file.get_tensor(name).float().numpy() for name in file.keys()}  # noqa: SIM118 - no dict
        except Exception as error:  # a stranger's file may raise anything
            reason = str(error).split("\n", maxsplit=1)[0]
            raise PluginError(f"static_embedding: {files.weights.parent}: cannot be read: {reason}") from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return cls(tokenizer, _unknown(tokenizer), _vectors(arrays, tokenizer.get_vocab_size(), files))

    def tokens(self, text: str) -> list[int]:
        """The numbers of the tokens that have a vector; what is unknown is passed over."""
        found: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return [token for token in found if token != self.unknown]


def _unknown(tokenizer: Any) -> int | None:
    if hasattr(tokenizer.model, "unk_token"):
        name = tokenizer.model.unk_token
        return None if name is None else tokenizer.token_to_id(name)
    number: int | None = json.loads(tokenizer.to_str())["model"].get("unk_id")  # Unigram tells it nowhere else
    return number


def _vectors(arrays: dict[str, FloatArray], tokens: int, files: Files) -> FloatArray:
    """One vector for each token, from the tensors of a file. Models with a quantized vocabulary share some of them."""
    named = next((arrays[name] for name in MATRICES if name in arrays and arrays[name].ndim > 1), None)
    if named is None:
        raise PluginError(f"static_embedding: {files.weights}: holds no matrix {' or '.join(MATRICES)}.")
    vectors = named[arrays["mapping"].astype(np.int64)] if "mapping" in arrays else named
    if "weights" in arrays:
        vectors = vectors * arrays["weights"][:, None]
    if len(vectors) < tokens:
        raise PluginError(f"static_embedding: {files.weights}: {len(vectors)} vectors for {tokens} tokens.")
    return vectors


@dataclass
class StaticEmbedding:
    """The mean of the vectors of a text's tokens, [R, D]; D is 256 in the wheel.

    A text that is missing, blank, or has unknown tokens only is a row of zeros. The state holds no vectors but a digest
    of their file, so that others are refused.
    """

    config: StaticEmbeddingConfig

    @cached_property
    def _files(self) -> Files:
        return Files.of(self.config.path)

    @cached_property
    def _table(self) -> Table:
        return Table.read(self._files)

    def fit(self, column: Column) -> None:
        """Nothing to learn."""

    def features(self, column: Column) -> FloatArray:
        """The means; each distinct text is cut into tokens once.

        Raises:
            PluginError: a package or a file is missing, or does not hold what it should.
        """
        table, known = self._table, dict[str, list[int]]()
        for text in column.values:
            if text is not None and text.strip() and text not in known:
                known[text] = table.tokens(text)
        tokens = [known.get(text, []) for text in column.values]
        lengths = np.array([len(found) for found in tokens], np.int64)
        indices = np.fromiter((token for found in tokens for token in found), np.int32, int(lengths.sum()))
        shares = np.repeat(1.0 / np.maximum(lengths, 1), lengths).astype(np.float32)
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        means: FloatArray = (
            sparse.csr_array((shares, indices, indptr), (len(tokens), len(table.vectors))) @ table.vectors
        )
        return means

    def state(self) -> State:
        """Which vectors it reads."""
        return State({"model": self._files.model, "sha256": self._files.digest()})

    def load(self, state: State) -> None:
        """See that the vectors are those of the state.

        Raises:
            PluginError: they are others, or are not there.
        """
        if self._files.digest() != state.values["sha256"]:
            raise PluginError(
                f"static_embedding: {self._files.weights.parent}: holds other vectors than those of "
                f"{state.values['model']!r} that the features were made with; name their folder as `path`."
            )


def build(config: StaticEmbeddingConfig, context: BuildContext) -> StaticEmbedding:
    """An encoder that has not read its files yet."""
    return StaticEmbedding(config)


@hookimpl
def provide_encoders() -> list[EncoderSpec]:
    """Means of pretrained token vectors."""
    roles: frozenset[Role] = frozenset({"text"})
    return [
        EncoderSpec(
            name="static_embedding",
            api_version=1,
            source=(
                "Arora, Liang and Ma 2017, A Simple but Tough-to-Beat Baseline for Sentence Embeddings (means of word "
                "vectors); https://github.com/dleemiller/WordLlama (the vectors of the wheel)"
            ),
            config=StaticEmbeddingConfig,
            build=build,
            roles=roles,
            fitted=False,
        )
    ]
