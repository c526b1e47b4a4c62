"""Which names code binds and reads, and when."""

from __future__ import annotations

import ast

import pytest

from flyte_nb.exporting.names import uses_of

CASES = {
    "x = x + 1": {"binds": {"x"}, "now": {"x"}},
    "x += y": {"binds": {"x"}, "now": {"x", "y"}},
    "for i in xs:\n    t += i": {"binds": {"i", "t"}, "now": {"xs", "t"}},
    "[a for a in b if c]": {"now": {"b", "c"}},
    "[b for a in x for b in a]": {"now": {"x"}},
    "(n := len(xs)) and n": {"binds": {"n"}, "now": {"len", "xs"}},
    "[y := z for z in zs]": {"binds": {"y"}, "now": {"zs"}},
    "def f(a, b=c, *d, e: g = h, **i) -> j:\n    return a + k + f": {"binds": {"f"}, "now": {"c", "g", "h", "j"}, "later": {"k", "f"}},
    "@deco(p)\nclass A(B, metaclass=M):\n    x = y\n    z = x\n    def m(self):\n        return x": {
        "binds": {"A"},
        "now": {"deco", "p", "B", "M", "y"},
        "later": {"x"},
    },
    "g = lambda v, w=u: v + r": {"binds": {"g"}, "now": {"u"}, "later": {"r"}, "called": {"r"}},
    "def f():\n    global n\n    n = 1": {"binds": {"f"}, "later": {"n"}, "shared": {"n"}},
    "def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = y\n    return g": {"binds": {"f"}, "later": {"y"}},
    "def f(a: 'T', b: Literal['U']) -> 'list[V]': ...": {"binds": {"f"}, "now": {"Literal"}},
    "try:\n    import a.b as c\nexcept (E, F) as e:\n    print(e)": {"binds": {"c"}, "now": {"E", "F", "print"}},
    "import a.b, c.d\nfrom e import f as g, h": {"binds": {"a", "c", "g", "h"}},
    "with o(p) as (q, r.s): q": {"binds": {"q"}, "now": {"o", "p", "r"}},
    "match v:\n    case {'k': K(n=m), **rest}:\n        m\n    case [*tail] | other:\n        pass": {
        "binds": {"m", "rest", "tail", "other"},
        "now": {"v", "K"},
    },
    "x: A = b\ny: C": {"binds": {"x"}, "now": {"A", "b", "C"}},
    "del x, y[0]": {"binds": {"x"}, "deletes": {"x"}, "now": {"y"}},
    "d[k].a = v": {"now": {"d", "k", "v"}},
    "class A:\n    def f(self):\n        return [A for a in b]": {"binds": {"A"}, "later": {"A", "b"}},
}


@pytest.mark.parametrize("code", CASES)
def test_names_are_told_by_what_becomes_of_them(code: str) -> None:
    """Bound, deleted, read at once or in a call, declared global."""
    uses = uses_of(ast.parse(code).body)
    found = {name: value for name in ("binds", "deletes", "now", "later", "called", "shared") if (value := getattr(uses, name))}

    assert found == CASES[code]


def test_names_in_annotations_that_are_text_are_hints() -> None:
    """They are nobody's business at run time, but a reader's, and the SDK's."""
    uses = uses_of(ast.parse("def f(a: 'T', b: Literal['U'], c: Annotated['W', 'x']) -> 'list[V]':\n    y: 'Z' = 1").body)

    assert uses.hints >= {"T", "W", "V", "list", "Z"}
    assert not uses.hints & {"U", "x"}
