"""Makes what all students' kernels share: the real models' weights as they are mapped, and matplotlib's list of fonts.

Usage: build/hub/bin/python classroom/share.py FOLDER        (make hub calls it with my_class/shared)

Without it every kernel that loads SmolLM2 would compute its 540 MB anew and hold them alone, and every student's first
figure would wait until the fonts of the machine are listed. The models are optional: what is not installed is left out.
"""

import os
import sys
from pathlib import Path


def main(folder):
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["MHA_LAB_SHARED"], os.environ["MPLCONFIGDIR"] = str(folder), str(folder / "matplotlib")
    from mha_lab.pretrained import ModelMissing, SmolLM2, Whisper, llama, whisper

    for model, sha256 in (SmolLM2, llama.SHA256[llama.GGUF]), (Whisper, whisper.SHA256[whisper.WEIGHTS]):
        if not (folder / f"{sha256}.safetensors").exists():
            try:
                model.load()
            except ModelMissing as missing:
                print(f"Not shared, because it is not installed: {missing}")
    import matplotlib.font_manager  # noqa: F401  # writes its list

    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


if __name__ == "__main__":
    main(sys.argv[1])
