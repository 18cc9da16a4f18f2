"""Attention weights of any transformer, read where queries meet keys.

Libraries return their weights each by a switch of its own, or not at all. All of them end in one
of three functions, `torch.nn.functional.scaled_dot_product_attention`,
`multi_head_attention_forward` or a softmax over scores. `AttentionWatch` lets these run as they
are while a recorded module runs, and hands on the weights that they used.
"""

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from attnsci.errors import RecordingError

_SOFTMAX = (functional.softmax, torch.softmax, torch.Tensor.softmax)


def attention_weights(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor | None = None,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """Return the weights behind `torch.nn.functional.scaled_dot_product_attention`.

    Parameters
    ----------
    query, key : torch.Tensor of shape (..., queries, d) and (..., keys, d)
        As of that function; `value` and `dropout_p` do not matter.
    attn_mask, is_causal, scale, enable_gqa
        As of that function.

    Returns
    -------
    torch.Tensor of shape (..., queries, keys)
        Each row sums to 1, or to 0 where a query may look at no key.

    Examples
    --------
    >>> import torch
    >>> query = torch.zeros(1, 2, 3)
    >>> attention_weights(query, query, is_causal=True)
    tensor([[[1.0000, 0.0000],
             [0.5000, 0.5000]]])
    """
    if enable_gqa:
        shared = query.shape[-3] // key.shape[-3]
        key = key.unsqueeze(-3).expand(*key.shape[:-2], shared, *key.shape[-2:])
        key = key.flatten(-4, -3)
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = query @ key.transpose(-2, -1) * factor
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is None:
        return scores.softmax(-1)
    if attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    else:
        scores = scores + attn_mask
    blind = (scores == -torch.inf).all(-1, keepdim=True)
    return scores.softmax(-1).masked_fill(blind, 0.0)


class AttentionWatch(TorchFunctionMode):
    """Hand on the weights of each attention that runs inside the modules in `sites`.

    Parameters
    ----------
    sites : dict of str to (torch.nn.Module, callable)
        Name, module, and who takes the weights. Of nested modules the innermost takes them.
    tells : callable
        Returns, for the output of a softmax and its axis, whether that is attention: True, False,
        or None where the same softmax of the first batch decides.
    """

    def __init__(
        self,
        sites: dict[str, tuple[torch.nn.Module, Callable[[torch.Tensor], None]]],
        tells: Callable[[torch.Tensor, int], bool | None],
    ) -> None:
        super().__init__()
        self._sites, self._tells = sites, tells
        self._inside: list[tuple[str, str]] = []  # (site or "", module), from outer to inner
        self._counts: list[int] = []
        self._attentive: dict[str, set[int]] = {name: set() for name in sites}
        self._owner: dict[str, str] = {}

    def attach(self) -> list[Any]:
        """Register hooks on the sites and on what is inside them; return the handles."""
        watched: dict[int, tuple[torch.nn.Module, str, str]] = {}
        for name, (module, _) in self._sites.items():
            for inner, part in module.named_modules():
                full = f"{name}.{inner}".strip(".")
                watched.setdefault(id(part), (part, "", full))
        for name, (module, _) in self._sites.items():
            watched[id(module)] = (module, name, name)
        handles = []
        for module, site, name in watched.values():
            handles += [
                module.register_forward_pre_hook(self._entering(site, name)),
                module.register_forward_hook(self._leave, always_call=True),
            ]
        return handles

    def _entering(self, site: str, name: str) -> Callable[[Any, Any], None]:
        def enter(module: Any, args: Any) -> None:
            if not self._inside:
                self.__enter__()
            self._inside.append((site, name))
            self._counts.append(0)

        return enter

    def _leave(self, module: Any, args: Any, out: Any) -> None:
        if self._inside:
            self._inside.pop()
            self._counts.pop()
            if not self._inside:
                self.__exit__(None, None, None)

    def close(self) -> None:
        """Leave all modules that an error has left open."""
        while self._inside:
            self._leave(None, (), None)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function as it is, and hand on its weights if it is attention."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func is functional.scaled_dot_product_attention:
            self._hand_on(attention_weights(*args, **kwargs))
        elif func is functional.multi_head_attention_forward:
            self._hand_on(_multi_head(func, args, kwargs, out))
        elif func in _SOFTMAX and self._is_attention(out, args, kwargs):
            self._hand_on(out)
        return out

    def _at(self) -> int:
        """Return which of the open modules is the innermost site."""
        return max((i for i, (site, _) in enumerate(self._inside) if site), default=-1)

    def _is_attention(self, out: torch.Tensor, args: Any, kwargs: dict[str, Any]) -> bool:
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        at = self._at()
        if at < 0 or not isinstance(dim, int) or out.ndim < 3:
            return False
        site, ordinal = self._inside[at][0], self._counts[at]
        self._counts[at] += 1
        told = self._tells(out, dim % out.ndim)
        if told:
            self._attentive[site].add(ordinal)
        return ordinal in self._attentive[site] if told is None else told

    def _hand_on(self, weights: torch.Tensor) -> None:
        at = self._at()
        if at < 0:
            return
        site, inner = self._inside[at][0], self._inside[-1][1]
        owner = self._owner.setdefault(site, inner)
        if owner != inner:
            raise RecordingError(
                f"{site!r} holds the attention of {owner!r} and of {inner!r}. Record them apart: "
                f"Site({site + '.**'!r}, what='attention')."
            )
        self._sites[site][1](weights)


def _multi_head(func: Any, args: Any, kwargs: dict[str, Any], out: Any) -> torch.Tensor:
    """Return the weights of each head of `torch.nn.functional.multi_head_attention_forward`."""
    call = inspect.signature(func).bind(*args, **kwargs)
    call.apply_defaults()
    given = call.arguments
    if given["need_weights"] and not given["average_attn_weights"]:
        return out[1]
    given.update(need_weights=True, average_attn_weights=False, training=False)
    return func(*call.args, **call.kwargs)[1]
