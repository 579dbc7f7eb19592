"""Columns of URLs: what `storage` tells of one URL, of all rows at once; each bucket or host is resolved once."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import storage

# Local paths that `abspath` would leave as they are, in which no byte is written `\xe9`.
_CLEAN_LOCAL = r"^/"
_UNCLEAN_LOCAL = r"/\.{0,2}(/|$)|\\x|\x00|://|::"
# URLs in which nothing but trailing slashes can be amiss.
_PLAIN_REMOTE = r"^(s3://[^/:]+(/|$)|https?://[^/])"
# A file or folder in a folder that is no root, neither of them with slashes too many.
_IN_FOLDER = r"(?s)[^/]/[^/]+$"
_PLACE = r"(?s)^([^/]*://[^/]*).*"
_WEB = r"(?i)https?://"
# A web URL that is no chain: scheme, whoever signs in, host, path, what signs it.
_WEB_PARTS = r'^(https?://)([!"$-.0->@-~]*@)?([!"$-.0->A-Z\\^-~]+)(/[ -"$->@-~]*)?([?#][ -~]*)?$'


def absolute(urls: pa.Array) -> pa.Array:
    """`storage.absolute` of each of `[N]` URLs, none of them null.

    Raises InputError as `storage.resolve` does, of the first URL of a place that it cannot resolve.
    """
    chained = pc.match_substring(urls, "::")
    apart = pc.or_(chained, pc.invert(pc.match_substring(urls, "://")))
    elsewhere = urls.filter(pc.invert(apart))
    places = pc.replace_substring_regex(elsewhere, _PLACE, r"\1")
    distinct = pc.unique(places)
    firsts = elsewhere.take(pc.index_in(distinct, value_set=places))
    fs_of = {
        place: storage.resolve(url)[0]
        for place, url in zip(distinct.to_pylist(), firsts.to_pylist(), strict=True)
        if not place.startswith("file://")
    }
    plain = pc.and_not(pc.match_substring_regex(urls, _PLAIN_REMOTE), chained)
    clean = pc.and_not(
        pc.match_substring_regex(urls, _CLEAN_LOCAL), pc.match_substring_regex(urls, _UNCLEAN_LOCAL)
    )

    def by_itself(url: str) -> str:
        fs = None if "::" in url else fs_of.get("/".join(url.split("/", 3)[:3]))
        if fs is None:
            return storage.absolute(url)
        return str(fs.unstrip_protocol(fs._strip_protocol(url).rstrip("/") or "/"))

    found = pc.if_else(plain, pc.utf8_rtrim(urls, "/"), urls)
    return _with_rows(found, pc.invert(pc.or_(plain, clean)), by_itself)


def joined(folder: str, paths: pa.Array) -> pa.Array:
    """`storage.join` of a folder and each of `[N]` relative paths."""
    first, chain, target = folder.partition("::")
    return pc.binary_join_element_wise(storage.join(first, ""), paths, chain + target, "")


def without_secrets(urls: pa.Array) -> pa.Array:
    """`storage.without_secrets` of each of `[N]` URLs."""
    web = pc.match_substring_regex(urls, _WEB)
    if not pc.any(web).as_py():
        return urls
    usual = pc.and_not(pc.match_substring_regex(urls, _WEB_PARTS), pc.match_substring(urls, "::"))
    bare = pc.if_else(usual, pc.replace_substring_regex(urls, _WEB_PARTS, r"\1\3\4"), urls)
    return _with_rows(bare, pc.and_not(web, usual), storage.without_secrets)


def paths_of(urls: pa.Array) -> pa.Array:
    """The first links of `[N]` chains of URLs, without secrets: what files are called there."""
    return pc.replace_substring_regex(without_secrets(urls), r"(?s)::.*", "")


def parents(urls: pa.Array) -> pa.Array:
    """`storage.parent` of each of `[N]` URLs."""
    usual = pc.and_not(pc.match_substring_regex(urls, _IN_FOLDER), pc.match_substring(urls, "::"))
    return _with_rows(
        pc.replace_substring_regex(urls, r"/[^/]*$", ""), pc.invert(usual), storage.parent, urls
    )


def _with_rows(
    values: pa.Array, odd: pa.Array, work: Callable[[str], str], urls: pa.Array | None = None
) -> pa.Array:
    """`values` with `work` of each that is `odd`, or of the one of `urls` at its place, in its place."""
    rows = (values if urls is None else urls).filter(odd)
    if not len(rows):
        return values
    return pc.replace_with_mask(values, odd, pa.array(map(work, rows.to_pylist()), pa.string()))
