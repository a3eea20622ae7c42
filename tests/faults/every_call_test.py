# SPDX-License-Identifier: BSD-3-Clause
"""Every call of the program that touches a file fails once: never a wrong file under a final name, never a lost input, an
error that names a file, and a next run that succeeds with the right bytes.

LLMCODEC_FAULTS_LONG=1 takes every point instead of a sample (docs/testing.md has the counts and the command)."""
import collections
import pathlib
import random
import sys

import cli_support
from cli_support import EXIT
from fault_support import ERRNO, FAILED, LONG, OUTPUT, Command, FaultTest, commands, files, named, put, without_own

# Calls whose failure takes nothing from the result: nothing has to be said of it.
HARMLESS = ("close", "unlink", "lock")


class EveryCall(FaultTest):
    def setUp(self):
        self.inputs = files(self.folder)
        self.counts = collections.Counter()

    def tearDown(self):
        if self.counts:
            print(dict(self.counts), file=sys.stderr)

    def check_inputs(self, command):
        now = {name: data for name, data in files(self.folder).items() if not name.startswith(("work/", "points.log"))}
        before = {name: data for name, data in self.inputs.items() if not name.startswith(("work/", "points.log"))}
        # Its own folder is no place of the work's, but a lock file may be left in it by a kill.
        self.assertEqual(without_own(now), without_own(before), command.name)

    def is_folder(self, path):
        return pathlib.Path(path).is_dir() or pathlib.Path(path).name.startswith((".llmcodec-new", ".llmcodec-re"))

    def output(self, command):
        return files(self.work / command.output) if command.output else {}

    def expected(self, command):
        self.prepare(command)
        code, error = self.run_with(command)
        self.assertEqual(code, 0, error)
        self.assertEqual(sorted(p.name for p in self.work.iterdir()), [command.output] if command.output else [])
        return self.output(command)

    def check_next_run(self, command, expected):
        code, error = self.run_with(command)
        self.assertEqual(code, 0, error)
        self.assertEqual(self.output(command), expected)
        left = [name for name in files(self.folder) if "partial" in name or "journal" in name or ".llmcodec-" in name]
        self.assertEqual(left, [], "left over")

    def check_failure(self, command, point, result, expected):
        code, error = result
        content = self.output(command)
        if code == 0:
            self.assertEqual(without_own(content), expected, f"exit code 0: {error}")
            self.assertTrue(point.call in HARMLESS or point.call in ("open", "fsync", "mkdir"), "a failure that nobody noticed")
        else:
            self.assertIn(code, FAILED, error)
            self.assertTrue(named(error), error)
            self.assertIn(without_own(content), (command.before, expected), "neither the old nor the new")

    def check_every_point(self, command, action, sample, wanted=lambda point: True):
        expected = self.expected(command)
        points = [p for p in self.points(command) if wanted(p)]
        for point in self.sample(points, sample):
            with self.subTest(command=command.name, action=action, point=point):
                self.prepare(command)
                result = self.run_with(command, point=point.number, action=ERRNO.get(action, action))
                self.counts[command.name, action] += 1
                if action in ("EINTR", "short"):
                    self.assertEqual(result[0], 0, result[1])
                    self.assertEqual(without_own(self.output(command)), expected)
                else:
                    self.check_failure(command, point, result, expected)
                self.check_inputs(command)
                self.check_next_run(command, expected)

    def test_failing(self):
        for command in commands(self.folder):
            self.check_every_point(command, "EIO", 16)

    def test_full_disk(self):
        for command in commands(self.folder):
            self.check_every_point(command, "ENOSPC", 8, lambda p: p.call not in ("read", "pread", "close", "unlink", "lock"))

    def test_interrupted_by_signals(self):
        # What lists, makes and removes folders is the standard library's, and no signal interrupts it on Linux.
        for command in commands(self.folder):
            self.check_every_point(command, "EINTR", sample=8,
                                   wanted=lambda p: p.call not in ("mkdir", "unlink") and not self.is_folder(p.path))

    def test_short_reads_and_writes(self):
        for command in commands(self.folder):
            self.check_every_point(command, "short", 6, lambda p: p.call in ("read", "pread", "write", "pwrite"))

    def check_killed(self, command, expected):
        """A model that can be read is all old or all new, whatever else a kill has left."""
        content = self.output(command)
        kept = without_own(content)
        if command.before and "" in command.before:
            self.assertIn(kept, (command.before, expected))
            return
        self.assertEqual(kept.get("notes.txt"), command.before.get("notes.txt"))
        entries = [name for name in ("model.safetensors", "model.safetensors.index.json", "model-00001-of-00003.gguf", "model_index.json")
                   if name in kept]
        if entries:
            self.assertIn(kept, (command.before, expected), "a mixed model under names that are read")

    def test_killed(self):
        for command in commands(self.folder):
            expected = self.expected(command)
            for point in self.sample(self.points(command), 16):
                with self.subTest(command=command.name, point=point):
                    self.prepare(command)
                    code, _ = self.run_with(command, point=point.number, action="kill")
                    self.counts[command.name, "kill"] += 1
                    self.assertEqual(code, -9)
                    self.check_killed(command, expected)
                    self.check_inputs(command)
                    self.check_next_run(command, expected)

    def test_a_kill_while_a_swap_is_taken_back(self):
        """The run after a kill in the middle of a swap is killed as well: the one after that has the right bytes."""
        command = next(c for c in commands(self.folder) if c.name == "decompress folder")
        expected = self.expected(command)
        moves = [p for p in self.points(command) if p.call == "rename"]
        for first in moves if LONG else moves[:: max(1, len(moves) // 4)]:
            self.prepare(command)
            self.assertEqual(self.run_with(command, point=first.number, action="kill")[0], -9)
            state = files(self.work)
            self.log.unlink(missing_ok=True)
            self.assertEqual(self.run_with(command, log=self.log)[0], 0)
            again = [int(line.split()[0]) for line in self.log.read_text().splitlines() if line.split()[1] in ("rename", "unlink")]
            for number in again if LONG else again[:12]:
                with self.subTest(first=first, second=number):
                    put(self.work, state)
                    # Without empty folders, which `state` does not hold, the last points may be missing.
                    code, error = self.run_with(command, point=number, action="kill")
                    self.assertIn(code, (-9, 0), error)
                    self.counts[command.name, "kill twice"] += code == -9
                    self.check_killed(command, expected)
                    self.check_next_run(command, expected)


class Resumes(FaultTest):
    """compress is killed at random moments, several times in a row now and then: the same bytes in the end."""

    KILLS = {"vvc": 34, "raw": 33, "libx265": 33} if LONG else {"vvc": 4, "raw": 3, "libx265": 3}

    def resume(self, codec):
        arguments = ["compress", self.folder / "first.safetensors", "-o", OUTPUT, "--codec", codec, "--step", "0.4", "-q"]
        command = Command(codec, arguments, "out", {})
        self.prepare(command)
        points = self.points(command)
        expected = files(self.work / "out")
        moments, kills = random.Random(4), 0
        while kills < self.KILLS[codec]:
            self.prepare(command)
            for _ in range(moments.choice((1, 1, 2, 3))):
                # A run that resumes has fewer points, and may be done before.
                kills += self.run_with(command, point=moments.choice(points).number, action="kill")[0] == -9
            code, error = self.run_with(command)
            self.assertEqual(code, 0, error)
            self.assertEqual(files(self.work / "out"), expected)
            self.assertEqual([p.name for p in self.work.iterdir()], ["out"])
        print(codec, kills, "kills", file=sys.stderr)

    def test_our_own_codecs(self):
        self.resume("vvc")
        self.resume("raw")

    @cli_support.needs_ffmpeg
    def test_a_codec_of_ffmpeg(self):
        self.resume("libx265")


class Journals(FaultTest):
    """A journal whose lines were changed on the way: the run starts again from the last good one, or says what to do."""

    def test_every_field_of_a_journal(self):
        command = commands(self.folder)[0]
        self.prepare(command)
        code, error = self.run_with(command)
        self.assertEqual(code, 0, error)
        expected = files(self.work / "out")
        points = self.points(command)
        last = [p for p in points if p.path.endswith(".journal") and p.call == "pwrite"][-1]
        self.prepare(command)
        self.assertEqual(self.run_with(command, point=last.number, action="kill")[0], -9)
        state = files(self.work)
        lines = state["out.journal"].decode().splitlines()
        self.assertGreater(len(lines), 3)
        for replacement in ("", "[1]", "5", "NaN", "{}", "null", '"text"', "\0" * 100, "[" * 100_000, lines[2], lines[0]):
            for place in (1, len(lines) - 1):
                with self.subTest(replacement=replacement[:40], place=place):
                    changed = [*lines[:place], replacement, *lines[place + 1:]]
                    put(self.work, {**state, "out.journal": ("\n".join(changed) + "\n").encode()})
                    code, error = self.run_with(command)
                    self.assertEqual(code, 0, error)
                    self.assertEqual(files(self.work / "out"), expected)
        for first in ("", "[1]", '{"key": 5}', "text", "\0" * 100):
            with self.subTest(first=first):
                put(self.work, {**state, "out.journal": ("\n".join([first, *lines[1:]]) + "\n").encode()})
                code, error = self.run_with(command)
                self.assertEqual(code, EXIT["corrupt"], error)
                self.assertIn("--restart", error)
                self.assertIn("out.journal", error)
                code, error = self.run_with(command._replace(arguments=[*command.arguments, "--restart"]))
                self.assertEqual(code, 0, error)
        put(self.work, {**state, "out.journal": b""})
        self.assertEqual(self.run_with(command)[0], 0)
        self.assertEqual(files(self.work / "out"), expected)


if __name__ == "__main__":
    cli_support.main()
