# SPDX-License-Identifier: BSD-3-Clause
"""The model that is quantised: an F16 GGUF with F32 vectors. Matrices go through a method, the rest stays exact."""
import dataclasses
import shutil

import gguf
import numpy as np

EMBEDDING = "token_embd.weight"


@dataclasses.dataclass
class Size:
    """Bits of what a method stores, by part; parameters count all weights."""
    parameters: int = 0
    body: int = 0
    body_weights: int = 0
    embedding: int = 0
    embedding_weights: int = 0
    exact: int = 0

    def summary(self):
        return {"bpw_weights": (self.body + self.embedding + self.exact) / self.parameters,
                "bpw_body": self.body / self.body_weights, "bpw_embedding": self.embedding / self.embedding_weights}


def restored_copy(source, destination, body, embedding):
    """Writes `destination`, the source with every matrix replaced by what the method gives back. Returns its Size.

    body, embedding: functions (tensor name, float32 matrix) -> Coded. Vectors (norms) stay as they are, 32 bits each.
    """
    shutil.copyfile(source, destination)
    size = Size()
    for tensor in gguf.GGUFReader(destination, "r+").tensors:
        size.parameters += int(tensor.n_elements)
        if tensor.data.ndim == 1:
            size.exact += 8 * int(tensor.n_bytes)
            continue
        is_embedding = tensor.name == EMBEDDING
        coded = (embedding if is_embedding else body)(tensor.name, tensor.data.astype(np.float32))
        if not np.isfinite(coded.values).all():
            raise ValueError(f"{tensor.name}: the quantiser returned a value that is not finite")
        tensor.data[:] = coded.values.astype(np.float16)
        if is_embedding:
            size.embedding, size.embedding_weights = coded.bits, coded.values.size
        else:
            size.body, size.body_weights = size.body + coded.bits, size.body_weights + coded.values.size
    return size
