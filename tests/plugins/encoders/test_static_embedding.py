"""Texts as means of pretrained token vectors: those of the wheel, and any that a folder holds."""

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from recsmith.contracts.data import Column
from recsmith.contracts.errors import PluginError
from recsmith.contracts.plugins import BuildContext
from recsmith_plugins.encoders.static_embedding import TOKENIZER, WEIGHTS, StaticEmbeddingConfig, build

tokenizers = pytest.importorskip("tokenizers", reason="needs the extra text")
if find_spec("wordllama") is None:  # importing it would set up logging
    pytest.skip("needs the extra text", allow_module_level=True)

UNKNOWN = "[UNK]"
WORDS = {UNKNOWN: 0, "red": 1, "blue": 2, "hat": 3}
VECTORS = np.array([[9.0, 9.0], [1.0, 0.0], [0.0, 1.0], [2.0, 2.0]], np.float32)


def texts(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return Column("plot", "text", array)


def encoder(path=""):
    context = BuildContext(0, 0, np.zeros(0, np.int64), 0, "cpu", lambda _kind, _choice: None)
    return build(StaticEmbeddingConfig(path=str(path)), context)


@pytest.fixture
def folder(tmp_path):
    """Writes a folder with the four words and the given tensors."""

    def write(**tensors):
        tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(WORDS, unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        tokenizer.enable_truncation(2)
        tokenizer.enable_padding(length=9)
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        save_file(tensors, tmp_path / "model.safetensors")
        return tmp_path

    return write


def test_vectors_of_the_wheel_are_those_that_its_own_library_gives():
    from wordllama.inference import WordLlamaInference

    values = ["Red shoes for running.", "読む книга 📚", "a hat " * 100, "?!"]
    own = encoder()
    place = own._files.weights.parent.parent
    tokenizer = tokenizers.Tokenizer.from_file(str(place / TOKENIZER))
    theirs = WordLlamaInference(load_file(place / WEIGHTS)["embedding.weight"], tokenizer).embed(values)
    found = own.features(texts(*values))
    assert found.shape == (4, 256)
    np.testing.assert_allclose(found, theirs, rtol=1e-5, atol=2e-6)


def test_texts_that_mean_the_same_are_nearer_than_others():
    rows = encoder().features(texts("a doctor in a hospital", "nurses and physicians", "a goal in the football match"))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = unit @ unit.T
    assert cosines[0, 1] > cosines[0, 2] + 0.1


def test_a_text_is_the_mean_of_all_of_its_known_tokens(folder):
    rows = encoder(folder(embeddings=VECTORS)).features(
        texts("red hat", "hat unheard red red", "blue", None, "", "  ", "unheard", "blue")
    )
    assert rows.dtype == np.float32
    nothing = [0.0, 0.0]
    known = [[1.5, 1.0], [4 / 3, 2 / 3], [0.0, 1.0]]
    np.testing.assert_allclose(rows, [*known, nothing, nothing, nothing, nothing, [0.0, 1.0]], rtol=1e-6)


def test_a_quantized_vocabulary_shares_vectors_and_weighs_its_tokens(folder):
    """As model2vec keeps one: token -> row of the matrix, and a factor for each token."""
    shared = {"mapping": np.array([0, 1, 1, 0]), "weights": np.array([1.0, 1.0, 0.5, 2.0])}
    path = folder(embeddings=np.array([[3.0, 0.0], [0.0, 4.0]], np.float16), **shared)
    np.testing.assert_array_equal(encoder(path).features(texts("red hat", "blue")), [[3.0, 2.0], [0.0, 2.0]])


def test_a_state_of_other_vectors_is_refused(folder):
    path = folder(embeddings=VECTORS)
    state = encoder(path).state()
    encoder(path).load(state)
    assert set(state.values) == {"model", "sha256"}
    assert not state.arrays
    folder(embeddings=2 * VECTORS)
    with pytest.raises(PluginError, match="holds other vectors than those"):
        encoder(path).load(state)


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [({"else": VECTORS}, "holds no matrix embeddings or"), ({"embeddings": VECTORS[:3]}, "3 vectors for 4 tokens")],
)
def test_a_file_without_a_vector_for_each_token_is_refused(folder, tensors, reason):
    with pytest.raises(PluginError, match=reason):
        encoder(folder(**tensors)).features(texts("red"))


def test_a_file_that_is_not_there_or_cannot_be_read_is_named(folder, tmp_path):
    with pytest.raises(PluginError, match=r"no file '.*nowhere/tokenizer.json'"):
        encoder(tmp_path / "nowhere").features(texts("red"))
    path = folder(embeddings=VECTORS)
    (path / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(PluginError, match="cannot be read"):
        encoder(path).features(texts("red"))


def test_the_package_of_the_wheel_is_never_run():
    """Importing it sets up logging, and its loader may ask a hub."""
    code = (
        "import sys, numpy as np\n"
        "from recsmith.contracts.data import Column\n"
        "from recsmith_plugins.encoders.static_embedding import *\n"
        "rows = StaticEmbedding(StaticEmbeddingConfig()).features(Column('a', 'text', np.array(['hat'], object)))\n"
        "assert rows.any() and 'wordllama' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("package", ["tokenizers", "wordllama"])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PluginError, match=rf"needs the package {package}: pip install 'recsmith\[text\]'"):
        encoder().features(texts("red"))
