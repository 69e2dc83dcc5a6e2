import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from recsmith.contracts.config import Choice
from recsmith.contracts.data import State
from recsmith.contracts.results import EpochReport, TrialResult
from recsmith.records.trial_folder import Checkpoint, JudgedLists, TrialFolder


def epoch(number, **metrics):
    return EpochReport(epoch=number, metrics=metrics, loss=0.1 * number, factors=(1.0, 0.5), seconds=2.0)


def test_a_history_comes_back_as_it_was_written(tmp_path):
    folder = TrialFolder(tmp_path / "3")
    reports = [epoch(1, ndcg=0.1), epoch(2, ndcg=1 / 3)]
    for report in reports:
        folder.append(report)
    assert folder.history() == reports


def test_an_epoch_is_kept_once(tmp_path):
    folder = TrialFolder(tmp_path)
    for report in (epoch(1, ndcg=0.1), epoch(2, ndcg=0.2), epoch(2, ndcg=0.9), epoch(1, ndcg=0.9)):
        folder.append(report)
    assert [report.metrics["ndcg"] for report in folder.history()] == [0.1, 0.2]


def test_a_figure_that_is_not_finite_can_be_read_back(tmp_path):
    folder = TrialFolder(tmp_path)
    folder.append(EpochReport(epoch=1, metrics={"ndcg": math.nan}, loss=math.inf, seconds=1.0))
    (report,) = folder.history()
    assert math.isnan(report.metrics["ndcg"])
    assert report.loss == math.inf


@pytest.mark.parametrize("cut", range(1, 40, 7))
def test_a_torn_last_line_is_neither_read_nor_in_the_way(tmp_path, cut):
    folder = TrialFolder(tmp_path)
    folder.append(epoch(1, ndcg=0.1))
    folder.append(epoch(2, ndcg=0.2))
    path = tmp_path / "history.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert folder.history() == [epoch(1, ndcg=0.1)]
    folder.append(epoch(2, ndcg=0.3))
    assert folder.history() == [epoch(1, ndcg=0.1), epoch(2, ndcg=0.3)]
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_a_result_comes_back_with_its_history(tmp_path):
    result = TrialResult(
        number=4,
        root=2,
        state="pruned",
        reason="the loss is NaN",
        infeasible=True,
        configuration=Choice(name="net", params={"dim": 8, "loss": {"name": "bce", "params": {}}}),
        value=0.25,
        history=(epoch(1, ndcg=0.25),),
    )
    folder = TrialFolder(tmp_path)
    assert folder.result() is None
    folder.write_result(result)
    assert folder.result() == result


def checkpoint(number):
    arrays = {
        "weight": np.full((3, 4), number, np.float32),
        "turned": np.arange(6).reshape(2, 3).T,
        "scalar": np.array(number),
        "flags": np.array([True, False]),
        "none": np.zeros((0, 5), np.float16),
    }
    model = State({"names": ["a", "ü"], "depth": 2}, arrays)
    return Checkpoint(number, model, State({"rate": 0.1}, {"weight": np.arange(3.0)}))


def test_a_checkpoint_comes_back_bit_by_bit(tmp_path):
    folder = TrialFolder(tmp_path)
    assert folder.checkpoint() is None
    written = checkpoint(7)
    folder.write_checkpoint(written)
    back = folder.checkpoint()
    assert back.epoch == 7
    for owner in ("model", "trainer"):
        before, after = getattr(written, owner), getattr(back, owner)
        assert after.values == before.values
        assert after.arrays.keys() == before.arrays.keys()
        for name, array in before.arrays.items():
            assert after.arrays[name].dtype == array.dtype
            assert np.array_equal(after.arrays[name], array)
            assert after.arrays[name].shape == array.shape
    folder.drop_checkpoint()
    assert folder.checkpoint() is None


def test_judged_lists_come_back(tmp_path):
    folder = TrialFolder(tmp_path)
    assert folder.lists() is None
    items = np.array([[1, 2], [3, -1]], np.int32)
    metrics = {"ndcg@10": np.array([0.5, 1 / 3]), "recall@10": np.array([1.0, 0.0])}
    folder.write_lists(JudgedLists(items, items.astype(np.float32), metrics))
    back = folder.lists()
    assert np.array_equal(back.items, items)
    assert back.metrics.keys() == metrics.keys()
    assert all(np.array_equal(back.metrics[name], metrics[name]) for name in metrics)


WRITER = """
import sys
import numpy as np
from recsmith.contracts.data import State
from recsmith.records.trial_folder import Checkpoint, TrialFolder
folder = TrialFolder(sys.argv[1])
print("ready", flush=True)
for epoch in range(10**6):
    folder.write_checkpoint(Checkpoint(epoch, State({"epoch": epoch}, {"w": np.full(200_000, epoch)}), State()))
"""


def test_kill_minus_nine_leaves_a_whole_checkpoint(tmp_path):
    """Model, trainer and epoch always belong together, whenever the writer dies."""
    folder = TrialFolder(tmp_path)
    last = 0
    for pause in (0.05, 0.11, 0.17):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        with writer.stdout:
            writer.stdout.readline()
            time.sleep(pause)
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
        back = folder.checkpoint()
        if back is not None:
            assert back.model.values == {"epoch": back.epoch}
            assert (back.model.arrays["w"] == back.epoch).all()
            last = max(last, back.epoch)
    assert last > 0


def test_a_half_written_draft_is_never_read(tmp_path):
    folder = TrialFolder(tmp_path)
    folder.write_checkpoint(checkpoint(1))
    (tmp_path / ".checkpoint.safetensors.99.draft").write_bytes(b"half")
    (tmp_path / ".result.json.99.draft").write_bytes(b'{"num')
    assert folder.checkpoint().epoch == 1
    assert folder.result() is None


def test_an_order_to_stop_reaches_only_the_run_that_it_names(tmp_path):
    folder = TrialFolder(tmp_path)
    folder.order_stop(3, "pruned")
    assert folder.stop_order(3) == "pruned"
    assert folder.stop_order(4) is None
