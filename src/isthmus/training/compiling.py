"""TorchInductor for functions that are called many thousand times, always alike."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import torch
from torch._inductor.custom_graph_pass import CustomGraphPass
from torch.fx import Graph

__all__ = ["compiled"]


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """A function, compiled at its first call for what that call is given.

    Before each call PyTorch asks of all that it saw whether it has changed, which takes a tenth of
    a millisecond. Here it does not ask: what later calls are given, and what the function reads
    besides, must have the shapes, types and settings of the first. So that nothing compiled for
    another is found in its place, the function's code is its own.

    Args:
        function: a plain one or a bound method.
        options: of the compiler.
    """
    ours: dict[str, Any] = {
        "guard_filter_fn": torch.compiler.skip_all_guards_unsafe,
        "post_grad_custom_post_pass": _BiasesApart(),
        "cpp_wrapper": not torch.cuda.is_available(),  # C++ calls the kernels, not Python
    }
    return torch.compile(_own(function), fullgraph=True, dynamic=False, options=ours | options)


class _BiasesApart(CustomGraphPass):
    """Adds biases with what follows a product, not before it by a pass of their own."""

    def __call__(self, graph: Graph) -> None:
        """Change a graph in place."""
        aten = torch.ops.aten
        for node in graph.find_nodes(op="call_function", target=aten.addmm.default):
            bias, *factors = node.args
            if node.kwargs:  # numbers by which to multiply
                continue
            with graph.inserting_before(node):
                product = graph.call_function(aten.mm.default, tuple(factors))
                total = graph.call_function(aten.add.Tensor, (product, bias))
            product.meta.update(node.meta)
            total.meta.update(node.meta)
            node.replace_all_uses_with(total)
            graph.erase_node(node)

    def uuid(self) -> str:
        """By which the compiler's own folder tells what was made with it."""
        return "isthmus: biases apart, 1"


def _own(function: Any) -> Any:
    """The same with a copy of its code, by which PyTorch keeps what it has compiled."""
    if isinstance(function, MethodType):
        return MethodType(_own(function.__func__), function.__self__)
    code, known = function.__code__.replace(), function.__globals__
    own = FunctionType(code, known, function.__name__, function.__defaults__, function.__closure__)
    own.__kwdefaults__ = function.__kwdefaults__
    return own
