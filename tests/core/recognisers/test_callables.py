"""A function of the user's as a recogniser: run as told, said plainly, hashed by its source."""

from pathlib import Path

import numpy as np
import pytest

from frbias.core.foundation.errors import AssetMissingError, BadInputError, UsageError
from frbias.core.foundation.files import sha256_bytes
from frbias.core.recognisers.input_format import InputFormat
from frbias.core.recognisers.loading import load_recogniser, load_trainable

FACES = np.random.default_rng(0).integers(0, 256, (4, 20, 16, 3), dtype=np.uint8)
GOOD = """
import numpy as np

def embed(faces):
    return faces.astype(np.float64).mean(axis=1).reshape(len(faces), -1) - 100.0

embed.input_size = (20, 16)
"""


class Notes:
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("spec", ["my_recogniser_a:embed", "./my_recogniser_a.py:embed"])
def test_faces_go_in_and_vectors_come_out(spec: str, folder: Path) -> None:
    (folder / "my_recogniser_a.py").write_text(GOOD)
    notes = Notes()
    found = load_recogniser(spec, progress=notes)  # type: ignore[arg-type]
    assert notes.said == [f"{spec} is your own code, which frbias now runs; it can embed, but not be trained."]
    assert (found.name, found.input_size, found.embedding_length) == ("my_recogniser_a.embed", (20, 16), 48)
    assert found.sha256 == sha256_bytes(GOOD.encode())
    assert found.on("cpu") is found
    wanted = (FACES.mean(axis=1).reshape(4, -1) - 100).astype(np.float32)
    np.testing.assert_allclose(found.embed(FACES), wanted, rtol=1e-6)
    assert found.embed(FACES).dtype == np.float32
    assert found.description.to_json()["trainable"] is False
    with pytest.raises(BadInputError, match="finetune needs a recogniser that frbias can train"):
        load_trainable(spec, "finetune")


def test_torch_tensors_with_gradients_are_taken(folder: Path) -> None:
    (folder / "my_recogniser_b.py").write_text(
        "import torch\nlayer = torch.nn.Linear(3, 5)\n"
        "def embed(faces):\n    return layer(torch.from_numpy(faces).float().mean((1, 2)))\n"
    )
    found = load_recogniser("my_recogniser_b:embed")
    assert found.input_size == (112, 112)
    assert found.description.assumed == ("input size",)
    assert found.embed(np.zeros((3, 112, 112, 3), np.uint8)).shape == (3, 5)


def test_other_weights_are_another_recogniser(folder: Path) -> None:
    (folder / "w.bin").write_bytes(b"1")
    (folder / "my_recogniser_c.py").write_text(GOOD + 'embed.files = ["w.bin"]\n')
    first = load_recogniser("my_recogniser_c.py:embed").sha256
    (folder / "w.bin").write_bytes(b"2")
    assert load_recogniser("my_recogniser_c.py:embed").sha256 != first
    (folder / "w.bin").unlink()
    with pytest.raises(BadInputError, match=r"names the file w\.bin, which does not exist"):
        load_recogniser("my_recogniser_c.py:embed")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return faces[:, 0, 0, :1].astype(float)", r"shape \(2, 1\) for 2 faces, not one vector a face"),
        ("return [1.0, 2.0]", r"shape \(2,\) for 2 faces"),
        ("return np.full((len(faces), 3), np.nan)", "not finite"),
        ("return np.ones((len(faces), 3))", "same embedding for different pictures"),
        ("return np.zeros((len(faces), 3))", "embedding of zeros"),
        ("return None", "not one vector a face"),
        ("return np.array([['x', 'y']] * 2)", "not one vector a face"),
        ("raise KeyError('weights')", "failed on 2 faces: KeyError: 'weights'"),
    ],
)
def test_functions_that_give_no_embeddings(body: str, said: str, folder: Path) -> None:
    (folder / "f.py").write_text(f"import numpy as np\ndef embed(faces):\n    {body}\n")
    with pytest.raises(BadInputError, match=said) as caught:
        load_recogniser("f.py:embed")
    assert "\n" not in caught.value.message


def test_a_function_that_fails_later(folder: Path) -> None:
    (folder / "f.py").write_text(GOOD.replace("- 100.0", "- 100.0 if len(faces) == 2 else np.ones((1, 48))"))
    with pytest.raises(BadInputError, match=r"gives \(1, 48\) for 4 faces"):
        load_recogniser("f.py:embed").embed(FACES)


def test_what_is_not_there(folder: Path) -> None:
    (folder / "f.py").write_text("x = 3\n")
    (folder / "g.py").write_text("import no_such_package\n")
    (folder / "h.py").write_text("def embed(faces):\n    return faces\nembed.input_size = 'big'\n")
    for spec, said in (
        ("f.py:embed", "has no function 'embed'"),
        ("f.py:x", "has no function 'x'"),
        ("none.py:embed", r"none\.py does not exist"),
        ("no_such_module:embed", "No module named 'no_such_module'"),
        ("g.py:embed", "No module named 'no_such_package'"),
        ("h.py:embed", "input_size"),
    ):
        with pytest.raises(BadInputError, match=said):
            load_recogniser(spec)
    with pytest.raises(UsageError, match="its own affair"):
        load_recogniser("f.py:x", given=InputFormat(colour="BGR"))
    with pytest.raises(AssetMissingError):
        load_recogniser("plain-name")
