"""The pages for browsers: built files, with the headers that keep what they show from doing harm.

A page names its script and its style by their plain names. They are served under names with a hash of their content,
so that a browser keeps them for good, and asks again for the page alone.
"""

import gzip
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from shelfwire.errors import Code, ShelfwireError
from shelfwire.settings import Settings
from shelfwire.web.accept import takes_gzip
from shelfwire.web.compression import ETAG, matching_tag
from shelfwire.web.responses import CACHE_CONTROL
from shelfwire.web.root_path import path_of, root_of
from shelfwire.web.route import Context, Handler, Route

FOLDER: Final = Path(__file__).with_name("pages")
BELOW: Final = "pages/"
"""The path of scripts and styles, relative to the pages."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
SECURITY: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""Headers of everything that is served here."""
FOR_GOOD: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"
HASH_CHARS: Final = 16
OPERATORS: Final = "/admin"
NOT_MODIFIED: Final = 304
MOVED: Final = 308
_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_LINKED: Final = frozenset({".js", ".css"})
_NAMED: Final = re.compile(rb'"([\w-]+\.(?:js|css))"')


class BuiltFile(NamedTuple):
    """A file as it is served.

    Attributes:
        name: its name in the folder.
        body: its content; in pages scripts and styles have the names under which they are served.
        compressed: the same with gzip.
        tag: its entity tag.
    """

    name: str
    body: bytes
    compressed: bytes
    tag: str

    @property
    def hashed_name(self) -> str:
        """Its name with the hash of its content."""
        path = Path(self.name)
        return path.with_stem(f"{path.stem}.{self.tag[1:-1]}").name


@cache
def built_files(folder: Path = FOLDER) -> Mapping[str, BuiltFile]:
    """Read the built files, by their names."""
    linked = {path.name: _built(path.name, path.read_bytes()) for path in folder.iterdir() if path.suffix in _LINKED}
    pages = {path.name: _built(path.name, _with_hashes(path.read_bytes(), linked)) for path in folder.glob("*.html")}
    return {**linked, **pages}


def _built(name: str, body: bytes) -> BuiltFile:
    tag = hashlib.sha256(body).hexdigest()[:HASH_CHARS]
    return BuiltFile(name, body, gzip.compress(body, 9, mtime=0), f'"{tag}"')


def _with_hashes(page: bytes, linked: Mapping[str, BuiltFile]) -> bytes:
    def served(match: re.Match[bytes]) -> bytes:
        file = linked.get(match[1].decode())
        return match[0] if file is None else f'"{BELOW}{file.hashed_name}"'.encode()

    return _NAMED.sub(served, page)


def routes(settings: Settings) -> Sequence[Route]:
    """Return the routes of the pages that a server of shelfwire's own shows."""
    if settings.pages == "off":
        return ()
    files = built_files()
    shown = {"/": "index.html"}
    if settings.pages == "all":
        shown[OPERATORS] = "admin.html"
    pages = [_route(path, partial(_page, files[name], path)) for path, name in shown.items()]
    linked = {file.hashed_name: file for file in files.values() if Path(file.name).suffix in _LINKED}
    return (*pages, _route(f"/{BELOW}{{file}}", partial(_linked, linked)))


def _route(path: str, handler: Handler) -> Route:
    return Route(method="GET", path=path, handler=handler, answers={}, operation_id="page", documented=False)


async def _page(file: BuiltFile, path: str, request: Request, context: Context) -> Response:
    """Answer with a page, or lead to the address at which its relative links are right."""
    if path == OPERATORS:
        context.access.check_operable(request)
    if request.scope["path"].endswith("/") != path.endswith("/"):
        return Response(status_code=MOVED, headers={"Location": root_of(request.scope) + path})
    return _answer(file, request, ASK_AGAIN)


async def _linked(files: Mapping[str, BuiltFile], request: Request, _: Context) -> Response:
    file = files.get(request.path_params["file"])
    if file is None:
        raise ShelfwireError(Code.NOT_FOUND, f"No such route: {path_of(request.scope)}")
    return _answer(file, request, FOR_GOOD)


def _answer(file: BuiltFile, request: Request, keeping: str) -> Response:
    headers = {**SECURITY, CACHE_CONTROL: keeping, "Vary": "Accept-Encoding"}
    known = matching_tag(request.headers.get("if-none-match", ""), file.tag)
    if known is not None:
        return Response(status_code=NOT_MODIFIED, headers={**headers, ETAG: known})
    media_type = _TYPES[Path(file.name).suffix]
    if takes_gzip(request.headers.get("accept-encoding", "")):
        coding = {"Content-Encoding": "gzip", ETAG: f"W/{file.tag}"}
        return Response(file.compressed, headers={**headers, **coding}, media_type=media_type)
    return Response(file.body, headers={**headers, ETAG: file.tag}, media_type=media_type)
