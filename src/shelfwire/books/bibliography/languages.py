"""Languages as book data names them, as short codes. Pure."""

import re
from typing import Any, Final

_CODE: Final = re.compile(r"[a-z]{2,8}")
_NONE: Final = frozenset({"und", "mul", "zxx"})
"""ISO 639-2: undetermined, several, and none."""
_SHORT: Final[dict[str, str]] = dict(
    pair.split(":")
    for line in (
        "afr:af alb:sq ara:ar arm:hy baq:eu ben:bn bul:bg cat:ca ces:cs chi:zh cze:cs dan:da deu:de dut:nl",
        "ell:el eng:en epo:eo est:et fas:fa fin:fi fra:fr fre:fr geo:ka ger:de gle:ga glg:gl gre:el guj:gu",
        "heb:he hin:hi hrv:hr hun:hu ice:is ind:id isl:is ita:it jpn:ja kan:kn kor:ko lat:la lav:lv lit:lt",
        "mac:mk mal:ml mar:mr may:ms nld:nl nob:nb nor:no pan:pa per:fa pol:pl por:pt ron:ro rum:ro rus:ru",
        "san:sa scc:sr scr:hr slk:sk slo:sk slv:sl spa:es srp:sr swe:sv tam:ta tel:te tha:th tur:tr ukr:uk",
        "urd:ur vie:vi wel:cy yid:yi zho:zh",
    )
    for pair in line.split()
)
"""ISO 639-1 by the codes of libraries, ISO 639-2 in both of its forms."""


def language_of(value: Any) -> str | None:
    """ISO 639-1 of a language, from `eng`, `en`, `en-GB` or `/languages/eng`; an unknown code as it is."""
    if not isinstance(value, str):
        return None
    code = value.strip().rpartition("/")[2].lower().partition("-")[0].partition("_")[0]
    return _SHORT.get(code, code) if _CODE.fullmatch(code) and code not in _NONE else None
