"""The digest of a metric's query: what was learned about one query says nothing about another."""

import hashlib
import re

# A quoted string (PromQL's three quotes; only the back-quote knows no escapes), a comment, a run of whitespace, or a
# word. Ends of strings are optional so that a text with one open quote is read once. Whitespace is ASCII's, as in
# Prometheus' lexer.
_PIECE = re.compile(
    r'(?P<quoted>"(?:[^"\\]++|\\.)*+"?|\'(?:[^\'\\]++|\\.)*+\'?|`[^`]*+`?)'
    r"|(?P<gap>(?:[ \t\r\n]++|\#[^\n]*+)+)"
    r"|(?P<word>[^\s\"'`#(){}\[\],=~!<>+*/%^@-]++)"
    r"|(?P<other>.)",
    re.DOTALL,
)


def normalised(query: str) -> str:
    """Return a query without the whitespace and comments that mean nothing.

    Text in quotes stays as it is, and so does the order of matchers: a query that means the same in other words gets
    another digest, and its metric the priors, which is safe. Between two words one space stays, or `a or b` would be
    the metric `aorb`.

    >>> normalised('sum by (code) ( rate(x_total{a = "b  c"} [5m]) ) or  y  # as in the dashboard')
    'sum by(code)(rate(x_total{a="b  c"}[5m]))or y'
    """
    kept: list[str] = []
    after_word = gap = False
    for match in _PIECE.finditer(query):
        if match.lastgroup == "gap":
            gap = True
            continue
        word = match.lastgroup == "word"
        if gap and after_word and word:
            kept.append(" ")
        kept.append(match.group())
        after_word, gap = word, False
    return "".join(kept)


def query_digest(*queries: str) -> str:
    """Return the digest of a metric's queries, in the order of the manifest: events and total, query and load.

    Pass them with arguments filled in and `{{arms.…}}` as written: the names of pods change with every release.
    """
    sha = hashlib.sha256()
    for query in queries:
        # PromQL's strings may hold anything, half a surrogate pair as well; the length keeps two queries apart.
        text = normalised(query).encode("utf-8", "surrogatepass")
        sha.update(f"{len(text)}:".encode() + text)
    return f"sha256:{sha.hexdigest()}"
