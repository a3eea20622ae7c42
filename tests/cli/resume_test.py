# SPDX-License-Identifier: BSD-3-Clause
"""compress killed at random moments: every resume ends in the same bytes, and OUT never holds a broken file.

LLMCODEC_TEST_MODEL=model.gguf takes a real model at 3 bits per weight instead of a small one (20 kills of SmolLM2: about
20 minutes): `LLMCODEC=... LLMCODEC_TEST_MODEL=... tests/cli/run.sh tests/cli/resume_test.py Resume.test_killed_at_random_moments`
"""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np

import cli_support
import make_test_models
import safetensors_stream as st
from cli_support import BINARY, CliTest

MODEL = os.environ.get("LLMCODEC_TEST_MODEL")
KILLS = int(os.environ.get("LLMCODEC_TEST_KILLS", "20"))


class Resume(CliTest):
    models = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rng = np.random.default_rng(5)
        entries = [make_test_models.entry(f"layer.{i}.weight", "BF16", make_test_models.weights(rng, 320, 448)) for i in range(40)]
        st.write(str(cls.folder / "model.safetensors"), entries)

    def command(self, folder, *more):
        model, target = (pathlib.Path(MODEL).resolve(), ["--bpw", "3"]) if MODEL else (self.path("model.safetensors"), ["--step", "0.4"])
        return [BINARY, "compress", str(model), "-o", "out.safetensors", "--codec", "vvc", *target, "--threads", "2", "--json",
                *more], {"cwd": folder, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

    def fresh_folder(self, name):
        folder = self.path(name)
        folder.mkdir()
        return folder

    def run_to_end(self, folder, *more):
        command, options = self.command(folder, *more)
        done = subprocess.run(command, **options, timeout=3600)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.report = json.loads(done.stdout)
        return (folder / "out.safetensors").read_bytes()

    def errors(self):
        """What the last report says of every coded tensor."""
        return {t["name"]: (t["snr_db"], t["max_abs_error"], t["outliers"]) for t in self.report["tensors"] if t["coded"]}

    def kill_after(self, folder, seconds, number=signal.SIGKILL, finished=0):
        """True when the process was still at work. It is killed after that time, and not before the journal has so many
        `finished` tensors."""
        command, options = self.command(folder)
        # Less urgent than this watch, which on a busy machine would otherwise look when all is done.
        process = subprocess.Popen(["nice", *command], **options)
        time.sleep(seconds)
        journal = folder / "out.safetensors.journal"
        while process.poll() is None and finished:  # the first line is the key
            if journal.exists() and journal.read_bytes().count(b"\n") > finished:
                break
            time.sleep(0.001)
        running = process.poll() is None
        process.send_signal(number) if running else None
        process.communicate(timeout=3600)
        return running

    def test_killed_at_random_moments(self):
        whole = self.fresh_folder("whole")
        start = time.monotonic()
        expected = self.run_to_end(whole)
        duration = time.monotonic() - start
        self.assertEqual([p.name for p in whole.iterdir()], ["out.safetensors"], "leftovers after an undisturbed run")
        errors = self.errors()
        moments = random.Random(3)
        killed = resumed = 0
        for attempt in range(KILLS):
            folder = self.fresh_folder(f"kill{attempt}")
            seconds = moments.uniform(0.02, 0.95) * duration
            number = moments.choice((signal.SIGKILL, signal.SIGTERM))
            # Every other one after a tensor is done: most of a small model's time goes by before that.
            running = self.kill_after(folder, seconds, number, finished=attempt % 2)
            killed += running
            if running and (folder / "out.safetensors").exists():  # done just before the signal was looked at
                self.assertEqual((folder / "out.safetensors").read_bytes(), expected, "an unfinished archive under the final name")
            with self.subTest(f"{number.name} after {seconds:.2f} s", left=sorted(p.name for p in folder.iterdir())):
                self.assertEqual(self.run_to_end(folder), expected)
                self.assertEqual([p.name for p in folder.iterdir()], ["out.safetensors"])
                self.assertEqual(self.errors(), errors, "errors of tensors that were done before the kill")
            resumed += self.report["resumed"]
            shutil.rmtree(folder)
        print(f"{killed} of {KILLS} kills met the program at work, {resumed} runs went on from finished tensors", file=sys.stderr)
        self.assertGreater(killed, KILLS // 2, "the kills came too late to mean anything")
        self.assertGreater(resumed, 0, "the kills came too early to mean anything")

    def test_killed_again_and_again(self):
        folder = self.fresh_folder("again")
        expected = self.run_to_end(self.fresh_folder("again.whole"))
        for _ in range(6):
            self.kill_after(folder, 0.25)
        self.assertEqual(self.run_to_end(folder), expected)

    def test_interrupt_leaves_a_resumable_state(self):
        folder = self.fresh_folder("interrupt")
        expected = self.run_to_end(self.fresh_folder("interrupt.whole"))
        self.kill_after(folder, 0.4, signal.SIGINT)
        self.assertEqual(self.run_to_end(folder), expected)

    def test_other_settings_do_not_resume(self):
        for attempt in range(10):
            folder = self.fresh_folder(f"settings{attempt}")
            if self.kill_after(folder, 0, finished=1) and any(folder.glob("*.journal")):
                break
        else:
            self.fail("no kill came while the archive was being written")
        command, options = self.command(folder)
        command[command.index("0.4")] = "0.5"
        refused = subprocess.run(command, **options, timeout=3600)
        self.assertEqual(refused.returncode, cli_support.EXIT["invalid_argument"], refused.stderr.decode())
        self.assertFalse((folder / "out.safetensors").exists())
        subprocess.run(command + ["--restart"], **options, check=True, timeout=3600)
        self.assertTrue((folder / "out.safetensors").exists())


if __name__ == "__main__":
    cli_support.main()
