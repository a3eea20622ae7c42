# SPDX-License-Identifier: BSD-3-Clause
"""Two commands with one destination, the first stopped before each of its calls in turn while the second runs: one complete
right result, and whoever is refused says so. Then pairs that nobody holds back.

LLMCODEC_FAULTS_LONG=1 takes every open, lock, write and rename instead of a sample, and 50 pairs instead of 3."""
import collections
import random
import sys
import time

import cli_support
from cli_support import EXIT
from fault_support import LONG, NOTES, OUTPUT, Command, FaultTest, files, without_own

ANOTHER = "another llmcodec"
PAIRS = 50 if LONG else 3
STOPS = ("open", "lock", "write", "pwrite", "rename", "unlink", "mkdir")


def pairs(folder):
    """Two commands each that write to one place, named in the same way or not."""
    first, second = folder / "first", folder / "second"

    def file(name, *arguments):
        return Command(name, [*arguments, "-o", OUTPUT, "-q"], "out", {})

    def twice(name, *arguments):
        """The same command for both models."""
        return tuple(file(name, *(a if isinstance(a, str) else str(model) + a[0] for a in arguments)) for model in (first, second))

    to_folder = Command("compress to a folder", ["compress", f"{first}_model", "-o", OUTPUT, "--codec", "raw", "-q"], "out", NOTES)
    return [
        twice("compress", "compress", (".safetensors",), "--codec", "raw"),
        twice("decompress", "decompress", (".archive",)),
        twice("extract", "extract", (".archive",), "layer.1.weight"),
        twice("plan", "plan", (".safetensors",), "--step", "0.4"),
        (file("extract", "extract", f"{first}.archive", "layer.1.weight"), file("decompress", "decompress", f"{second}.archive")),
        (to_folder, to_folder._replace(arguments=["decompress", f"{second}_archive", "-o", OUTPUT, "--shard-size", "30K", "-q"])),
        (to_folder, Command("compress to its file", ["compress", f"{second}.safetensors", "-o", OUTPUT, "--codec", "raw", "-q"],
                            "out/model.safetensors", {})),
    ]


class Races(FaultTest):
    def setUp(self):
        self.counts = collections.Counter()

    def tearDown(self):
        print(dict(self.counts), file=sys.stderr)

    def fresh(self, both):
        """The place of the first, which may hold the place of the second."""
        self.prepare(both[0])

    def state(self, both):
        return without_own(files(self.work / both[0].output))

    def run_alone(self, both, order):
        self.fresh(both)
        for command in order:
            code, error = self.run_with(command)
            self.assertEqual(code, 0, error)
        return self.state(both)

    def check(self, both, results, states):
        """`states`: what is right, by the commands that succeeded."""
        done = tuple(code == 0 for code, _ in results)
        self.assertIn(True, done, results)
        for code, error in results:
            if code != 0:
                self.assertEqual(code, EXIT["invalid_argument"], error)
                self.assertIn(ANOTHER, error)
        self.assertIn(self.state(both), states[done])
        self.counts[both[0].name, both[1].name, "both" if all(done) else "one refused"] += 1

    def right_states(self, both):
        first, second = both
        return {(True, False): [self.run_alone(both, [first])], (False, True): [self.run_alone(both, [second])],
                (True, True): [self.run_alone(both, [first, second]), self.run_alone(both, [second, first])]}

    def test_stopped_at_every_call(self):
        barrier = self.folder / "barrier"
        reached, go = barrier.with_name("barrier.reached"), barrier.with_name("barrier.go")
        for both in pairs(self.folder):
            states = self.right_states(both)
            for point in self.sample([p for p in self.points(both[0]) if p.call in STOPS], 8):
                with self.subTest(first=both[0].name, second=both[1].name, point=point):
                    self.fresh(both)
                    for file in (reached, go):
                        file.unlink(missing_ok=True)
                    process = self.start(both[0], point=point.number, action="stop", barrier=barrier)
                    self.assertTrue(self.wait_for(reached, process))
                    second = self.run_with(both[1])
                    go.touch()
                    self.check(both, (self.finish(process), second), states)

    def test_pairs_that_nobody_holds_back(self):
        pauses = random.Random(2)
        for both in pairs(self.folder):
            states = self.right_states(both)
            for attempt in range(PAIRS):
                with self.subTest(first=both[0].name, second=both[1].name, attempt=attempt):
                    self.fresh(both)
                    started = self.start(both[0])
                    time.sleep(pauses.random() * 0.03)
                    other = self.start(both[1])
                    self.check(both, (self.finish(started), self.finish(other)), states)
                    own = [name for name in files(self.work) if ".llmcodec-" in name or "partial" in name or "journal" in name]
                    self.assertEqual(own, [])


if __name__ == "__main__":
    cli_support.main()
