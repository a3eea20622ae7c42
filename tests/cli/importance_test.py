# SPDX-License-Identifier: BSD-3-Clause
"""importance on a tiny random model, with the real llama-imatrix and with stand-ins for what can go wrong."""
import os
import pathlib
import signal
import subprocess
import time

import cli_support
import gguf
from cli_support import CliTest, needs_llama


class Importance(CliTest):
    models = ("llama", "folder")

    def setUp(self):
        os.environ["OMP_WAIT_POLICY"] = "passive"
        self.model, self.output = self.path("llama.gguf"), self.path(f"{self._testMethodName}.imatrix.gguf")

    def stand_in(self, script):
        """A folder with a llama-imatrix that runs `script`; its arguments are the real one's."""
        tools = self.path(f"tools_{self._testMethodName}")
        tools.mkdir(exist_ok=True)
        program = tools / "llama-imatrix"
        program.write_text(f'#!/bin/bash\n[ "$1" = --version ] && {{ echo "version: 1 (x)"; exit 0; }}\n{script}\n')
        program.chmod(0o755)
        return tools

    def assert_nothing_written(self):
        self.assertEqual(list(self.folder.glob(self.output.name + "*")), [])

    @needs_llama
    def test_random_tokens_give_every_matrix_its_moments(self):
        report = self.json("importance", self.model, "-o", self.output, "--chunks", "2", "--threads", "1")
        self.assertEqual((report["source"], report["chunks"], report["context"]), ("random", 2, 512))
        self.assertTrue(report["has_head"])
        names = {tensor.name for tensor in gguf.GGUFReader(self.output).tensors}
        for layer in range(2):
            for weight in ("attn_q", "attn_output", "ffn_gate", "ffn_down"):
                self.assertIn(f"blk.{layer}.{weight}.weight.in_sum2", names)
        # compress takes it, and misses nothing that it would like to know.
        archive = self.path("random.safetensors")
        compressed = self.json("compress", self.model, "-o", archive, "--codec", "vvc", "--snr", "15", "--importance", self.output)
        self.assertFalse([note for note in compressed["notes"] if "importance" in note], compressed["notes"])

    @needs_llama
    def test_text_and_json_lines_of_the_same_text_agree(self):
        words = "the quick brown fox jumps over the lazy dog " * 60
        plain, lines = self.path("text.txt"), self.path("text.jsonl")
        plain.write_text(words + "\n\n")
        lines.write_text('{"text": "%s"}\n\n' % words)
        sums = []
        for text in (plain, lines):
            report = self.json("importance", self.model, "-o", self.output, "--text", text, "--threads", "1")
            self.assertEqual(report["source"], "text")
            tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(self.output).tensors}
            sums.append(tensors["blk.1.ffn_down.weight.in_sum2"].tolist())
        self.assertEqual(sums[0], sums[1])

    @needs_llama
    def test_text_of_less_than_two_chunks(self):
        text = self.path("short.txt")
        for content in ("too short", "a" * 1020 + "b" * 3):  # by bytes; by llama-imatrix's count of tokens
            text.write_text(content)
            self.fails("invalid_argument", "importance", self.model, "-o", self.output, "--text", text, naming=(text, "too short"))
            self.assert_nothing_written()

    def test_what_is_no_gguf(self):
        for model in (self.path("folder"), pathlib.Path(__file__)):
            self.fails("unsupported", "importance", model, "-o", self.output, naming=(model, "convert_hf_to_gguf.py", "llmcodec.calibrate"))
        self.fails("io", "importance", self.path("absent.gguf"), "-o", self.output, naming="absent.gguf")
        self.assert_nothing_written()

    def test_texts_that_cannot_be_read(self):
        tools = self.stand_in("exit 1")
        binary, lines = self.path("binary.txt"), self.path("bad.jsonl")
        binary.write_bytes(b"\xff\xfe" * 2000)
        lines.write_text('{"text": "a"}\n{"words": "b"}\n')
        for kind, text, reason in (("io", self.path("absent.txt"), "absent.txt"), ("io", self.folder, "folder"),
                                   ("invalid_argument", binary, "UTF-8"), ("invalid_argument", lines, "line 2")):
            self.fails(kind, "importance", self.model, "-o", self.output, "--text", text, "--tools-dir", tools, naming=(text, reason))
        self.fails("invalid_argument", "importance", self.model, "-o", self.output, "--text", binary, "--random", naming="--random")
        self.assert_nothing_written()

    def test_the_tool_fails_or_writes_something_else(self):
        self.output.write_text("what was there")
        for script, reason in (('echo "E out of luck" >&2; exit 3', "out of luck"), ("exit 0", "no GGUF"),
                               ('while [ "$1" != -o ]; do shift; done; echo old > "$2"', "no GGUF")):
            tools = self.stand_in(script)
            self.fails("unsupported", "importance", self.model, "-o", self.output, "--tools-dir", tools, naming=("llama-imatrix", reason))
            self.assertEqual(self.output.read_text(), "what was there")
        self.fails("unsupported", "importance", self.model, "-o", self.output, "--tools-dir", "/no/such/folder", naming="/no/such/folder")
        self.output.unlink()
        self.assert_nothing_written()

    def test_the_output_must_be_a_new_place(self):
        before = self.model.read_bytes()
        tools = self.stand_in("exit 1")
        self.fails("invalid_argument", "importance", self.model, "-o", self.model, "--tools-dir", tools, naming=(self.model,))
        self.fails("invalid_argument", "importance", self.model, "-o", self.folder, "--tools-dir", tools, naming=(self.folder,))
        self.fails("io", "importance", self.model, "-o", self.path("none/x.gguf"), "--tools-dir", tools, naming="none/x.gguf")
        self.assertEqual(self.model.read_bytes(), before)

    def test_a_signal_ends_llama_cpp_and_leaves_nothing_behind(self):
        tools, temporary = self.stand_in('echo $$ > "${0%/*}/p" && mv "${0%/*}/p" "${0%/*}/pid"; exec sleep 3600'), self.path("temporary")
        temporary.mkdir()
        process = subprocess.Popen([cli_support.BINARY, "importance", self.model, "-o", self.output, "--tools-dir", tools], text=True,
                                   stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(temporary)})
        while process.poll() is None and not (tools / "pid").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=60)
        self.assertEqual(process.returncode, cli_support.EXIT["interrupted"], message)
        self.assertEqual(list(temporary.iterdir()), [])
        self.assert_nothing_written()
        with self.assertRaises(ProcessLookupError):
            os.kill(int((tools / "pid").read_text()), 0)


if __name__ == "__main__":
    cli_support.main()
