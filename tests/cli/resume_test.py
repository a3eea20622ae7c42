# SPDX-License-Identifier: BSD-3-Clause
"""compress killed at random moments: every resume ends in the same bytes, and OUT never holds a broken file."""
import os
import random
import signal
import subprocess
import time

import numpy as np

import cli_support
import make_test_models
import safetensors_stream as st
from cli_support import BINARY, CliTest

KILLS = int(os.environ.get("LLMCODEC_TEST_KILLS", "20"))


class Resume(CliTest):
    models = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rng = np.random.default_rng(5)
        entries = [make_test_models.entry(f"layer.{i}.weight", "BF16", make_test_models.weights(rng, 320, 448)) for i in range(10)]
        st.write(str(cls.folder / "model.safetensors"), entries)

    def command(self, folder, *more):
        return [BINARY, "compress", str(self.path("model.safetensors")), "-o", "out.safetensors", "--codec", "vvc", "--step", "0.4",
                "--threads", "2", *more], {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}

    def fresh_folder(self, name):
        folder = self.path(name)
        folder.mkdir()
        return folder

    def run_to_end(self, folder, *more):
        command, options = self.command(folder, *more)
        done = subprocess.run(command, **options, timeout=600)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return (folder / "out.safetensors").read_bytes()

    def kill_after(self, folder, seconds, number=signal.SIGKILL):
        """True when the process was still at work."""
        command, options = self.command(folder)
        process = subprocess.Popen(command, **options)
        time.sleep(seconds)
        running = process.poll() is None
        process.send_signal(number) if running else None
        process.communicate(timeout=600)
        return running

    def test_killed_at_random_moments(self):
        whole = self.fresh_folder("whole")
        start = time.monotonic()
        expected = self.run_to_end(whole)
        duration = time.monotonic() - start
        self.assertEqual([p.name for p in whole.iterdir()], ["out.safetensors"], "leftovers after an undisturbed run")
        moments = random.Random(3)
        killed = 0
        for attempt in range(KILLS):
            folder = self.fresh_folder(f"kill{attempt}")
            seconds = moments.uniform(0.02, 0.95) * duration
            running = self.kill_after(folder, seconds)
            killed += running
            if running:
                self.assertFalse((folder / "out.safetensors").exists(), "an unfinished archive under the final name")
            self.assertEqual(self.run_to_end(folder), expected, f"killed after {seconds:.3f} s")
            self.assertEqual([p.name for p in folder.iterdir()], ["out.safetensors"])
        self.assertGreater(killed, KILLS // 2, "the kills came too late to mean anything")

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
        for attempt in range(30):
            folder = self.fresh_folder(f"settings{attempt}")
            if self.kill_after(folder, 0.03 * (attempt + 1)) and list(folder.iterdir()):
                break
        else:
            self.fail("no kill came while the archive was being written")
        command, options = self.command(folder)
        command[command.index("0.4")] = "0.5"
        refused = subprocess.run(command, **options, timeout=600)
        self.assertEqual(refused.returncode, cli_support.EXIT["invalid_argument"], refused.stderr.decode())
        self.assertFalse((folder / "out.safetensors").exists())
        subprocess.run(command + ["--restart"], **options, check=True, timeout=600)
        self.assertTrue((folder / "out.safetensors").exists())


if __name__ == "__main__":
    cli_support.main()
