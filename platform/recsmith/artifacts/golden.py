"""Golden requests: questions with their answers, asked again at every loading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from recsmith.contracts.errors import ArtifactError, RecsmithError
from recsmith.contracts.results import Result

if TYPE_CHECKING:
    from pathlib import Path

    from recsmith.artifacts.catalogue import Catalogue
    from recsmith.artifacts.recommender import Recommendation, Recommender

K = 10
KNOWN, NEW, BARE = 14, 4, 2  # known users; new ones with a history; new ones without
NEW_HISTORY = 10  # interactions at most
TOLERANCE = 1e-4  # of the largest absolute score of the list
ANEW = "Install the versions that the manifest names, or train anew."


class Question(Result):
    """One request and its answer."""

    user_id: str | None
    history: tuple[str, ...] | None
    items: tuple[str, ...]
    scores: tuple[float, ...]
    source: Literal["model", "adapted", "popularity"]


class Golden(Result):
    """golden.json."""

    k: Annotated[int, Field(ge=1, le=1000)]
    requests: Annotated[tuple[Question, ...], Field(max_length=1000)]


def ask(recommender: Recommender, catalogue: Catalogue) -> Golden:
    """Ask 20 questions spread evenly over the users, and keep the answers."""
    users = len(catalogue.user_ids)
    known = [str(catalogue.user_ids[user]) for user in np.linspace(0, users - 1, KNOWN).astype(int)]
    lists = [catalogue.histories.of(user)[-NEW_HISTORY:] for user in np.linspace(0, users - 1, NEW).astype(int)]
    user_ids = [*known, *[None] * (NEW + BARE)]
    histories = [*[None] * KNOWN, *[[str(catalogue.item_ids[item]) for item in row] for row in lists], *[None] * BARE]
    answers = recommender.recommend(user_ids, histories, K)
    pairs = zip(user_ids, histories, answers, strict=True)
    questions = tuple(
        Question(
            user_id=user,
            history=None if history is None else tuple(history),
            items=answer.items,
            scores=answer.scores,
            source=answer.source,
        )
        for user, history, answer in pairs
    )
    return Golden(k=K, requests=questions)


def replay(recommender: Recommender, golden: Golden, place: Path) -> None:
    """Ask the questions again and compare: items exactly, scores to `TOLERANCE`.

    Items whose recorded scores are nearer to each other than the tolerance may change places: another processor
    rounds differently, which is no wrong id map.

    Raises:
        ArtifactError: an answer differs.
    """
    user_ids = [question.user_id for question in golden.requests]
    try:
        answers = recommender.recommend(user_ids, [question.history for question in golden.requests], golden.k)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError, RecsmithError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ArtifactError(
            f"{place}: the installed plugins cannot answer with this state ({reason}). {ANEW}"
        ) from error
    for number, (question, answer) in enumerate(zip(golden.requests, answers, strict=True)):
        if not _same(question, answer):
            raise ArtifactError(
                f"{place}: request {number} of {len(answers)} is answered otherwise than when the artifact was saved: "
                f"expected {list(question.items)[:3]}…, got {list(answer.items)[:3]}…. {ANEW}"
            )


def _same(question: Question, answer: Recommendation) -> bool:
    if question.source != answer.source or len(question.items) != len(answer.items):
        return False
    wanted, got = np.array(question.scores), np.array(answer.scores)
    near = TOLERANCE * max(np.abs(wanted), default=0.0)
    if len(wanted) != len(question.items) or not (np.abs(wanted - got) <= near).all():
        return False
    answered = dict(zip(answer.items, answer.scores, strict=True))
    return all(
        abs(answered.get(item, question.scores[-1]) - score) <= near
        for item, score in zip(question.items, question.scores, strict=True)
    )
