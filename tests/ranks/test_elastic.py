"""torchrun starts the processes anew when one of them dies, and the stage goes on where it was."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from frbias.core.data.images import write_png
from frbias.core.data.samples import make_table, write_samples

SCRIPT = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
from frbias.core.data.samples import read_samples
from frbias.core.recognisers.base import Description
from frbias.core.stages import embed as stage

class Sums:
    name, sha256, input_size, embedding_length = "sums", "0", (8, 8), 3
    description = Description("sums", 3, (8, 8), False, "here")
    def on(self, device): return self
    def embed(self, faces): return faces.sum(axis=(1, 2), dtype=np.float32) + 1

stage.PART = 16
write = stage._write_part
def counted(path, part):
    if os.environ.get("TORCHELASTIC_RESTART_COUNT") == "0" and os.environ["RANK"] == "1" and "32" not in path.name:
        if list(path.parent.glob("part-*")):
            os.kill(os.getpid(), signal.SIGKILL)
    with open("made.txt", "a") as log:
        log.write(path.name + chr(10))
    write(path, part)
stage._write_part = counted
if os.environ.get("TORCHELASTIC_RESTART_COUNT") == "1" and os.environ["RANK"] == "0":
    time.sleep(3)  # the other comes first, and must not look for this one where it was before
stage.embed_table(read_samples(Path("../set")), Sums(), Path("out"))
"""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_killed_process_costs_only_what_it_was_doing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [{"file_name": f"{k:02d}.png", "subject": f"s{k // 4}", "age": 1.0} for k in range(96)]
    for row in rows:
        write_png(tmp_path / "set" / str(row["file_name"]), rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    write_samples(make_table(tmp_path / "set", rows))
    (tmp_path / "script.py").write_text(SCRIPT)
    for name in ("alone", "elastic"):
        (tmp_path / name).mkdir()
    home = {**os.environ, "OMP_NUM_THREADS": "1", "FRBIAS_HOME": str(tmp_path / "home")}
    alone = {**home, "RANK": "0"}  # as torchrun's are called
    subprocess.run([sys.executable, "../script.py"], cwd=tmp_path / "alone", env=alone, check=True, timeout=500)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1"]
    command += ["--monitor-interval", "0.1", "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "../script.py"]
    done = subprocess.run(
        command, cwd=tmp_path / "elastic", env=home, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for name in ("embeddings.parquet", "provenance.json"):
        assert (tmp_path / "elastic/out" / name).read_bytes() == (tmp_path / "alone/out" / name).read_bytes()
    made = (tmp_path / "elastic/made.txt").read_text().split()
    assert sorted(set(made)) == sorted((tmp_path / "alone/made.txt").read_text().split())
    assert len(made) == len(set(made)), "a finished part was made again"
