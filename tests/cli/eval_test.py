# SPDX-License-Identifier: BSD-3-Clause
"""eval on a tiny random model, with the real llama.cpp: a restored GGUF must load, run and score as the original does."""
import json
import os
import signal
import subprocess
import time

import cli_support
from cli_support import CliTest, needs_llama


class Eval(CliTest):
    models = ("llama",)

    def setUp(self):
        # llama.cpp's threads wait by spinning: next to other tests one thread is far faster than many.
        os.environ["OMP_WAIT_POLICY"] = "passive"
        self.text = self.path("text.txt")
        self.text.write_text("the quick brown fox jumps over the lazy dog " * 60)

    @needs_llama
    def test_finer_archives_diverge_less(self):
        kl = []
        for snr in ("10", "25"):
            archive = self.path(f"snr{snr}.safetensors")
            self.ok("compress", self.path("llama.gguf"), "-o", archive, "--codec", "vvc", "--snr", snr)
            report = self.json("eval", archive, "--original", self.path("llama.gguf"), "--text", self.text, "--context", "128", "--threads", "1")
            for key in ("perplexity", "original_perplexity", "kl", "kl_error", "kl_999", "top1_percent", "chunks"):
                self.assertIn(key, report)
            kl.append(report["kl"])
        self.assertLess(kl[1], kl[0])

    @needs_llama
    def test_tasks(self):
        tasks = self.path("tasks.jsonl")
        tasks.write_text("".join(json.dumps({"query": f"what is {i}", "choices": ["this", "that", "none"], "gold": i % 3}) + "\n"
                                 for i in range(8)))
        archive = self.path("tasks.safetensors")
        self.ok("compress", self.path("llama.gguf"), "-o", archive, "--codec", "raw")
        report = self.json("eval", archive, "--task", tasks, "--threads", "1")
        self.assertEqual(report["tasks"][0]["tasks"], 8)

    def test_a_signal_ends_llama_cpp_and_leaves_nothing_behind(self):
        # A stand-in that would run for an hour and shows by a file that it does.
        tools, temporary = self.path("tools"), self.path("temporary")
        tools.mkdir()
        temporary.mkdir()
        program = tools / "llama-perplexity"
        program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && {{ echo "version: 1 (x)"; exit 0; }}\n'
                           f'echo $$ > {tools}/pid.partial && mv {tools}/pid.partial {tools}/pid\nexec sleep 3600\n')
        program.chmod(0o755)
        archive = self.path("interrupted.safetensors")
        self.ok("compress", self.path("llama.gguf"), "-o", archive, "--codec", "raw")
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number.name):
                process = subprocess.Popen([cli_support.BINARY, "eval", archive, "--text", self.text, "--tools-dir", tools], text=True,
                                           stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(temporary)})
                while process.poll() is None and not (tools / "pid").exists():
                    time.sleep(0.01)
                process.send_signal(number)
                _, message = process.communicate(timeout=60)
                self.assertEqual(process.returncode, cli_support.EXIT["interrupted"], message)
                self.assertEqual(list(temporary.iterdir()), [])
                with self.assertRaises(ProcessLookupError):
                    os.kill(int((tools / "pid").read_text()), 0)
                (tools / "pid").unlink()

    def test_without_llama_cpp_the_error_says_what_to_do(self):
        archive = self.path("no_tools.safetensors")
        self.ok("compress", self.path("llama.gguf"), "-o", archive, "--codec", "raw")
        self.fails("unsupported", "eval", archive, "--text", self.text, "--tools-dir", "/no/such/folder", naming="/no/such/folder")


if __name__ == "__main__":
    cli_support.main()
