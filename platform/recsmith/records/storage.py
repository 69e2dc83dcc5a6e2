"""Where an Optuna study lives: SQLite in the study folder, or a database whose URL only the environment knows."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from recsmith.contracts.errors import StudyError

if TYPE_CHECKING:
    from pathlib import Path

    from optuna.storages import RDBStorage

ENVIRONMENT = "env:"
LOCK_TIMEOUT = 60.0  # seconds that a writer waits for a reader of the SQLite file


def open_storage(folder: Path, storage: str | None, *, read_only: bool = False) -> RDBStorage:
    """Open the database that `storage` names.

    Args:
        folder: the study folder.
        storage: None for `folder/study.db`, or "env:NAME" for the URL in that environment variable.
        read_only: open it without the right to write (SQLite), and create nothing.

    Raises:
        StudyError: the variable is not set, or the database cannot be opened. The URL is never shown.
    """
    if storage is None:
        path = (folder / "study.db").absolute()
        if read_only and not path.exists():
            raise StudyError(f"{folder}: there is no study here (no study.db). Start one with `recsmith study run`.")
        mode = "mode=ro" if read_only else "mode=rwc"
        if read_only and not path.with_name("study.db-wal").exists():
            mode += "&immutable=1"  # nobody writes, and not even an index of the write-ahead log is made
        return _connect(f"sqlite:///file:{quote(str(path))}?{mode}&uri=true", str(path), read_only=read_only)
    name = storage.removeprefix(ENVIRONMENT)
    if not storage.startswith(ENVIRONMENT) or not name:
        raise StudyError(
            "storage: a URL may hold a password and is not kept in a plan: put it into an environment variable and "
            "write `storage: env:NAME`."
        )
    if name not in os.environ:
        raise StudyError(f"storage: the environment variable {name} is not set; set it to the URL of the database.")
    return _connect(os.environ[name], f"the database of the environment variable {name}", read_only=read_only)


class _Writer(sqlite3.Connection):
    """A connection with a write-ahead log: readers wait for nobody, and a commit costs no disk flush.

    Nothing is lost when a process dies; a power cut may take the last commits, but never breaks the file.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.execute("PRAGMA journal_mode = WAL")
        self.execute("PRAGMA synchronous = NORMAL")


def _connect(url: str, shown: str, *, read_only: bool) -> RDBStorage:
    from optuna.storages import RDBStorage

    scheme, _, rest = url.partition("://")
    if scheme in {"postgres", "postgresql"}:  # SQLAlchemy 2.1 would look for another driver than 2.0: name ours
        url = f"postgresql+psycopg2://{rest}"
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite"):
        options = {"connect_args": {"timeout": LOCK_TIMEOUT, "factory": sqlite3.Connection if read_only else _Writer}}
    try:
        return RDBStorage(url, engine_kwargs=options, skip_table_creation=read_only)
    except ImportError:
        raise StudyError(f"{shown}: its driver is not installed; `pip install 'recsmith[postgres]'`.") from None
    except Exception as error:  # noqa: BLE001 - whatever the database says may show its URL
        raise StudyError(
            f"{shown} cannot be opened ({type(error).__name__}): check that it runs and is ours."
        ) from None
