"""Operations with one plain definition each, in `ops/`, and several implementations proven equal to it.

`transformers` may find this package as ``kernels`` on sys.path, so its import must not raise, and it has no ``__version__``.
May import `support/`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpt_from_scratch.kernels.choices import use_backend as use_backend
    from gpt_from_scratch.kernels.ops.add_layer_norm import add_layer_norm as add_layer_norm
    from gpt_from_scratch.kernels.ops.attention import attention as attention
    from gpt_from_scratch.kernels.ops.layer_norm import layer_norm as layer_norm
    from gpt_from_scratch.kernels.ops.linear_activation import linear_activation as linear_activation
    from gpt_from_scratch.kernels.ops.linear_cross_entropy import linear_cross_entropy as linear_cross_entropy
    from gpt_from_scratch.kernels.ops.rms_norm import rms_norm as rms_norm
    from gpt_from_scratch.kernels.registry import op as op
else:

    def __getattr__(name):
        from pathlib import Path

        modules = {"op": "registry", "use_backend": "choices"}
        modules |= {p.parent.name: f"ops.{p.parent.name}" for p in Path(__file__).parent.glob("ops/*/reference.py")}
        if name not in modules:
            raise AttributeError(f"gpt_from_scratch.kernels has no {name!r}; its public names are {', '.join(modules)}")
        from gpt_from_scratch.support.lazy import public_name

        return public_name("gpt_from_scratch.kernels", name, modules)


__all__ = [
    "add_layer_norm",
    "attention",
    "layer_norm",
    "linear_activation",
    "linear_cross_entropy",
    "op",
    "rms_norm",
    "use_backend",
]
