# SPDX-License-Identifier: BSD-3-Clause
"""Silero VAD 6.2.3 (MIT), voice activity in 16 kHz sound: convolutions and an LSTM, 0.31 million weights.

From the PyPI wheel silero-vad. Sound: a text spoken by espeak-ng with pauses and noise. Scores: mean difference of the
probability of speech in pieces of 32 ms, and how often both say the same at 0.5.
"""
import shutil
import subprocess
import wave

import numpy as np
import torch

import wheels

NAME = "Silero VAD"
WHEEL = ("silero-vad==6.2.3", "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8")
PIECE, CONTEXT, RATE = 512, 64, 16000
SAID = ("The codec turns the weights of a model into pictures.", "Each picture is coded like a frame of a film.",
        "Nobody listens to this sentence twice.", "Seven small numbers fell into the river.")


def fetch(folder, options):
    del options
    if not shutil.which("espeak-ng"):
        print(f"{NAME}: skipped, no espeak-ng (apt-get install espeak-ng)")
        return None
    target = folder / "silero_vad"
    target.mkdir(parents=True, exist_ok=True)
    if not (target / "model.safetensors").exists():
        (target / "model.safetensors").write_bytes(wheels.member(*WHEEL, "silero_vad/data/silero_vad_16k.safetensors").read())
    return target


def spoken(text, path):
    """Samples at 16 kHz: espeak's 22,050 Hz, read at the nearest times."""
    subprocess.run(["espeak-ng", "-w", str(path), text], check=True)
    with wave.open(str(path)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16).astype(np.float32) / 32768
        return np.interp(np.arange(0, len(samples), sound.getframerate() / RATE), np.arange(len(samples)), samples).astype(np.float32)


def sound(folder):
    """The sentences, each louder or softer, with pauses between them, over noise."""
    rng = np.random.default_rng(3)
    parts = []
    for sentence in SAID * 3:
        parts += [spoken(sentence, folder / "sentence.wav") * np.float32(rng.uniform(0.05, 1)), np.zeros(rng.integers(8000, 24000), np.float32)]
    samples = np.concatenate(parts)
    return samples + rng.normal(0, 0.003, len(samples)).astype(np.float32)


class Runner:
    def __init__(self, folder, tensors, options):
        del options
        self.t = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
        self.lstm = torch.nn.LSTMCell(128, 128)
        self.lstm.load_state_dict({name.removeprefix("lstm_cell."): value for name, value in self.t.items() if name.startswith("lstm_cell.")})
        self.samples = sound(folder)
        self.model = None  # no linear layer whose inputs are looked at

    def conv(self, name, x, **options):
        return torch.nn.functional.conv1d(x, self.t[f"{name}.weight"], self.t.get(f"{name}.bias"), **options)

    @torch.no_grad()
    def probabilities(self):
        state, found = None, []
        samples = torch.nn.functional.pad(torch.from_numpy(self.samples), (CONTEXT, 0))
        for first in range(CONTEXT, len(samples) - PIECE, PIECE):
            x = torch.nn.functional.pad(samples[None, None, first - CONTEXT:first + PIECE], (0, 64), mode="reflect")
            x = self.conv("stft_conv", x, stride=128)
            x = (x[:, :129] ** 2 + x[:, 129:] ** 2).sqrt()
            for name, stride in (("conv1", 1), ("conv2", 2), ("conv3", 2), ("conv4", 1)):
                x = self.conv(name, x, stride=stride, padding=1).relu()
            state = self.lstm(x.squeeze(-1), state)
            found.append(self.conv("final_conv", state[0].relu().unsqueeze(-1)).sigmoid().item())
        return np.array(found)

    def score(self, original):
        ours, theirs = self.probabilities(), original.probabilities()
        return {"mean difference": f"{np.mean(np.abs(ours - theirs)):.4f}", "same decision": f"{100 * np.mean((ours > 0.5) == (theirs > 0.5)):.2f} %",
                "called speech": f"{100 * np.mean(ours > 0.5):.1f} %"}
