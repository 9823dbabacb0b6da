"""The fitted weights: what a way to give roles is worth, and the chance that what it gives is a book."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FILE: Final = "weights.json"


class Fitted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it is written: each weight by the name of its feature.

    Attributes:
        roles: weights of `roles.FEATURES`.
        chance: weights of `shelf.FEATURES`, which are standardised by `middle` and `spread` first.
        bias: added to the weighed sum of the chance.
    """

    roles: Mapping[str, float]
    chance: Mapping[str, float]
    middle: Mapping[str, float]
    spread: Mapping[str, float]
    bias: float


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights in the order of the features.

    Attributes:
        roles: for a way to give roles.
        chance, bias: for the log odds that it gives a book.
    """

    roles: Array
    chance: Array
    bias: float

    @classmethod
    def of(cls, fitted: Fitted, roles: tuple[str, ...], chance: tuple[str, ...]) -> Self:
        """Put weights into the order of the features that the code knows.

        Raises:
            ValueError: the names in the file are not those of the code: it has to be fitted anew.
        """
        if set(fitted.roles) != set(roles) or not {*fitted.chance} == {*fitted.middle} == {*fitted.spread} == {*chance}:
            raise ValueError(
                f"The features of {FILE} are not those of this version. Fit it anew with bench/fit_scan.py"
            )
        scaled = {name: fitted.chance[name] / fitted.spread[name] for name in chance}
        bias = fitted.bias - sum(scaled[name] * fitted.middle[name] for name in chance)
        return cls(np.array([fitted.roles[name] for name in roles]), np.array([scaled[name] for name in chance]), bias)


@lru_cache(maxsize=1)
def shipped(roles: tuple[str, ...], chance: tuple[str, ...]) -> Weights:
    """The weights that come with this version."""
    content = (files(__package__) / FILE).read_bytes()
    return Weights.of(msgspec.json.decode(content, type=Fitted), roles, chance)
