"""No program makes the checker fail: generated ones, odd ones, and the standard library."""

import sysconfig
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlane.check import check_paths, check_text, parallel

NAMES = st.sampled_from(["model", "other", "layer", "opt", "x", "f", "C", "self", "keras", "layers"])
SIMPLE = st.one_of(
    NAMES,
    st.sampled_from(
        [
            "1",
            "'adam'",
            "None",
            "True",
            "keras.Sequential([layers.Dense(1)])",
            "keras.Model(x, layer(x))",
            "layers.Dense(2, kernel_initializer=init)",
            "keras.optimizers.Adam()",
            "keras.callbacks.EarlyStopping()",
            "KFold(3).split(x)",
            "[]",
            "{}",
            "lambda a, *b, **c: a",
            "super()",
        ]
    ),
)


def deeper(inner):
    return st.one_of(
        st.tuples(inner, NAMES).map(lambda p: f"({p[0]}).{p[1]}"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]})[{p[1]}]"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]})({p[1]}, *({p[2]}), k={p[1]}, **{p[2]})"),
        st.tuples(inner, inner).map(lambda p: f"[{p[0]}, *({p[1]})]"),
        st.tuples(inner, inner).map(lambda p: f"{{{p[0]}: {p[1]}, **({p[1]})}}"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} if {p[1]} else {p[2]})"),
        st.tuples(inner, NAMES, inner).map(lambda p: f"[{p[0]} for {p[1]} in {p[2]} if {p[1]}]"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]} + {p[1]} * 3)"),
        st.tuples(NAMES, inner).map(lambda p: f"({p[0]} := {p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]}).compile(optimizer={p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]}).fit(x, y, callbacks=[{p[1]}])"),
    )


EXPRESSIONS = st.recursive(SIMPLE, deeper, max_leaves=6)


def indented(lines):
    return "\n".join("    " + line for line in lines.split("\n"))


def compound(inner):
    block = st.lists(inner, min_size=1, max_size=3).map(lambda items: indented("\n".join(items)))
    return st.one_of(
        st.tuples(NAMES, EXPRESSIONS, block).map(
            lambda p: f"for {p[0]}, model in {p[1]}:\n{p[2]}\n    break"
        ),
        st.tuples(EXPRESSIONS, block).map(lambda p: f"while {p[0]}:\n{p[1]}\n    continue\nelse:\n    pass"),
        st.tuples(EXPRESSIONS, block, block).map(lambda p: f"if {p[0]}:\n{p[1]}\nelse:\n{p[2]}"),
        st.tuples(NAMES, block, EXPRESSIONS).map(
            lambda p: f"def {p[0]}(model=None, *x, f, **opt):\n{p[1]}\n    return {p[2]}"
        ),
        st.tuples(NAMES, block).map(lambda p: f"def {p[0]}(a):\n    global model\n{p[1]}\n    yield a"),
        st.tuples(NAMES, EXPRESSIONS, block).map(lambda p: f"class {p[0]}({p[1]}):\n{p[2]}"),
        st.tuples(block, block).map(
            lambda p: f"try:\n{p[0]}\nexcept (E, F) as x:\n{p[1]}\nfinally:\n    pass"
        ),
        st.tuples(EXPRESSIONS, NAMES, block).map(lambda p: f"with {p[0]} as {p[1]}:\n{p[2]}"),
        st.tuples(EXPRESSIONS, NAMES, block).map(
            lambda p: f"match {p[0]}:\n    case [{p[1]}, *_]:\n{indented(p[2])}"
        ),
    )


STATEMENTS = st.recursive(
    st.one_of(
        EXPRESSIONS,
        st.tuples(NAMES, EXPRESSIONS).map(lambda p: f"{p[0]} = {p[1]}"),
        st.tuples(NAMES, NAMES).map(lambda p: f"{p[0]} = {p[1]}.model = {p[1]}"),
        st.tuples(NAMES, NAMES, EXPRESSIONS).map(lambda p: f"{p[0]}, *{p[1]} = {p[2]}"),
        st.tuples(NAMES, EXPRESSIONS, EXPRESSIONS).map(lambda p: f"{p[0]}[{p[1]}] = {p[2]}"),
        st.tuples(NAMES, EXPRESSIONS).map(lambda p: f"{p[0]} += {p[1]}"),
        st.tuples(NAMES).map(lambda p: f"del {p[0]}"),
        st.sampled_from(["pass", "raise", "import keras", "from keras import *", "from keras import layers"]),
    ),
    compound,
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STATEMENTS, max_size=8))
def test_generated_python_is_read_to_its_end(statements):
    text = "import keras\nfrom keras import layers\nfrom sklearn.model_selection import KFold\n" + "\n".join(
        statements
    )
    try:
        compile(text, "generated", "exec")
    except SyntaxError:
        return
    assert check_text(text, "generated.py").failures == ()


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    for name in ("text.py", "text.R", "text.Rmd", "text.ipynb"):
        check_text(text, name)


R_LINES = """\
model
model <- keras_model_sequential()
x %>% fit(y)
model %>% compile(a) %>% fit(b)
function(a, b = 2, ...) { a }
\\(x) x
for (i in 1:3) fit(model)
if (a) b else c
x[[1]] <- model
x$y <- model
names(x) <- y
while (TRUE) break
lapply(x, f)
map(x, ~ .x)
x |> f(y = _)
f <- function(n) f(n - 1)
f(3)
return(x)
`a b` <- 3
x <<- y
c(a = model, 2)
model$fit(x)
keras::fit(model)
x -> y
-x
~x
NULL
{
}
(
Map(f, a, b)
layer_dense(model, 1)
set_random_seed(1)
x@y
"str" -> x
x %<>% f
f()()
f(,x)
switch(a, b = c)
x %>%
"""
R_PIECES = st.sampled_from(R_LINES.splitlines())


@settings(max_examples=150, deadline=None)
@given(st.lists(R_PIECES, max_size=10))
def test_generated_r_is_read_or_refused(pieces):
    check_text("\n".join(pieces) + "\n# keras", "generated.R")


def test_long_and_deep_programs():
    deep = "import keras\nx = " + "-" * 90 + "1\n" + "y = " + " + ".join(["x"] * 2000) + "\n"
    assert check_text(deep, "deep.py").failures == ()
    nested = (
        "import keras\n"
        + "".join("    " * i + f"for i{i} in x:\n" for i in range(18))
        + "    " * 18
        + "f(x)\n"
    )
    assert check_text(nested, "nested.py").failures == ()
    calls = "import keras\ndef f0(): pass\n"
    calls += "".join(f"def f{i}():\n    f{i - 1}()\n    f{i - 1}()\n" for i in range(1, 40)) + "f39()\n"
    assert check_text(calls, "calls.py").failures == ()
    branches = "import keras\n" + "if x: a = 1\n" * 3000
    assert check_text(branches, "branches.py").failures == ()


@pytest.mark.slow
def test_the_standard_library():
    folder = Path(sysconfig.get_path("stdlib"))
    paths = sorted(folder.glob("*.py"))[::3] + sorted((folder / "unittest").glob("*.py"))
    report = check_paths(paths)
    assert report.findings == ()
    assert report.failures == ()
    assert report.checked == len(paths)


def test_several_processes_find_the_same_in_the_same_order(tmp_path):
    fault = "import keras\nm = keras.Sequential()\nfor i in range(2):\n    m.compile('sgd', 'mse')\n    m.fit(x, y)\n"
    for number in range(parallel.FEWEST + 2):
        (tmp_path / f"{number:03}.py").write_text(
            fault if number % 50 == 0 else "x = (\n" if number == 7 else ""
        )
    alone = check_paths([tmp_path])
    assert check_paths([tmp_path], jobs=2) == alone
    assert [len(alone.findings), len(alone.failures), alone.checked] == [3, 1, parallel.FEWEST + 1]
