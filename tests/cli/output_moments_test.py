# SPDX-License-Identifier: BSD-3-Clause
"""An imatrix that says how much outputs matter: tensors and rows that matter get finer steps; damaged files are errors."""
import cli_support
import gguf
import numpy as np
from cli_support import CliTest


def matrices(path):
    """The layers' weights of a GGUF model, by name, and the embedding's, which is its head too."""
    return {tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type) for tensor in gguf.GGUFReader(path).tensors
            if tensor.name.startswith(("blk.", HEAD)) and len(tensor.shape) == 2}


HEAD = "token_embd.weight"


class OutputMoments(CliTest):
    models = ("llama",)

    def imatrix(self, name, loud, rows=None, head_rows=False):
        """Inputs alike everywhere; outputs of weights whose name ends with `loud` matter 16 times as much as the others', those of
        the first half of rows 16 times as much as the rest; the head has some with `head_rows`."""
        writer = gguf.GGUFWriter(self.path(name), "")
        writer.add_type("imatrix")
        for weight, values in matrices(self.path("llama.gguf")).items():
            outputs = np.full(rows or values.shape[0], 160 if weight.endswith(loud) else 10, np.float32)
            outputs[: len(outputs) // 2] *= 16
            writer.add_tensor(weight + ".in_sum2", np.full((1, values.shape[1]), 10, np.float32))
            if weight != HEAD or head_rows:
                writer.add_tensor(weight + ".out_sum2", outputs[None])
            writer.add_tensor(weight + ".counts", np.full((1, 1), 10, np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return self.path(name)

    def plan(self, *options):
        tensors = self.json("plan", self.path("llama.gguf"), "--bpw", "3", "-o", self.path("plan.json"), *options)["plan"]["tensors"]
        return {t["name"]: t for t in tensors if "keep" not in t}

    def test_tensors_whose_outputs_matter_get_finer_steps(self):
        file = self.imatrix("loud.gguf", "ffn_down.weight")
        plain = self.plan("--importance", self.imatrix("flat.gguf", "nothing"))
        loud = self.plan("--importance", file)
        body = [name for name in loud if name.startswith("blk")]
        moved = {name: loud[name]["step_octaves"] - plain[name]["step_octaves"] for name in body}
        down, other = moved["blk.0.ffn_down.weight"], moved["blk.0.ffn_up.weight"]
        self.assertAlmostEqual(other - down, 1, delta=0.02)  # half of log2(16) / 2
        self.assertEqual(loud["blk.1.ffn_up.weight"]["row_exponent"], 0.25)

    def test_a_head_has_its_share_of_the_damage(self):
        """Its own outputs need no measurement, those of the layers beside it do."""
        name = "blk.0.ffn_up.weight"
        plain, loud = (self.plan("--importance", self.imatrix(f"{loud}.gguf", loud)) for loud in ("nothing", "weight"))
        coarser = [plan[HEAD]["step_octaves"] - plan[name]["step_octaves"] for plan in (plain, loud)]
        self.assertAlmostEqual(coarser[1] - coarser[0], 1, delta=0.02)  # half of log2(16) / 2

    def test_rows_of_a_head_do_not_change_its_share(self):
        plain, rows = (self.plan("--importance", self.imatrix(f"{known}.gguf", "nothing", head_rows=known)) for known in (False, True))
        self.assertAlmostEqual(rows[HEAD]["step_octaves"], plain[HEAD]["step_octaves"], delta=0.03)
        self.assertEqual([plan[HEAD]["row_exponent"] for plan in (plain, rows)], [0.5, 0.25])

    def test_rows_that_matter_come_back_nearer(self):
        file = self.imatrix("rows.gguf", "nothing", head_rows=True)
        self.ok("compress", self.path("llama.gguf"), "-o", self.path("a.st"), "--bpw", "4", "--importance", file)
        self.ok("decompress", self.path("a.st"), "-o", self.path("a.gguf"))
        before, after = (matrices(self.path(name)) for name in ("llama.gguf", "a.gguf"))
        for name in ("blk.0.ffn_up.weight", HEAD):
            errors = ((before[name] - after[name]) ** 2).mean(-1)
            half = len(errors) // 2
            self.assertAlmostEqual(np.log2(errors[half:].mean() / errors[:half].mean()), 2, delta=0.5, msg=name)  # steps: 16^(1/4)

    def test_a_rule_wins_over_the_allocation(self):
        tensors = self.plan("--importance", self.imatrix("rule.gguf", "ffn_down.weight"), "--set", "ffn_down=step_octaves:0.25")
        self.assertEqual(tensors["blk.0.ffn_down.weight"]["step_octaves"], 0.25)

    def test_outputs_of_another_size_are_an_error(self):
        self.fails("invalid_argument", "plan", self.path("llama.gguf"), "-o", self.path("p.json"), "--importance", self.imatrix("short.gguf", "x", rows=5),
                   naming=("blk.0.attn_", "rows"))


if __name__ == "__main__":
    cli_support.main()
