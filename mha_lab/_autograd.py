"""What attention must know of derivatives and transforms (autograd, torch.func, torch.compile)."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch._C._functorch import TransformType
from torch.autograd import forward_ad


def may_write_over(scores: Tensor, *beside: Tensor | None) -> bool:
    """Whether nobody will ask for the scores, or the weights made of them, again. A gradient of theirs or of what they
    meet does; vmap and forward derivatives have no rule for writing over them; and a compiler plans its memory itself.
    """
    if torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is not None:
        return False
    tensors = [scores, *(tensor for tensor in beside if tensor is not None)]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return False
    return all(forward_ad.unpack_dual(tensor).tangent is None for tensor in tensors)


def kernel_has_a_rule() -> bool:
    """Whether the fused kernel knows what is asked of it: not within vmap or jvp, nor within two transforms, which may
    be a second derivative (torch.func)."""
    if torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is None:
        return True
    transforms = torch._C._functorch.get_interpreter_stack()
    return len(transforms) < 2 and all(each.key() is TransformType.Grad for each in transforms)


def autocasts(device: torch.device) -> bool:
    """Whether products on this device are made in another type than they are given in."""
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)


def without_autocast(device: torch.device) -> AbstractContextManager:
    """Products in the type they are given in, where autocast would make them 16 bits (devices without it: as ever)."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


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

    generate_vmap_rule = True

    @staticmethod
    def forward(gradient):
        return gradient.view_as(gradient)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, _):
        raise RuntimeError("The fused kernel has no second derivative: ask for need_weights=True, whose path has one.")
