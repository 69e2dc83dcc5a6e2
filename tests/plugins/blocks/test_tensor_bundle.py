"""A checkpoint that TensorFlow 2.21 wrote, and damaged copies of it.

import numpy as np, tensorflow as tf
tf.compat.v1.disable_eager_execution()
for name, value in {"layer/bias": np.float32(-1.5), "layer/kernel": (np.arange(6, dtype=np.float32) / 4)
                    .reshape(2, 3), "step": np.int64(7)}.items():
    tf.compat.v1.get_variable(name, initializer=value)
session = tf.compat.v1.Session()
session.run(tf.compat.v1.global_variables_initializer())
tf.compat.v1.train.Saver().save(session, "x", write_meta_graph=False)
"""

from base64 import b64decode

import numpy as np
import pytest

from recsmith.contracts.errors import PluginError
from recsmith_plugins.blocks.tensor_bundle import _masked_checksum, read_bundle

DATA = b64decode("AADAvwAAAAAAAIA+AAAAPwAAQD8AAIA/AACgPwcAAAAAAAAA")
INDEX = b64decode(
    "AAAGCAEaAggBAAoLbGF5ZXIvYmlhcwgBEgAoBDVCLDIWBgYVa2VybmVsCAESCBICCAISAggDIAQoGDVNycA3AAQNc3RlcAgJEgAgHCgINbvXnxEA"
    "AAAAAQAAAAAC5LlqAAAAAAEAAAAAwPKhsAABAnQAWwAAAAABAAAAAHngsQpgCG0OAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "V/uAiyR1R9s="
)
KERNEL = [[0.0, 0.25, 0.5], [0.75, 1.0, 1.25]]


def bundle(folder, index=INDEX, data=DATA):
    (folder / "x.index").write_bytes(index)
    (folder / "x.data-00000-of-00001").write_bytes(data)
    return folder / "x.index"


def changed(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_arrays_are_what_tensorflow_wrote(tmp_path):
    arrays = read_bundle(bundle(tmp_path), ["layer/kernel", "layer/bias"])
    assert {name: array.tolist() for name, array in arrays.items()} == {"layer/kernel": KERNEL, "layer/bias": -1.5}
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}


def test_checksums_are_those_of_the_standard():
    crc = 0xE3069283  # of CRC-32C over these digits: RFC 3720, and every catalogue of checksums
    assert _masked_checksum(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) % (1 << 32)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("layer/weight", "holds no array 'layer/weight'"), ("step", "'step' is of type 9, not float32")],
)
def test_an_array_that_is_not_there_or_of_another_type_is_named(tmp_path, name, reason):
    with pytest.raises(PluginError, match=reason):
        read_bundle(bundle(tmp_path), [name])


@pytest.mark.parametrize(
    ("index", "data", "reason"),
    [
        (INDEX, changed(DATA, 9), "'layer/kernel' is damaged: its checksum does not match"),
        (INDEX, DATA[:20], "'layer/kernel' has 16 bytes, which is not the shape"),
        (changed(INDEX, 40), DATA, "its index is damaged"),
        (INDEX[:-1], DATA, "does not end as one of TensorFlow"),
        (b"", DATA, "does not end as one of TensorFlow"),
        (INDEX[-48:], DATA, "cut off or compressed"),
    ],
)
def test_damage_is_found(tmp_path, index, data, reason):
    with pytest.raises(PluginError, match=reason):
        read_bundle(bundle(tmp_path, index, data), ["layer/kernel"])


def test_no_changed_bit_of_the_index_gives_another_array(tmp_path):
    refused = 0
    for place in range(len(INDEX)):
        index = bundle(tmp_path, changed(INDEX, place))
        try:
            assert read_bundle(index, ["layer/kernel"])["layer/kernel"].tolist() == KERNEL  # a bit that nobody reads
        except PluginError:
            refused += 1
    assert refused > len(INDEX) / 2


@pytest.mark.parametrize("gone", ["x.index", "x.data-00000-of-00001"])
def test_a_file_that_is_gone_is_an_error(tmp_path, gone):
    index = bundle(tmp_path)
    (tmp_path / gone).unlink()
    with pytest.raises(PluginError, match="No such file"):
        read_bundle(index, ["layer/kernel"])
