"""The tower of gradient models: a vector for each item (or user) from its identity and its encoded columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, gelu

from recsmith.contracts.config import Config
from recsmith.contracts.domains import Categorical, Float, Int
from recsmith_plugins.blocks.dropout import Dropout
from recsmith_plugins.blocks.item_features import unit_rows
from recsmith_plugins.blocks.modalities import left

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recsmith.contracts.content import Content
    from recsmith.contracts.data import BoolArray, FeatureMatrix, FloatArray, LongArray
    from recsmith.contracts.plugins import TrainedEncoder

CHUNK = 512  # rows at once where the whole table is asked for
LEARNING = "learning."  # begins the names of the parameters of encoders that learn with the model
LEAST = 1e-12


class TowerConfig(Config):
    """How identity and content make a vector. `init_std` is the deviation of the first vectors' elements.

    A row that training has not seen has no identity. In training an identity is left out with probability
    `id_dropout`, so that the content learns to do without (DropoutNet); at 1 it is never used. Encoders that learn with
    the model have `encoder_rate` times its learning rate, and are frozen for the first `frozen_epochs`.

    Each row, seen or not, also gets the mean identity of its `lookalikes`: so many seen rows that are most alike in
    their frozen columns, found once before training (a frozen graph as in FREEDOM, Zhou and Shen 2023,
    https://arxiv.org/abs/2211.06924). Without `projection` that is all content does, where there are identities.
    """

    id_dropout: Annotated[float, Float(0.0, 1.0)] = 0.2
    lookalikes: Annotated[int, Int(0, 20)] = 5  # 0 for none
    projection: Annotated[bool, Categorical((False, True))] = True  # columns give vectors of their own
    hidden: Annotated[bool, Categorical((False, True))] = False  # a layer more for frozen columns
    modality_dropout: Annotated[float, Float(0.0, 0.6)] = 0.1  # probability that a column is left out in training
    feature_dropout: Annotated[float, Float(0.0, 0.8)] = 0.3  # of the features that a frozen column's vector is made of
    init_std: Annotated[float, Float(0.005, 0.2, log=True)] = 0.05
    encoder_rate: Annotated[float, Float(0.01, 1.0, log=True)] = 0.5
    frozen_epochs: Annotated[int, Int(0, 5)] = 0


class Tower(nn.Module):
    """Vectors of R rows, [n] row numbers -> [n, D]: content, identity and lookalikes, where each is known."""

    seen: Tensor

    def __init__(self, config: TowerConfig, seen: BoolArray, content: Content | None, D: int) -> None:
        super().__init__()
        self.config = config
        self.rows = len(seen)
        self.dim = D
        self.ids = nn.Embedding(self.rows, D) if seen.any() and config.id_dropout < 1.0 else None
        if self.ids is not None:
            nn.init.normal_(self.ids.weight, std=config.init_std)
        self.register_buffer("seen", torch.from_numpy(seen).float().unsqueeze(1), persistent=False)
        alike = None if content is None or self.ids is None else _alike(content, seen, config.lookalikes)
        self.lookalikes = None if alike is None else _Lookalikes(*alike)
        self.columns = nn.ModuleDict()
        self.learning = nn.ModuleDict()
        projected = content if config.projection or self.ids is None else None
        for name, features in ({} if projected is None else _inputs(projected)).items():
            key = f"c{len(self.columns) + len(self.learning)}"  # a module's name holds no dot
            encoder = None if projected is None else projected.encoders.get(name)
            if encoder is None:
                self.columns[key] = _Frozen(features, D, config)
            else:
                self.learning[key] = _Learning(features, encoder, D)  # type: ignore[arg-type]
        width = len(self.columns) + len(self.learning)
        self.fuser = _Mean() if projected is None or width == 0 else _fuser(projected, width, D)
        self.cached: Tensor | None = None
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch's signature
        """Switch between learning and serving; what was kept for serving is dropped."""
        if mode:
            self.cached = None
        return super().train(mode)

    def forward(self, rows: Tensor) -> Tensor:
        """Vectors of row numbers of any shape, [...] -> [..., D]; each row is computed once."""
        if not self.training and not torch.is_grad_enabled():
            return self.table()[rows]
        distinct, place = torch.unique(rows, return_inverse=True)
        return self.vectors(distinct)[place]

    def vectors(self, rows: Tensor) -> Tensor:
        """[n] -> [n, D]."""
        content = self.content(rows)
        if self.ids is None:
            return content
        known = self.seen[rows]
        if self.training:
            known = known * (torch.rand_like(known) >= self.config.id_dropout)
        vectors: Tensor = content + known * self.ids(rows)
        return vectors if self.lookalikes is None else vectors + self.lookalikes(rows, self.ids.weight)

    def content(self, rows: Tensor) -> Tensor:
        """The part of the vectors that follows from content, [n] -> [n, D]; zeros where there is none."""
        parts = [column(rows) for column in (*self.columns.values(), *self.learning.values())]
        if not parts:
            return self.seen.new_zeros(len(rows), self.dim)
        vectors = torch.stack([vector for vector, _ in parts], dim=1)
        known = torch.stack([known for _, known in parts], dim=1)
        if self.training:
            known = left(known, self.config.modality_dropout)
        fused: Tensor = self.fuser(vectors, known)
        return fused

    def table(self) -> Tensor:
        """Vectors of all rows, [R, D]; kept until the tower learns again."""
        if self.cached is None or self.training or torch.is_grad_enabled():
            rows = torch.arange(self.rows, device=self.seen.device)
            table = torch.cat([self.vectors(rows[at : at + CHUNK]) for at in range(0, self.rows, CHUNK)])
            if self.training or torch.is_grad_enabled():
                return table
            self.cached = table
        return self.cached


def _forget(tower: nn.Module, _: object) -> None:
    """Drop vectors that were made with other parameters than those just loaded."""
    tower.cached = None  # type: ignore[assignment]


def pace(config: TowerConfig, epoch: int, prefix: str) -> Mapping[str, float]:
    """The learning rate's factor of the encoders that learn with the model (`PacedModel.pace`)."""
    return {f"{prefix}{LEARNING}": 0.0 if epoch <= config.frozen_epochs else config.encoder_rate}


def _inputs(content: Content) -> dict[str, FeatureMatrix]:
    """The columns that have features; as one, where the fuser has no module and no encoder learns."""
    columns = {name: features for name, features in content.features.items() if features.shape[1]}
    if columns and not content.encoders and not hasattr(content.fuser, "module"):
        return {"fused": content.fused}
    return columns


def _alike(content: Content, seen: BoolArray, count: int) -> tuple[LongArray, FloatArray] | None:
    """Numbers [R, k] of the seen rows most alike to each, itself excepted, and weights [R, k] of sum 1 (or 0).

    Alike is the sum over the frozen columns of the cosine, of dense columns that of the deviation from their mean; rows
    at right angles or beyond weigh nothing. None without such a column, or with a `count` of 0.
    """
    given = [features for name, features in content.features.items() if name not in content.encoders]
    columns = [unit_rows(_centred(features)) for features in given if features.shape[1]]
    if not columns or count == 0:
        return None
    others = np.flatnonzero(seen)
    count = min(count, len(others))
    numbers, weights = np.zeros((content.rows, count), np.int64), np.zeros((content.rows, count), np.float32)
    for start in range(0, content.rows, CHUNK):
        rows = np.arange(start, min(start + CHUNK, content.rows))
        alike = np.zeros((len(rows), len(others)), np.float32)
        for column in columns:
            alike += column[rows] @ column[others].T
        alike[rows[:, None] == others] = 0.0
        best = np.argpartition(-alike, count - 1, axis=1)[:, :count]
        numbers[rows], weights[rows] = others[best], np.take_along_axis(alike, best, axis=1).clip(0.0)
    return numbers, weights / np.maximum(weights.sum(axis=1, keepdims=True), LEAST, dtype=np.float32)


def _centred(features: FeatureMatrix) -> FeatureMatrix:
    """Dense rows less the mean of those that are known; sparse rows as they are."""
    if not isinstance(features, np.ndarray):
        return features
    known = (features != 0).any(axis=1, keepdims=True)
    centred: FeatureMatrix = (features - features.sum(axis=0) / max(int(known.sum()), 1)) * known
    return centred


class _Lookalikes(nn.Module):
    """The mean identity of each row's lookalikes."""

    numbers: Tensor  # [R, k]
    weights: Tensor  # [R, k]

    def __init__(self, numbers: LongArray, weights: FloatArray) -> None:
        super().__init__()
        self.register_buffer("numbers", torch.from_numpy(numbers), persistent=False)
        self.register_buffer("weights", torch.from_numpy(weights), persistent=False)

    def forward(self, rows: Tensor, ids: Tensor) -> Tensor:
        """[n] and identities [R, D] -> [n, D]."""
        return embedding_bag(self.numbers[rows], ids, mode="sum", per_sample_weights=self.weights[rows])


def _fuser(content: Content, columns: int, D: int) -> nn.Module:
    if not hasattr(content.fuser, "module"):
        return _Mean()
    module: nn.Module = content.fuser.module(columns, D)
    return module


class _Mean(nn.Module):
    """The mean of the known columns."""

    def forward(self, vectors: Tensor, known: Tensor) -> Tensor:
        """[n, C, D] and [n, C] -> [n, D]."""
        weight = known.to(vectors.dtype).unsqueeze(2)
        return (vectors * weight).sum(1) / weight.sum(1).clamp_min(1.0)


class _Frozen(nn.Module):
    """A column of frozen features, dense or CSR, through one or two linear layers."""

    values: Tensor  # [R, F], or those of the CSR matrix
    indices: Tensor
    indptr: Tensor
    known: Tensor  # [R]

    def __init__(self, features: FeatureMatrix, D: int, config: TowerConfig) -> None:
        super().__init__()
        self.dense = isinstance(features, np.ndarray)
        arrays = {"values": features} if isinstance(features, np.ndarray) else _csr(features)
        known = (features != 0).any(axis=1) if isinstance(features, np.ndarray) else np.diff(features.indptr) > 0
        width = features.shape[1]
        # Elements of dense features have unit size on average, rows of sparse ones unit length: what is known then gets
        # vectors of the same first size, whatever the encoder.
        size = np.sqrt(np.square(arrays["values"]).sum() / max(int(known.sum()), 1) / (width if self.dense else 1))
        arrays["values"] = arrays["values"] / np.float32(max(float(size), LEAST))
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array)), persistent=False)
        self.register_buffer("known", torch.from_numpy(known), persistent=False)
        self.dropout = Dropout(config.feature_dropout)
        self.weight = nn.Parameter(torch.empty(width, D))
        first = 1.0 if config.hidden else config.init_std
        nn.init.normal_(self.weight, std=first / width**0.5 if self.dense else first)
        self.out = nn.Linear(D, D) if config.hidden else None
        if self.out is not None:
            nn.init.normal_(self.out.weight, std=config.init_std / D**0.5)
            nn.init.zeros_(self.out.bias)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors [n, D] and which are known [n]."""
        vectors = self.dropout(self.values[rows]) @ self.weight if self.dense else self._bags(rows)
        if self.out is not None:
            vectors = self.out(gelu(vectors))
        return vectors, self.known[rows]

    def _bags(self, rows: Tensor) -> Tensor:
        """Rows of the sparse matrix times the weights."""
        start: Tensor = self.indptr[rows]
        length = self.indptr[rows + 1] - start
        end = length.cumsum(0)
        first = end - length
        total = int(end[-1]) if len(end) else 0
        place = torch.arange(total, device=rows.device) + (start - first).repeat_interleave(length)
        words, values = self.indices[place], self.dropout(self.values[place])
        return embedding_bag(words, self.weight, first, mode="sum", per_sample_weights=values)


def _csr(features: Any) -> dict[str, Any]:
    indices, indptr = features.indices.astype(np.int64), features.indptr.astype(np.int64)
    return {"values": features.data.astype(np.float32), "indices": indices, "indptr": indptr}


class _Learning(nn.Module):
    """A column whose encoder learns with the model."""

    values: Tensor  # [R, F]
    known: Tensor  # [R]

    def __init__(self, features: FeatureMatrix, encoder: TrainedEncoder, D: int) -> None:
        super().__init__()
        dense = features if isinstance(features, np.ndarray) else features.toarray()
        self.register_buffer("values", torch.from_numpy(dense), persistent=False)
        self.register_buffer("known", torch.from_numpy((dense != 0).any(axis=1)), persistent=False)
        self.module = encoder.module(D)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors [n, D] and which are known [n]."""
        return self.module(self.values[rows]), self.known[rows]
