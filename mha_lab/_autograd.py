"""What attention must know of derivatives and transforms (autograd, torch.func, torch.compile)."""

import torch
from torch import Tensor
from torch.autograd import forward_ad


def may_write_over(scores: Tensor) -> bool:
    """Whether nobody will ask for these numbers again: a gradient does; vmap and forward derivatives have no rule for
    writing over them; and a compiler plans its memory itself."""
    transformed = torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is not None
    return not (transformed or scores.requires_grad or forward_ad.unpack_dual(scores).tangent is not None)


def only_first_derivatives(*tensors: Tensor) -> None:
    """Let the gradients of a kernel that has no second derivative say so when they are differentiated."""
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        for tensor in tensors:
            if tensor.requires_grad:
                tensor.register_hook(_once)


def _once(gradient):
    return _Once.apply(gradient) if gradient.requires_grad else None


class _Once(torch.autograd.Function):
    """The same gradient, which cannot be differentiated again."""

    @staticmethod
    def forward(gradient):
        return gradient.view_as(gradient)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, _):
        raise RuntimeError("The fused kernel has no second derivative: ask for need_weights=True, whose path has one.")
