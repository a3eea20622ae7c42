# SPDX-License-Identifier: BSD-3-Clause
"""compress and plan with --calibrate, and a stand-in for the Python that measures: arguments, files, lines, errors, signals."""
import json
import os
import signal
import subprocess
import time

import cli_support
import gguf
import numpy as np
from safetensors.numpy import save_file
from cli_support import CliTest


class Calibrate(CliTest):
    models = ("llama",)

    def setUp(self):
        self.model, self.output = self.path("llama.gguf"), self.path(f"{self._testMethodName}.safetensors")
        self.place = self.path(self._testMethodName)
        self.place.mkdir(exist_ok=True)
        self.addCleanup(os.environ.__setitem__, "LLMCODEC_PYTHON", os.environ.get("LLMCODEC_PYTHON", ""))

    def stand_in(self, script):
        """A Python that runs `script`, after it has written down its arguments."""
        program = self.place / "python"
        program.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" > "{self.place}/arguments"\n{script}\n')
        program.chmod(0o755)
        os.environ["LLMCODEC_PYTHON"] = str(program)

    def arguments(self):
        return (self.place / "arguments").read_text().splitlines()

    def answering(self):
        """A stand-in that gives moments of the model, made here: inputs of which the first half is strong."""
        imatrix, moments = self.place / "i.gguf", self.place / "h.safetensors"
        writer = gguf.GGUFWriter(imatrix, "")
        writer.add_type("imatrix")
        groups, members = {}, {}
        for tensor in gguf.GGUFReader(self.model).tensors:
            if len(tensor.shape) == 2:
                columns = int(tensor.shape[0])
                squares = np.where(np.arange(columns) < columns // 2, 100, 10).astype(np.float32)
                writer.add_tensor(tensor.name + ".in_sum2", squares[None])
                writer.add_tensor(tensor.name + ".counts", np.full((1, 1), 10, np.float32))
                groups[tensor.name], members[tensor.name] = np.diag(squares / 10), [tensor.name]
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        description = {"format_version": 1, "source": "test", "samples": {}, "members": members}
        save_file(groups, moments, metadata={"format": "llmcodec-moments", "llmcodec_moments": json.dumps(description)})
        answer = json.dumps({"imatrix": str(imatrix), "hessian": str(moments)})
        self.stand_in(f"echo 'calibration: about 7 min and 2.5 GB' >&2; echo '{answer}'")
        return imatrix, moments

    def test_its_files_are_used_as_if_they_were_given(self):
        imatrix, moments = self.answering()
        done = self.ok("compress", self.model, "-o", self.output, "--step", "0.5", "--calibrate", "self", "--threads", "1")
        self.assertIn("about 7 min and 2.5 GB", done.stderr)
        self.assertEqual(self.arguments(), ["-m", "llmcodec.calibrate", "--cached", "--self", "--threads", "1", "--", str(self.model)])
        other = self.path("given.safetensors")
        self.ok("compress", self.model, "-o", other, "--step", "0.5", "--importance", imatrix, "--hessian", moments)
        restored = [self.path("a.gguf"), self.path("b.gguf")]
        for archive, model in zip((self.output, other), restored):
            self.ok("decompress", archive, "-o", model)
        self.assertEqual(*(path.read_bytes() for path in restored))
        self.assertIn("--calibrate self", self.json("inspect", self.output)["command"])

    def test_plan_with_a_text(self):
        self.answering()
        text = self.path("text.txt")
        text.write_text("words")
        self.json("plan", self.model, "--calibrate", text)
        self.assertEqual(self.arguments()[2:], ["--cached", "--text", str(text), "--", str(self.model)])

    def test_a_list_of_tensors_needs_no_calibration(self):
        self.stand_in("exit 1")
        self.ok("compress", self.model, "--dry-run", "--calibrate", "self")
        self.assertFalse((self.place / "arguments").exists())

    def test_it_excludes_the_files_that_it_makes(self):
        self.stand_in("exit 1")
        for option in ("--importance", "--hessian"):
            self.fails("invalid_argument", "compress", self.model, "-o", self.output, "--calibrate", "self", option, "x", naming=option)

    def test_a_python_that_is_not_there_or_has_no_package(self):
        os.environ["LLMCODEC_PYTHON"] = "/no/such/python"
        remedy = "pip install 'llmcodec[calibrate]'"
        self.fails("unsupported", "compress", self.model, "-o", self.output, "--calibrate", "self", naming=("/no/such/python", remedy))
        self.stand_in('echo "python: No module named llmcodec" >&2; exit 1')
        self.fails("unsupported", "compress", self.model, "-o", self.output, "--calibrate", "self", naming=("No module named", remedy))
        self.assertFalse(self.output.exists())

    def test_what_the_package_says_is_passed_on(self):
        for kind, reason in (("invalid_argument", "t.txt: 3 tokens are too few"), ("unsupported", "needs more packages: pip install")):
            self.stand_in(f"echo '{json.dumps({'error': kind, 'message': reason})}'; exit 1")
            self.fails(kind, "plan", self.model, "--calibrate", "self", naming=(reason, self.model))

    def test_a_package_that_dies_or_answers_nonsense(self):
        for script, reason in (("echo 'MemoryError: none left' >&2; exit 1", "none left"), ("kill -9 $$", "137"), ("exit 0", "failed"),
                               ("echo '[1]'", "failed"), ('echo \'{"imatrix": "/no/i", "hessian": "/no/h"}\'', "failed"),
                               ('echo \'{"imatrix": 3}\'; exit 0', "failed"), ("head -c 3000000 /dev/zero", "more than")):
            self.stand_in(script)
            kind = "limit" if reason == "more than" else "unsupported"
            self.fails(kind, "plan", self.model, "--calibrate", "self", naming=reason)

    def test_a_signal_ends_it_too(self):
        self.stand_in(f'echo $$ > "{self.place}/p" && mv "{self.place}/p" "{self.place}/pid"; exec sleep 3600')
        process = subprocess.Popen([cli_support.BINARY, "compress", self.model, "-o", self.output, "--calibrate", "self"], text=True,
                                   stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        while process.poll() is None and not (self.place / "pid").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=60)
        self.assertEqual(process.returncode, cli_support.EXIT["interrupted"], message)
        with self.assertRaises(ProcessLookupError):
            os.kill(int((self.place / "pid").read_text()), 0)


if __name__ == "__main__":
    cli_support.main()
